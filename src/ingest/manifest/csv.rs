//! Manifests in CSV (RFC 4180), with a header line.
//!
//! In come bytes; out come records with as many UTF-8 fields as the header, or the reason why one
//! is none. Empty lines are skipped and not counted. A record is bounded by [`MAX_RECORD`] before
//! it is in memory, so a quote that is never closed costs that and no more; one that is open at the
//! end of the file is an error, as it may have swallowed any number of lines.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::columns::{Cells, Columns, Layout, Role};
use super::error::ManifestError;
use super::infer::Forms;
use super::source::{Input, MAX_RECORD, Source};
use super::value::parse;
use super::{Line, Position, Scan};
use crate::gallery::{Kind, Value};

const BUFFER: usize = 1 << 16;

/// Reads every line once: what the columns hold and how many lines there are.
pub(super) fn scan(source: &Source) -> Result<Scan, ManifestError> {
    let (mut reader, columns) = Csv::open(source.path(), source.input()?)?;
    let mut forms = vec![Forms::default(); columns.len()];
    let mut lines = 0;
    while let Some(record) = reader.read()? {
        lines += 1;
        if let Ok(fields) = record {
            forms.iter_mut().zip(fields).for_each(|(f, field)| f.add(field));
        }
    }
    let kinds: Vec<Kind> = forms.into_iter().map(Forms::kind).collect();
    Ok(Scan { layout: Layout::new(columns, &kinds), lines })
}

/// A CSV file behind its header.
pub(super) struct Csv {
    path: PathBuf,
    reader: ::csv::Reader<Metered>,
    record: StringRecord,
    /// The line where the record begins.
    line: u64,
    width: usize,
}

impl Csv {
    /// Reads the header line.
    pub(super) fn open(path: &Path, input: Input) -> Result<(Self, Columns), ManifestError> {
        let from = Metered {
            from: input.into_read(),
            left: 0,
            end: End::Ahead,
            last: Vec::new(),
            read: 0,
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(from);
        let record = StringRecord::new();
        let mut csv = Self { path: path.to_path_buf(), reader, record, line: 1, width: 0 };
        let advance = csv.advance()?;
        let path = || path.to_path_buf();
        match advance {
            Advance::End => return Err(ManifestError::Empty { path: path() }),
            Advance::NotUtf8 => return Err(ManifestError::NotUtf8 { path: path() }),
            Advance::Record => csv.width = csv.record.len(),
        }
        let columns = header(&csv.path, &csv.record)?;
        Ok((csv, columns))
    }

    /// The next record: None at the end, the reason if it is to be rejected.
    fn read(&mut self) -> Result<Option<Result<&StringRecord, String>>, ManifestError> {
        Ok(match self.advance()? {
            Advance::End => None,
            Advance::NotUtf8 => Some(Err("not UTF-8; save the manifest as UTF-8".into())),
            Advance::Record if self.record.len() == self.width => Some(Ok(&self.record)),
            Advance::Record => {
                let found = self.record.len();
                Some(Err(format!("{found} fields, the header has {}", self.width)))
            }
        })
    }

    /// Where the record that was read last stands.
    pub(super) fn position(&self) -> Position {
        Position::Line(self.line)
    }

    /// The next line, put together as `layout` says.
    pub(super) fn line(
        &mut self,
        number: u64,
        layout: &Layout,
    ) -> Result<Option<Result<Line, String>>, ManifestError> {
        let record = self.read()?;
        Ok(record.map(|r| r.and_then(|fields| layout.line(number, &Fields(fields)))))
    }

    fn advance(&mut self) -> Result<Advance, ManifestError> {
        let begin = self.reader.position().clone();
        // Of a line end in two bytes, the reader leaves the second to the next record.
        let half_read = self.reader.get_ref().before(begin.byte()) == Some(b'\r');
        self.line = begin.line() + u64::from(half_read);
        // The reader may hold a buffer's worth of the record before it asks for more.
        self.reader.get_mut().left = MAX_RECORD + BUFFER;
        let read = self.reader.read_record(&mut self.record);
        let too_long = || ManifestError::TooLong { path: self.path.clone(), line: self.line };
        let length = self.reader.position().byte().saturating_sub(begin.byte());
        if length > MAX_RECORD as u64 {
            return Err(too_long());
        }
        let read_up = self.reader.get_ref().end == End::Told;
        match read {
            Ok(true) if read_up => Err(self.open_quote(self.last_quote())),
            Ok(true) => {
                self.line = self.begun();
                Ok(Advance::Record)
            }
            Ok(false) => Ok(Advance::End),
            Err(error) => match error.into_kind() {
                ErrorKind::Utf8 { .. } if read_up => Err(self.open_quote(self.line)),
                ErrorKind::Utf8 { .. } => Ok(Advance::NotUtf8),
                _ if self.reader.get_ref().left == 0 => Err(too_long()),
                ErrorKind::Io(source) => {
                    Err(ManifestError::Read { path: self.path.clone(), source })
                }
                other => {
                    let source = io::Error::other(format!("{other:?}"));
                    Err(ManifestError::Read { path: self.path.clone(), source })
                }
            },
        }
    }

    /// The line where the record begins, behind the blank ones that the reader has skipped.
    fn begun(&self) -> u64 {
        let end = self.reader.position();
        let ended = self.reader.get_ref().before(end.byte()) == Some(b'\n');
        let inside: usize = self.record.iter().map(|field| field.matches('\n').count()).sum();
        end.line().saturating_sub(inside as u64 + u64::from(ended))
    }

    fn open_quote(&self, line: u64) -> ManifestError {
        ManifestError::OpenQuote { path: self.path.clone(), line }
    }

    /// The line where the last field begins, of a record that goes on to the end of the file.
    fn last_quote(&self) -> u64 {
        let last = self.record.iter().next_back().unwrap_or_default();
        self.reader.position().line().saturating_sub(last.matches('\n').count() as u64)
    }
}

enum Advance {
    End,
    Record,
    NotUtf8,
}

/// Checks that the first record names columns.
fn header(path: &Path, record: &StringRecord) -> Result<Columns, ManifestError> {
    if record.len() == 1
        && let Some(found) = record[0].chars().find(|c| matches!(c, ';' | '\t'))
    {
        return Err(ManifestError::Separator { path: path.to_path_buf(), found });
    }
    // Without a known name among them, a number or a day is a sign that the header was left out.
    if record.iter().all(|name| Role::of(name) == Role::Attribute) {
        let is_value = |cell: &&str| {
            let mut forms = Forms::default();
            forms.add(cell);
            forms.kind() != Kind::Text
        };
        if let Some(cell) = record.iter().find(is_value) {
            let cell = cell.to_owned();
            return Err(ManifestError::NoHeader { path: path.to_path_buf(), cell });
        }
    }
    Columns::of(path, record)
}

struct Fields<'a>(&'a StringRecord);

