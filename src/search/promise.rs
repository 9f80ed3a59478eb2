//! The promise: which plan keeps which hit rate on this gallery, as measured when it was built.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

#[cfg(feature = "build")]
use super::matches::Counters;
use super::query::Plan;

/// The numbers of faces asked for that hit rates are measured at; another takes the next of them.
pub(crate) const PROMISED: [usize; 3] = [1, 10, 100];
/// The most of them.
pub(crate) const MOST_PROMISED: usize = PROMISED[PROMISED.len() - 1];

/// What plans deliver on a gallery.
///
/// Measured with faces that were left out of the graph for it, and with made-up mates of people who
/// have but one photo. Hit rates count the mates within the exact top k, found by scoring every
/// face. They hold where fewer than k are asked for, too: of the mates within the exact top 1, where
/// everybody has one, and those within the exact top 10, as many are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Promise {
    /// Probes of people in the gallery.
    pub mated: usize,
    /// How many of them are made up: disturbed copies of a face.
    pub made_up: usize,
    /// Probes of nobody.
    pub non_mated: usize,
    /// Whether subjects were unknown, so that what mates look like had to be assumed.
    pub estimated: bool,
    /// One for each number of faces asked for.
    pub ladders: Vec<Ladder>,
    /// One for each of a few thresholds from which every face was asked for, the lowest first;
    /// none in galleries built before these were measured.
    #[serde(default)]
    pub ranges: Vec<RangeLadder>,
}

/// What plans deliver at one number of faces asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ladder {
    /// Faces asked for a probe.
    pub k: usize,
    /// Mates within the exact top k of all probes together.
    pub mates: u64,
    /// The plans that no other beats in both hit rate and cost, the cheapest first as costs were
    /// counted then; among them the scans of all faces that no other such scan beats.
    pub rungs: Vec<Rung>,
}

/// What plans deliver where every face at or above a threshold is asked for: the least of all
/// mates' hit rate and of that of people with few photos, who are easily missed and hardly count
/// among the mates of all. Where fewer than 300 of the latter have a mate above the threshold, what
/// is observed stands for their lower bound, and fewer than 30 are not looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RangeLadder {
    /// The threshold.
    pub at_least: f32,
    /// Mates at or above it of all probes together; of a probe with many, about thirty
    /// are looked at.
    pub mates: u64,
    /// The plans, as in a [`Ladder`].
    pub rungs: Vec<Rung>,
}

/// What one plan delivers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rung {
    /// The plan.
    pub plan: Plan,
    /// Hit rate, in \[0, 1\]: the least of those for up to as many faces as were asked for.
    pub hit_rate: f64,
    /// The hit rate's lower 95 % bound (one-sided).
    pub at_least: f64,
    /// Means a probe of somebody in the gallery.
    pub mated: Reads,
    /// Means a probe of nobody.
    pub non_mated: Reads,
}

/// What searches read, means a probe. Times would differ from one run to the next; these do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reads {
    /// Neighbour lists.
    pub hops: f64,
    /// Centroids of cells.
    pub cells: f64,
    /// Sketches.
    pub sketches: f64,
    /// Codes.
    pub codes: f64,
    /// Vectors.
    pub vectors: f64,
}

/// Microseconds of a sketch in a scan of all faces, and of a code that a scan reads.
const SKETCH: f64 = 0.000_6;
const CODE: f64 = 0.03;

impl Reads {
    /// Microseconds that a scan of all faces takes with these reads, roughly: at a million faces of
    /// 512 dimensions.
    ///
    /// This and the others follow from searches on one machine that read more of one and less of the
    /// other. They order plans of unlike cost, and may mistake two that are close.
    pub fn microseconds_of_scan(&self) -> f64 {
        self.microseconds(SKETCH, CODE)
    }

    /// The same of a scan of a share of so many faces: its cells lie anywhere, in memory, or in a
    /// cache where the sketches of all faces fit one.
    pub fn microseconds_of_share(&self, faces: u64) -> f64 {
        /// Faces, and microseconds that a sketch among them takes.
        const CACHED: (f64, f64) = (300_000.0, 0.000_8);
        const FROM_MEMORY: (f64, f64) = (3_000_000.0, 0.001_5);
        let between = (faces as f64 / CACHED.0).ln() / (FROM_MEMORY.0 / CACHED.0).ln();
        let sketch = CACHED.1 + (FROM_MEMORY.1 - CACHED.1) * between.clamp(0.0, 1.0);
        self.microseconds(sketch, CODE)
    }

