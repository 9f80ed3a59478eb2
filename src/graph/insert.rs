//! Linking faces in batches.
//!
//! A batch is searched for in the graph as it was before, on all threads; what was found is chosen
//! from by exact similarity and written; then the faces that were chosen link back, and those whose
//! lists overflow choose anew. Nothing depends on which thread was first, so equal input gives
//! equal graphs (the batches of ParlayANN; Manohar et al., 2024). Walks read codes; vectors are
//! read for what a walk ended with.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::Graph;
use super::select::{Choosing, choose};
use crate::codes::CodedProbe;
use crate::gallery::codes::CodesView;
use crate::gallery::format::NONE;
use crate::gallery::segment::Vectors;
use crate::kernels::Kernels;
use crate::search::walk::{Steps, Trace, Walk, walk};
use crate::search::{Candidate, Coded, Exact, Stop};
use crate::{Cancel, Progress};

/// One part in this many of the faces that are linked already makes a batch: its faces do not find
/// one another.
const PART: usize = 64;
/// The most that a batch holds.
const MOST: usize = 16_384;
/// While a graph is built, lists may outgrow its degree by one part in this many.
const ROOM: usize = 2;

/// The faces of a layer, by place.
#[derive(Clone, Copy)]
pub(super) struct Nodes<'a> {
    /// Codes by place.
    pub(super) codes: CodesView<'a>,
    /// Vectors by slot.
    pub(super) vectors: Vectors<'a>,
    pub(super) dims: usize,
    /// The slot of each place, unless it is the same.
    pub(super) slots: Option<&'a [u32]>,
}

impl Nodes<'_> {
    fn slot(&self, place: u32) -> u32 {
        self.slots.map_or(place, |slots| slots.get(place as usize).copied().unwrap_or(NONE))
    }
}

/// What linking one face writes to.
#[derive(Default)]
struct Scratch {
    probe: CodedProbe,
    steps: Steps,
    near: Vec<Candidate>,
    choosing: Choosing,
}

/// How widely is looked for neighbours.
#[derive(Clone, Copy)]
pub(super) struct Width {
    /// Candidates of a walk by codes.
    pub(super) walk: usize,
    /// The best of them by estimate, whose vectors are read.
    pub(super) exact: usize,
}

