//! The most similar centroids of many rows.
//!
//! In come rows and centroids, rounded to a byte a dimension; out go, a row, the best centroid (or
//! the best few) by dot product, ties to the lower one. Rounding errs by under a hundredth of a
//! row's length, in no particular direction, which is far below what faces of a cell differ by.
//! Products are blocked matrix products in whole numbers; a block's maxima are taken while it is in
//! the cache. Always: a row's answer depends on that row and the centroids alone, and is the same on
//! every processor.

use std::ops::Range;

use rayon::prelude::*;

use super::levels::levels;
use crate::kernels::Kernels;
use crate::kernels::panels::{PANEL, Panels, QUAD, ZERO};

/// Rows of a block: with 512 centroids, scores of 512 KiB, which stay in the second-level cache.
pub(super) const ROWS: usize = 256;
/// Panels of a block: 512 centroids.
const PANELS: usize = 512 / PANEL;
/// Rows that are rounded by one thread at a time.
const ROUNDED: usize = 1024;

/// A centroid and its similarity to a row, up to a factor of the row's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearest {
    pub(super) score: f32,
    pub(super) cell: u32,
}

impl Nearest {
    /// What every centroid beats; a row of NaN stays with the first.
    pub(super) const NONE: Self = Self { score: f32::NEG_INFINITY, cell: 0 };
}

/// Rows in levels of a byte a dimension.
pub(super) struct Rows {
    /// Levels a row: its dimensions, rounded up to a multiple of 4.
    pub(super) dims: usize,
    pub(super) levels: Vec<i8>,
}

impl Rows {
    /// Rounds rows of `dims` values.
    pub(super) fn of(rows: &[f32], dims: usize) -> Self {
        let padded = dims.next_multiple_of(QUAD);
        let mut all = vec![0; rows.len() / dims * padded];
        all.par_chunks_mut(ROUNDED * padded).zip(rows.par_chunks(ROUNDED * dims)).for_each(
            |(all, rows)| {
                let mut own = Vec::with_capacity(dims);
                for (all, row) in all.chunks_exact_mut(padded).zip(rows.chunks_exact(dims)) {
                    own.clear();
                    levels(row, &mut own);
                    all[..dims].copy_from_slice(&own);
                }
            },
        );
        Self { dims: padded, levels: all }
    }

    pub(super) fn row(&self, row: usize) -> &[i8] {
        &self.levels[row * self.dims..][..self.dims]
    }
}

/// Centroids in panels.
pub(super) struct Packed {
    count: usize,
    dims: usize,
    levels: Vec<u8>,
    steps: Vec<f32>,
}

impl Packed {
    /// Rounds centroids of `dims` values and puts them side by side.
    pub(super) fn of(centroids: &[f32], dims: usize) -> Self {
        let count = centroids.len() / dims;
        let padded = dims.next_multiple_of(QUAD);
        let places = count.next_multiple_of(PANEL);
        let (mut all, mut steps) = (vec![ZERO; places * padded], vec![0.0; places]);
        all.par_chunks_mut(PANEL * padded)
            .zip(steps.par_chunks_mut(PANEL))
            .zip(centroids.par_chunks(PANEL * dims))
            .for_each(|((panel, steps), centroids)| {
                let mut own = Vec::with_capacity(dims);
                let each = centroids.chunks_exact(dims).zip(steps);
                for (place, (centroid, step)) in each.enumerate() {
                    own.clear();
                    *step = levels(centroid, &mut own);
                    for (quad, own) in own.chunks(QUAD).enumerate() {
                        let from = (quad * PANEL + place) * QUAD;
                        for (level, own) in panel[from..].iter_mut().zip(own) {
                            *level = *own as u8 ^ ZERO;
                        }
                    }
                }
            });
        Self { count, dims: padded, levels: all, steps }
    }

    /// Hands `take` each of some rows, by number, and its scores with the centroids of some panels.
    fn scores(
        &self,
        rows: &[i8],
        panels: Range<usize>,
        scores: &mut Vec<f32>,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let all = Panels::new(self.dims, &self.levels, &self.steps);
        let Some(part) = all.map(|all| all.part(panels.clone())) else { return };
        Kernels::best().panel_scores(part, rows, scores);
        let real = self.count.saturating_sub(panels.start * PANEL).min(part.count());
        for (row, scores) in scores.chunks_exact(part.count().max(1)).enumerate() {
            take(row, &scores[..real]);
        }
    }
}

/// The best centroid of each row.
pub(super) fn nearest(rows: &Rows, centroids: &Packed) -> Vec<Nearest> {
    let blocks = rows.levels.par_chunks(ROWS * rows.dims);
    blocks
        .map_init(Vec::new, |scores, rows| nearest_of_block(rows, centroids, scores))
        .flatten_iter()
        .collect()
}

/// [`nearest`] for few rows, on the current thread; `scores` is scratch.
pub(super) fn nearest_of_block(
    rows: &[i8],
    centroids: &Packed,
    scores: &mut Vec<f32>,
) -> Vec<Nearest> {
    let mut best = vec![Nearest::NONE; rows.len() / centroids.dims];
    for first in (0..centroids.count.div_ceil(PANEL)).step_by(PANELS) {
        centroids.scores(rows, first..first + PANELS, scores, |row, scores| {
            let score = maximum(scores);
            if score > best[row].score {
                let place = scores.iter().position(|&s| s == score).unwrap_or(0);
                best[row] = Nearest { score, cell: (first * PANEL + place) as u32 };
            }
        });
    }
    best
}

/// The `few` best centroids of each row (all, where there are fewer), best first, row after row.
pub(super) fn nearest_few(rows: &Rows, centroids: &Packed, few: usize) -> Vec<u32> {
    let few = few.min(centroids.count);
    let blocks = rows.levels.par_chunks(ROWS * rows.dims);
    blocks
        .map_init(Vec::new, |scores, levels| {
            let mut cells = Vec::with_capacity(levels.len() / rows.dims * few);
            let mut best = vec![Nearest::NONE; few];
            centroids.scores(levels, 0..usize::MAX, scores, |_, scores| {
                best.fill(Nearest::NONE);
                for (cell, &score) in (0..).zip(scores) {
                    if score > best[few - 1].score {
                        let at = best.partition_point(|other| other.score >= score);
                        best[at..].rotate_right(1);
                        best[at] = Nearest { score, cell };
                    }
                }
                cells.extend(best.iter().map(|best| best.cell));
            });
            cells
        })
        .flatten_iter()
        .collect()
}

/// The largest value, in lanes that compilers keep in registers; NaN is passed over.
fn maximum(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}
