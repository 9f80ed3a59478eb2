//! Where the bytes of a manifest come from, as often as they are asked for.
//!
//! In comes a path, `-` for standard input or a pipe; out goes an [`Input`] for each pass. What can
//! be read only once is spooled to a temporary file without a name first.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::{Buf, Bytes};

use super::error::ManifestError;
use crate::gallery::map::Mapping;
use crate::ingest::spool;

/// The most bytes one record (a CSV record, a line of JSON, a Parquet text) may have.
pub(super) const MAX_RECORD: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
    Parquet,
}

/// Bytes that can be read again from the beginning.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A regular file, with its length and time of change when it was opened.
    File(u64, Option<SystemTime>),
    /// A file of our own that nobody else can reach, so that it may be mapped.
    Spool(Bytes),
}

/// The bytes for one pass.
pub(super) enum Input {
    File(File),
    Spool(Bytes),
}

impl Input {
    pub(super) fn into_read(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Spool(bytes) => Box::new(bytes.reader()),
        }
    }
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<(Self, Format), ManifestError> {
        let failed = |source| ManifestError::Read { path: path.to_path_buf(), source };
        let (place, format) = if path.as_os_str() == spool::STDIN {
            spooled(io::stdin().lock()).map_err(failed)?
        } else {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            if metadata.is_file() {
                let place = Place::File(metadata.len(), metadata.modified().ok());
                (place, format_of_name(path)?)
            } else {
                spooled(BufReader::new(file)).map_err(failed)?
            }
        };
        let path = path.to_path_buf();
        Ok((Self { path, place }, format))
    }

    /// Begins a pass.
    pub(super) fn input(&self) -> Result<Input, ManifestError> {
        let failed = |source| ManifestError::Read { path: self.path.clone(), source };
        match &self.place {
            Place::Spool(bytes) => Ok(Input::Spool(bytes.clone())),
            Place::File(len, modified) => {
                let file = File::open(&self.path).map_err(failed)?;
                let metadata = file.metadata().map_err(failed)?;
                if metadata.len() != *len || metadata.modified().ok() != *modified {
                    return Err(ManifestError::Changed { path: self.path.clone() });
                }
                Ok(Input::File(file))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn format_of_name(path: &Path) -> Result<Format, ManifestError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => Ok(Format::Csv),
        "jsonl" | "ndjson" | "json" => Ok(Format::JsonLines),
        "parquet" => Ok(Format::Parquet),
        _ => Err(ManifestError::Format { path: path.to_path_buf() }),
    }
}

/// Copies everything to a temporary file and tells its format by its first bytes.
fn spooled(from: impl Read) -> io::Result<(Place, Format)> {
    let file = spool::spool(from)?;
    let bytes = Mapping::of(&file)?.into_bytes();
    let format = format_of_magic(&bytes);
    Ok((Place::Spool(bytes), format))
}

fn format_of_magic(bytes: &[u8]) -> Format {
    if bytes.starts_with(b"PAR1") {
        return Format::Parquet;
    }
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    match text.trim_ascii_start().first() {
        // An array is not JSON lines either, but its reader knows what to say about it.
        Some(b'{' | b'[') => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// The mark that some editors put before UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What came of reading one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineRead {
    End,
    Whole,
    /// It was longer than [`MAX_RECORD`] and was skipped.
    TooLong,
}

/// Reads the next line, without its end, into `line`.
pub(super) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<LineRead> {
    line.clear();
    let mut any = false;
    let mut too_long = false;
    loop {
        let buffer = match from.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|&b| b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        too_long |= line.len() + part.len() > MAX_RECORD;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(match (any, too_long) {
        (false, _) => LineRead::End,
        (true, false) => LineRead::Whole,
        (true, true) => LineRead::TooLong,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_stream_is_told_by_its_first_bytes() {
        for (bytes, format) in [
            (&b"PAR1\0\0"[..], Format::Parquet),
            (b"{\"image\":\"a\"}", Format::JsonLines),
            (b"\xef\xbb\xbf \n{}", Format::JsonLines),
            (b"[{}]", Format::JsonLines),
            (b"image,subject\n", Format::Csv),
            (b"", Format::Csv),
        ] {
            let (place, found) = spooled(bytes).unwrap();
            assert_eq!(found, format);
            let Place::Spool(spool) = place else { panic!("no spool") };
            assert_eq!(spool, bytes);
        }
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_bounded() {
        let long = vec![b'x'; MAX_RECORD + 1];
        let fits = &long[..MAX_RECORD];
        let file = [b"a\n\n", &long[..], b"\n", fits, b"\nlast"].concat();
        let mut from = BufReader::with_capacity(7, &file[..]);
        let mut line = Vec::new();
        let mut read = || (read_line(&mut from, &mut line).unwrap(), line.clone());
        assert_eq!(read(), (LineRead::Whole, b"a".to_vec()));
        assert_eq!(read(), (LineRead::Whole, Vec::new()));
        assert_eq!(read().0, LineRead::TooLong);
        assert_eq!(read(), (LineRead::Whole, fits.to_vec()));
        assert_eq!(read(), (LineRead::Whole, b"last".to_vec()));
        assert_eq!(read().0, LineRead::End);
    }
}
