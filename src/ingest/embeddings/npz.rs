//! NumPy's `.npz`: arrays in a zip archive.
//!
//! In comes the mapped archive; out goes one of its arrays. A stored array is used where it lies,
//! without a copy. A deflated one is decompressed once into a temporary file, never beyond the
//! length that both its header and the archive state.

use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use super::matrix::{Layout, Matrix};
use super::{EmbeddingsError, npy};
use crate::gallery::map::Mapping;

const FORMAT: &str = "npz";
/// What NumPy appends to the name of an array.
const SUFFIX: &str = ".npy";

/// Opens the array `name` of a mapped `.npz` file, or its only one.
pub(super) fn open(
    path: &Path,
    map: Mapping,
    name: Option<&str>,
) -> Result<Matrix, EmbeddingsError> {
    let damaged = |e: &dyn std::fmt::Display| EmbeddingsError::header(path, FORMAT, e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(&map[..])).map_err(|e| damaged(&e))?;
    let (index, name) = choose(path, &archive, name)?;
    let entry_path = PathBuf::from(format!("{}[{name}]", path.display()));
    let mut entry = archive.by_index(index).map_err(|e| damaged(&e))?;
    if entry.compression() != CompressionMethod::Stored {
        return inflate(&entry_path, entry.size(), &mut entry);
    }
    let start = entry.data_start();
    let len = entry.compressed_size();
    let bounds = start
        .and_then(|start| Some((start, start.checked_add(len)?)))
        .and_then(|(start, end)| Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?)));
    let bytes = bounds.and_then(|(start, end)| Some((start, map.get(start..end)?)));
    let Some((start, bytes)) = bytes else {
        return Err(EmbeddingsError::header(
            path,
            FORMAT,
            format!("its array {name} lies past its end"),
        ));
    };
    let mut layout = npy::layout(&entry_path, bytes)?;
    check_len(&entry_path, &layout, len)?;
    layout.start += start;
    drop(entry);
    Matrix::new(map, layout).ok_or_else(|| damaged(&"its array lies past its end"))
}

/// Place and name of the array to read.
fn choose(
    path: &Path,
    archive: &ZipArchive<Cursor<&[u8]>>,
    name: Option<&str>,
) -> Result<(usize, String), EmbeddingsError> {
    let arrays: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|index| {
            let file = archive.name_for_index(index)?.ok()?;
            Some((index, file.strip_suffix(SUFFIX)?.to_owned()))
        })
        .collect();
    let path = path.to_owned();
    let names = || arrays.iter().map(|(_, name)| name.clone()).collect();
    match (name, &arrays[..]) {
        (Some(name), _) => {
            let bare = name.strip_suffix(SUFFIX).unwrap_or(name);
            let found = arrays.iter().find(|(_, array)| array == bare);
            found.cloned().ok_or_else(|| EmbeddingsError::NoSuchArray {
                path,
                name: name.to_owned(),
                names: names(),
            })
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => {
            Err(EmbeddingsError::NoArray { path, expected: "an array, as numpy.savez writes it" })
        }
        (None, _) => Err(EmbeddingsError::ManyArrays { path, names: names() }),
    }
}

/// Checks that an array file of `got` bytes is as long as its header says.
fn check_len(path: &Path, layout: &Layout, got: u64) -> Result<(), EmbeddingsError> {
    let expected = (layout.start as u64).saturating_add(layout.packed_len());
    if got == expected {
        return Ok(());
    }
    Err(EmbeddingsError::Length { path: path.to_owned(), expected, got })
}

/// Decompresses the numbers of an array of `size` bytes, as the archive says, and maps them.
fn inflate(path: &Path, size: u64, entry: &mut impl Read) -> Result<Matrix, EmbeddingsError> {
    let damaged = |e: io::Error| EmbeddingsError::header(path, FORMAT, e.to_string());
    let mut header = Vec::with_capacity(npy::PREFIX);
    let read_to = |entry: &mut dyn Read, header: &mut Vec<u8>, len: usize| {
        let more = len.saturating_sub(header.len()) as u64;
        entry.take(more).read_to_end(header).map_err(damaged)
    };
    read_to(entry, &mut header, npy::PREFIX)?;
    let len = npy::header_len(path, &header)?;
    read_to(entry, &mut header, len)?;
    let mut layout = npy::layout(path, &header)?;
    check_len(path, &layout, size)?;
    // A version 1 header may be shorter than the prefix that told its length.
    let rest = header.split_off(layout.start.min(header.len()));

    let spool = |source| EmbeddingsError::spool(path, source);
    let mut file = BufWriter::new(tempfile::tempfile().map_err(spool)?);
    file.write_all(&rest).map_err(spool)?;
    let mut written = rest.len() as u64;
    let expected = layout.packed_len();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match entry.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(damaged(e)),
        };
        written += read as u64;
        if written > expected {
            break;
        }
        file.write_all(&buffer[..read]).map_err(spool)?;
    }
    check_len(path, &layout, written.saturating_add(layout.start as u64))?;
    let file = file.into_inner().map_err(|e| spool(e.into_error()))?;
    layout.start = 0;
    Matrix::new(Mapping::of(&file).map_err(spool)?, layout)
        .ok_or_else(|| EmbeddingsError::header(path, FORMAT, "its array is cut short"))
}
