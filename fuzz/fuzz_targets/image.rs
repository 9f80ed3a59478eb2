//! Any bytes as a photo, with any box.
//!
//! The first sixteen bytes are the box's edges; there is none where the left one is NaN.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lookalike::gallery::Bounds;
use lookalike::ingest::image::{ImageLimits, load};
use lookalike_fuzz::{quiet_others, scratch_folder, write};

const LIMITS: ImageLimits =
    ImageLimits { max_bytes: 1 << 20, max_pixels: 1_000_000, max_memory: 1 << 20 };

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch_folder);

fuzz_target!(init: quiet_others(), |bytes: &[u8]| {
    let Some((edges, photo)) = bytes.split_first_chunk::<16>() else { return };
    let edges = edges.as_chunks::<4>().0;
    let edge = |at: usize| f32::from_le_bytes(edges[at]);
    let bounds = Bounds { left: edge(0), top: edge(1), right: edge(2), bottom: edge(3) };
    let bounds = (!bounds.left.is_nan()).then_some(bounds);
    write(&FOLDER, "photo", photo);
    let loaded = load(&FOLDER, "photo", bounds.as_ref(), &LIMITS);
    assert!(loaded.hash.is_some());
    assert_ne!(loaded.thumbnail.is_some(), loaded.fault.is_some());
    if let Some(thumbnail) = loaded.thumbnail {
        // What is stored must be readable by whoever shows it.
        write(&FOLDER, "thumbnail", &thumbnail);
        let again = load(&FOLDER, "thumbnail", None, &LIMITS);
        assert!(again.fault.is_none(), "{:?}", again.fault);
    }
});
