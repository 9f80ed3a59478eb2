//! `.safetensors`: a JSON header and the tensors behind it.
//!
//! In comes a mapped file; out goes one of its tensors, used where it lies. The header's own
//! offsets are checked against the file's length before any of them is used.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::EmbeddingsError;
use super::matrix::{Float, Layout, Matrix, Number};
use crate::gallery::map::Mapping;

const FORMAT: &str = "safetensors";
const ACCEPTED: &str = "F16, BF16, F32 and F64";
/// Bytes of the length in front of the header.
const PREFIX: usize = 8;
/// The longest header that is read; a file of embeddings takes some hundred bytes.
const MAX_HEADER: usize = 8 << 20;

/// Whether the beginning of a file of `len` bytes looks like a safetensors header.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    header_len(bytes).is_some_and(|len| {
        let fits = bytes.len().saturating_sub(PREFIX) >= len;
        fits && bytes.get(PREFIX) == Some(&b'{')
    })
}

fn header_len(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()
}

/// Opens the tensor `name` of a mapped file, or its only table of numbers.
pub(super) fn open(
    path: &Path,
    map: Mapping,
    name: Option<&str>,
) -> Result<Matrix, EmbeddingsError> {
    let bad = |reason: &str| EmbeddingsError::header(path, FORMAT, reason);
    let len = header_len(&map).ok_or_else(|| bad("it ends within its header"))?;
    if len > MAX_HEADER {
        return Err(bad(&format!("its header takes {len} bytes; read are at most {MAX_HEADER}")));
    }
    let base = PREFIX + len;
    let header = map.get(PREFIX..base).ok_or_else(|| bad("it ends within its header"))?;
    // Parsing checks that tensors follow each other and are as long as their shapes say.
    let metadata: Metadata = serde_json::from_slice(header).map_err(|e| bad(&e.to_string()))?;
    let expected = (metadata.data_len() as u64).saturating_add(base as u64);
    let got = map.len() as u64;
    let wrong = || EmbeddingsError::Length { path: path.to_owned(), expected, got };
    if expected != got {
        return Err(wrong());
    }
    let tensor = choose(path, &metadata, name)?;
    let float = float(tensor.dtype).ok_or_else(|| EmbeddingsError::NotFloat {
        path: path.to_owned(),
        got: format!("numbers of type {:?}", tensor.dtype),
        accepted: ACCEPTED,
    })?;
    let shape: Vec<u64> = tensor.shape.iter().map(|&n| n as u64).collect();
    let start = base.checked_add(tensor.data_offsets.0).ok_or_else(wrong)?;
    let layout = Layout::packed(path, Number::little(float), start, &shape, false)?;
    Matrix::new(map, layout).ok_or_else(wrong)
}

fn choose<'a>(
    path: &Path,
    metadata: &'a Metadata,
    name: Option<&str>,
) -> Result<&'a TensorInfo, EmbeddingsError> {
    let names = metadata.offset_keys();
    let path = path.to_owned();
    if let Some(name) = name {
        return metadata.info(name).ok_or_else(|| EmbeddingsError::NoSuchArray {
            path,
            name: name.to_owned(),
            names,
        });
    }
    let all: Vec<&TensorInfo> = names.iter().filter_map(|n| metadata.info(n)).collect();
    let tables: Vec<&TensorInfo> =
        all.iter().filter(|t| t.shape.len() == 2 && float(t.dtype).is_some()).copied().collect();
    match (&tables[..], &all[..]) {
        // A file's only tensor is meant, whatever its shape: the caller says what is wrong with it.
        ([only], _) | ([], [only]) => Ok(only),
        ([], _) => Err(EmbeddingsError::NoArray {
            path,
            expected: "a tensor of two dimensions of F16, BF16, F32 or F64",
        }),
        _ => Err(EmbeddingsError::ManyArrays { path, names }),
    }
}

fn float(dtype: Dtype) -> Option<Float> {
    match dtype {
        Dtype::F16 => Some(Float::F16),
        Dtype::BF16 => Some(Float::Bf16),
        Dtype::F32 => Some(Float::F32),
        Dtype::F64 => Some(Float::F64),
        _ => None,
    }
}
