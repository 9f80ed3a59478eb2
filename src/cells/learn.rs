//! Centroids from a sample.
//!
//! Up to 32,768 cells, every row is compared with every cell. Similar cells are then put into groups
//! of about four, by which a search of a very large gallery finds the promising ones. Beyond, k-means makes a group for every four
//! cells, at most 8,192 of them, then shares the cells of each group out among its own rows, and a
//! last iteration over all of them lets cells at the border of two groups settle.
//!
//! One level is dear, and taken for as long as can be, since a group that merges several crowds of
//! people who look alike resembles none of them: photos of poor quality then go to a wrong group, and
//! their mates lie far down the ranking. Of 3,000,000 clustered faces of 512 dimensions, a hundredth
//! of the mates lay beyond the first 687,000 faces with sqrt(cells) groups and the best 4 of them a
//! row; beyond 24,000 with a group for every four cells and the best 64; beyond 14,000 with one
//! level.

use rayon::prelude::*;

use super::lloyd::{Training, means, train};
use super::nearest::{Packed, Rows, nearest};
use super::order::{chain, order};
use crate::{Cancel, Progress, Silent};

/// Faces a cell holds on average. Smaller cells are fewer faces to visit, but each costs a search a
/// product with its centroid, as much as the sketches of some hundred faces; at 512 the ranking and
/// the visit of the ranked share take about as long.
const FACES_PER_CELL: u64 = 512;
/// Rows to learn a cell from: with half as many, isolated mates lie visibly later and cells differ
/// more in size; with four times as many, neither changes any more.
const ROWS_PER_CELL: u64 = 128;
/// The most rows to learn from: 1 GiB at 512 dimensions.
const MAX_ROWS: u64 = 1 << 19;
/// The most cells in one level: beyond, products with all of them take longer than two levels.
const ONE_LEVEL: usize = 32_768;
/// The most cells without groups: a search scores all of so few.
const UNGROUPED: usize = 1024;
/// Cells a group holds on average. With half as many groups, mates of poor photos lie further down
/// the ranking the larger the gallery is.
const CELLS_PER_GROUP: usize = 4;
/// The most groups: beyond, products with all of them take longer than with the cells of a few.
const MAX_GROUPS: usize = 8192;
/// Iterations of k-means.
const ITERATIONS: usize = 8;

/// How many cells a gallery of so many faces gets: one for 512, and at least one.
pub fn cells_for(faces: u64) -> usize {
    usize::try_from(faces / FACES_PER_CELL).unwrap_or(usize::MAX).max(1)
}

/// How many rows, chosen evenly, to learn the cells of so many faces from: 128 a cell, but at most
/// 524,288 (1 GiB at 512 dimensions), and never more than there are faces.
pub fn sample_for(faces: u64) -> u64 {
    let rows = (cells_for(faces) as u64).saturating_mul(ROWS_PER_CELL).min(MAX_ROWS);
    rows.min(faces)
}

/// What cells are grouped around: unit vectors in the order of the file, similar ones side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Centroids {
    pub(super) dims: usize,
    pub(super) values: Vec<f32>,
    pub(super) group_values: Vec<f32>,
    pub(super) group_starts: Vec<u32>,
    /// Whether rows are compared with the cells of their best groups only.
    pub(super) by_group: bool,
}

impl Centroids {
    /// Numbers in a centroid.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of cells, at least 1.
    pub fn cells(&self) -> usize {
        self.values.len().checked_div(self.dims).unwrap_or(1)
    }

    /// The centroids, `dims` values a cell.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The centroids of the groups, `dims` values each; empty where there are none.
    pub fn group_values(&self) -> &[f32] {
        &self.group_values
    }

    /// The first cell of each group, and at the end the number of cells; empty where there are no
    /// groups.
    pub fn group_starts(&self) -> &[u32] {
        &self.group_starts
    }
}

