//! NumPy's `.npy`, versions 1 to 3.
//!
//! In come the first bytes of an array file; out goes its header: the kind of number, the shape and
//! where the numbers begin. The header is a Python literal, of which only the part that NumPy
//! writes is read, without recursion, so that no header can exhaust the stack.

use std::path::Path;

use super::EmbeddingsError;
use super::matrix::{Float, Layout, Matrix, Number};
use crate::gallery::map::Mapping;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes that suffice to know how long the header is.
pub(super) const PREFIX: usize = 12;
/// The longest header that is read; those of plain arrays take 64 to 128 bytes.
const MAX_HEADER: usize = 64 * 1024;
pub(super) const FORMAT: &str = "npy";

/// Opens a mapped `.npy` file.
pub(super) fn open(path: &Path, map: Mapping) -> Result<Matrix, EmbeddingsError> {
    let layout = layout(path, &map)?;
    let expected = (layout.start as u64).saturating_add(layout.packed_len());
    let got = map.len() as u64;
    let wrong = || EmbeddingsError::Length { path: path.to_owned(), expected, got };
    if got != expected {
        return Err(wrong());
    }
    Matrix::new(map, layout).ok_or_else(wrong)
}

/// Bytes before the numbers, told by the file's first [`PREFIX`] bytes (fewer, if it is shorter).
pub(super) fn header_len(path: &Path, prefix: &[u8]) -> Result<usize, EmbeddingsError> {
    let bad = |reason: String| EmbeddingsError::header(path, FORMAT, reason);
    let short = || bad("it ends within its header".into());
    let rest = prefix
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("it does not begin with \\x93NUMPY".into()))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (text, before) = match version[0] {
        1 => {
            let len = rest.first_chunk().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*len)), 10)
        }
        2 | 3 => {
            let len = rest.first_chunk().ok_or_else(short)?;
            (u32::from_le_bytes(*len) as usize, 12)
        }
        other => {
            return Err(bad(format!(
                "its version is {other}.{}; read are versions 1 to 3",
                version[1]
            )));
        }
    };
    if text > MAX_HEADER {
        return Err(bad(format!("its header takes {text} bytes; read are at most {MAX_HEADER}")));
    }
    Ok(before + text)
}

/// Reads the header at the beginning of `bytes`.
pub(super) fn layout(path: &Path, bytes: &[u8]) -> Result<Layout, EmbeddingsError> {
    let (start, header) = header(path, bytes)?;
    let number = number(header.descr).ok_or_else(|| EmbeddingsError::NotFloat {
        path: path.to_owned(),
        got: format!("numbers of type {}", header.descr),
        accepted: "f2, f4 and f8 (float16, float32 and float64)",
    })?;
    Layout::packed(path, number, start, &header.shape, header.fortran_order)
}

/// The header at the beginning of `bytes`, and where the numbers after it begin.
pub(super) fn header<'a>(
    path: &Path,
    bytes: &'a [u8],
) -> Result<(usize, Header<'a>), EmbeddingsError> {
    let prefix = bytes.get(..PREFIX).unwrap_or(bytes);
    let start = header_len(path, prefix)?;
    let before = if prefix.get(6) == Some(&1) { 10 } else { 12 };
    let bad = |reason: &str| EmbeddingsError::header(path, FORMAT, reason);
    let text = bytes.get(before..start).ok_or_else(|| bad("it ends within its header"))?;
    let text = std::str::from_utf8(text).map_err(|_| bad("its header is not text"))?;
    Ok((start, Header::parse(text).map_err(bad)?))
}

fn number(descr: &str) -> Option<Number> {
    let (order, kind) = descr.split_at_checked(1)?;
    let float = match kind {
        "f2" => Float::F16,
        "f4" => Float::F32,
        "f8" => Float::F64,
        _ => return None,
    };
    let big_endian = match order {
        "<" => false,
        ">" => true,
        _ => return None,
    };
    Some(Number { float, big_endian })
}

/// What the header's dictionary says.
pub(super) struct Header<'a> {
    pub(super) descr: &'a str,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        const BAD: &str = "its header is not the dictionary that NumPy writes";
        let mut text = Text(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        text.expect("{").ok_or(BAD)?;
        while text.expect("}").is_none() {
            let key = text.string().ok_or(BAD)?;
            text.expect(":").ok_or(BAD)?;
            match key {
                "descr" => descr = Some(text.descr().ok_or(BAD)?),
                "fortran_order" => fortran_order = Some(text.boolean().ok_or(BAD)?),
                "shape" => shape = Some(text.tuple().ok_or("its shape cannot be read")?),
                _ => return Err("its header has a key that NumPy does not write"),
            }
            if text.expect(",").is_none() {
                text.expect("}").ok_or(BAD)?;
                break;
            }
        }
        if !text.0.trim().is_empty() {
            return Err(BAD);
        }
        Ok(Self {
            descr: descr.ok_or("its header has no 'descr'")?,
            fortran_order: fortran_order.ok_or("its header has no 'fortran_order'")?,
            shape: shape.ok_or("its header has no 'shape'")?,
        })
    }
}

/// The rest of a header that is still to be read.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn expect(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    /// The type: a string, or the list of a record, taken to its end by counting brackets.
    fn descr(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        if !text.starts_with('[') {
            return self.string();
        }
        let mut depth = 0_usize;
        for (at, c) in text.char_indices() {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (descr, rest) = text.split_at(at + 1);
                self.0 = rest;
                return Some(descr);
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.expect("True") {
            Some(()) => Some(true),
            None => self.expect("False").map(|()| false),
        }
    }

    fn tuple(&mut self) -> Option<Vec<u64>> {
        self.expect("(")?;
        let mut numbers = Vec::new();
        while self.expect(")").is_none() {
            let text = self.0.trim_start();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            let (number, rest) = text.split_at(digits);
            numbers.push(number.parse().ok()?);
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if self.expect(",").is_none() {
                self.expect(")")?;
                break;
            }
        }
        Some(numbers)
    }
}
