//! The way in: embeddings, manifests and images, read and checked.
//!
//! In come files of the user's in many formats, good and bad; out come rows, lines and photos, each
//! with its own fault where it has one. Nothing is read whole; the [build](crate::Build) puts the
//! three together.

mod bounds;
pub mod embeddings;
pub mod image;
pub mod manifest;
pub(crate) mod pipeline;
pub mod rejects;
pub(crate) mod seen;
pub(crate) mod spool;

pub use embeddings::{Embeddings, EmbeddingsError, IdTable, RowFault};
pub use manifest::{Line, LineFault, Lines, Manifest, ManifestError, Position};
pub use pipeline::Cancelled;
pub use rejects::{Counts, Rejects, Severity};