/// Learns at most `cells` centroids from `sample`, `dims` values a row (a last, incomplete row is
/// left out); [`sample_for`] says how many rows are enough.
///
/// There are fewer centroids than asked for where the sample has fewer rows, or fewer different
/// ones; without rows there is one, at the origin. Works on rayon's current pool; the result does
/// not depend on the number of its threads. `None` once cancelled.
pub fn learn(
    sample: &[f32],
    dims: usize,
    cells: usize,
    seed: u64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Centroids> {
    learn_beyond(ONE_LEVEL, sample, dims, cells, seed, progress, cancel)
}

/// [`learn`], in two levels where more than `one_level_to` cells are asked for.
pub(super) fn learn_beyond(
    one_level_to: usize,
    sample: &[f32],
    dims: usize,
    cells: usize,
    seed: u64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Centroids> {
    let rows = sample.len().checked_div(dims).unwrap_or(0);
    if rows == 0 {
        return Some(Centroids::ungrouped(dims, vec![0.0; dims]));
    }
    let sample = &sample[..rows * dims];
    let cells = cells.clamp(1, rows);
    let training = Training { rows: sample, dims, cells, iterations: ITERATIONS, seed };
    let learnt = if cells <= one_level_to {
        one_level(training, progress, cancel)
    } else {
        two_levels(training, progress, cancel)
    };
    progress.end();
    learnt
}

/// Cells of one level, in groups where there are more than 1,024.
fn one_level(
    training: Training<'_>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Centroids> {
    let dims = training.dims;
    progress.begin("learning cells", Some((training.rows.len() / dims * ITERATIONS) as u64));
    let learnt = train(training, progress, cancel)?;
    let cells = learnt.len() / dims;
    if cells <= UNGROUPED {
        let values = in_order(&learnt, dims, &chain(&learnt, dims, None));
        return Some(Centroids::ungrouped(dims, values));
    }
    let alike = Training { rows: &learnt, cells: cells / CELLS_PER_GROUP, ..training };
    let groups = train(alike, &Silent, cancel)?;
    let groups = in_order(&groups, dims, &chain(&groups, dims, None));
    let best = nearest(&Rows::of(&learnt, dims), &Packed::of(&groups, dims));
    let of_cells: Vec<u32> = best.iter().map(|best| best.cell).collect();
    let (members, starts) = order(&of_cells, groups.len() / dims);
    let mut centroids = Centroids::grouped(dims, false);
    for (bounds, group) in starts.windows(2).zip(groups.chunks_exact(dims)) {
        let members = &members[bounds[0] as usize..bounds[1] as usize];
        if !members.is_empty() {
            centroids.push_group(&in_order(&learnt, dims, members), group);
        }
    }
    Some(centroids)
}

fn two_levels(
    training: Training<'_>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Centroids> {
    let Training { rows, dims, cells, .. } = training;
    let count = rows.len() / dims;
    let groups = (cells / CELLS_PER_GROUP).min(MAX_GROUPS);
    progress.begin("learning cells", Some((count * (2 * ITERATIONS + 1)) as u64));
    let group_values = train(Training { cells: groups, ..training }, progress, cancel)?;
    let group_values = in_order(&group_values, dims, &chain(&group_values, dims, None));
    let groups = group_values.len() / dims;
    let assignments: Vec<u32> = nearest(&Rows::of(rows, dims), &Packed::of(&group_values, dims))
        .iter()
        .map(|best| best.cell)
        .collect();
    let (members, starts) = order(&assignments, groups);
    let shares = shares(&starts, cells);
    let learnt: Option<Vec<Vec<f32>>> = (0..groups)
        .into_par_iter()
        .map(|group| {
            let members = &members[starts[group] as usize..starts[group + 1] as usize];
            let own: Vec<f32> = members
                .iter()
                .flat_map(|&row| &rows[row as usize * dims..][..dims])
                .copied()
                .collect();
            if own.is_empty() {
                return Some(Vec::new());
            }
            let seed = training.seed.wrapping_add(group as u64 + 1);
            train(Training { rows: &own, cells: shares[group], seed, ..training }, progress, cancel)
        })
        .collect();
    let mut centroids = Centroids::grouped(dims, true);
    for (learnt, group) in learnt?.iter().zip(group_values.chunks_exact(dims)) {
        if !learnt.is_empty() {
            centroids.push_group(learnt, group);
        }
    }
    if cancel.is_cancelled() {
        return None;
    }
    centroids.settle(rows);
    progress.advance(count as u64);
    Some(centroids)
}

impl Centroids {
    fn ungrouped(dims: usize, values: Vec<f32>) -> Self {
        let (group_values, group_starts) = (Vec::new(), Vec::new());
        Self { dims, values, group_values, group_starts, by_group: false }
    }

    /// No cells yet, to be added group by group.
    fn grouped(dims: usize, by_group: bool) -> Self {
        let (values, group_values) = (Vec::new(), Vec::new());
        Self { dims, values, group_values, group_starts: vec![0], by_group }
    }

    /// Adds a group's cells, chained from the last one there is.
    fn push_group(&mut self, cells: &[f32], group: &[f32]) {
        let dims = self.dims;
        let last = self.values.rchunks_exact(dims).next();
        let order = chain(cells, dims, last);
        self.values.extend(in_order(cells, dims, &order));
        self.group_values.extend_from_slice(group);
        self.group_starts.push((self.values.len() / dims) as u32);
    }

    /// One iteration over all groups at once.
    fn settle(&mut self, rows: &[f32]) {
        let mut assignments = Vec::with_capacity(rows.len() / self.dims);
        self.assign(rows, &mut assignments);
        let (members, starts) = order(&assignments, self.cells());
        let means = means(rows, self.dims, &members, &starts);
        for (cell, mean) in means.chunks_exact(self.dims).enumerate() {
            // A cell that lost its rows to others stays where it was.
            if starts[cell] < starts[cell + 1] {
                self.values[cell * self.dims..][..self.dims].copy_from_slice(mean);
            }
        }
    }
}

/// Cells for each group: one, and a part of the others in proportion to its rows.
fn shares(starts: &[u32], cells: usize) -> Vec<usize> {
    let rows = starts.last().copied().unwrap_or(0).max(1) as usize;
    let others = cells.saturating_sub(starts.len() - 1);
    let up_to = |start: u32| (start as usize * others + rows / 2) / rows;
    starts.windows(2).map(|bounds| 1 + up_to(bounds[1]) - up_to(bounds[0])).collect()
}

fn in_order(centroids: &[f32], dims: usize, order: &[u32]) -> Vec<f32> {
    order.iter().flat_map(|&cell| &centroids[cell as usize * dims..][..dims]).copied().collect()
}
