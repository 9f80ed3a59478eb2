//! A valid gallery with changes in any of its files that get past the checksums.
//!
//! Opening, reading, searching and verifying it never panics; a change that nobody sealed again is
//! found by `verify`.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lookalike::{Gallery, Silent, gallery};
use lookalike_fuzz::damage::{Damage, Patient};
use lookalike_fuzz::explore::{Question, explore};
use lookalike_fuzz::sample::{self, Variant};

const FACES: usize = 48;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    variant: u8,
    question: Question,
    damage: Damage<'a>,
}

static PATIENTS: LazyLock<[Patient; 3]> =
    LazyLock::new(|| Variant::ALL.map(|variant| Patient::new(sample::gallery(variant, FACES))));

fuzz_target!(|input: Input<'_>| {
    let patient = &PATIENTS[usize::from(input.variant) % PATIENTS.len()];
    patient.examine(&input.damage, |path, must_be_found| {
        let verified = gallery::verify(path, &Silent);
        let sound = verified.is_ok_and(|verified| verified.faults.is_empty());
        assert!(!(must_be_found && sound), "verify found nothing");
        if let Ok(gallery) = Gallery::open(path) {
            explore(&gallery, &input.question);
        }
    });
});
