//! The plain formats of nearest-neighbour benchmarks.
//!
//! In comes a mapped file; out goes its table of f32. `.fvecs` puts the number of dimensions (i32)
//! before every row, `.fbin` the numbers of rows and dimensions (u32 each) once at the beginning;
//! all little-endian.

use std::path::Path;

use super::matrix::{Float, Layout, Matrix, Number, checked_dims};
use super::{EmbeddingsError, RowFault};
use crate::gallery::map::Mapping;

/// Opens an `.fvecs` file: the first row tells the dimensions, by which the length must divide.
///
/// The other rows' dimensions are checked as they are [read](read), so that opening touches one
/// page and not one a row.
pub(super) fn open_fvecs(path: &Path, map: Mapping) -> Result<Matrix, EmbeddingsError> {
    let Some(dims) = map.first_chunk() else {
        return Err(EmbeddingsError::NoRows {
            path: path.to_owned(),
            reason: format!("it has {} bytes, a row at least 8", map.len()),
        });
    };
    let dims = i32::from_le_bytes(*dims);
    let dims = u64::try_from(dims).map_err(|_| {
        EmbeddingsError::header(path, "fvecs", format!("its first row has {dims} dimensions"))
    })?;
    let dims = checked_dims(path, dims)?;
    let stride = 4 + 4 * dims;
    let rows = map.len() / stride;
    let layout = Layout {
        number: Number::little(Float::F32),
        start: 4,
        rows: rows as u64,
        dims,
        row_stride: stride,
        column_stride: 4,
    };
    let got = map.len() as u64;
    // The part of a row at the end is taken for one that was cut short.
    let expected = (map.len().div_ceil(stride) as u64).saturating_mul(stride as u64);
    let wrong = || EmbeddingsError::Length { path: path.to_owned(), expected, got };
    if got != expected {
        return Err(wrong());
    }
    Matrix::new(map, layout).ok_or_else(wrong)
}

/// Copies a row of an `.fvecs` file, whose own number of dimensions must be the file's.
pub(super) fn read(matrix: &Matrix, row: u64, out: &mut [f32]) -> Result<(), RowFault> {
    let claimed = matrix.prefix(row).unwrap_or(0);
    match usize::try_from(claimed) {
        Ok(got) if got == matrix.dims() => matrix.read(row, out),
        Ok(got) => Err(RowFault::WrongDims { expected: matrix.dims(), got }),
        Err(_) => Err(RowFault::Unreadable {
            reason: format!(
                "the row says it has {claimed} dimensions, the first has {}",
                matrix.dims()
            ),
        }),
    }
}

/// Opens an `.fbin` file.
pub(super) fn open_fbin(path: &Path, map: Mapping) -> Result<Matrix, EmbeddingsError> {
    let Some((rows, rest)) = map.split_first_chunk() else {
        return Err(short_fbin(path, &map));
    };
    let Some(dims) = rest.first_chunk() else {
        return Err(short_fbin(path, &map));
    };
    let shape = [*rows, *dims].map(|number| u64::from(u32::from_le_bytes(number)));
    let layout = Layout::packed(path, Number::little(Float::F32), 8, &shape, false)?;
    let got = map.len() as u64;
    let expected = layout.packed_len().saturating_add(8);
    let wrong = || EmbeddingsError::Length { path: path.to_owned(), expected, got };
    if got != expected {
        return Err(wrong());
    }
    Matrix::new(map, layout).ok_or_else(wrong)
}

fn short_fbin(path: &Path, bytes: &[u8]) -> EmbeddingsError {
    let reason = format!("it has {} bytes, its header takes 8", bytes.len());
    EmbeddingsError::header(path, "fbin", reason)
}
