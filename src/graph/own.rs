//! The builder: faces are linked in growing batches, walked to by codes, chosen by vectors.
//!
//! Levels are drawn as in HNSW (Malkov & Yashunin, 2018). The upper layers are linked first, each
//! by itself; then layer 0, whose walks begin where they lead. In memory are the lists, and codes
//! where the system keeps them there; vectors stay on disk. One seed gives one graph, whatever the
//! number of threads.

use std::collections::HashSet;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::insert::{Nodes, Width, insert};
use super::{Graph, GraphParams};
use crate::gallery::codes::CodesView;
use crate::gallery::format::NONE;
use crate::gallery::graph::MAX_LAYERS;
use crate::gallery::segment::Vectors;
use crate::{Cancel, Progress};

/// Candidates of a walk whose vectors are read.
const EXACT: usize = 96;

/// Builds a graph of all faces: those of `last` after all others, once `pause` has had the graph of
/// the others. `None` once cancelled.
pub(crate) fn build<E>(
    (vectors, dims): (Vectors<'_>, usize),
    codes: CodesView<'_>,
    params: &GraphParams,
    last: &HashSet<u32>,
    pause: impl FnOnce(Graph) -> Result<(), E>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Option<Graph>, E> {
    let faces = codes.faces;
    let mut graph = Graph::empty(faces as usize, params.degree(), params.m());
    let levels = Levels::draw(faces, params, last);
    let walk = params.ef_construction();
    let width = Width { walk, exact: walk.min(EXACT.max(params.degree())) };
    let nodes = levels.upper.iter().map(Vec::len).sum::<usize>() + levels.order.len();
    progress.begin("graph", Some(nodes as u64));
    graph.entry = levels.order.first().copied().unwrap_or(0);
    let upper = Upper { vectors, dims, codes, width, seed: params.seed(), progress, cancel };
    if upper.add(&mut graph, &levels.upper).is_none() {
        return Ok(None);
    }
    let nodes = Nodes { codes, vectors, dims, slots: None };
    // Not before the faces of the upper layers are in layer 0 can walks begin there.
    let above = std::mem::take(&mut graph.upper);
    let (first, rest) = levels.order.split_at(levels.of_upper);
    if insert(&mut graph, nodes, first, 0, width, progress, cancel).is_none() {
        return Ok(None);
    }
    graph.upper = above;
    let linked = first.len();
    if insert(&mut graph, nodes, rest, linked, width, progress, cancel).is_none() {
        return Ok(None);
    }
    progress.end();
    if !last.is_empty() {
        pause(graph.clone())?;
        progress.begin("graph, rest", Some(last.len() as u64));
        let mut left: Vec<u32> = last.iter().copied().collect();
        left.sort_unstable();
        left.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(params.seed()));
        // In small batches, so that those of one person, who lie side by side, find each other.
        let linked = left.len();
        if insert(&mut graph, nodes, &left, linked, width, progress, cancel).is_none() {
            return Ok(None);
        }
        progress.end();
    }
    Ok(Some(graph))
}

/// Who is on which layer, and in which order faces are linked.
struct Levels {
    /// Slots of each upper layer, layer 1 first, each a part of the one before; in slot order, but
    /// that the first of the highest layer, where every walk begins, is the first of all.
    upper: Vec<Vec<u32>>,
    /// All slots but those that are linked last; those of upper layers lead.
    order: Vec<u32>,
    of_upper: usize,
}

impl Levels {
    fn draw(faces: u32, params: &GraphParams, last: &HashSet<u32>) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(params.seed());
        let shrink = (params.m() as f64).ln();
        let mut leveled: Vec<(u8, u32)> = Vec::new();
        let mut order = Vec::new();
        for slot in (0..faces).filter(|slot| !last.contains(slot)) {
            let chance: f64 = 1.0 - random.random::<f64>();
            let level = ((-chance.ln() / shrink) as usize).min(MAX_LAYERS);
            if level > 0 { leveled.push((level as u8, slot)) } else { order.push(slot) }
        }
        leveled.shuffle(&mut random);
        order.shuffle(&mut random);
        // The entry point is on the highest layer that anyone is on, and the first of all.
        if let Some(highest) = (0..leveled.len()).max_by_key(|&at| leveled[at].0) {
            leveled.swap(0, highest);
        }
        let top = leveled.first().map_or(0, |&(level, _)| level);
        let upper = (1..=top).map(|layer| {
            let on = leveled.iter().filter(|&&(level, _)| level >= layer);
            let mut slots: Vec<u32> = on.map(|&(_, slot)| slot).collect();
            if let Some((_, rest)) = slots.split_first_mut() {
                rest.sort_unstable();
            }
            slots
        });
        let upper = upper.collect();
        order.splice(0..0, leveled.iter().map(|&(_, slot)| slot));
        Self { upper, order, of_upper: leveled.len() }
    }
}

/// What upper layers are built from.
struct Upper<'a> {
    vectors: Vectors<'a>,
    dims: usize,
    codes: CodesView<'a>,
    width: Width,
    seed: u64,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Upper<'_> {
    /// Links the upper layers and puts them into the graph; `None` once cancelled.
    fn add(&self, graph: &mut Graph, layers: &[Vec<u32>]) -> Option<()> {
        for (at, slots) in layers.iter().enumerate() {
            let layer = self.link(slots, graph.upper_degree)?;
            let start = graph.slots.len();
            graph.links.extend_from_slice(&layer.layer0);
            graph.slots.extend_from_slice(slots);
            match at.checked_sub(1).and_then(|below| layers.get(below)) {
                Some(below) => {
                    graph.down.extend(slots.iter().map(|&slot| place_of(below, slot)));
                }
                None => graph.down.extend_from_slice(slots),
            }
            graph.upper.push(start..graph.slots.len());
        }
        Some(())
    }

    /// Links the faces of one layer with each other, by place.
    fn link(&self, slots: &[u32], degree: usize) -> Option<Graph> {
        let bytes = self.codes.shape.row_bytes();
        let mut rows = Vec::with_capacity(slots.len() * bytes);
        for &slot in slots {
            let from = slot as usize * bytes;
            rows.extend_from_slice(self.codes.rows.get(from..from + bytes).unwrap_or_default());
        }
        let codes =
            CodesView { faces: slots.len() as u32, rows: &rows, sketches: &[], ..self.codes };
        let nodes = Nodes { codes, vectors: self.vectors, dims: self.dims, slots: Some(slots) };
        let mut layer = Graph::empty(slots.len(), degree, 1);
        // In the order of slots neighbours come together: spread, so that early links reach far.
        let mut order: Vec<u32> = (1..slots.len() as u32).collect();
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(self.seed));
        order.insert(0, 0);
        insert(&mut layer, nodes, &order, 0, self.width, self.progress, self.cancel)?;
        Some(layer)
    }
}

/// The place of a slot in a layer: the first is that of the entry point, the others are in order.
fn place_of(layer: &[u32], slot: u32) -> u32 {
    match layer {
        [first, ..] if *first == slot => 0,
        [_, rest @ ..] => rest.binary_search(&slot).map_or(NONE, |at| at as u32 + 1),
        [] => NONE,
    }
}
