//! The graph in memory, as builders make it and the gallery stores it.
//!
//! In come vectors and codes; out goes an HNSW graph over their slots: neighbour lists of a fixed degree on
//! layer 0, small upper layers, and every face reachable from the entry point.
//!
//! | file | job |
//! |---|---|
//! | `params` | checked settings of a build |
//! | `own` | the builder: levels, upper layers, layer 0 |
//! | `insert` | links faces in batches |
//! | `select` | chooses a face's links among the faces near it |
//! | `hnsw_rs` | the reference builder: the crate of that name, its layers exported |
//! | `floor` | gives links to faces that too few link to |
//! | `reach` | links in what layer 0 does not reach |
//! | `store` | writes the graph as a gallery's file |

use std::ops::Range;

use crate::gallery::format::NONE;
use crate::gallery::graph::GraphView;

mod floor;
pub(crate) mod hnsw_rs;
mod insert;
pub(crate) mod own;
mod params;
mod reach;
mod select;
mod store;

#[cfg(all(test, feature = "synth"))]
mod tests;

pub(crate) use floor::lift;
pub(crate) use hnsw_rs::{export, has_ids_to};
pub use params::{GraphParams, ParamsError};
pub(crate) use reach::link_in;
pub(crate) use store::store;

/// An HNSW graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    /// The slot every walk begins at, a node of the highest layer.
    pub(crate) entry: u32,
    /// Places of a list on layer 0.
    pub(crate) degree: usize,
    /// `degree` slots a face, [`NONE`] after the last.
    pub(crate) layer0: Vec<u32>,
    /// Places of a list on the other layers.
    pub(crate) upper_degree: usize,
    /// Nodes of each upper layer as ranges of the three below, layer 1 first; the entry point is
    /// the first node of the highest.
    pub(crate) upper: Vec<Range<usize>>,
    /// A node's slot.
    pub(crate) slots: Vec<u32>,
    /// A node's place within the layer below; its slot on layer 1.
    pub(crate) down: Vec<u32>,
    /// `upper_degree` places within the same layer a node.
    pub(crate) links: Vec<u32>,
}

impl Graph {
    /// A graph with empty lists on layer 0.
    pub(crate) fn empty(faces: usize, degree: usize, upper_degree: usize) -> Self {
        Self { degree, layer0: vec![NONE; faces * degree], upper_degree, ..Self::default() }
    }

    pub(crate) fn view(&self) -> GraphView<'_> {
        GraphView {
            entry: self.entry,
            degree: self.degree,
            layer0: &self.layer0,
            upper: &self.upper,
            upper_degree: self.upper_degree,
            slots: &self.slots,
            down: &self.down,
            links: &self.links,
        }
    }

    /// Number of faces.
    pub(crate) fn faces(&self) -> usize {
        self.layer0.len() / self.degree.max(1)
    }
}
