//! What can be wrong with a gallery on disk.

use std::io;
use std::path::{Path, PathBuf};

use super::format::HeaderError;

/// A fault of the gallery's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The system refused to create, open, read, write, rename or sync.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds no `gallery.json`.
    #[error("{path} is no gallery: it has no gallery.json. Make one with `lookalike build`")]
    NotAGallery {
        /// The folder.
        path: PathBuf,
    },
    /// `gallery.json` has a format number that this version does not read.
    #[error("{path} has format {found}, this version reads {oldest} to {newest}: {remedy}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The number found.
        found: u32,
        /// The oldest number readable.
        oldest: u32,
        /// The newest number readable.
        newest: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// A binary file's header cannot be right.
    #[error("{path}: {source}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// A file's content is not what it was when it was written.
    #[error("{path} is damaged: {reason}. Restore it from a copy or build the gallery again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file or folder that is none of the gallery's.
    #[error(
        "{path} does not belong to the gallery: gallery.json does not name it. Move it elsewhere or remove it"
    )]
    Stranger {
        /// The file or folder.
        path: PathBuf,
    },
    /// There is no face of that id, key or slot.
    #[error("no face {face} in this gallery")]
    NoSuchFace {
        /// What was asked for.
        face: String,
    },
}

impl GalleryError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: String) -> Self {
        Self::Damaged { path: path.to_owned(), reason }
    }
}
