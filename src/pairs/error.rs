//! Why a search for pairs ended early.

use std::io;
use std::path::{Path, PathBuf};

/// What ends a search for pairs, or a clustering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairsError {
    /// The cancel flag was raised.
    #[error("interrupted before all pairs of faces were looked at")]
    Cancelled,
    /// The same; what was found is kept.
    #[error(
        "interrupted: what was found so far is kept in {partial}; give the same command again to go on"
    )]
    Interrupted {
        /// The file that keeps it.
        partial: PathBuf,
    },
    /// What an earlier run left is of something else.
    #[error(
        "{partial} was left by a search of another gallery, for other pairs, or by another version of this program: remove it to begin anew, or name another file"
    )]
    OtherPartial {
        /// The file.
        partial: PathBuf,
    },
    /// Another process writes the same.
    #[error("another search for pairs writes to {partial}; wait for it or stop it")]
    Locked {
        /// The file.
        partial: PathBuf,
    },
    /// The system refused to create, read or write a file.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Pairs cannot be written where they are to go.
    #[error("cannot write the pairs: {0}")]
    Output(#[from] io::Error),
}

impl PairsError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
