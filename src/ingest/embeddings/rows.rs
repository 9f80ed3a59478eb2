//! Rows decoded once into temporary files, then mapped.
//!
//! In come the rows of a format that cannot be mapped as it is, one at a time: numbers, or the
//! reason why there are none. Out goes random access to them. The numbers (or the reason's text)
//! lie in one file, a fixed-size entry a row in another; memory does not grow with their number.
//! The dimensions of the file are the most common length; the first seen wins a tie.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{EmbeddingsError, RowFault};
use crate::MAX_DIMS;
use crate::gallery::map::Mapping;

/// Bytes of an index entry: offset u64, length u32, kind u32, little-endian.
const ENTRY: usize = 16;
/// The entry's bytes are numbers; the length counts numbers.
const NUMBERS: u32 = 0;
/// The entry's bytes are the text of a fault; the length counts bytes.
const FAULT: u32 = 1;

/// Takes rows in order.
pub(super) struct RowWriter {
    path: PathBuf,
    data: BufWriter<File>,
    index: BufWriter<File>,
    /// Bytes written to `data`.
    at: u64,
    rows: u64,
    /// How often each usable length was seen, and in which row first.
    lengths: BTreeMap<usize, (u64, u64)>,
    first_fault: Option<String>,
    first_unusable: Option<u64>,
}

impl RowWriter {
    /// Begins temporary files for the rows of `path`.
    pub(super) fn new(path: &Path) -> Result<Self, EmbeddingsError> {
        let spool = |source| EmbeddingsError::spool(path, source);
        Ok(Self {
            path: path.to_owned(),
            data: BufWriter::new(tempfile::tempfile().map_err(spool)?),
            index: BufWriter::new(tempfile::tempfile().map_err(spool)?),
            at: 0,
            rows: 0,
            lengths: BTreeMap::new(),
            first_fault: None,
            first_unusable: None,
        })
    }

    /// Rows taken so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a row of numbers. Of a length no embedding has, only the length is kept.
    pub(super) fn push(&mut self, values: &[f32]) -> Result<(), EmbeddingsError> {
        let row = self.rows;
        if (1..=MAX_DIMS).contains(&values.len()) {
            self.lengths.entry(values.len()).or_insert((0, row)).0 += 1;
            self.write(values.len(), NUMBERS, |data| {
                for value in values {
                    data.write_all(&value.to_le_bytes())?;
                }
                Ok(values.len() * 4)
            })
        } else {
            self.first_unusable.get_or_insert(values.len() as u64);
            self.write(values.len(), NUMBERS, |_| Ok(0))
        }
    }

    /// Takes a row that has no numbers, and why.
    pub(super) fn push_fault(&mut self, reason: &str) -> Result<(), EmbeddingsError> {
        if self.first_fault.is_none() {
            self.first_fault = Some(format!("row {}: {reason}", self.rows));
        }
        self.write(reason.len(), FAULT, |data| {
            data.write_all(reason.as_bytes())?;
            Ok(reason.len())
        })
    }

    fn write(
        &mut self,
        len: usize,
        kind: u32,
        data: impl FnOnce(&mut BufWriter<File>) -> io::Result<usize>,
    ) -> Result<(), EmbeddingsError> {
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&self.at.to_le_bytes());
        // Longer than u32 is no length of an embedding either.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        entry[8..12].copy_from_slice(&len.to_le_bytes());
        entry[12..].copy_from_slice(&kind.to_le_bytes());
        let written = data(&mut self.data)
            .and_then(|written| self.index.write_all(&entry).map(|()| written))
            .map_err(|source| EmbeddingsError::spool(&self.path, source))?;
        self.at += written as u64;
        self.rows += 1;
        Ok(())
    }

    /// Ends the rows and maps them.
    ///
    /// # Errors
    /// Where no row has a usable number of dimensions, or the files cannot be written or mapped.
    pub(super) fn finish(self) -> Result<SpooledRows, EmbeddingsError> {
        let path = self.path;
        let mut best: Option<(usize, u64, u64)> = None;
        for (&dims, &(count, first)) in &self.lengths {
            let better = best.is_none_or(|(_, most, earliest)| {
                count > most || (count == most && first < earliest)
            });
            if better {
                best = Some((dims, count, first));
            }
        }
        let Some((dims, _, _)) = best else {
            return Err(match (self.first_unusable, self.first_fault) {
                (Some(got), _) => EmbeddingsError::Dims { path, got },
                (None, Some(reason)) => EmbeddingsError::NoRows { path, reason },
                (None, None) => EmbeddingsError::NoRows { path, reason: "it is empty".into() },
            });
        };
        let map = |writer: BufWriter<File>| {
            let file = writer.into_inner().map_err(|e| e.into_error())?;
            Mapping::of(&file)
        };
        let spool = |source| EmbeddingsError::spool(&path, source);
        Ok(SpooledRows {
            data: map(self.data).map_err(spool)?,
            index: map(self.index).map_err(spool)?,
            rows: self.rows,
            dims,
        })
    }
}

/// Rows in mapped temporary files.
#[derive(Debug)]
pub(super) struct SpooledRows {
    data: Mapping,
    index: Mapping,
    rows: u64,
    dims: usize,
}

impl SpooledRows {
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn dims(&self) -> usize {
        self.dims
    }

    /// Copies a row into `out`. The caller has checked the row and the length of `out`.
    pub(super) fn read(&self, row: u64, out: &mut [f32]) -> Result<(), RowFault> {
        let lost = || RowFault::Unreadable {
            reason: "the temporary file that held the row was changed".into(),
        };
        let (offset, len, kind) = self.entry(row).ok_or_else(lost)?;
        let bytes = self.data.get(offset..).ok_or_else(lost)?;
        if kind == FAULT {
            let text = bytes.get(..len).ok_or_else(lost)?;
            return Err(RowFault::Unreadable {
                reason: String::from_utf8_lossy(text).into_owned(),
            });
        }
        if len != self.dims {
            return Err(RowFault::WrongDims { expected: self.dims, got: len });
        }
        let numbers = bytes.as_chunks().0.get(..len).ok_or_else(lost)?;
        for (value, bytes) in out.iter_mut().zip(numbers) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn entry(&self, row: u64) -> Option<(usize, usize, u32)> {
        let at = usize::try_from(row).ok()?.checked_mul(ENTRY)?;
        let entry = self.index.get(at..)?.first_chunk::<ENTRY>()?;
        let offset = u64::from_le_bytes(*entry.first_chunk()?);
        let len = u32::from_le_bytes(*entry[8..].first_chunk()?);
        let kind = u32::from_le_bytes(*entry[12..].first_chunk()?);
        Some((usize::try_from(offset).ok()?, len as usize, kind))
    }
}
