//! Every face at or above a threshold, by the graph: whoever was found leads to further mates.
//!
//! A walk ends in the probe's neighbourhood with the best few dozen faces. Where all of those match,
//! there may be more: the links of every face that seems to match are followed, until none of them
//! leads to another. Many matches are cheaper found by a scan, so this gives up after a while.

use super::SearchError;
use super::coded::Coded;
use super::scratch::Candidate;
use super::searcher::Searcher;
use super::stop::Stop;
use super::walk::{Scores, Steps, Trace};
use crate::gallery::graph::GraphView;
use crate::kernels::prefetch;

/// Standard deviations of its error by which a face may seem to miss the threshold and its links be
/// followed all the same.
const LIKELY: f32 = 1.0;
/// The same for a face to be a candidate.
const POSSIBLE: f32 = 3.0;
/// A look behind a face takes as long as so many sketches.
const SKETCHES_A_HOP: usize = 1000;
/// Hops between looks at the clock and the cancel flag.
const HOPS_BETWEEN_LOOKS: u64 = 32;

/// Which faces links are followed to, and how far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// The threshold.
    at_least: f32,
    /// Faces that are looked behind at most.
    hops: u64,
}

impl Searcher<'_, '_> {
    /// What is asked for beyond the `seen` faces that were found, where that is every face at or
    /// above a threshold and no filter stands between them.
    pub(super) fn range(&self, seen: usize) -> Option<Range> {
        let query = self.request.query;
        let at_least = query.at_least.filter(|_| self.wanted == usize::MAX)?;
        let hops = (seen + self.faces / SKETCHES_A_HOP) as u64;
        self.selection.is_none().then_some(Range { at_least, hops })
    }
}

/// Adds to the candidates in `steps.reached` those that links lead to from the likely ones among all
/// of them, and puts them in order, best first; `false` where that took too many hops.
pub(super) fn grow(
    graph: &GraphView<'_>,
    coded: &Coded<'_>,
    range: Range,
    stop: &Stop,
    steps: &mut Steps,
    trace: &mut Trace,
) -> Result<bool, SearchError> {
    let Steps { reached, visited, fresh, scored, .. } = steps;
    visited.reset(reached.len().saturating_mul(graph.degree / 2).min(coded.faces() as usize));
    for candidate in reached.iter() {
        visited.insert(candidate.slot);
    }
    let may_reach = |candidate: &Candidate, confidence: f32| {
        let miss = range.at_least - candidate.similarity;
        // Said so that a damaged code, whose error is no number, is no reason to stop.
        !(miss > 0.0 && miss > confidence * coded.error(candidate.slot))
    };
    let (mut at, mut hops) = (0, 0);
    while let Some(&candidate) = reached.get(at) {
        at += 1;
        if !may_reach(&candidate, LIKELY) {
            continue;
        }
        if hops == range.hops {
            return Ok(false);
        }
        hops += 1;
        trace.hops += 1;
        if hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
            stop.check()?;
        }
        fresh.clear();
        for &slot in graph.neighbours(candidate.slot) {
            if slot < coded.faces() && visited.insert(slot) {
                coded.prefetch(slot);
                fresh.push(slot);
            }
        }
        if let Some(next) = reached.get(at) {
            prefetch(graph.neighbours_raw(next.slot));
        }
        trace.scored += fresh.len() as u64;
        coded.score(fresh, scored);
        for (&slot, &similarity) in fresh.iter().zip(&scored.similarities) {
            let candidate = Candidate { similarity, slot };
            if may_reach(&candidate, POSSIBLE) {
                reached.push(candidate);
            }
        }
    }
    reached.sort_unstable_by(Candidate::by_similarity);
    Ok(true)
}
