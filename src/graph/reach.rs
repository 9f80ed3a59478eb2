//! Reachability: every face can be walked to from the entry point on layer 0.
//!
//! Builders leave faces out: copies of one photo fill each other's lists and keep no way out or in,
//! an outlier is pruned from every list. What layer 0 does not reach is linked in from the nearest
//! faces it does reach, and the links that hold the graph together are never given up for it.

use std::collections::HashSet;

use crate::gallery::format::NONE;
use crate::gallery::graph::GraphView;
use crate::gallery::segment::Vectors;
use crate::search::walk::{Steps, Trace, Walk, walk};
use crate::search::{Exact, Stop};
use crate::{Cancel, Progress};

use super::{Graph, floor};

/// Hosts looked for to link a face in from.
const HOSTS: usize = 64;
/// Faces looked behind between looks at the cancel flag.
const BETWEEN_LOOKS: usize = 1024;

/// How many faces were out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Faces out of reach as the builder left the graph.
    pub(crate) before: u64,
    /// Faces out of reach now.
    pub(crate) after: u64,
}

/// Links in every face that layer 0 does not reach from the entry point, but for those in
/// `left_out`; `None` once cancelled.
pub(crate) fn link_in(
    graph: &mut Graph,
    left_out: &HashSet<u32>,
    vectors: Vectors<'_>,
    dims: usize,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Option<Reached> {
    let faces = graph.faces();
    if faces == 0 {
        return Some(Reached::default());
    }
    let mut tree = Tree::new(graph, floor::in_degrees(graph, cancel)?);
    tree.spread(graph, graph.entry, NONE, cancel)?;
    let before = faces - tree.reached;
    progress.begin("reach", Some(before as u64));
    let mut steps = Steps::default();
    for slot in 0..faces as u32 {
        if tree.reaches(slot) || left_out.contains(&slot) {
            continue;
        }
        if cancel.is_cancelled() {
            return None;
        }
        let reached = tree.reached;
        let host = host(graph, &mut tree, vectors, dims, slot, &mut steps)?;
        tree.spread(graph, slot, host, cancel)?;
        progress.advance((tree.reached - reached) as u64);
    }
    progress.end();
    let mut again = Tree::new(graph, Vec::new());
    again.spread(graph, graph.entry, NONE, cancel)?;
    Some(Reached { before: before as u64, after: (faces - again.reached) as u64 })
}

/// The ways by which faces are reached: each face's parent. Its links are not to be given up.
struct Tree {
    /// The face that a face was reached from; itself for a root, [`NONE`] while not reached.
    parents: Vec<u32>,
    reached: usize,
    queue: Vec<u32>,
    /// Links into each face, and how many of them none should fall below.
    links: Vec<u32>,
    least: u32,
}

impl Tree {
    fn new(graph: &Graph, links: Vec<u32>) -> Self {
        let parents = vec![NONE; graph.faces()];
        Self { parents, reached: 0, queue: Vec::new(), links, least: floor::least(graph) }
    }

    fn reaches(&self, slot: u32) -> bool {
        self.parents[slot as usize] != NONE
    }

    /// Reaches `slot` from `parent` (from nowhere, for [`NONE`]) and all that it leads to; `None` once
    /// cancelled.
    fn spread(&mut self, graph: &Graph, slot: u32, parent: u32, cancel: &Cancel) -> Option<()> {
        self.parents[slot as usize] = if parent == NONE { slot } else { parent };
        self.reached += 1;
        self.queue.push(slot);
        let view = graph.view();
        let mut behind = 0_usize;
        while let Some(from) = self.queue.pop() {
            behind += 1;
            if behind.is_multiple_of(BETWEEN_LOOKS) && cancel.is_cancelled() {
                return None;
            }
            for &to in view.neighbours(from) {
                if !self.reaches(to) {
                    self.parents[to as usize] = from;
                    self.reached += 1;
                    self.queue.push(to);
                }
            }
        }
        Some(())
    }
}

/// Gives a reached face near `slot` a link to it, and returns that face.
///
/// Nearest first; a face whose every link holds somebody is passed over. Some face always has a
/// place: the links that hold others are one less than the faces reached, and each list has two
/// places or more. `None` cannot happen, then.
fn host(
    graph: &mut Graph,
    tree: &mut Tree,
    vectors: Vectors<'_>,
    dims: usize,
    slot: u32,
    steps: &mut Steps,
) -> Option<u32> {
    let probe = vectors.vector(slot, dims);
    let ask = Walk::of(HOSTS);
    let mut trace = Trace::default();
    // The walk cannot be stopped, so it cannot fail; and without upper layers, which may lead to
    // faces out of reach, it sees only what can be reached.
    let (view, stop) = (GraphView { upper: &[], ..graph.view() }, Stop::default());
    walk(&view, &Exact::new(&probe, vectors), ask, &stop, steps, &mut trace).ok()?;
    let near: Vec<u32> = steps.beam.candidates().iter().map(|found| found.slot).collect();
    let anywhere = 0..graph.faces() as u32;
    near.into_iter()
        .chain(anywhere)
        .find(|&host| tree.reaches(host) && give_link(graph, tree, host, slot))
}

/// Puts `slot` into the list of `host`: into a free place, or for a link late in the list that holds
/// nobody, one that its face can spare where there is such. Whether it could.
fn give_link(graph: &mut Graph, tree: &mut Tree, host: u32, slot: u32) -> bool {
    let from = host as usize * graph.degree;
    let list = &mut graph.layer0[from..from + graph.degree];
    let replaceable = |&place: &usize| {
        let to = list[place];
        to == NONE || tree.parents[to as usize] != host
    };
    let can_spare =
        |&place: &usize| list[place] == NONE || tree.links[list[place] as usize] > tree.least;
    // Lists begin with the most similar: the last place is free, or its face is missed least.
    let mut places = (0..list.len()).rev();
    let spared = places.clone().find(|place| replaceable(place) && can_spare(place));
    let Some(place) = spared.or_else(|| places.find(replaceable)) else { return false };
    let place = if list[place] == NONE {
        list.iter().position(|&to| to == NONE).unwrap_or(place)
    } else {
        place
    };
    if list[place] != NONE {
        tree.links[list[place] as usize] -= 1;
    }
    tree.links[slot as usize] += 1;
    list[place] = slot;
    true
}
