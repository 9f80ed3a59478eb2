//! What cells cost and what they save: time to learn and to assign, balance, and the share of the
//! faces to visit until the mates of a probe are found.
//!
//! Faces are visited cell by cell in order of promise. The mates that count are those among the
//! exact ten best faces of a probe; a mate's share is that of the faces in all cells up to its own.
//! Given is the share that a plan must visit, the same for every probe, to meet so many of all mates.
//!
//! `cargo bench --bench cells`; FACES, PROBES, CELLS (0: as many as the library would make), SAMPLE,
//! KINDS and PROFILE change what is run.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use lookalike::cells::{Cells, Levels, Ranking, cells_for, learn, order, round, sample_for};
use lookalike::kernels::Kernels;
use lookalike::synth::Profile;
use lookalike::{Cancel, Embedding, Silent};
use ndarray::{ArrayView2, s};
use rayon::prelude::*;

mod common;
use common::{Data, median, print_machine, setting};

const K: usize = 10;
/// Rows assigned at once, as a build would.
const BLOCK: usize = 1 << 16;

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 2000 } else { 100_000 }) as u64;
    let probes = setting("PROBES", if quick { 40 } else { 2000 }) as u64;
    let kinds = std::env::var("KINDS").unwrap_or_else(|_| "clustered,isolated".to_owned());
    let profile = std::env::var("PROFILE").map_or(Ok(Profile::ArcFace512), |name| name.parse());
    let profile = profile.expect("a profile");
    print_machine();
    for kind in kinds.split(',') {
        let data = Data::new(profile, faces, kind == "isolated", probes, 1);
        println!("\n{}", data.name);
        let rows = flat(&data.vectors());
        // The second half shows people who are not in the gallery.
        let probes = flat(&data.probes[..data.probes.len().div_ceil(2)]);
        let mates = mates(&data, &rows, &probes, profile.dims());
        for cells in numbers(faces) {
            measure(&rows, &probes, &mates, profile.dims(), cells);
        }
    }
}

/// The numbers of cells to try.
fn numbers(faces: u64) -> Vec<usize> {
    let text = std::env::var("CELLS").unwrap_or_else(|_| "0".to_owned());
    let numbers = text.split(',').map(|number| number.parse().expect("a number of cells"));
    numbers.map(|number| if number == 0 { cells_for(faces) } else { number }).collect()
}

fn measure(rows: &[f32], probes: &[f32], mates: &[Vec<u32>], dims: usize, cells: usize) {
    let faces = rows.len() / dims;
    let wanted = setting("SAMPLE", sample_for(faces as u64) as usize);
    let sample: Vec<f32> =
        (0..wanted).flat_map(|at| &rows[at * faces / wanted * dims..][..dims]).copied().collect();
    let begun = Instant::now();
    let centroids = learn(&sample, dims, cells, 1, &Silent, &Cancel::new()).expect("centroids");
    let learnt = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut assignments = Vec::with_capacity(faces);
    for block in rows.chunks(BLOCK * dims) {
        centroids.assign(block, &mut assignments);
    }
    let assigned = begun.elapsed().as_secs_f64();
    let cells = centroids.cells();
    let (permutation, starts) = order(&assignments, cells);
    let largest = starts.windows(2).map(|bounds| bounds[1] - bounds[0]).max().unwrap_or(0);
    let empty = starts.windows(2).filter(|bounds| bounds[0] == bounds[1]).count();
    let similarity: f64 = rows
        .chunks_exact(dims)
        .zip(&assignments)
        .map(|(row, &cell)| {
            let centroid = &centroids.values()[cell as usize * dims..][..dims];
            f64::from(Kernels::best().dot(row, centroid))
        })
        .sum();
    println!(
        "{cells} cells in {} groups from {wanted} rows: learnt {learnt:.2} s, assigned {assigned:.2} s; \
         largest / mean {:.2}, empty {empty}, mean similarity to the centroid {:.4}",
        centroids.group_starts().len().saturating_sub(1),
        f64::from(largest) / (faces as f64 / cells as f64),
        similarity / faces as f64,
    );
    let mut slots = vec![0; faces];
    for (slot, &row) in (0..).zip(&permutation) {
        slots[row as usize] = slot;
    }
    let (levels, steps) = round(centroids.values(), dims);
    let (group_levels, group_steps) = round(centroids.group_values(), dims);
    let groups = Levels { levels: &group_levels, steps: &group_steps };
    let view = Cells::new(dims, Levels { levels: &levels, steps: &steps }, &starts)
        .and_then(|cells| cells.with_groups(groups, centroids.group_starts()))
        .expect("cells");
    visit(&view, probes, mates, &slots, dims);
}

