//! Embeddings from files.
//!
//! In comes a file (or standard input) in one of eight formats; out go its rows as f32, one at a
//! time and in any order. Nothing is ever read whole: formats whose numbers lie in the file are
//! mapped, the others are decoded once, in bounded memory, into a temporary file that is mapped. A
//! fault of the whole file is an error when it is opened, a fault of one row only when that is read.
//!
//! ```text
//! npy npz(stored) fvecs fbin safetensors ── mapped ──────────────▶ Matrix ──┐
//! npz(deflated) ── inflated into a temporary file, mapped ───────▶ Matrix ──┼─▶ rows of f32
//! parquet, JSON lines ── decoded into a temporary file, mapped ▶ SpooledRows┘
//! ```

mod error;
mod fvecs;
mod ids;
mod json_lines;
mod matrix;
mod npy;
mod npz;
mod parquet;
pub(super) mod parquet_limits;
mod rows;
mod safetensors;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use error::{EmbeddingsError, RowFault};
pub use ids::IdTable;
pub(super) use json_lines::FIELD;

use self::matrix::Matrix;
use self::rows::SpooledRows;
use super::spool;
use crate::gallery::map::Mapping;

/// The rows of numbers in a file, as a face model gave them: neither normalised nor checked.
///
/// ```
/// use lookalike::ingest::Embeddings;
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("faces.jsonl");
/// std::fs::write(&path, "[3, 4]\n[1, null]\n")?;
///
/// let embeddings = Embeddings::open(&path, None)?;
/// assert_eq!((embeddings.rows(), embeddings.dims()), (2, 2));
/// let mut row = vec![0.0; embeddings.dims()];
/// embeddings.read(0, &mut row)?;
/// assert_eq!(row, [3.0, 4.0]);
/// assert!(embeddings.read(1, &mut row).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Embeddings {
    path: PathBuf,
    format: Format,
    table: Table,
}

#[derive(Debug)]
enum Table {
    Matrix(Matrix),
    /// A matrix whose rows each repeat their dimensions.
    Prefixed(Matrix),
    Spooled(SpooledRows),
}

impl Embeddings {
    /// Opens a file of embeddings, or standard input where `path` is `-`.
    ///
    /// The file's ending tells its format, or else its first bytes do: `.npy`, `.npz`, `.fvecs`,
    /// `.fbin`, `.safetensors`, `.parquet` or JSON lines (`.jsonl`, `.ndjson`, `.json`). `array`
    /// names the array in an `.npz`, the tensor in a `.safetensors`, the column in a `.parquet` or
    /// the field in JSON lines (there, `embedding` without it); the others hold one without a name.
    ///
    /// Rows of JSON lines and Parquet may differ in length: the most common one is that of the file.
    ///
    /// # Errors
    /// Where the file cannot be read, its format is not known, its header is damaged or disagrees
    /// with its length, its numbers are not floating-point, it is no table of 1 to
    /// [`MAX_DIMS`](crate::MAX_DIMS) dimensions, or the array is not there or not the only one.
    pub fn open(path: &Path, array: Option<&str>) -> Result<Self, EmbeddingsError> {
        let map = spool::open(path)
            .and_then(|file| Mapping::of(&file))
            .map_err(|source| EmbeddingsError::read(path, source))?;
        let stdin = path.as_os_str() == spool::STDIN;
        let format = path
            .extension()
            .and_then(Format::of_extension)
            .or_else(|| Format::of_magic(&map))
            .ok_or_else(|| match stdin {
                true => EmbeddingsError::UnknownInput,
                false => EmbeddingsError::UnknownFormat { path: path.to_owned() },
            })?;
        Ok(Self { path: path.to_owned(), format, table: format.open(path, map, array)? })
    }

    /// Number of rows, bad ones included.
    pub fn rows(&self) -> u64 {
        match &self.table {
            Table::Matrix(matrix) | Table::Prefixed(matrix) => matrix.rows(),
            Table::Spooled(rows) => rows.rows(),
        }
    }