    /// The same of a walk, with a scan of all faces after it or without: of the next codes a walk
    /// knows a few at a time, so that it waits longer for each than a scan does.
    pub fn microseconds_of_walk(&self) -> f64 {
        const WALKED_TO: f64 = 0.053;
        self.microseconds(SKETCH, WALKED_TO)
    }

    fn microseconds(&self, sketch: f64, code: f64) -> f64 {
        const HOP: f64 = 0.12;
        const CELL: f64 = 0.03;
        const VECTOR: f64 = 0.45;
        let beside = self.hops * HOP + self.cells * CELL + self.vectors * VECTOR;
        beside + self.sketches * sketch + self.codes * code
    }

    /// Adds one search to sums.
    #[cfg(feature = "build")]
    pub(crate) fn add(&mut self, counters: &Counters) {
        self.hops += counters.hops as f64;
        self.cells += counters.cells_ranked as f64;
        self.sketches += counters.sketches_read as f64;
        self.codes += counters.codes_read as f64;
        self.vectors += counters.vectors_read as f64;
    }

    /// The mean of sums over this many searches.
    #[cfg(feature = "build")]
    pub(crate) fn mean(&self, searches: usize) -> Self {
        let n = searches.max(1) as f64;
        Self {
            hops: self.hops / n,
            cells: self.cells / n,
            sketches: self.sketches / n,
            codes: self.codes / n,
            vectors: self.vectors / n,
        }
    }
}

/// Microseconds that scoring every face by its vector takes, about.
#[cfg(feature = "build")]
pub(crate) fn exhaustive_microseconds(faces: u64) -> f64 {
    const FACE: f64 = 0.08;
    faces as f64 * FACE
}

/// Microseconds that scoring so many faces by their vectors takes, about, in order and with others
/// between them.
pub(crate) fn passing_microseconds(faces: usize) -> f64 {
    const FACE: f64 = 0.25;
    faces as f64 * FACE
}

impl Rung {
    /// Microseconds that such reads of this plan take in a gallery of so many faces, roughly.
    pub fn microseconds_of(&self, reads: &Reads, faces: u64) -> f64 {
        match self.plan {
            Plan::Scan { share, .. } if share < 1.0 => reads.microseconds_of_share(faces),
            Plan::Walk { .. } | Plan::WalkThenScan { .. } => reads.microseconds_of_walk(),
            Plan::Scan { .. } | Plan::Exhaustive => reads.microseconds_of_scan(),
        }
    }

    /// Microseconds a probe, half of them mated.
    pub fn microseconds(&self, faces: u64) -> f64 {
        let of = |reads| self.microseconds_of(reads, faces);
        of(&self.mated).midpoint(of(&self.non_mated))
    }

    /// The order of plans by what they take.
    pub(crate) fn by_cost(a: &Self, b: &Self, faces: u64) -> Ordering {
        a.microseconds(faces).total_cmp(&b.microseconds(faces))
    }
}

impl Promise {
    /// The cheapest plan that keeps a hit rate where `k` of so many faces are asked for; `None` where
    /// none that was measured does. Among those that pass a filter only a scan is known to keep it,
    /// as it reads all.
    pub fn plan(&self, k: usize, hit_rate: f64, filtered: bool, faces: u64) -> Option<&Rung> {
        let ladder = self.ladders.iter().find(|ladder| ladder.k >= k)?;
        let rungs = ladder.rungs.iter().filter(|rung| rung.at_least >= hit_rate);
        rungs
            .filter(|rung| !filtered || rung.plan.is_whole_scan())
            .min_by(|a, b| Rung::by_cost(a, b, faces))
    }

    /// The number of faces asked for at which the plans were measured that searches for `k` take.
    pub fn measured_at(&self, k: usize) -> Option<usize> {
        self.ladders.iter().map(|ladder| ladder.k).find(|&measured| measured >= k)
    }

