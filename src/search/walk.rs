//! The walk: greedy down the upper layers, then a beam search on layer 0.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs" (2018), algorithms 2 and 5, over a mapped graph. The beam starts
//! from where the descent ends and from the entry point: every face is reachable from the entry
//! point on layer 0, so a beam as wide as the gallery finds every face.

use super::SearchError;
use super::scratch::{Beam, Candidate, Visited};
use super::selection::Selection;
use super::stop::Stop;
use crate::gallery::graph::GraphView;
use crate::kernels::prefetch;

/// Hops between looks at the clock and the cancel flag.
const HOPS_BETWEEN_LOOKS: u64 = 32;

/// How the walk sees the faces: their similarity with the probe, and a way to ask for one early.
pub(crate) trait Scores {
    /// Number of faces.
    fn faces(&self) -> u32;

    /// Asks the processor to fetch what scoring a face will read.
    fn prefetch(&self, slot: u32);

    /// Similarities of the probe with faces, in their order; a slot that is not there is worse
    /// than any.
    fn score(&self, slots: &[u32], scored: &mut Scored);
}

/// What scoring writes to.
#[derive(Debug, Default)]
pub(crate) struct Scored {
    /// Sums that similarities are made of.
    pub(crate) sums: Vec<i32>,
    pub(crate) similarities: Vec<f32>,
}

/// What a walk is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    /// Candidates kept while walking.
    pub(crate) width: usize,
    /// Where only some faces pass: which, and how many of those to keep.
    pub(crate) selection: Option<(&'a Selection, usize)>,
    /// Candidates to begin with, best first, instead of what the upper layers lead to.
    pub(crate) from: &'a [Candidate],
    /// Faces to look behind at most on layer 0.
    pub(crate) hops: u64,
}

impl Walk<'_> {
    /// From the entry point, for as long as it leads to better faces.
    pub(crate) fn of(width: usize) -> Self {
        Self { width, selection: None, from: &[], hops: u64::MAX }
    }
}

/// What a walk did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    /// Neighbour lists read.
    pub(crate) hops: u64,
    /// Faces scored.
    pub(crate) scored: u64,
}

/// What a walk writes to.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) beam: Beam,
    pub(crate) passing: Beam,
    /// What a walk found, and what its links led to.
    pub(super) reached: Vec<Candidate>,
    pub(super) visited: Visited,
    pub(super) fresh: Vec<u32>,
    pub(super) scored: Scored,
}

/// Walks; afterwards `steps.beam` (or `steps.passing`, with a selection) holds what was found.
pub(crate) fn walk(
    graph: &GraphView<'_>,
    scores: &impl Scores,
    ask: Walk<'_>,
    stop: &Stop,
    steps: &mut Steps,
    counters: &mut Trace,
) -> Result<(), SearchError> {
    stop.check()?;
    let Steps { beam, passing, visited, fresh, scored, .. } = steps;
    beam.reset(ask.width);
    passing.reset(ask.selection.map_or(0, |(_, keep)| keep));
    // A beam of w looks behind about w faces, and half of what they link to is new.
    visited.reset(ask.width.saturating_mul(graph.degree / 2).min(scores.faces() as usize));
    if scores.faces() == 0 {
        return Ok(());
    }
    let meet = |slots: &[u32], scored: &Scored, beam: &mut Beam, passing: &mut Beam| {
        for (&slot, &similarity) in slots.iter().zip(&scored.similarities) {
            let candidate = Candidate { similarity, slot };
            if similarity >= beam.floor() {
                beam.insert(candidate);
            }
            if let Some((selection, _)) = ask.selection
                && similarity >= passing.floor()
                && selection.contains(slot)
            {
                passing.insert(candidate);
            }
        }
    };
    fresh.clear();
    if ask.from.is_empty() {
        let start = descend(graph, scores, stop, fresh, scored, counters)?;
        fresh.clear();
        for slot in [start, graph.entry] {
            if visited.insert(slot) {
                fresh.push(slot);
            }
        }
    }
    for &candidate in ask.from {
        visited.insert(candidate.slot);
        beam.insert(candidate);
        if ask.selection.is_some_and(|(selection, _)| selection.contains(candidate.slot)) {
            passing.insert(candidate);
        }
    }
    let mut left = ask.hops;
    loop {
        counters.scored += fresh.len() as u64;
        scores.score(fresh, scored);
        meet(fresh, scored, beam, passing);
        let Some(candidate) = beam.next().filter(|_| left > 0) else { return Ok(()) };
        left -= 1;
        counters.hops += 1;
        if counters.hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
            stop.check()?;
        }
        fresh.clear();
        for &slot in graph.neighbours(candidate.slot) {
            if slot < scores.faces() && visited.insert(slot) {
                scores.prefetch(slot);
                fresh.push(slot);
            }
        }
        if let Some(next) = beam.peek() {
            // Its list is needed soon unless something better turns up here.
            prefetch(graph.neighbours_raw(next.slot), usize::MAX);
        }
    }
}

/// Greedy search down the upper layers; the best face found, to begin layer 0 with.
fn descend(
    graph: &GraphView<'_>,
    scores: &impl Scores,
    stop: &Stop,
    fresh: &mut Vec<u32>,
    scored: &mut Scored,
    counters: &mut Trace,
) -> Result<u32, SearchError> {
    scores.score(&[graph.entry], scored);
    counters.scored += 1;
    let mut best = graph.entry;
    let mut floor = scored.similarities.first().copied().unwrap_or(f32::NEG_INFINITY);
    // The entry point is the first node of the highest layer.
    let mut place = 0;
    for layer in graph.upper.iter().rev() {
        loop {
            counters.hops += 1;
            if counters.hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
                stop.check()?;
            }
            let neighbours = graph.upper_neighbours(layer.start + place);
            let slot = |&neighbour: &u32| graph.slots.get(place_in(layer, neighbour)?).copied();
            fresh.clear();
            fresh.extend(neighbours.iter().filter_map(slot));
            // A place that leads nowhere would shift what follows it; only damage makes one.
            if fresh.len() < neighbours.len() {
                break;
            }
            counters.scored += fresh.len() as u64;
            scores.score(fresh, scored);
            let mut better = None;
            for (at, &similarity) in scored.similarities.iter().enumerate() {
                if similarity > floor {
                    floor = similarity;
                    better = Some(at);
                }
            }
            match better {
                Some(at) => (best, place) = (fresh[at], neighbours[at] as usize),
                None => break,
            }
        }
        place = graph.down.get(layer.start + place).map_or(0, |&down| down as usize);
    }
    Ok(best)
}

fn place_in(layer: &std::ops::Range<usize>, place: u32) -> Option<usize> {
    let at = layer.start.checked_add(place as usize)?;
    (at < layer.end).then_some(at)
}
