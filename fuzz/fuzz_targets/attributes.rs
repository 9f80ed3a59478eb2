//! Any bytes as the attributes of an otherwise valid gallery.
//!
//! Opening compares no checksum of them, so all of Arrow's decoder is behind the first look.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lookalike::Gallery;
use lookalike_fuzz::explore::{Question, explore};
use lookalike_fuzz::sample::{self, Variant};
use lookalike_fuzz::write;

static GALLERY: LazyLock<PathBuf> =
    LazyLock::new(|| sample::gallery(Variant::Scanned, sample::FEW));

fuzz_target!(|bytes: &[u8]| {
    write(&GALLERY, "segments/0001/attributes.arrow", bytes);
    if let Ok(gallery) = Gallery::open(&*GALLERY) {
        explore(&gallery, &Question::PLAIN);
    }
});
