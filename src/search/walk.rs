//! The walk: greedy down the upper layers, then a beam search on layer 0.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs" (2018), algorithms 2 and 5, over a mapped graph. The beam starts
//! from where the descent ends and from the entry point: every face is reachable from the entry
//! point on layer 0, so a beam as wide as the gallery finds every face. A search ends before its
//! beam does where what is ahead lies too far behind what was found: a beam that adapts to the
//! distances (Al-Jazzazi et al., "Distance Adaptive Beam Search for Provably Accurate Graph-Based
//! Nearest Neighbor Search", 2025), here by a margin of similarity.

use super::SearchError;
use super::scratch::{Beam, Candidate, Visited};
use super::selection::Selection;
use super::stop::Stop;
use crate::gallery::graph::GraphView;
use crate::kernels::prefetch;

/// Hops between looks at the clock and the cancel flag.
const HOPS_BETWEEN_LOOKS: u64 = 32;
/// Candidates looked behind at a time: while the codes of one's neighbours are on their way from
/// memory, so are those of the other's. Four read more codes and are no faster.
const AT_A_TIME: usize = 2;
/// No similarity is so large: an estimate that is comes from a damaged code, and is for its vector to
/// decide.
const NO_SIMILARITY: f32 = 2.0;

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
    /// When to end before that; for walks from the entry point among all faces.
    pub(crate) enough: Option<Enough>,
}

/// Nobody is kept or looked behind who is less similar than the last of those wanted by more than a
/// margin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enough {
    /// How many are wanted.
    pub(crate) wanted: usize,
    /// In units of similarity.
    pub(crate) margin: f32,
}

impl Walk<'_> {
    /// From the entry point, for as long as it leads to better faces.
    pub(crate) fn of(width: usize) -> Self {
        Self { width, selection: None, from: &[], hops: u64::MAX, enough: None }
    }

    /// The similarity below which nobody is of interest, given the best so far.
    #[inline]
    fn least(&self, nearest: &Beam) -> f32 {
        self.enough.map_or(f32::NEG_INFINITY, |enough| nearest.floor() - enough.margin)
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
    /// The best so far, as many as are wanted.
    nearest: Beam,
    /// Those good enough among the faces just scored.
    met: Vec<Candidate>,
    /// What a walk found, and what its links led to.
    pub(super) reached: Vec<Candidate>,
    pub(super) visited: Visited,
    pub(super) fresh: Vec<u32>,
    pub(super) scored: Scored,
}

impl Steps {
    /// Candidates that the longest of its lists has room for; two slots are as long as one.
    pub(super) fn room(&self) -> usize {
        let Self { beam, passing, reached, visited, .. } = self;
        beam.room().max(passing.room()).max(reached.capacity()).max(visited.room() / 2)
    }
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
    let Steps { beam, passing, nearest, met, visited, fresh, scored, .. } = steps;
    beam.reset(ask.width);
    passing.reset(ask.selection.map_or(0, |(_, keep)| keep));
    nearest.reset(ask.enough.map_or(0, |enough| enough.wanted));
    // A beam of w looks behind about w faces, and half of what they link to is new.
    let hops = usize::try_from(ask.hops).map_or(ask.width, |hops| hops.min(ask.width));
    let expected = hops.saturating_mul(graph.degree / 2).saturating_add(ask.from.len());
    visited.reset(expected.min(scores.faces() as usize));
    if scores.faces() == 0 {
        return Ok(());
    }
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
        meet(&ask, fresh, scored, met, [&mut *beam, &mut *passing, &mut *nearest]);
        let least = ask.least(nearest);
        fresh.clear();
        let hops = counters.hops;
        for _ in 0..AT_A_TIME {
            let Some(candidate) = beam.next_of(least).filter(|_| left > 0) else { break };
            left -= 1;
            counters.hops += 1;
            if counters.hops.is_multiple_of(HOPS_BETWEEN_LOOKS) {
                stop.check()?;
            }
            for &slot in graph.neighbours(candidate.slot) {
                if slot < scores.faces() && visited.insert(slot) {
                    scores.prefetch(slot);
                    fresh.push(slot);
                }
            }
        }
        if counters.hops == hops {
            return Ok(());
        }
        for next in beam.ahead().take(AT_A_TIME) {
            // Its list is needed soon unless something better turns up here.
            prefetch(graph.neighbours_raw(next.slot));
        }
    }
}

