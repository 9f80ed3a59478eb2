//! Face-embedding similarity search.

#![deny(unsafe_code)]

mod embedding;
mod error;
pub mod gallery;
#[cfg(feature = "build")]
pub mod ingest;
#[cfg(feature = "build")]
pub mod graph;
pub mod kernels;
mod progress;
pub mod search;
#[cfg(feature = "synth")]
pub mod synth;

pub use embedding::{Embedding, EmbeddingError, FaceId, MAX_DIMS};
pub use error::Error;
pub use gallery::{Gallery, GalleryError};
pub use progress::{Cancel, Progress, Silent};
pub use search::{Filter, FilterError, Match, Matches, Query, SearchError};
