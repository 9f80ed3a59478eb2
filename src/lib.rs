//! Face-embedding similarity search.

#![deny(unsafe_code)]

mod embedding;
pub mod gallery;
#[cfg(feature = "build")]
pub mod ingest;
mod progress;
#[cfg(feature = "synth")]
pub mod synth;

pub use embedding::{Embedding, EmbeddingError, FaceId, MAX_DIMS};
pub use progress::{Cancel, Progress, Silent};
