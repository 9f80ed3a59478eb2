//! The reference builder: hnsw_rs makes the graph, its layers are exported to ours.
//!
//! The crate has traps, each met here. Its level generator has a fixed seed, so ours decides the
//! order of insertion instead. It ends the process above 256 links: [`GraphParams`] ends at 255.
//! It asserts that no distance is negative, which rounding on identical vectors would break: the
//! distance is clamped. Its own fast distances need a feature and assert unit vectors: the distance
//! here is our kernel's. Its lists may name a face twice, or one of another layer: what does not
//! belong is left out.

use std::collections::{HashMap, HashSet};

use ::hnsw_rs::anndists::dist::Distance;
use ::hnsw_rs::prelude::Hnsw;
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;

use super::{Graph, GraphParams};
use crate::gallery::format::NONE;
use crate::gallery::segment::Vectors;
use crate::kernels::Kernels;
use crate::{Cancel, Progress};

/// Layers hnsw_rs keeps room for; with 16 links the fifth already holds one face in a million.
const LAYERS: usize = 16;
/// Faces inserted between looks at the cancel flag.
const CHUNK: usize = 2048;

/// One less the cosine of unit vectors, never negative.
struct CosineDistance(Kernels);

impl Distance<f32> for CosineDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        // A NaN becomes 0 here, and so cannot reach the crate's assertions.
        (1.0 - self.0.dot(a, b)).max(0.0)
    }
}

/// Builds the graph of `vectors` (`dims` values a face, of unit length) on the current rayon pool.
///
/// The faces in the slots `last` are inserted after all others; in between, `pause` is given the graph without
/// them.
///
/// With one thread, the same input and seed give the same graph. `None` once cancelled.
pub(crate) fn build<E>(
    vectors: Vectors<'_>,
    dims: usize,
    params: &GraphParams,
    last: &HashSet<u32>,
    pause: impl FnOnce(Graph) -> Result<(), E>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Option<Graph>, E> {
    let faces = vectors.faces(dims) as usize;
    let mut order: Vec<usize> = (0..faces).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(params.seed()));
    order.sort_by_key(|&slot| last.contains(&(slot as u32)));
    let (first, last) = order.split_at(faces - last.len().min(faces));
    let distance = CosineDistance(Kernels::best());
    let hnsw = Hnsw::new(params.m(), faces.max(1), LAYERS, params.ef_construction(), distance);
    let insert = |&slot: &usize| {
        hnsw.insert_slice((&vectors.vector(slot as u32, dims), slot));
    };
    let itself = |id: usize| u32::try_from(id).ok();
    let alone = rayon::current_num_threads() == 1;
    let insert_all = |slots: &[usize]| {
        for chunk in slots.chunks(CHUNK) {
            if cancel.is_cancelled() {
                return false;
            }
            if alone {
                chunk.iter().for_each(insert);
            } else {
                chunk.par_iter().for_each(insert);
            }
            progress.advance(chunk.len() as u64);
        }
        true
    };
    progress.begin("graph", Some(first.len() as u64));
    if !insert_all(first) {
        return Ok(None);
    }
    progress.end();
    if !last.is_empty() {
        pause(export(&hnsw, faces, itself, params))?;
        progress.begin("graph, rest", Some(last.len() as u64));
        if !insert_all(last) {
            return Ok(None);
        }
        progress.end();
    }
    Ok(Some(export(&hnsw, faces, itself, params)))
}

/// Whether the data ids of an index are 0 to `faces`, each once.
pub(crate) fn has_ids_to<D: Distance<f32> + Send + Sync>(
    hnsw: &Hnsw<'_, f32, D>,
    faces: usize,
) -> bool {
    let points = hnsw.get_point_indexation();
    let mut seen = vec![false; faces];
    let new = |point: usize| seen.get_mut(point).is_some_and(|seen| !std::mem::replace(seen, true));
    let levels = 0..=usize::from(points.get_max_level_observed());
    hnsw.get_nb_point() == faces
        && levels
            .flat_map(|level| points.get_layer_iterator(level))
            .map(|point| point.get_origin_id())
            .all(new)
}

