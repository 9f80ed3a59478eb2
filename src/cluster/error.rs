//! Why faces could not be put together.

use std::path::PathBuf;

/// What is wrong with what a clustering was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The list of faces that are not the same cannot be read.
    #[error("{path}: {reason}")]
    NotSame {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// A face is said not to be the same as itself.
    #[error("face {0} is said not to be the same as itself")]
    Itself(crate::FaceId),
    /// The memory allowed does not do for so many faces.
    #[error(
        "clusters of so many faces take {needed} bytes of memory at least, and {memory} are allowed: allow more (--memory)"
    )]
    Memory {
        /// Bytes it takes.
        needed: u64,
        /// Bytes that are allowed.
        memory: u64,
    },
    /// Clusters make a manifest, which has no such format.
    #[error("clusters are written as csv or parquet, not as JSON lines")]
    Format,
}
