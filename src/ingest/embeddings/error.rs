//! Why embeddings, or one row of them, cannot be read.
//!
//! A fault of a whole file is an [`EmbeddingsError`], a fault of one row a [`RowFault`]; a bad row
//! never makes a bad file.

use std::io;
use std::path::{Path, PathBuf};

use crate::MAX_DIMS;

/// Why a file of embeddings cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingsError {
    /// The file cannot be opened, read or mapped.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The decoded rows cannot be kept in a temporary file.
    #[error("cannot keep the rows of {path} in a temporary file (TMPDIR says where): {source}")]
    Spool {
        /// The file whose rows they are.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Neither the file's ending nor its first bytes tell a format.
    #[error(
        "the format of {path} is not known; accepted are .npy, .npz, .fvecs, .fbin, .safetensors, \
         .parquet and JSON lines (.jsonl)"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes of standard input tell no format.
    #[error(
        "the format of standard input is not known; accepted are npy, npz, safetensors, parquet \
         and JSON lines (.fvecs and .fbin say nothing of their format: give them as a file)"
    )]
    UnknownInput,
    /// The file's header, or the structure around its rows, cannot be read.
    #[error("{path} is not a readable {format} file: {reason}")]
    Header {
        /// The file.
        path: PathBuf,
        /// The format it was read as.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The numbers have a type that is not accepted.
    #[error("{path} holds {got}; accepted are {accepted}")]
    NotFloat {
        /// The file.
        path: PathBuf,
        /// The type, as the file names it.
        got: String,
        /// The types that are read.
        accepted: &'static str,
    },
    /// The numbers are not face ids.
    #[error("{path} holds numbers of type {got}; face ids are i8 (int64)")]
    NotIds {
        /// The file.
        path: PathBuf,
        /// The type, as the file names it.
        got: String,
    },
    /// The array is not a table of rows.
    #[error(
        "{path} holds an array of shape {got:?}; expected two dimensions, one row a face (or one \
         dimension, a single row)"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape it has.
        got: Vec<u64>,
    },
    /// The rows have too few or too many numbers.
    #[error("the rows of {path} have {got} dimensions; accepted are 1 to {MAX_DIMS}")]
    Dims {
        /// The file.
        path: PathBuf,
        /// Numbers a row, as the file says.
        got: u64,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{path} has {got} bytes where its header says {expected}; it is cut short or not what \
         its header says, write it again"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes it should have by its header.
        expected: u64,
        /// Bytes it has.
        got: u64,
    },
    /// The file holds several arrays and none was named.
    #[error("{path} holds several arrays; name one of them: {}", names.join(", "))]
    ManyArrays {
        /// The file.
        path: PathBuf,
        /// The arrays it holds.
        names: Vec<String>,
    },
    /// The file does not hold the named array.
    #[error("{path} holds no array {name:?}; it holds: {}", names.join(", "))]
    NoSuchArray {
        /// The file.
        path: PathBuf,
        /// The array that was asked for.
        name: String,
        /// The arrays it holds.
        names: Vec<String>,
    },
    /// The file holds nothing that could be embeddings.
    #[error("{path} holds no embeddings; expected {expected}")]
    NoArray {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// An array was named for a format whose files hold one array without a name.
    #[error("{path} is a {format} file, whose array has no name; leave the name {name:?} out")]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// The array that was asked for.
        name: String,
    },
    /// There is no row that tells the number of dimensions.
    #[error("{path} has no row that tells the number of dimensions: {reason}")]
    NoRows {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
}

impl EmbeddingsError {
    pub(super) fn header(path: &Path, format: &'static str, reason: impl Into<String>) -> Self {
        Self::Header { path: path.to_owned(), format, reason: reason.into() }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn spool(path: &Path, source: io::Error) -> Self {
        Self::Spool { path: path.to_owned(), source }
    }
}

/// Why one row cannot be read; the others can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// There is no such row.
    #[error("row {row} does not exist, there are {rows} rows")]
    NoSuchRow {
        /// The row asked for, from 0.
        row: u64,
        /// Number of rows.
        rows: u64,
    },
    /// The row, or the place to put it, has another number of dimensions than the file.
    #[error("{got} dimensions where the other rows have {expected}")]
    WrongDims {
        /// Dimensions of the file's rows.
        expected: usize,
        /// Dimensions of this one.
        got: usize,
    },
    /// The row is not a list of numbers.
    #[error("{reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}