/// Takes what is good enough of the faces just scored into the beam, into those that pass, and into
/// the nearest.
#[inline]
fn meet(
    ask: &Walk<'_>,
    slots: &[u32],
    scored: &Scored,
    met: &mut Vec<Candidate>,
    [beam, passing, nearest]: [&mut Beam; 3],
) {
    met.clear();
    let floor = beam.floor();
    for (&slot, &similarity) in slots.iter().zip(&scored.similarities) {
        let candidate = Candidate { similarity, slot };
        if similarity >= floor && similarity >= ask.least(nearest) {
            met.push(candidate);
            if ask.enough.is_some() && similarity >= nearest.floor() && similarity < NO_SIMILARITY {
                nearest.insert(candidate);
            }
        }
        if let Some((selection, _)) = ask.selection
            && similarity >= passing.floor()
            && selection.contains(slot)
        {
            passing.insert(candidate);
        }
    }
    met.sort_unstable_by(Candidate::by_similarity);
    beam.merge(met);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gallery::format::NONE;

    /// Faces of known similarities, each linked to the one before and the one after.
    struct Path(&'static [f32]);

    impl Scores for Path {
        fn faces(&self) -> u32 {
            self.0.len() as u32
        }

        fn prefetch(&self, _: u32) {}

        fn score(&self, slots: &[u32], scored: &mut Scored) {
            scored.similarities.clear();
            scored.similarities.extend(slots.iter().map(|&slot| self.0[slot as usize]));
        }
    }

    /// Of layer 0 alone.
    fn graph(layer0: &[u32], degree: usize) -> GraphView<'_> {
        let nobody: &[u32] = &[];
        let (slots, down, links) = (nobody, nobody, nobody);
        GraphView { entry: 0, degree, layer0, upper: &[], upper_degree: 1, slots, down, links }
    }

    /// Similarities of what a walk from the first face keeps, and its hops.
    fn walked(path: &Path, enough: Option<Enough>) -> (Vec<f32>, u64) {
        let last = path.faces() - 1;
        let links = |slot: u32| [slot.checked_sub(1).unwrap_or(NONE), (slot + 1).min(last)];
        let layer0: Vec<u32> =
            (0..=last).flat_map(|slot| if slot == 0 { [1, NONE] } else { links(slot) }).collect();
        let graph = graph(&layer0, 2);
        let (mut steps, mut trace) = (Steps::default(), Trace::default());
        let ask = Walk { enough, ..Walk::of(path.0.len()) };
        walk(&graph, path, ask, &Stop::default(), &mut steps, &mut trace).unwrap();
        let found = steps.beam.candidates().iter().map(|found| found.similarity).collect();
        (found, trace.hops)
    }

    const VALLEY: Path = Path(&[0.5, 0.9, 0.8, 0.7, 0.6, 0.1, 0.0, 0.95]);

    #[test]
    fn a_walk_without_a_margin_sees_all() {
        let (found, hops) = walked(&VALLEY, None);
        assert_eq!(found, [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.0]);
        assert_eq!(hops, 8);
    }

    #[test]
    fn a_walk_ends_where_nobody_ahead_is_within_the_margin() {
        let (found, hops) = walked(&VALLEY, Some(Enough { wanted: 2, margin: 0.25 }));
        // 0.5 was taken before two were known, 0.1 is out of the 0.8 - 0.25 that keep.
        assert_eq!(found, [0.9, 0.8, 0.7, 0.6, 0.5]);
        assert_eq!(hops, 5);
        let (found, _) = walked(&VALLEY, Some(Enough { wanted: 2, margin: 0.85 }));
        assert_eq!(found[0], 0.95, "a margin that spans the valley leads across it");
    }

    #[test]
    fn a_damaged_code_ends_no_walk() {
        let (found, _) =
            walked(&Path(&[0.5, 1e18, 0.7, 0.9]), Some(Enough { wanted: 1, margin: 0.1 }));
        assert_eq!(found, [1e18, 0.9, 0.7, 0.5]);
    }

    #[test]
    fn so_many_hops_are_made_as_are_left() {
        // A star: its middle is linked to all, and all to it.
        let layer0 = [[1, 2, 3, 4], [0, NONE, NONE, NONE], [0, NONE, NONE, NONE]].concat();
        let layer0 =
            [layer0, vec![0, 5, NONE, NONE, 0, NONE, NONE, NONE, 3, NONE, NONE, NONE]].concat();
        let path = Path(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        for (hops, seen) in [(1, 5), (2, 5), (3, 6), (9, 6)] {
            let graph = graph(&layer0, 4);
            let (mut steps, mut trace) = (Steps::default(), Trace::default());
            let ask = Walk { hops, ..Walk::of(6) };
            walk(&graph, &path, ask, &Stop::default(), &mut steps, &mut trace).unwrap();
            assert_eq!(steps.beam.candidates().len(), seen, "{hops} hops");
            assert_eq!(trace.hops, hops.min(6));
        }
    }

    #[test]
    fn as_long_as_fewer_than_wanted_are_known_nothing_ends() {
        let (found, _) = walked(&VALLEY, Some(Enough { wanted: 8, margin: 0.0 }));
        assert_eq!(found.len(), 8);
    }
}