/// The graph that an hnsw_rs index over `faces` faces holds; `slot` gives the slot of a data id.
pub(crate) fn export<D: Distance<f32> + Send + Sync>(
    hnsw: &Hnsw<'_, f32, D>,
    faces: usize,
    slot: impl Fn(usize) -> Option<u32>,
    params: &GraphParams,
) -> Graph {
    let mut graph = Graph::empty(faces, params.degree(), params.m());
    if faces == 0 {
        return graph;
    }
    let slot = |id: usize| slot(id).filter(|&slot| (slot as usize) < faces);
    let points = hnsw.get_point_indexation();
    let top = usize::from(points.get_max_level_observed());
    // Nodes of each layer: a point of level l is a node of every layer up to l.
    let mut layers: Vec<Vec<u32>> = vec![Vec::new(); top];
    let mut upper_lists: HashMap<u32, Vec<Vec<u32>>> = HashMap::new();
    for level in 0..=top {
        for point in points.get_layer_iterator(level) {
            let Some(own) = slot(point.get_origin_id()) else { continue };
            let mut lists: Vec<Vec<u32>> = point
                .get_neighborhood_id()
                .iter()
                .take(level + 1)
                .map(|list| list.iter().filter_map(|neighbour| slot(neighbour.d_id)).collect())
                .collect();
            if let Some(list) = lists.first() {
                let from = own as usize * graph.degree;
                fill(&mut graph.layer0[from..from + graph.degree], list, own);
            }
            layers[..level].iter_mut().for_each(|layer| layer.push(own));
            if level > 0 {
                lists.remove(0);
                upper_lists.insert(own, lists);
            }
        }
    }
    // The crate does not tell its entry point; any node of the highest layer will do.
    graph.entry = layers.last().and_then(|layer| layer.iter().min().copied()).unwrap_or(0);
    add_upper_layers(&mut graph, layers, &upper_lists);
    graph
}

fn add_upper_layers(graph: &mut Graph, layers: Vec<Vec<u32>>, lists: &HashMap<u32, Vec<Vec<u32>>>) {
    let mut below: HashMap<u32, u32> = HashMap::new();
    let highest = layers.len().wrapping_sub(1);
    for (at, mut layer) in layers.into_iter().enumerate() {
        // In slot order, so that equal input gives equal bytes; the entry point leads the highest.
        layer.sort_unstable_by_key(|&slot| (at != highest || slot != graph.entry, slot));
        let places: HashMap<u32, u32> =
            layer.iter().enumerate().map(|(place, &slot)| (slot, place as u32)).collect();
        let start = graph.slots.len();
        for &slot in &layer {
            let neighbours: Vec<u32> = lists
                .get(&slot)
                .and_then(|lists| lists.get(at))
                .into_iter()
                .flatten()
                .filter_map(|neighbour| places.get(neighbour).copied())
                .collect();
            let from = graph.links.len();
            graph.links.resize(from + graph.upper_degree, NONE);
            let own = places.get(&slot).copied().unwrap_or(NONE);
            fill(&mut graph.links[from..], &neighbours, own);
            graph.down.push(if at == 0 { slot } else { below.get(&slot).copied().unwrap_or(0) });
            graph.slots.push(slot);
        }
        graph.upper.push(start..graph.slots.len());
        below = places;
    }
}

/// Fills a list with the neighbours that are neither the node itself nor there already.
fn fill(places: &mut [u32], neighbours: &[u32], own: u32) {
    let mut used = 0;
    for &neighbour in neighbours {
        if used == places.len() {
            break;
        }
        if neighbour != own && !places[..used].contains(&neighbour) {
            places[used] = neighbour;
            used += 1;
        }
    }
}