/// Prints shares to visit and the time to rank.
fn visit(cells: &Cells<'_>, probes: &[f32], mates: &[Vec<u32>], slots: &[u32], dims: usize) {
    let mut ranking = Ranking::default();
    let mut shares = Vec::new();
    for (probe, mates) in probes.chunks_exact(dims).zip(mates) {
        let mut visited = 0;
        for &cell in cells.rank(Kernels::best(), probe, cells.len(), &mut ranking) {
            let range = cells.slots(cell);
            visited += range.len();
            let found = mates.iter().filter(|&&row| range.contains(&slots[row as usize])).count();
            shares.extend(std::iter::repeat_n(visited as f64 / slots.len() as f64, found));
        }
    }
    shares.sort_by(f64::total_cmp);
    let at = |share: f64| shares[((shares.len() as f64 * share) as usize).min(shares.len() - 1)];
    println!(
        "  {} mates; to find 90 % visit {:.3} of the faces, 95 % {:.3}, 99 % {:.3}; mean share {:.4}",
        shares.len(),
        at(0.90),
        at(0.95),
        at(0.99),
        shares.iter().sum::<f64>() / shares.len() as f64,
    );
    for wanted in [cells.len(), cells.len().div_ceil(10)] {
        let mut times: Vec<f64> = probes
            .chunks_exact(dims)
            .map(|probe| {
                let begun = Instant::now();
                let ranked = cells.rank(Kernels::best(), probe, wanted, &mut ranking);
                std::hint::black_box(ranked);
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        println!("  ranking the best {wanted} cells: {:.1} us", median(&mut times));
    }
}

/// The rows of each probe's mates among its exact ten best faces.
fn mates(data: &Data, rows: &[f32], probes: &[f32], dims: usize) -> Vec<Vec<u32>> {
    let of_faces = subjects(&data.folder.join("manifest.csv"));
    let of_probes = subjects(&data.folder.join("probes.csv"));
    let mut number = HashMap::new();
    for subject in &of_faces {
        let next = number.len();
        number.entry(subject.as_str()).or_insert(next);
    }
    let of_faces: Vec<usize> = of_faces.iter().map(|subject| number[subject.as_str()]).collect();
    let faces = ArrayView2::from_shape((rows.len() / dims, dims), rows).expect("faces");
    let blocks: Vec<Vec<Vec<u32>>> = probes
        .par_chunks(16 * dims)
        .enumerate()
        .map(|(block, probes)| {
            let probes = ArrayView2::from_shape((probes.len() / dims, dims), probes);
            let similarities = probes.expect("probes").dot(&faces.t());
            let mated = |at: usize| {
                let scores = similarities.slice(s![at, ..]);
                let mut best: Vec<u32> = (0..scores.len() as u32).collect();
                let by = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]);
                if best.len() > K {
                    best.select_nth_unstable_by(K, by);
                    best.truncate(K);
                }
                let subject = number.get(of_probes[block * 16 + at].as_str());
                best.retain(|&row| Some(&of_faces[row as usize]) == subject);
                best
            };
            (0..similarities.nrows()).map(mated).collect()
        })
        .collect();
    blocks.concat()
}

/// The first column of a CSV file whose fields have no commas or quotes.
fn subjects(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a manifest");
    let first = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    text.lines().skip(1).map(first).collect()
}

fn flat(embeddings: &[Embedding]) -> Vec<f32> {
    embeddings.iter().flat_map(|embedding| embedding.values()).copied().collect()
}
