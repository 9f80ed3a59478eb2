//! The way in.

pub mod embeddings;
pub mod manifest;
pub mod rejects;
pub(crate) mod seen;
pub(crate) mod spool;

pub use embeddings::{Embeddings, EmbeddingsError, RowFault};
pub use manifest::{
    Attribute, Bounds, Kind, Line, LineFault, Lines, Manifest, ManifestError, Value,
};
pub use rejects::{Counts, Rejects, Severity};