impl Cells for Fields<'_> {
    fn text(&self, place: usize) -> Result<Option<Cow<'_, str>>, String> {
        Ok(self.0.get(place).filter(|text| !text.is_empty()).map(Cow::Borrowed))
    }

    fn value(&self, place: usize, kind: Kind) -> Result<Value, String> {
        let text = self.0.get(place).unwrap_or_default();
        parse(text, kind).ok_or_else(|| super::changed_kind(text, kind))
    }
}

/// Hands out no more than `left` bytes, then fails; and a line end behind the last byte of the file,
/// which ends every record but one with an open quote.
struct Metered {
    from: Box<dyn Read + Send>,
    left: usize,
    end: End,
    /// What was handed out last, and how many bytes in all: only the bytes themselves tell by what
    /// a record was ended.
    last: Vec<u8>,
    read: u64,
}

/// How far a file was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    /// The line end behind the last byte was handed out.
    Reached,
    /// So was the end itself.
    Told,
}

impl Metered {
    /// The byte before the one at `at`, of those handed out last.
    fn before(&self, at: u64) -> Option<u8> {
        let from_end = usize::try_from(self.read.checked_sub(at)?).ok()?;
        self.last.iter().rev().nth(from_end).copied()
    }

    fn more(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("the record is too long"));
        }
        let most = buffer.len().min(self.left);
        let read = self.from.read(&mut buffer[..most])?;
        self.left -= read;
        if read > 0 || most == 0 {
            return Ok(read);
        }
        if self.end == End::Ahead {
            self.end = End::Reached;
            buffer[0] = b'\n';
            return Ok(1);
        }
        self.end = End::Told;
        Ok(0)
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.more(buffer)?;
        if read > 0 {
            self.read += read as u64;
            self.last.clear();
            self.last.extend_from_slice(&buffer[..read]);
        }
        Ok(read)
    }
}