    /// Whether plans were measured at a threshold from which every face is asked for, or at a lower
    /// one.
    pub fn covers(&self, at_least: f32) -> bool {
        self.ranges.iter().any(|ladder| ladder.at_least <= at_least)
    }

    /// The cheapest plan that keeps a hit rate where every face at or above a threshold is asked
    /// for: at the next lower threshold that was measured, where mates are less alike, and at the
    /// next higher one, where more of them are barely above it. `None` where none does, or the
    /// threshold is below all that were measured.
    pub fn range(&self, at_least: f32, hit_rate: f64, filtered: bool, faces: u64) -> Option<&Rung> {
        let around = self.around(at_least)?;
        let kept_by = |plan: Plan, ladder: &RangeLadder| {
            let mut rungs = ladder.rungs.iter();
            rungs.any(|rung| rung.at_least >= hit_rate && plan.finds_as_much_as(rung.plan))
        };
        let rungs = around.iter().flat_map(|ladder| &ladder.rungs);
        rungs
            .filter(|rung| !filtered || rung.plan.is_whole_scan())
            .filter(|rung| around.iter().all(|ladder| kept_by(rung.plan, ladder)))
            .min_by(|a, b| Rung::by_cost(a, b, faces))
    }

    /// What is proven of the plan that keeps the highest hit rate where every face at or above a
    /// threshold is asked for: at the one of the two next thresholds that were measured where less is.
    pub fn best_of_range(&self, at_least: f32) -> Option<&Rung> {
        let bests = self.around(at_least)?.iter().filter_map(|ladder| most(&ladder.rungs));
        bests.min_by(|a, b| a.at_least.total_cmp(&b.at_least))
    }

    /// The next lower threshold that was measured, and the next higher one where there is one.
    fn around(&self, at_least: f32) -> Option<&[RangeLadder]> {
        let above = self.ranges.partition_point(|ladder| ladder.at_least <= at_least);
        self.ranges.get(above.checked_sub(1)?..self.ranges.len().min(above + 1))
    }

    /// What is proven of the plan that keeps the highest hit rate where `k` faces are asked for.
    pub fn best(&self, k: usize) -> Option<&Rung> {
        let ladder = self.ladders.iter().find(|ladder| ladder.k >= k)?;
        most(&ladder.rungs)
    }
}

/// The one that keeps the highest hit rate.
fn most(rungs: &[Rung]) -> Option<&Rung> {
    rungs.iter().max_by(|a, b| a.at_least.total_cmp(&b.at_least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_costs_more_where_its_sketches_come_from_memory() {
        let reads = Reads { sketches: 1000.0, ..Reads::default() };
        for (faces, micros) in [(0, 0.8), (300_000, 0.8), (3_000_000, 1.5), (3_000_000_000, 1.5)] {
            assert!((reads.microseconds_of_share(faces) - micros).abs() < 1e-9, "{faces}");
        }
        let between = reads.microseconds_of_share(950_000);
        assert!(0.8 < between && between < 1.5, "{between}");
    }

    #[test]
    fn the_cheapest_plan_depends_on_the_size_and_not_on_the_order() {
        let scan = |share, sketches| Rung {
            plan: Plan::Scan { share, keep: 20, confidence: 0.0 },
            hit_rate: 1.0,
            at_least: 0.999,
            mated: Reads { sketches, ..Reads::default() },
            non_mated: Reads { sketches, ..Reads::default() },
        };
        // Of each 1,000 faces, 500 or all.
        let rungs = vec![scan(1.0, 1000.0), scan(0.5, 500.0)];
        let ladders = vec![Ladder { k: 10, mates: 1, rungs }];
        let (mated, made_up, non_mated, estimated, ranges) = (1, 0, 0, false, Vec::new());
        let promise = Promise { mated, made_up, non_mated, estimated, ladders, ranges };
        let share = |faces, filtered| match promise.plan(10, 0.99, filtered, faces).map(|r| r.plan)
        {
            Some(Plan::Scan { share, .. }) => share,
            _ => 0.0,
        };
        assert_eq!(
            [share(1000, false), share(1000, true), share(10_000_000, false)],
            [0.5, 1.0, 1.0]
        );
    }
}
