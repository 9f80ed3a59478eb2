//! All pairs of a gallery by the index, against blocked exhaustive comparison in single precision.
//!
//! The exhaustive side is products of blocks of vectors (matrixmultiply, by ndarray) on all threads.
//! It is measured on a hundredth of the rows, each with all others, and *extrapolated*: as each pair
//! is to be compared once, all rows take fifty times as long. The pairs it finds are those that the
//! index is held to.
//!
//! `cargo bench --bench pairs`; FACES, SIMILARITIES, PROFILE, KIND (clustered or isolated) and SEED
//! change what is run.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::HashSet;
use std::time::Instant;

use lookalike::pairs::{Pair, Pairs};
use lookalike::synth::Profile;
use lookalike::{Cancel, Error, FaceId, Gallery, Silent};
use ndarray::{ArrayView2, s};
use rayon::prelude::*;

mod common;
use common::{Data, listed, print_machine, setting};

/// One row in so many is compared exhaustively.
const PART: usize = 100;
/// Rows of a block on either side: 512 KiB and 2 MiB at 512 dimensions.
const BLOCK: (usize, usize) = (256, 1024);

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 5000 } else { 1_000_000 });
    let profile = std::env::var("PROFILE").map_or(Ok(Profile::ArcFace512), |name| name.parse());
    let isolated = std::env::var("KIND").is_ok_and(|kind| kind == "isolated");
    let profile: Profile = profile.expect("a profile");
    let data = Data::new(profile, faces as u64, isolated, 10, setting("SEED", 7) as u64);
    print_machine();
    let gallery = Gallery::open(data.gallery_without_graph()).expect("a gallery");
    println!(
        "{}: {} faces x {} dimensions, {} threads; pairs read no graph, so there is none",
        data.name,
        gallery.len(),
        gallery.dims(),
        rayon::current_num_threads()
    );
    let rows = rows(&gallery);
    for at_least in listed::<f32>("SIMILARITIES", "0.4,0.5,0.6") {
        compare(&gallery, &rows, at_least);
    }
}

/// The vectors by face id; the synthetic galleries leave no number unused.
fn rows(gallery: &Gallery) -> Vec<f32> {
    let mut rows = Vec::with_capacity(gallery.len() as usize * gallery.dims());
    for face_id in 0..gallery.len() {
        rows.extend(gallery.embedding(FaceId(face_id)).expect("a face").values());
    }
    rows
}

fn compare(gallery: &Gallery, rows: &[f32], at_least: f32) {
    let begun = Instant::now();
    let expected = exhaustive(rows, gallery.dims(), at_least);
    let part = begun.elapsed().as_secs_f64();
    let all = part * PART as f64 / 2.0;
    let begun = Instant::now();
    let mut found = HashSet::new();
    let take = |pairs: &[Pair]| {
        let ids = pairs.iter().map(|pair| (pair.first.0, pair.second.0));
        let of_part =
            |(a, b): &(u64, u64)| a.is_multiple_of(PART as u64) || b.is_multiple_of(PART as u64);
        found.extend(ids.filter(of_part));
        Ok::<(), Error>(())
    };
    let result = Pairs::new(at_least).run(gallery, take, &Silent, &Cancel::new()).expect("pairs");
    let took = begun.elapsed().as_secs_f64();
    let hit = expected.iter().filter(|pair| found.contains(*pair)).count();
    println!("\nsimilarity >= {at_least}: {:?}", result.reach);
    println!(
        "  index:      {} pairs in {took:.1} s, survey included; {:.4} of the {} that exhaustive \
         comparison found",
        result.pairs,
        hit as f64 / expected.len().max(1) as f64,
        expected.len()
    );
    println!(
        "  exhaustive: {part:.1} s for one row in {PART} with all, extrapolated to all pairs \
         {all:.0} s: {:.1} times as long",
        all / took
    );
}

/// The pairs of every hundredth row with all others.
fn exhaustive(rows: &[f32], dims: usize, at_least: f32) -> HashSet<(u64, u64)> {
    let count = rows.len() / dims;
    let all = ArrayView2::from_shape((count, dims), rows).expect("rows");
    let part: Vec<f32> = rows.chunks_exact(dims).step_by(PART).flatten().copied().collect();
    let part = ArrayView2::from_shape((part.len() / dims, dims), &part).expect("rows");
    let blocks: Vec<usize> = (0..count).step_by(BLOCK.1).collect();
    blocks
        .par_iter()
        .flat_map_iter(|&from| {
            let others = all.slice(s![from..(from + BLOCK.1).min(count), ..]);
            let mut pairs = Vec::new();
            for first in (0..part.nrows()).step_by(BLOCK.0) {
                let few = part.slice(s![first..(first + BLOCK.0).min(part.nrows()), ..]);
                for ((at, other), &similarity) in few.dot(&others.t()).indexed_iter() {
                    let (one, other) = ((first + at) * PART, from + other);
                    if similarity >= at_least && one != other {
                        pairs.push((one.min(other) as u64, one.max(other) as u64));
                    }
                }
            }
            pairs
        })
        .collect()
}
