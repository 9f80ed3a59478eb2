//! Any bytes as a file of embeddings in each of its formats.
//!
//! The first byte chooses the format and whether an array is named.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lookalike::ingest::Embeddings;
use lookalike::{Embedding, MAX_DIMS};
use lookalike_fuzz::{quiet_others, scratch_folder, write};

const NAMES: [&str; 7] =
    ["a.npy", "a.npz", "a.fvecs", "a.fbin", "a.safetensors", "a.parquet", "a.jsonl"];
const ROWS: u64 = 1000;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch_folder);

fuzz_target!(init: quiet_others(), |bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let path = write(&FOLDER, NAMES[usize::from(choice & 0x7f) % NAMES.len()], bytes);
    let array = (choice & 0x80 != 0).then_some("embedding");
    let Ok(embeddings) = Embeddings::open(&path, array) else { return };
    assert!((1..=MAX_DIMS).contains(&embeddings.dims()));
    let mut row = vec![0.0; embeddings.dims()];
    let rows = embeddings.rows();
    for at in (0..rows.min(ROWS)).chain(rows.saturating_sub(2)..rows) {
        if embeddings.read(at, &mut row).is_ok() {
            let _ = Embedding::new(row.clone());
        }
    }
    assert!(embeddings.read(rows, &mut row).is_err());
});
