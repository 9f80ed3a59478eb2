//! Face-embedding similarity search.

#![deny(unsafe_code)]

#[cfg(feature = "build")]
mod build;
mod embedding;
mod error;
pub mod evaluate;
pub mod gallery;
#[cfg(feature = "build")]
pub mod graph;
#[cfg(feature = "build")]
pub mod ingest;
pub mod kernels;
mod progress;
pub mod search;
#[cfg(feature = "synth")]
pub mod synth;

#[cfg(feature = "build")]
pub use build::{Build, BuildError, Builder};
pub use embedding::{Embedding, EmbeddingError, FaceId, MAX_DIMS};
pub use error::Error;
pub use gallery::{Gallery, GalleryError, VectorType};
pub use progress::{Cancel, Progress, Silent};
pub use search::{Filter, FilterError, Match, Matches, Query, SearchError};
