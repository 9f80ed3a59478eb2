//! Cells: faces stored in k-means order, so that neighbours in space are neighbours in the file.
//!
//! A build learns centroids from a sample of the vectors, assigns every face to the cell of its
//! most similar centroid, and numbers the faces cell after cell. A search ranks the cells by what a
//! probe's centroids promise and visits the best share of them. Always: every face is in exactly
//! one cell, a cell is one run of slots, and the same vectors and seed give the same cells on any
//! number of threads.
//!
//! Vectors may have any length; only their direction counts. Where their mean is far from the
//! origin it should be taken off first, since directions then hardly differ.
//!
//! | file | job |
//! |---|---|
//! | `levels` | centroids in bytes |
//! | `rank` | the cells of a gallery in order of promise for a probe |
//! | `learn` | centroids from a sample, in one level or two |
//! | `lloyd` | spherical k-means with cells kept of like size |
//! | `nearest` | most similar centroids of many rows, by blocked matrix products |
//! | `assign` | the cell of every row |
//! | `order` | the order of cells, and of the faces by cell |

#[cfg(feature = "build")]
mod assign;
#[cfg(feature = "build")]
mod learn;
mod levels;
#[cfg(feature = "build")]
mod lloyd;
#[cfg(feature = "build")]
mod nearest;
#[cfg(feature = "build")]
mod order;
mod rank;

#[cfg(all(test, feature = "synth"))]
mod tests;

#[cfg(feature = "build")]
pub use learn::{Centroids, cells_for, learn, sample_for};
pub use levels::Levels;
#[cfg(feature = "build")]
pub(crate) use levels::ProbeLevels;
#[cfg(feature = "build")]
pub use levels::round;
#[cfg(feature = "build")]
pub use order::order;
pub use rank::{Cells, Ranking};
