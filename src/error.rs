//! The one public error, a thin layer over the stages' own.

use crate::EmbeddingError;
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
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::Search(error.into())
    }
}
