//! Spherical k-means (Dhillon and Modha 2001): unit centroids, most similar wins.
//!
//! In come rows and a number of cells; out go at most that many centroids, each with a row of its
//! own. Beginning from random rows, Lloyd's iterations; between them, a cell far above the mean size
//! is split across a direction in which its rows differ, and takes the place of an empty or tiny
//! one. Splitting rather than a penalty on size, as the cell of a face then remains the one with
//! the most similar centroid, and a search ranks cells by that similarity alone.

use std::collections::BinaryHeap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::nearest::{Packed, Rows, nearest};
use super::order::order;
use crate::kernels::Kernels;
use crate::{Cancel, Progress};

/// A cell above this multiple of the mean size is split; a little below the 4 that none should
/// exceed, since the rows that the other half of the exchange sets free come on top.
const SPLIT: f32 = 2.5;
/// A cell below this multiple of the mean gives its place to half of one that is split.
const TINY: f32 = 0.25;
/// How far the halves of a split are moved apart, of the centroid's length: little, so that together
/// they keep the rows they had.
const APART: f32 = 0.2;

/// Rows to learn from, and how.
#[derive(Clone, Copy)]
pub(super) struct Training<'a> {
    pub(super) rows: &'a [f32],
    pub(super) dims: usize,
    pub(super) cells: usize,
    pub(super) iterations: usize,
    pub(super) seed: u64,
}

/// Unit centroids, at most `cells` of them and at least one if there are rows; `None` once
/// cancelled. Advances `progress` by the rows of each iteration.
pub(super) fn train(
    training: Training<'_>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Vec<f32>> {
    let Training { rows, dims, cells, iterations, seed } = training;
    let count = rows.len() / dims;
    let cells = cells.clamp(1, count.max(1));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut centroids = Vec::with_capacity(cells * dims);
    for row in rand::seq::index::sample(&mut rng, count, cells.min(count)) {
        centroids.extend_from_slice(&rows[row * dims..][..dims]);
    }
    centroids.par_chunks_mut(dims).for_each(to_unit);
    let rounded = Rows::of(rows, dims);
    for iteration in 1..=iterations {
        if cancel.is_cancelled() {
            return None;
        }
        let assignments: Vec<u32> =
            nearest(&rounded, &Packed::of(&centroids, dims)).iter().map(|best| best.cell).collect();
        let (members, starts) = order(&assignments, centroids.len() / dims);
        centroids = means(rows, dims, &members, &starts);
        if iteration < iterations {
            mend(&mut centroids, training, (&members, &starts), &mut rng);
        } else {
            centroids = filled(&centroids, dims, &starts);
        }
        progress.advance(count as u64);
    }
    Some(centroids)
}

/// The direction of the sum of each cell's rows.
pub(super) fn means(rows: &[f32], dims: usize, members: &[u32], starts: &[u32]) -> Vec<f32> {
    let mut centroids = vec![0.0; starts.len().saturating_sub(1) * dims];
    centroids.par_chunks_mut(dims).zip(starts.par_windows(2)).for_each(|(centroid, bounds)| {
        for &row in &members[bounds[0] as usize..bounds[1] as usize] {
            let row = &rows[row as usize * dims..][..dims];
            for (sum, &value) in centroid.iter_mut().zip(row) {
                *sum += value;
            }
        }
        to_unit(centroid);
    });
    centroids
}

/// The centroids of cells that have rows; those of others repeat a better one or were passed over.
fn filled(centroids: &[f32], dims: usize, starts: &[u32]) -> Vec<f32> {
    let cells = centroids.chunks_exact(dims).zip(starts.windows(2));
    cells.filter(|(_, bounds)| bounds[0] < bounds[1]).flat_map(|(c, _)| c).copied().collect()
}

/// Splits the largest cells into the places of empty and tiny ones.
fn mend(
    centroids: &mut [f32],
    training: Training<'_>,
    (members, starts): (&[u32], &[u32]),
    rng: &mut Xoshiro256PlusPlus,
) {
    let Training { rows, dims, .. } = training;
    let size = |cell: usize| starts[cell + 1] - starts[cell];
    let cells = centroids.len() / dims;
    let mean = members.len() as f32 / cells.max(1) as f32;
    let mut places: Vec<usize> =
        (0..cells).filter(|&cell| (size(cell) as f32) < TINY * mean).collect();
    places.sort_by_key(|&cell| (size(cell), cell));
    let mut largest: BinaryHeap<(u32, usize, usize)> =
        (0..cells).map(|cell| (size(cell), cell, cell)).collect();
    let mut places = places.into_iter().peekable();
    // A cell that was split is in the heap twice, as halves that share its rows.
    while let Some((rows_left, cell, of)) = largest.pop() {
        let Some(&place) = places.peek() else { break };
        let wanted = size(place) == 0 || rows_left as f32 > SPLIT * mean;
        if !wanted || rows_left < 2 || place == cell || size(of) <= 2 * size(place) {
            break;
        }
        let own = &members[starts[of] as usize..starts[of + 1] as usize];
        let centroid = &centroids[cell * dims..][..dims];
        // Rows all alike cannot be split.
        let Some((one, other)) = halves(centroid, rows, own, rng) else { continue };
        centroids[cell * dims..][..dims].copy_from_slice(&one);
        centroids[place * dims..][..dims].copy_from_slice(&other);
        largest.push((rows_left / 2, cell, of));
        largest.push((rows_left / 2, place, of));
        places.next();
    }
}

/// A centroid moved both ways along a line on which its rows differ.
fn halves(
    centroid: &[f32],
    rows: &[f32],
    members: &[u32],
    rng: &mut Xoshiro256PlusPlus,
) -> Option<(Vec<f32>, Vec<f32>)> {
    let kernels = Kernels::best();
    let dims = centroid.len();
    for _ in 0..8 {
        let row = members[rng.random_range(0..members.len())] as usize;
        let mut away = rows[row * dims..][..dims].to_vec();
        to_unit(&mut away);
        let along = kernels.dot(&away, centroid);
        for (a, c) in away.iter_mut().zip(centroid) {
            *a -= along * c;
        }
        if kernels.dot(&away, &away) < 1e-6 {
            continue;
        }
        to_unit(&mut away);
        let moved = |by: f32| {
            let mut half: Vec<f32> = centroid.iter().zip(&away).map(|(c, a)| c + by * a).collect();
            to_unit(&mut half);
            half
        };
        return Some((moved(APART), moved(-APART)));
    }
    None
}

/// Scales to unit length; a vector without a direction stays as it is.
pub(super) fn to_unit(vector: &mut [f32]) {
    let length = Kernels::best().dot(vector, vector).sqrt();
    if length > 0.0 && length.is_finite() {
        for value in vector {
            *value /= length;
        }
    }
}
