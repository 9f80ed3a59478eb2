//! The cells of a gallery in order of promise for a probe.
//!
//! In come mapped centroids and starts, and a probe; out go the numbers of the most promising cells,
//! best first. A cell promises what its centroid's similarity with the probe says: a mate is the
//! probe's direction plus noise that favours no centroid, so the more similar centroid is the more
//! probable one. Centroids are in bytes, whose rounding is far below that noise.
//!
//! Nothing else improved on that: neither how close a cell's faces are to its centroid, nor how far
//! they spread, nor how many they are, with any weight.
//!
//! Up to 16,384 cells every centroid is scored; with more, and few of them wanted, only those of the
//! most promising groups.
//! Numbers from a file are checked where they are used: what makes no sense names no cell and no
//! slot.

use std::ops::Range;

use super::levels::{Levels, ProbeLevels};
use crate::kernels::Kernels;

/// The most cells of which every centroid is scored.
const FLAT: usize = 16_384;
/// Cells of promising groups scored for each cell wanted: the best of one group may be worse than
/// the third of another.
const SLACK: usize = 8;
/// The least part of all cells that is scored. People with a single photo lie in cells whose group
/// does not stand out, and too few groups would lose them.
const LEAST: usize = 4;

/// The cells of a gallery, as they are mapped.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    dims: usize,
    centroids: Levels<'a>,
    starts: &'a [u32],
    group_centroids: Levels<'a>,
    group_starts: &'a [u32],
}

impl<'a> Cells<'a> {
    /// Cells of `dims` numbers a centroid; `starts` has the first slot of each cell and, at the end,
    /// the number of faces. `None` where the lengths do not agree.
    pub fn new(dims: usize, centroids: Levels<'a>, starts: &'a [u32]) -> Option<Self> {
        let cells = starts.len().checked_sub(1)?;
        let group_centroids = Levels::default();
        (centroids.fit(cells, dims) && u32::try_from(cells).is_ok()).then_some(Self {
            dims,
            centroids,
            starts,
            group_centroids,
            group_starts: &[],
        })
    }

    /// The same with groups: `group_starts` has the first cell of each and, at the end, the number
    /// of cells. `None` where the lengths do not agree; nothing changes where both are empty.
    pub fn with_groups(self, centroids: Levels<'a>, starts: &'a [u32]) -> Option<Self> {
        let groups = starts.len().saturating_sub(1);
        centroids.fit(groups, self.dims).then_some(Self {
            group_centroids: centroids,
            group_starts: starts,
            ..self
        })
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first slot of each cell, and at the end the number of faces.
    pub(crate) fn starts(&self) -> &'a [u32] {
        self.starts
    }