    /// Numbers a row, 1 to [`MAX_DIMS`](crate::MAX_DIMS).
    pub fn dims(&self) -> usize {
        match &self.table {
            Table::Matrix(matrix) | Table::Prefixed(matrix) => matrix.dims(),
            Table::Spooled(rows) => rows.dims(),
        }
    }

    /// Copies the numbers of row `row` (from 0) into `out`, which must have [`dims`](Self::dims)
    /// places. They are rounded to f32 and otherwise as the file has them, NaN and infinity too.
    ///
    /// # Errors
    /// Where there is no such row, it has another number of dimensions (or `out` has), or it is not
    /// a list of numbers. `out` then holds nothing of use.
    pub fn read(&self, row: u64, out: &mut [f32]) -> Result<(), RowFault> {
        let (rows, dims) = (self.rows(), self.dims());
        if row >= rows {
            return Err(RowFault::NoSuchRow { row, rows });
        }
        if out.len() != dims {
            return Err(RowFault::WrongDims { expected: dims, got: out.len() });
        }
        match &self.table {
            Table::Matrix(matrix) => matrix.read(row, out),
            Table::Prefixed(matrix) => fvecs::read(matrix, row, out),
            Table::Spooled(rows) => rows.read(row, out),
        }
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format's name: `npy`, `npz`, `fvecs`, `fbin`, `safetensors`, `parquet` or `JSON lines`.
    pub fn format(&self) -> &'static str {
        self.format.name()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    Fvecs,
    Fbin,
    Safetensors,
    Parquet,
    JsonLines,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Fvecs => "fvecs",
            Self::Fbin => "fbin",
            Self::Safetensors => "safetensors",
            Self::Parquet => "parquet",
            Self::JsonLines => "JSON lines",
        }
    }

    fn of_extension(extension: &OsStr) -> Option<Self> {
        let extension = extension.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "npy" => Self::Npy,
            "npz" => Self::Npz,
            "fvecs" => Self::Fvecs,
            "fbin" => Self::Fbin,
            "safetensors" => Self::Safetensors,
            "parquet" | "pq" => Self::Parquet,
            "jsonl" | "ndjson" | "json" => Self::JsonLines,
            _ => return None,
        })
    }

    /// The format that a file's first bytes tell; `.fvecs` and `.fbin` have none of their own.
    fn of_magic(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(npy::MAGIC) {
            Some(Self::Npy)
        } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            Some(Self::Npz)
        } else if bytes.starts_with(b"PAR1") {
            Some(Self::Parquet)
        } else if safetensors::is_magic(bytes) {
            Some(Self::Safetensors)
        } else {
            let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let first = text.iter().find(|b| !b.is_ascii_whitespace())?;
            matches!(first, b'[' | b'{').then_some(Self::JsonLines)
        }
    }

    fn open(
        self,
        path: &Path,
        map: Mapping,
        array: Option<&str>,
    ) -> Result<Table, EmbeddingsError> {
        let named = matches!(self, Self::Npz | Self::Safetensors | Self::Parquet | Self::JsonLines);
        if let (false, Some(name)) = (named, array) {
            return Err(EmbeddingsError::Unnamed {
                path: path.to_owned(),
                format: self.name(),
                name: name.to_owned(),
            });
        }
        match self {
            Self::Npy => npy::open(path, map).map(Table::Matrix),
            Self::Npz => npz::open(path, map, array).map(Table::Matrix),
            Self::Fvecs => fvecs::open_fvecs(path, map).map(Table::Prefixed),
            Self::Fbin => fvecs::open_fbin(path, map).map(Table::Matrix),
            Self::Safetensors => safetensors::open(path, map, array).map(Table::Matrix),
            Self::Parquet => parquet::open(path, map, array).map(Table::Spooled),
            Self::JsonLines => json_lines::open(path, &map, array).map(Table::Spooled),
        }
    }
}
