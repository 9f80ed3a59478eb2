//! The walk: greedy down the upper layers, then a beam search on layer 0.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs" (2018), algorithms 2 and 5, over a mapped graph. The beam starts
//! from where the descent ends and from the entry point: every face is reachable from the entry
//! point on layer 0, so a beam as wide as the gallery finds every face.

use super::Counters;
use super::SearchError;
use super::scratch::{Candidate, Scratch};
use super::selection::Selection;
use super::stop::Stop;
use crate::gallery::graph::GraphView;
use crate::kernels::prefetch;

/// Hops between looks at the clock and the cancel flag.
const HOPS_BETWEEN_LOOKS: u64 = 32;

/// How the walk sees the faces: their similarity with the probe, and a way to ask for one early.
pub(crate) trait Scores {
    /// Similarity of the probe with a face; a slot that is not there is worse than any.
    fn similarity(&self, slot: u32) -> f32;

    /// Asks the processor to fetch what [`similarity`](Self::similarity) will read.
    fn prefetch(&self, slot: u32);

    /// Number of faces.
    fn faces(&self) -> u32;
}

impl<S: Scores + ?Sized> Scores for &S {
    #[inline]
    fn similarity(&self, slot: u32) -> f32 {
        (**self).similarity(slot)
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        (**self).prefetch(slot);
    }

    fn faces(&self) -> u32 {
        (**self).faces()
    }
}

/// What a walk is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    /// Candidates kept while walking.
    pub(crate) width: usize,
    /// Where only some faces pass: which, and how many of those to keep.
    pub(crate) selection: Option<(&'a Selection, usize)>,
}

/// Walks; afterwards `scratch.beam` (or `scratch.passing`, with a selection) holds what was found.
pub(crate) fn walk(
    graph: &GraphView<'_>,
    scores: &impl Scores,
    ask: Walk<'_>,
    stop: &Stop,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> Result<(), SearchError> {
    stop.check()?;
    let Scratch { beam, passing, visited, fresh } = scratch;
    beam.reset(ask.width);
    passing.reset(ask.selection.map_or(0, |(_, keep)| keep));
    // A beam of w looks behind about w faces, and half of what they link to is new.
    visited.reset(ask.width.saturating_mul(graph.degree / 2).min(scores.faces() as usize));
    if scores.faces() == 0 {
        return Ok(());
    }
    let mut meet = |candidate: Candidate, beam: &mut super::scratch::Beam| {
        if candidate.similarity >= beam.floor() {
            beam.insert(candidate);
        }
        if let Some((selection, _)) = ask.selection
            && candidate.similarity >= passing.floor()
            && selection.contains(candidate.slot)
        {
            passing.insert(candidate);
        }
    };
    let start = descend(graph, scores, stop, counters)?;
    visited.insert(start.slot);
    meet(start, beam);
    if start.slot != graph.entry && visited.insert(graph.entry) {
        counters.vectors_read += 1;
        let similarity = scores.similarity(graph.entry);
        meet(Candidate { similarity, slot: graph.entry }, beam);
    }
    while let Some(candidate) = beam.next() {
        counters.hops += 1;
        if counters.hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
            stop.check()?;
        }
        fresh.clear();
        for &slot in graph.neighbours(candidate.slot) {
            if slot < scores.faces() && visited.insert(slot) {
                fresh.push(slot);
            }
        }
        if let Some(next) = beam.peek() {
            // Its list is needed soon unless something better turns up here.
            prefetch(graph.neighbours_raw(next.slot), usize::MAX);
        }
        for &slot in fresh.iter().take(AHEAD) {
            scores.prefetch(slot);
        }
        for (i, &slot) in fresh.iter().enumerate() {
            if let Some(&later) = fresh.get(i + AHEAD) {
                scores.prefetch(later);
            }
            let similarity = scores.similarity(slot);
            meet(Candidate { similarity, slot }, beam);
        }
        counters.vectors_read += fresh.len() as u64;
    }
    Ok(())
}

/// Vectors on their way while one is computed.
const AHEAD: usize = 4;

/// Greedy search down the upper layers; the best face found, to begin layer 0 with.
fn descend(
    graph: &GraphView<'_>,
    scores: &impl Scores,
    stop: &Stop,
    counters: &mut Counters,
) -> Result<Candidate, SearchError> {
    let mut best = Candidate { similarity: scores.similarity(graph.entry), slot: graph.entry };
    counters.vectors_read += 1;
    // The entry point is the first node of the highest layer.
    let mut place = 0;
    for layer in graph.upper.iter().rev() {
        loop {
            counters.hops += 1;
            if counters.hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
                stop.check()?;
            }
            let mut better = None;
            for &neighbour in graph.upper_neighbours(layer.start + place) {
                let Some(at) = place_in(layer, neighbour) else {
                    continue;
                };
                let Some(&slot) = graph.slots.get(at) else {
                    continue;
                };
                counters.vectors_read += 1;
                let similarity = scores.similarity(slot);
                if similarity > best.similarity {
                    best = Candidate { similarity, slot };
                    better = Some(neighbour as usize);
                }
            }
            match better {
                Some(found) => place = found,
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
