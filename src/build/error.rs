//! Why a build ended without a gallery.

use std::io;
use std::path::{Path, PathBuf};

use crate::SearchError;
use crate::gallery::GalleryError;
use crate::ingest::{Cancelled, EmbeddingsError, ManifestError};

/// What ends a build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is a gallery in the place already.
    #[error("{path} exists; give another place, or replace it (--replace)")]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// The folder to make the gallery in is not there.
    #[error("{parent} is not there, or no folder, so {path} cannot be made in it; make it first")]
    NoParent {
        /// The gallery's place.
        path: PathBuf,
        /// The folder it would be in.
        parent: PathBuf,
    },
    /// In the gallery's place is something that is no gallery.
    #[error(
        "{path} exists and is no gallery (it has no gallery.json), so it is never replaced; give another place or remove it"
    )]
    NotAGallery {
        /// The place.
        path: PathBuf,
    },
    /// The folder for building is taken by something else.
    #[error("{path} is needed for building, but holds something else (no build.json); remove it")]
    BuildingTaken {
        /// The folder.
        path: PathBuf,
    },
    /// Another process builds the same gallery.
    #[error("another build is at work in {path}; wait for it or stop it")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Embeddings and manifest do not go together.
    #[error(
        "{embeddings} has {rows} rows and {manifest} has {lines} lines: they must agree, or the manifest needs a column `row`"
    )]
    Lengths {
        /// The embeddings' file.
        embeddings: PathBuf,
        /// Its rows.
        rows: u64,
        /// The manifest's file.
        manifest: PathBuf,
        /// Its lines.
        lines: u64,
    },
    /// A folder of images without a manifest that names them.
    #[error(
        "a folder of images needs a manifest with a column `image` that says which is whose{}",
        like.as_ref().map(|like| format!("; rename its column {like:?}")).unwrap_or_default()
    )]
    NoImageColumn {
        /// A column of that name but for capitals.
        like: Option<String>,
    },
    /// Images are required, but there is no folder to find them in.
    #[error("to require images, say in which folder they are (--images)")]
    NoImages,
    /// The folder of images is no folder.
    #[error("the folder of images {path} is not there, or no folder")]
    NoSuchFolder {
        /// The path given.
        path: PathBuf,
    },
    /// More faces than a segment holds.
    #[error("{rows} rows: a gallery holds at most {max} faces")]
    TooMany {
        /// Rows of the embeddings.
        rows: u64,
        /// The most there may be.
        max: u64,
    },
    /// An index that was to be taken over is of other faces.
    #[error(
        "the index to take over is not one of the {faces} faces enrolled: its data ids must be the rows, and none may have been rejected"
    )]
    OtherIndex {
        /// Faces enrolled.
        faces: u64,
    },
    /// A size that codes do not have.
    #[error("{bytes} bytes a code: there are codes of 64, 128, 192 and 256")]
    CodeBytes {
        /// The size given.
        bytes: usize,
    },
    /// Less memory than a build takes.
    #[error("{bytes} bytes of memory are too few: a build takes at least {least}")]
    Memory {
        /// The bytes given.
        bytes: u64,
        /// The fewest.
        least: u64,
    },
    /// Nothing was enrolled, and a gallery would have been replaced by it.
    #[error(
        "no face was enrolled ({rejected} rejected{}), so the gallery that is there stays",
        first.as_ref().map(|reason| format!("; the first: {reason}")).unwrap_or_default()
    )]
    NothingEnrolled {
        /// Faces rejected.
        rejected: u64,
        /// Why the first was, where there was one.
        first: Option<String>,
    },
    /// A face was rejected in a strict build.
    #[error("{}{file}: {reason} (a strict build ends at the first rejected face)", row.map(|row| format!("row {row}, ")).unwrap_or_default())]
    Strict {
        /// The embeddings' row, where known.
        row: Option<u64>,
        /// The file concerned.
        file: String,
        /// Why it was rejected.
        reason: String,
    },
    /// The embeddings' file.
    #[error(transparent)]
    Embeddings(#[from] EmbeddingsError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Writing the gallery.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Measuring what the gallery can promise.
    #[error("cannot measure the gallery: {0}")]
    Measure(SearchError),
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {reason}; ask for fewer (--threads)")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
    /// The cancel flag was raised.
    #[error(
        "cancelled; run the same build again to go on from the last finished step, or delete the folder ending in .building"
    )]
    Cancelled,
}

impl From<Cancelled> for BuildError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<SearchError> for BuildError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Cancelled => Self::Cancelled,
            SearchError::Gallery(error) => Self::Gallery(error),
            error => Self::Measure(error),
        }
    }
}

impl BuildError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        GalleryError::io(action, path, source).into()
    }
}
