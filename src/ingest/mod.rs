//! The way in.

pub mod embeddings;
pub(crate) mod spool;

pub use embeddings::{Embeddings, EmbeddingsError, RowFault};
