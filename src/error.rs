//! The one public error, a thin layer over the stages' own.

use crate::EmbeddingError;
use crate::evaluate::EvaluateError;
use crate::gallery::GalleryError;
use crate::search::{FilterError, SearchError};

/// Anything that can go wrong in the library: one variant a stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row of numbers is no embedding.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The gallery's files.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// A search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A measurement.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A calibration.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Calibrate(#[from] crate::calibration::CalibrateError),
    /// A search for pairs, or a clustering.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Pairs(#[from] crate::pairs::PairsError),
    /// A clustering.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
    /// A build.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Build(#[from] crate::BuildError),
    /// Reading embeddings.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Embeddings(#[from] crate::ingest::EmbeddingsError),
    /// Reading a manifest.
    #[cfg(feature = "build")]
    #[error(transparent)]
    Manifest(#[from] crate::ingest::ManifestError),
    /// Making a synthetic gallery.
    #[cfg(feature = "synth")]
    #[error(transparent)]
    Synth(#[from] crate::synth::SynthError),
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::Search(error.into())
    }
}