    /// The first cell of each group, and at the end the number of cells; empty without groups.
    pub(crate) fn group_starts(&self) -> &'a [u32] {
        self.group_starts
    }

    /// Bytes of a centroid.
    pub(crate) fn centroid_bytes(&self) -> u64 {
        (Levels::row_bytes(self.dims) + size_of::<f32>()) as u64
    }

    /// The slots of a cell; empty where there is no such cell, or its bounds make no sense.
    pub fn slots(&self, cell: u32) -> Range<u32> {
        let faces = self.starts.last().copied().unwrap_or(0);
        match self.starts.get(cell as usize..).and_then(|starts| starts.first_chunk()) {
            Some(&[start, end]) if start <= end && end <= faces => start..end,
            _ => 0..0,
        }
    }

    /// The `wanted` most promising cells for a probe of `dims` numbers (all, where there are fewer),
    /// best first, ties by lower number. Allocates nothing once `ranking` has grown.
    pub fn rank<'r>(
        &self,
        kernels: Kernels,
        probe: &[f32],
        wanted: usize,
        ranking: &'r mut Ranking,
    ) -> &'r [u32] {
        self.rank_beyond(FLAT, kernels, probe, wanted, ranking)
    }

    /// [`rank`](Self::rank), by groups where there are more than `flat` cells.
    pub(super) fn rank_beyond<'r>(
        &self,
        flat: usize,
        kernels: Kernels,
        probe: &[f32],
        wanted: usize,
        ranking: &'r mut Ranking,
    ) -> &'r [u32] {
        let wanted = wanted.min(self.len());
        ranking.probe.set(probe);
        ranking.scored = 0;
        ranking.groups.clear();
        if self.len() <= flat || self.group_starts.is_empty() || wanted > self.len() / SLACK {
            ranking.keys.clear();
            self.score(kernels, 0..self.len(), ranking);
        } else {
            let enough = (wanted * SLACK).max(self.len() / LEAST);
            self.choose_groups(kernels, enough, ranking);
            ranking.scored = self.group_starts.len() - 1;
            ranking.keys.clear();
            for at in 0..ranking.groups.len() {
                let cells = self.cells_of(number(ranking.groups[at]));
                self.score(kernels, cells, ranking);
            }
        }
        ranking.scored += ranking.keys.len();
        best_first(&mut ranking.keys, wanted);
        ranking.cells.clear();
        ranking.cells.extend(ranking.keys.iter().map(|&key| number(key) as u32));
        &ranking.cells
    }

    /// Hands `take` each of a range of cells and what it promises a probe: the dot product of its
    /// centroid with the probe.
    #[cfg(feature = "build")]
    pub(crate) fn promises(
        &self,
        kernels: Kernels,
        probe: &ProbeLevels,
        cells: Range<usize>,
        sums: &mut Vec<i32>,
        mut take: impl FnMut(usize, f32),
    ) {
        let step = probe.step();
        self.centroids.score(kernels, probe, cells, sums, |cell, sum| take(cell, sum * step));
    }

    /// Appends the keys of some cells.
    fn score(&self, kernels: Kernels, cells: Range<usize>, ranking: &mut Ranking) {
        let Ranking { probe, sums, keys, .. } = ranking;
        let take = |cell, similarity| keys.push(key(similarity, cell));
        self.centroids.score(kernels, probe, cells, sums, take);
    }

    /// Puts the most promising groups, with `enough` cells between them, into the ranking.
    fn choose_groups(&self, kernels: Kernels, enough: usize, ranking: &mut Ranking) {
        let Ranking { probe, sums, groups, .. } = &mut *ranking;
        let take = |group, similarity| groups.push(key(similarity, group));
        let all = 0..self.group_centroids.steps.len();
        self.group_centroids.score(kernels, probe, all, sums, take);
        ranking.groups.sort_unstable();
        let mut cells = 0;
        let taken = ranking.groups.iter().position(|&group| {
            cells += self.cells_of(number(group)).len();
            cells >= enough
        });
        ranking.groups.truncate(taken.map_or(ranking.groups.len(), |last| last + 1));
    }

    /// The cells of a group; none where its bounds make no sense.
    pub(super) fn cells_of(&self, group: usize) -> Range<usize> {
        match self.group_starts.get(group..).and_then(|starts| starts.first_chunk()) {
            Some(&[start, end]) if start <= end && end as usize <= self.len() => {
                start as usize..end as usize
            }
            _ => 0..0,
        }
    }
}

/// What ranking writes to, kept from one search to the next.
#[derive(Debug, Default)]
pub struct Ranking {
    probe: ProbeLevels,
    sums: Vec<i32>,
    keys: Vec<u64>,
    groups: Vec<u64>,
    cells: Vec<u32>,
    scored: usize,
}

impl Ranking {
    /// Centroids of cells and groups that the last ranking scored.
    pub(crate) fn scored(&self) -> usize {
        self.scored
    }
}

/// Similarity and number in one integer that sorts best first: integers sort several times faster
/// than pairs.
fn key(similarity: f32, number: usize) -> u64 {
    let bits = similarity.to_bits();
    // Rising in the order of `f32::total_cmp`, then turned round.
    let rising = bits ^ if bits >> 31 == 1 { u32::MAX } else { 1 << 31 };
    u64::from(!rising) << 32 | number as u64
}

fn number(key: u64) -> usize {
    (key & u64::from(u32::MAX)) as usize
}

/// Keeps the `wanted` lowest keys, in order, each once.
fn best_first(keys: &mut Vec<u64>, wanted: usize) {
    if wanted < keys.len() {
        keys.select_nth_unstable(wanted);
        keys.truncate(wanted);
    }
    keys.sort_unstable();
    // Groups that overlap, as they may in a damaged file, name a cell twice.
    keys.dedup();
}
