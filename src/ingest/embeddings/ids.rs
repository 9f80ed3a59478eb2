//! Tables of face ids: the exact answers to probes, as NumPy's int64.
//!
//! In comes a `.npy` file of two dimensions, one row a probe; out go its numbers, read whole. They
//! take no more memory than the file takes bytes, whatever its header says.

use std::path::Path;

use super::super::spool;
use super::{EmbeddingsError, npy};
use crate::gallery::map::Mapping;

/// The rows of a table of face ids, as the file has them: neither checked nor looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTable {
    rows: u64,
    columns: usize,
    ids: Vec<i64>,
}

impl IdTable {
    /// Reads a `.npy` file of type int64 and two dimensions.
    ///
    /// # Errors
    /// Where the file cannot be read, its header is damaged or disagrees with its length, or its
    /// numbers or its shape are others.
    pub fn open(path: &Path) -> Result<Self, EmbeddingsError> {
        let map = spool::open(path)
            .and_then(|file| Mapping::of(&file))
            .map_err(|source| EmbeddingsError::read(path, source))?;
        Self::parse(path, &map)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, EmbeddingsError> {
        let (start, header) = npy::header(path, bytes)?;
        let number: fn([u8; 8]) -> i64 = match header.descr {
            "<i8" => i64::from_le_bytes,
            ">i8" => i64::from_be_bytes,
            other => {
                return Err(EmbeddingsError::NotIds {
                    path: path.to_owned(),
                    got: other.to_owned(),
                });
            }
        };
        let bad = |reason: String| EmbeddingsError::header(path, npy::FORMAT, reason);
        let &[rows, columns] = header.shape.as_slice() else {
            let shape = &header.shape;
            return Err(bad(format!("its shape is {shape:?}, expected [probes, K]")));
        };
        let expected =
            (start as u64).saturating_add(rows.saturating_mul(columns).saturating_mul(8));
        let got = bytes.len() as u64;
        if got != expected {
            return Err(EmbeddingsError::Length { path: path.to_owned(), expected, got });
        }
        let columns = usize::try_from(columns)
            .ok()
            .filter(|&columns| columns > 0)
            .ok_or_else(|| bad(format!("it has {columns} columns")))?;
        let numbers = bytes.get(start..).unwrap_or_default().as_chunks::<8>().0;
        let ids = if header.fortran_order {
            // By columns: every row's numbers lie as far apart as there are rows.
            let rows = numbers.len() / columns;
            (0..numbers.len())
                .filter_map(|at| numbers.get(at % columns * rows + at / columns))
                .map(|&bytes| number(bytes))
                .collect()
        } else {
            numbers.iter().map(|&bytes| number(bytes)).collect()
        };
        Ok(Self { rows, columns, ids })
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ids a row, at least 1.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All ids, one row after the other.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn npy(header: &str, numbers: &[i64], big_endian: bool) -> Vec<u8> {
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        for number in numbers {
            out.extend(if big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
        }
        out
    }

    fn parse(bytes: &[u8]) -> Result<IdTable, EmbeddingsError> {
        IdTable::parse(Path::new("truth.npy"), bytes)
    }

    const PLAIN: &str = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }";

    #[test]
    fn both_orders_of_bytes_and_of_numbers_are_read() {
        let rows = [1, 2, 3, 4, 5, -6];
        for (header, numbers, big_endian) in [
            (PLAIN.to_owned(), rows, false),
            (PLAIN.replace('<', ">"), rows, true),
            (PLAIN.replace("False", "True"), [1, 4, 2, 5, 3, -6], false),
        ] {
            let table = parse(&npy(&header, &numbers, big_endian)).unwrap();
            assert_eq!((table.rows(), table.columns(), table.ids()), (2, 3, &rows[..]), "{header}");
        }
    }

    #[test]
    fn other_tables_are_refused() {
        for (from, to, message) in [
            ("<i8", "<f4", "<f4"),
            ("(2, 3)", "(6,)", "[6]"),
            ("(2, 3)", "(2, 4)", "bytes"),
            ("(2, 3)", "(4611686018427387904, 8)", "bytes"),
            ("(2, 3)", "(0, 0)", "bytes"),
        ] {
            let bytes = npy(&PLAIN.replace(from, to), &[1, 2, 3, 4, 5, 6], false);
            let error = parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(message), "{to}: {error}");
        }
        let bytes = npy(&PLAIN.replace("(2, 3)", "(7, 0)"), &[], false);
        assert!(parse(&bytes).unwrap_err().to_string().contains("0 columns"));
    }

    #[test]
    fn damage_is_an_error_or_other_numbers() {
        let bytes = npy(PLAIN, &[1, 2, 3, 4, 5, 6], false);
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            for wrong in [0, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(3)] {
                let mut damaged = bytes.clone();
                damaged[at] = wrong;
                let _ = parse(&damaged).map(|table| assert!(table.ids().len() <= 6));
            }
        }
    }
}
