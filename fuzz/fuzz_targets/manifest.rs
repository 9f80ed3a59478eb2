//! Any bytes as a manifest in each of its formats.
//!
//! The first byte chooses the format.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lookalike::ingest::Manifest;
use lookalike_fuzz::{quiet_others, scratch_folder, write};

const NAMES: [&str; 3] = ["a.csv", "a.jsonl", "a.parquet"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch_folder);

fuzz_target!(init: quiet_others(), |bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let path = write(&FOLDER, NAMES[usize::from(choice) % NAMES.len()], bytes);
    let Ok(manifest) = Manifest::open(&path) else { return };
    let mut lines = 0;
    for (number, line) in manifest.iter().expect("nobody changed it").enumerate() {
        lines += 1;
        match line {
            Ok(line) => {
                assert_eq!(line.number, number as u64);
                assert_eq!(line.row.is_some(), manifest.has_row());
                assert_eq!(line.attributes.len(), manifest.attributes().len());
            }
            Err(fault) => {
                assert_eq!(fault.number, number as u64);
                assert!(!fault.reason.ends_with(": the manifest has changed since it was opened"), "{fault:?}");
            }
        }
    }
    assert_eq!(lines, manifest.lines());
});
