//! Damaged files give errors, fewer rows or other numbers, and never end the process.

use super::faults::every;
use super::*;

/// Opens what may be damaged and reads every row there is.
fn try_all(ending: &str, bytes: &[u8]) {
    if let Ok(e) = open(&format!("a.{ending}"), bytes, None) {
        assert!(e.rows() < 1000, "{ending}: {} rows", e.rows());
        read_all(&e);
    }
}

#[test]
fn every_truncation_is_an_error_or_has_fewer_rows() {
    for (ending, bytes) in every() {
        for len in 0..bytes.len() {
            match open(&format!("a.{ending}"), &bytes[..len], None) {
                Err(_) => {}
                // A text may end within a line; this one begins with a blank one.
                Ok(e) if ending == "jsonl" => assert!(e.rows() <= 4),
                Ok(e) => assert!(e.rows() < 3, "{ending} of {len} bytes"),
            }
        }
    }
}

#[test]
fn every_byte_may_be_wrong() {
    for (ending, bytes) in every() {
        let mut damaged = bytes.clone();
        for at in 0..bytes.len() {
            for wrong in [0xff, bytes[at] ^ 1, bytes[at].wrapping_add(3)] {
                damaged[at] = wrong;
                try_all(ending, &damaged);
            }
            damaged[at] = bytes[at];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes_may_follow_the_beginning(
        file in 0_usize..9,
        keep in 0_usize..200,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (ending, mut bytes) = every().swap_remove(file);
        bytes.truncate(keep);
        bytes.extend(noise);
        try_all(ending, &bytes);
    }

    #[test]
    fn spans_may_be_overwritten(
        file in 0_usize..9,
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 1..12),
    ) {
        let (ending, mut bytes) = every().swap_remove(file);
        let at = at.index(bytes.len());
        let end = (at + noise.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&noise[..end - at]);
        try_all(ending, &bytes);
    }
}
