//! A table of floating-point numbers over mapped bytes.
//!
//! In come a mapping and a [`Layout`]: where the numbers begin, how they are written and how far
//! apart rows and columns lie. Out go single rows as f32. A [`Matrix`] lies within its mapping,
//! which is checked once when it is made.

use std::path::Path;

use half::{bf16, f16};

use super::{EmbeddingsError, RowFault};
use crate::MAX_DIMS;
use crate::gallery::map::Mapping;

/// A kind of floating-point number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    /// Bytes a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// How one number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) float: Float,
    pub(super) big_endian: bool,
}

impl Number {
    /// Little-endian, as every format but npy has it.
    pub(super) fn little(float: Float) -> Self {
        Self { float, big_endian: false }
    }
}

/// Where the numbers of a table lie; all distances in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) number: Number,
    pub(super) start: usize,
    pub(super) rows: u64,
    pub(super) dims: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl Layout {
    /// The layout of a densely packed array of `shape`, by rows or (`by_columns`) by columns. One
    /// dimension is a single row.
    pub(super) fn packed(
        path: &Path,
        number: Number,
        start: usize,
        shape: &[u64],
        by_columns: bool,
    ) -> Result<Self, EmbeddingsError> {
        let (rows, columns) = match *shape {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => {
                return Err(EmbeddingsError::Shape { path: path.to_owned(), got: shape.to_vec() });
            }
        };
        let dims = checked_dims(path, columns)?;
        let size = number.float.size();
        // MAX_DIMS bounds a row; by columns the stride grows with the rows and may overflow.
        let across = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(size));
        let (row_stride, column_stride) = match (by_columns, across) {
            (false, _) => (dims * size, size),
            (true, Some(across)) => (size, across),
            (true, None) => (size, usize::MAX),
        };
        Ok(Self { number, start, rows, dims, row_stride, column_stride })
    }

    /// Bytes that a densely packed array takes, [`u64::MAX`] where that is more than can be said.
    pub(super) fn packed_len(&self) -> u64 {
        self.rows.saturating_mul(self.dims as u64).saturating_mul(self.number.float.size() as u64)
    }

    /// One past the last byte that any row touches.
    fn end(&self) -> Option<usize> {
        let Some(last) = self.rows.checked_sub(1) else {
            return Some(self.start);
        };
        let down = usize::try_from(last).ok()?.checked_mul(self.row_stride)?;
        let across = self.dims.checked_sub(1)?.checked_mul(self.column_stride)?;
        self.start.checked_add(down)?.checked_add(across)?.checked_add(self.number.float.size())
    }
}

/// `dims` as a length, where it is one that embeddings may have.
pub(super) fn checked_dims(path: &Path, dims: u64) -> Result<usize, EmbeddingsError> {
    match usize::try_from(dims) {
        Ok(dims) if (1..=MAX_DIMS).contains(&dims) => Ok(dims),
        _ => Err(EmbeddingsError::Dims { path: path.to_owned(), got: dims }),
    }
}

/// A table of numbers in a mapped file.
#[derive(Debug)]
pub(super) struct Matrix {
    map: Mapping,
    layout: Layout,
}

impl Matrix {
    /// The table that `layout` describes in `map`; `None` where it reaches past its end.
    pub(super) fn new(map: Mapping, layout: Layout) -> Option<Self> {
        (layout.end()? <= map.len()).then_some(Self { map, layout })
    }

    pub(super) fn rows(&self) -> u64 {
        self.layout.rows
    }

    pub(super) fn dims(&self) -> usize {
        self.layout.dims
    }

    /// Copies a row into `out`, as f32. The caller has checked the row and the length of `out`.
    pub(super) fn read(&self, row: u64, out: &mut [f32]) -> Result<(), RowFault> {
        self.place(row)
            .and_then(|at| self.map.get(at..))
            .and_then(|bytes| self.decode(bytes, out))
            .ok_or_else(|| RowFault::Unreadable {
                reason: "the row lies past the end of the file".into(),
            })
    }

    /// The four bytes before a row, for the format that repeats its dimensions there.
    pub(super) fn prefix(&self, row: u64) -> Option<i32> {
        let before = self.place(row)?.checked_sub(4)?;
        let bytes = self.map.get(before..)?.first_chunk()?;
        Some(i32::from_le_bytes(*bytes))
    }

    fn place(&self, row: u64) -> Option<usize> {
        usize::try_from(row)
            .ok()?
            .checked_mul(self.layout.row_stride)?
            .checked_add(self.layout.start)
    }

    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Option<()> {
        let stride = self.layout.column_stride;
        let Number { float, big_endian } = self.layout.number;
        match (float, big_endian) {
            (Float::F32, false) => fill(bytes, stride, out, f32::from_le_bytes),
            (Float::F32, true) => fill(bytes, stride, out, f32::from_be_bytes),
            (Float::F64, false) => fill(bytes, stride, out, |b| f64::from_le_bytes(b) as f32),
            (Float::F64, true) => fill(bytes, stride, out, |b| f64::from_be_bytes(b) as f32),
            (Float::F16, false) => fill(bytes, stride, out, |b| f16::from_le_bytes(b).to_f32()),
            (Float::F16, true) => fill(bytes, stride, out, |b| f16::from_be_bytes(b).to_f32()),
            (Float::Bf16, false) => fill(bytes, stride, out, |b| bf16::from_le_bytes(b).to_f32()),
            (Float::Bf16, true) => fill(bytes, stride, out, |b| bf16::from_be_bytes(b).to_f32()),
        }
    }
}

/// Decodes `out.len()` numbers of `N` bytes that lie `stride` apart.
fn fill<const N: usize>(
    bytes: &[u8],
    stride: usize,
    out: &mut [f32],
    number: impl Fn([u8; N]) -> f32,
) -> Option<()> {
    if stride == N {
        // Side by side: the compiler turns little-endian f32 into a plain copy.
        let numbers = bytes.as_chunks::<N>().0.get(..out.len())?;
        for (value, bytes) in out.iter_mut().zip(numbers) {
            *value = number(*bytes);
        }
    } else {
        for (column, value) in out.iter_mut().enumerate() {
            let at = column.checked_mul(stride)?;
            *value = number(*bytes.get(at..)?.first_chunk()?);
        }
    }
    Some(())
}
