//! What a Parquet file may claim.
//!
//! In come the bytes of a file, before anything of it is decoded; out goes the reason not to. The
//! decoder allocates what schema and page headers ask for, so a few bytes could ask for gigabytes;
//! here their claims are held against what is there. Only headers are read, a page each.

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::MAX_DIMS;

/// Bytes that a page may take when it is decompressed; writers make pages of about 1 MiB.
const MAX_PAGE: u64 = 256 << 20;
/// Deepest nesting of columns; a list of numbers takes three levels.
const MAX_DEPTH: usize = 32;
/// Bytes at the end: the footer's length and the magic.
pub(in crate::ingest) const TAIL: usize = 8;

/// Checks that the schema in the footer is a tree of the elements that are there, and not deep: the
/// decoder follows it by recursion. The bytes may be those from the footer on.
pub(in crate::ingest) fn check_schema(bytes: &[u8]) -> Result<(), &'static str> {
    const SHORT: &str = "it ends before its footer";
    let (rest, tail) = bytes.split_last_chunk::<TAIL>().ok_or(SHORT)?;
    let [a, b, c, d, magic @ ..] = *tail;
    if &magic != b"PAR1" {
        return Err("it does not end with PAR1; it is cut short, encrypted or no Parquet file");
    }
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    let start = rest.len().checked_sub(len).ok_or(SHORT)?;
    let mut footer = Thrift(&rest[start..]);
    let children = footer.schema().ok_or("its footer is damaged")?;
    let mut open: Vec<u64> = Vec::new();
    for (at, &below) in children.iter().enumerate() {
        if at > 0 {
            let left = open.last_mut().ok_or("its schema has several roots")?;
            *left -= 1;
        }
        let remaining = (children.len() - at - 1) as u64;
        if below > remaining || open.len() >= MAX_DEPTH {
            return Err("its schema is damaged or nested too deeply");
        }
        open.push(below);
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}

/// Checks the pages of column `leaf` and returns the mean length of its lists where it is greatest.
pub(super) fn check_column(
    bytes: &Bytes,
    metadata: &ParquetMetaData,
    leaf: usize,
) -> Result<u64, String> {
    let mut longest = 0;
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let chunk =
            group.columns().get(leaf).ok_or_else(|| format!("row group {at} lacks the column"))?;
        let rows = u64::try_from(group.num_rows())
            .map_err(|_| format!("row group {at} has {} rows", group.num_rows()))?;
        let values = check_pages(bytes, chunk, rows)?;
        // An empty or missing list counts as a value.
        if values > rows.saturating_mul(MAX_DIMS as u64) {
            return Err(format!(
                "row group {at} holds {values} values in {rows} rows; read are at most {MAX_DIMS} \
                 a row"
            ));
        }
        longest = longest.max(values.div_ceil(rows.max(1)));
    }
    Ok(longest)
}

/// Walks over the headers of a chunk's pages; returns the number of values they claim.
fn check_pages(bytes: &Bytes, chunk: &ColumnChunkMetaData, rows: u64) -> Result<u64, String> {
    let first = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let inside = u64::try_from(first)
        .ok()
        .zip(u64::try_from(chunk.compressed_size()).ok())
        .and_then(|(first, len)| first.checked_add(len))
        .is_some_and(|end| end <= bytes.len() as u64);
    if !inside {
        return Err("its footer places the column outside of the file".into());
    }
    let headers = PageHeaders {
        bytes: bytes.clone(),
        compressed: chunk.compression() != Compression::UNCOMPRESSED,
    };
    let rows = usize::try_from(rows).map_err(|e| e.to_string())?;
    let mut pages =
        SerializedPageReader::new(headers.into(), chunk, rows, None).map_err(|e| e.to_string())?;
    let mut values = 0_u64;
    while let Some(page) = pages.peek_next_page().map_err(|e| e.to_string())? {
        values = values.saturating_add(page.num_levels.unwrap_or(0) as u64);
        pages.skip_next_page().map_err(|e| e.to_string())?;
    }
    Ok(values)
}

/// The file, for a reader that walks over page headers: every read begins at one, which is checked.
struct PageHeaders {
    bytes: Bytes,
    compressed: bool,
}

impl Length for PageHeaders {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl ChunkReader for PageHeaders {
    type T = <Bytes as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let read = self.bytes.get_read(start)?;
        let at = usize::try_from(start).unwrap_or(usize::MAX);
        let mut header = Thrift(self.bytes.get(at..).unwrap_or_default());
        let size = header.page_size().ok_or_else(|| {
            ParquetError::General(format!("the page header at byte {start} is damaged"))
        })?;
        if self.compressed && size > MAX_PAGE {
            return Err(ParquetError::General(format!(
                "the page at byte {start} takes {size} bytes; read are at most {MAX_PAGE}, write \
                 the file with smaller pages"
            )));
        }
        Ok(read)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.bytes.get_bytes(start, length)
    }
}