/// Links the faces at `places` into the graph, in this order, after the `linked` that are in it;
/// `None` once cancelled. Walks begin at the entry point, or where the upper layers lead.
pub(super) fn insert(
    graph: &mut Graph,
    nodes: Nodes<'_>,
    places: &[u32],
    mut linked: usize,
    width: Width,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<()> {
    let degree = graph.degree;
    widen(graph, degree + degree / ROOM);
    let mut rest = places;
    let mut batch = Vec::new();
    while !rest.is_empty() {
        if cancel.is_cancelled() {
            return None;
        }
        let count = (linked / PART).clamp(1, MOST).min(rest.len());
        batch.clear();
        batch.extend_from_slice(&rest[..count]);
        // Faces near each other are walked to through the same lists.
        batch.sort_unstable();
        link(graph, nodes, &batch, degree, width);
        rest = &rest[count..];
        linked += count;
        progress.advance(count as u64);
    }
    finish(graph, nodes, degree, cancel)
}

/// Links the faces of one batch.
fn link(graph: &mut Graph, nodes: Nodes<'_>, batch: &[u32], degree: usize, width: Width) {
    let found: Vec<Vec<Candidate>> = batch
        .par_iter()
        .map_init(Scratch::default, |scratch, &place| {
            look(graph, nodes, place, width, scratch);
            let Scratch { near, choosing, .. } = scratch;
            let slot = |place| nodes.slot(place);
            choose(near, degree, (nodes.vectors, nodes.dims), slot, choosing);
            choosing.chosen.clone()
        })
        .collect();
    let mut back: Vec<(u32, u32)> = Vec::new();
    for (&place, chosen) in batch.iter().zip(&found) {
        let list = list_mut(graph, place);
        list.fill(NONE);
        for (link, chosen) in list.iter_mut().zip(chosen) {
            *link = chosen.slot;
            back.push((chosen.slot, place));
        }
    }
    back.par_sort_unstable();
    let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
    // A few at a time: what becomes of one list does not depend on another.
    for groups in groups.chunks(MOST) {
        let lists: Vec<Vec<u32>> = groups
            .par_iter()
            .map_init(Scratch::default, |scratch, group| {
                let host = group[0].0;
                let mut list = graph.view().neighbours(host).to_vec();
                for &(_, place) in *group {
                    if !list.contains(&place) {
                        list.push(place);
                    }
                }
                if list.len() > graph.degree {
                    shorten(&mut list, nodes, host, degree, scratch);
                }
                list
            })
            .collect();
        for (group, list) in groups.iter().zip(lists) {
            let places = list_mut(graph, group[0].0);
            places.fill(NONE);
            places[..list.len()].copy_from_slice(&list);
        }
    }
}

/// Looks for the faces near one that is to be linked; they are left in `scratch.near`, best first.
fn look(graph: &Graph, nodes: Nodes<'_>, place: u32, width: Width, scratch: &mut Scratch) {
    let Scratch { probe, steps, near, .. } = scratch;
    let vector = nodes.vectors.vector(nodes.slot(place), nodes.dims);
    let (CodesView { space, shape, .. }, kernels) = (nodes.codes, Kernels::best());
    probe.set(space, &kernels, &vector, shape);
    let coded = Coded::new(probe, nodes.codes);
    let (stop, mut trace) = (Stop::default(), Trace::default());
    near.clear();
    // A walk that cannot be stopped cannot fail.
    if walk(&graph.view(), &coded, Walk::of(width.walk), &stop, steps, &mut trace).is_err() {
        return;
    }
    near.extend(steps.beam.candidates().iter().filter(|found| found.slot != place));
    near.sort_unstable_by(|a, b| in_turn(a, b, place));
    near.truncate(width.exact);
    by_similarity(near, nodes, place);
}

/// Puts faces in order of their exact similarity with the one at `place`.
fn by_similarity(near: &mut [Candidate], nodes: Nodes<'_>, place: u32) {
    let vector = nodes.vectors.vector(nodes.slot(place), nodes.dims);
    let exact = Exact::new(&vector, nodes.vectors);
    for candidate in near.iter().take(Exact::AHEAD) {
        exact.fetch(nodes.slot(candidate.slot));
    }
    for at in 0..near.len() {
        if let Some(later) = near.get(at + Exact::AHEAD) {
            exact.fetch(nodes.slot(later.slot));
        }
        near[at].similarity = exact.similarity(nodes.slot(near[at].slot));
    }
    near.sort_unstable_by(|a, b| in_turn(a, b, place));
}

/// The order of candidates for the list of the face at `place`: by similarity, and copies in an order
/// that is another for each face, so that none of them is everybody's.
fn in_turn(a: &Candidate, b: &Candidate, place: u32) -> Ordering {
    let turn = |candidate: &Candidate| (candidate.slot ^ place).wrapping_mul(0x9E37_79B9);
    b.similarity.total_cmp(&a.similarity).then(turn(a).cmp(&turn(b)))
}

/// Chooses anew which links of an overfull list stay.
fn shorten(list: &mut Vec<u32>, nodes: Nodes<'_>, host: u32, degree: usize, scratch: &mut Scratch) {
    let Scratch { near, choosing, .. } = scratch;
    near.clear();
    near.extend(list.iter().map(|&slot| Candidate { similarity: 0.0, slot }));
    by_similarity(near, nodes, host);
    choose(near, degree, (nodes.vectors, nodes.dims), |place| nodes.slot(place), choosing);
    list.clear();
    list.extend(choosing.chosen.iter().map(|chosen| chosen.slot));
}

/// Shortens the lists that are longer than the degree, and gives back the room; `None` once
/// cancelled.
fn finish(graph: &mut Graph, nodes: Nodes<'_>, degree: usize, cancel: &Cancel) -> Option<()> {
    let room = graph.degree;
    for (part, lists) in graph.layer0.chunks_mut(room * MOST).enumerate() {
        if cancel.is_cancelled() {
            return None;
        }
        lists.par_chunks_mut(room).enumerate().for_each_init(
            Scratch::default,
            |scratch, (at, links)| {
                if links.get(degree).is_none_or(|&link| link == NONE) {
                    return;
                }
                let used = links.iter().position(|&link| link == NONE).unwrap_or(room);
                let (mut list, host) = (links[..used].to_vec(), (part * MOST + at) as u32);
                shorten(&mut list, nodes, host, degree, scratch);
                links.fill(NONE);
                links[..list.len()].copy_from_slice(&list);
            },
        );
    }
    widen(graph, degree);
    Some(())
}

/// Gives lists another number of places; those beyond are empty.
fn widen(graph: &mut Graph, degree: usize) {
    let (faces, old) = (graph.faces(), graph.degree);
    let mut layer = vec![NONE; faces * degree];
    let both = layer.chunks_exact_mut(degree).zip(graph.layer0.chunks_exact(old));
    for (new, old) in both {
        let places = new.len().min(old.len());
        new[..places].copy_from_slice(&old[..places]);
    }
    (graph.layer0, graph.degree) = (layer, degree);
}

fn list_mut(graph: &mut Graph, place: u32) -> &mut [u32] {
    let from = place as usize * graph.degree;
    &mut graph.layer0[from..from + graph.degree]
}
