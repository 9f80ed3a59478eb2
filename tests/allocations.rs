//! The lookup loop allocates nothing once it is warm: a search allocates its answer and no more.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lookalike::{Build, Cancel, Embedding, Gallery, Query, Silent};

/// The system's allocator, counting what each thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps to the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(work: impl FnOnce() -> R) -> usize {
    let before = COUNT.get();
    std::hint::black_box(work());
    COUNT.get() - before
}

#[test]
fn a_warm_search_allocates_its_answer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let place = folder.path().join("gallery");
    Build::new(&place, format!("{sample}/embeddings.npy")).run(&Silent, &Cancel::new()).unwrap();
    let gallery = Gallery::open(&place).unwrap();
    let probes: Vec<Embedding> =
        (0..50).map(|id| gallery.embedding(lookalike::FaceId(id * 11)).unwrap()).collect();
    let walks = [16, 64, 256].map(|beam| Query::new().top(10).beam(beam));
    let scans = [0.05, 0.5, 1.0].map(|share| Query::new().top(10).share(share));
    for query in walks.into_iter().chain(scans) {
        for probe in &probes {
            gallery.search(probe, &query).unwrap();
        }
        for probe in &probes {
            let count = allocations(|| gallery.search(probe, &query).unwrap());
            assert_eq!(count, 1, "{query:?}");
        }
    }
}