// Types of Thrift's compact protocol.
const BYTE: u8 = 3;
const I32: u8 = 5;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// The rest of a structure in Thrift's compact protocol; `None` where it is cut short or unknown.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    /// Numbers of children of the schema's elements, in their order.
    fn schema(&mut self) -> Option<Vec<u64>> {
        let mut id = 0;
        loop {
            let kind = self.field(&mut id)?;
            if (id, kind) == (2, LIST) {
                break;
            }
            self.skip(kind, 0)?;
        }
        let (len, kind) = self.list()?;
        if kind != STRUCT || len > self.0.len() as u64 {
            return None;
        }
        (0..len).map(|_| self.children()).collect()
    }

    /// Reads a schema element for its number of children.
    fn children(&mut self) -> Option<u64> {
        let (mut id, mut children) = (0, 0);
        loop {
            let kind = self.field(&mut id)?;
            let wanted = match id {
                _ if kind == 0 => return Some(children),
                4 => BINARY,
                1..=9 => I32,
                10 => STRUCT,
                _ => kind,
            };
            if kind != wanted {
                return None;
            }
            match id {
                5 => children = u64::try_from(self.zigzag()?).ok()?,
                _ => self.skip(kind, 0)?,
            }
        }
    }

    /// Reads a page header for the size when decompressed; `None` too where the part is missing that
    /// its type calls for, or the type is none that columns have.
    fn page_size(&mut self) -> Option<u64> {
        let (mut id, mut page, mut size, mut part) = (0, None, None, None);
        loop {
            let before = id;
            let kind = self.field(&mut id)?;
            match (before, kind, id) {
                (_, 0, _) => break,
                (0, I32, 1) => page = Some(self.zigzag()?),
                (1, I32, 2) => size = Some(self.zigzag()?),
                // Twice the same, or out of order, is nothing that writers do.
                (before, _, id) if id <= before => return None,
                (_, I32, 3 | 4) => drop(self.zigzag()?),
                (_, STRUCT, 5 | 7 | 8) if part.is_none() => {
                    self.page_part(id)?;
                    part = Some(id);
                }
                (_, kind, 9..) => self.skip(kind, 0)?,
                _ => return None,
            }
        }
        let part = part?;
        // Data, dictionary, data in its second version.
        let fits = matches!((page?, part), (0, 5) | (2, 7) | (3, 8));
        fits.then_some(u64::try_from(size?).ok()?)
    }

    /// Passes over the part of a page header that belongs to its type. The decoder trusts fields to
    /// have the types they should have, so these are checked.
    fn page_part(&mut self, part: i16) -> Option<()> {
        let mut id = 0;
        loop {
            let kind = self.field(&mut id)?;
            let fits = match (part, id) {
                _ if kind == 0 => return Some(()),
                (5, 1..=4) | (7, 1..=2) | (8, 1..=6) => kind == I32,
                (7, 3) | (8, 7) => kind <= 2,
                (5, 5) | (8, 8) => kind == STRUCT,
                _ => true,
            };
            if !fits {
                return None;
            }
            self.skip(kind, 0)?;
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn pass(&mut self, len: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(len).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a field's header: its type, 0 at the structure's end; `id` becomes its number.
    fn field(&mut self, id: &mut i16) -> Option<u8> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(0);
        }
        *id = match byte >> 4 {
            0 => i16::try_from(self.zigzag()?).ok()?,
            delta => id.checked_add(i16::from(delta))?,
        };
        Some(byte & 0xf)
    }

    /// Reads a list's header: length and type of its items.
    fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let len = match byte >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        Some((len, byte & 0xf))
    }

    /// Passes over a field's value.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // A boolean's value is its type.
            1 | 2 => Some(()),
            BYTE => self.pass(1),
            4..=6 => self.varint().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let len = self.varint()?;
                self.pass(len)
            }
            LIST | SET => {
                let (len, item) = self.list()?;
                for _ in 0..len {
                    // In a list a boolean takes a byte.
                    self.skip(if item <= 2 { BYTE } else { item }, depth + 1)?;
                }
                Some(())
            }
            STRUCT => {
                let mut id = 0;
                loop {
                    match self.field(&mut id)? {
                        0 => return Some(()),
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// What the walk over page headers says of one with `kind` and `part`, whose page takes `size`.
    fn walk(kind: u8, size: &[u8], part: u8, compressed: bool) -> Result<(), String> {
        let mut header = vec![0x15, kind, 0x15];
        header.extend(size);
        // The compressed size, then the part's structure with its four numbers.
        header.extend([0x15, 2, ((part - 3) << 4) | STRUCT, 0x15, 2]);
        header.extend([0x15, 0, 0x15, 0, 0x15, 0, 0, 0]);
        let bytes = Bytes::from(header);
        let headers = PageHeaders { bytes, compressed };
        headers.get_read(0).map(drop).map_err(|e| e.to_string())
    }

    #[test]
    fn pages_are_bounded_and_match_their_type() {
        let huge = [0xfe, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(walk(0, &[100], 5, true), Ok(()));
        let fault = walk(0, &huge, 5, true).unwrap_err();
        assert!(fault.contains("takes 2147483647 bytes"), "{fault}");
        // What is not compressed is not copied.
        assert_eq!(walk(0, &huge, 5, false), Ok(()));
        assert!(walk(0, &[1], 5, true).is_err(), "a size below zero");
        assert!(walk(0, &[100], 8, true).is_err(), "the part of another type");
        assert!(walk(2, &[100], 5, true).is_err(), "an index page");
    }
}
