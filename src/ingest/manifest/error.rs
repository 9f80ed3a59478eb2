//! What can be wrong with a manifest: [`ManifestError`] with the file as a whole, [`LineFault`]
//! with one line of it.
//!
//! A line fault never ends the reading; an error always does, and says what to change.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::MAX_COLUMNS;
use super::source::MAX_RECORD;

/// Why a manifest cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file could not be opened or read.
    #[error("{}: cannot read the manifest: {source}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name of the file does not say which format it has.
    #[error("{}: a manifest is .csv, .jsonl, .ndjson, .json or .parquet; rename or convert it", path.display())]
    Format {
        /// The manifest.
        path: PathBuf,
    },
    /// There is nothing in the file, not even the names of columns.
    #[error("{}: the manifest is empty; it needs a header line (CSV) or at least one object (JSON lines)", path.display())]
    Empty {
        /// The manifest.
        path: PathBuf,
    },
    /// The first line of a CSV file holds values.
    #[error("{}: the first line must name the columns, it holds the value {cell:?}; add a header line", path.display())]
    NoHeader {
        /// The manifest.
        path: PathBuf,
        /// The cell that is no column name.
        cell: String,
    },
    /// The columns of a CSV file are not parted by commas.
    #[error("{}: columns must be separated by commas, the header line has {found:?}; convert it", path.display())]
    Separator {
        /// The manifest.
        path: PathBuf,
        /// The separator that stands there.
        found: char,
    },
    /// The text of the file is not UTF-8.
    #[error("{}: the header line is not UTF-8; save the manifest as UTF-8", path.display())]
    NotUtf8 {
        /// The manifest.
        path: PathBuf,
    },
    /// The file is one JSON array, not JSON lines.
    #[error("{}: this is a JSON array; write one object a line instead (jq -c '.[]')", path.display())]
    JsonArray {
        /// The manifest.
        path: PathBuf,
    },
    /// A column has no name.
    #[error("{}: column {place} has no name; name it or leave it out (pandas: index=False)", path.display())]
    Unnamed {
        /// The manifest.
        path: PathBuf,
        /// Which column, counted from 1.
        place: usize,
    },
    /// The name of a column begins or ends with white space.
    #[error("{}: the column name {column:?} begins or ends with white space; remove it", path.display())]
    Padded {
        /// The manifest.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// Two columns have one name.
    #[error("{}: the column {column:?} is there twice; rename one of them", path.display())]
    Duplicate {
        /// The manifest.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A column has a name that the gallery uses for a column of its own.
    #[error("{}: the gallery has a column {column:?} of its own; rename the manifest's", path.display())]
    Reserved {
        /// The manifest.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// There are too many columns.
    #[error("{}: more than {MAX_COLUMNS} columns; a manifest has at most {MAX_COLUMNS}", path.display())]
    TooManyColumns {
        /// The manifest.
        path: PathBuf,
    },
    /// A record is too long, most often because a quote is not closed.
    #[error("{}: the record at line {line} is longer than {MAX_RECORD} bytes; look for a quote that is not closed", path.display())]
    TooLong {
        /// The manifest.
        path: PathBuf,
        /// The line of the file where the record begins, counted from 1.
        line: u64,
    },
    /// A quote is open at the end of the file: it has swallowed every line behind it.
    #[error("{}: the quote opened at line {line} is not closed; close it, or double it (\"\") where it is part of a text", path.display())]
    OpenQuote {
        /// The manifest.
        path: PathBuf,
        /// The line of the file where the quote stands, counted from 1.
        line: u64,
    },
    /// A Parquet column has a type that cannot be read.
    #[error("{}: the column {column:?} is of type {got}, expected {expected}; convert it or leave it out", path.display())]
    ColumnType {
        /// The manifest.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type, as Arrow calls it.
        got: String,
        /// The types that can be read.
        expected: &'static str,
    },
    /// A Parquet file is damaged, or uses what cannot be read.
    #[error("{}: cannot read this Parquet file, write it anew: {reason}", path.display())]
    Parquet {
        /// The manifest.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file has changed since it was opened.
    #[error("{}: the manifest changed while it was in use; begin again once it is finished", path.display())]
    Changed {
        /// The manifest.
        path: PathBuf,
    },
}

/// Where a data line of a manifest stands in its file, as an editor would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// The line of a text file where it begins, counted from 1; header and blank lines count.
    Line(u64),
    /// The row of a Parquet file, counted from 0 as those of the embeddings are.
    Row(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Why one line of a manifest cannot be used; the lines after it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {reason}")]
#[non_exhaustive]
pub struct LineFault {
    /// The data line, counted from 0 (a header is not counted).
    pub number: u64,
    /// Where it stands in the file.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}
