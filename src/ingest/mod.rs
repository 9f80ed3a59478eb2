//! The way in.

mod bounds;
pub mod embeddings;
pub mod image;
pub mod manifest;
pub(crate) mod pipeline;
pub mod rejects;
pub(crate) mod seen;
pub(crate) mod spool;

pub use embeddings::{Embeddings, EmbeddingsError, IdTable, RowFault};
pub use manifest::{Line, LineFault, Lines, Manifest, ManifestError};
pub use pipeline::Cancelled;
pub use rejects::{Counts, Rejects, Severity};
