//! The manifest: the table that says what each face is.
//!
//! In comes a table in CSV, JSON lines or Parquet; out goes a stream of [`Line`]s in the order of
//! the file. It is read twice: [`Manifest::open`] finds the columns, the type of each and the
//! number of lines, [`Manifest::iter`] gives the lines. Always true: the second pass gives exactly
//! [`Manifest::lines`] items, of which those that cannot be used are [`LineFault`]s, and memory
//! holds a few records at a time, whatever the size of the file.
//!
//! ```text
//! source   the bytes: a file, standard input, a pipe
//!    | csv, json_lines, parquet    records of cells
//!    | columns                     known ones and attributes, checked
//!    | infer, value, date          what the cells of a column are
//! Line
//! ```
//!
//! Known columns are `image`, `subject`, `source`, `key`, `box_left`, `box_top`, `box_right`,
//! `box_bottom` and `row`; every other column is an [`Attribute`].

mod columns;
mod csv;
mod error;
mod infer;
mod json_lines;
mod parquet;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::iter::FusedIterator;
use std::path::Path;
use std::sync::Arc;

pub use crate::gallery::{Attribute, Bounds, Kind, Value};
use columns::Layout;
pub use error::{LineFault, ManifestError, Position};
use source::{Format, Source};

use super::embeddings::FIELD;

/// The most columns a manifest may have, known ones included.
pub const MAX_COLUMNS: usize = 1000;

/// An open manifest: its columns are typed and its lines counted.
#[derive(Debug)]
pub struct Manifest {
    source: Source,
    format: Format,
    layout: Arc<Layout>,
    lines: u64,
}

/// What a manifest says about one face.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// The data line, counted from 0 (a header is not counted).
    pub number: u64,
    /// Where it stands in the file.
    pub position: Position,
    /// The row of the embeddings it goes with; None if the manifest has no column `row`.
    pub row: Option<u64>,
    /// The image file.
    pub image: Option<String>,
    /// The person the face belongs to, where known.
    pub subject: Option<String>,
    /// Where the face came from.
    pub source: Option<String>,
    /// The caller's own id; that it is unique is not checked here.
    pub key: Option<String>,
    /// Where the face is in its image.
    pub bounds: Option<Bounds>,
    /// Why there are no bounds although the line says something about them.
    pub box_fault: Option<String>,
    /// A value for each of [`Manifest::attributes`].
    pub attributes: Vec<Value>,
}

impl Manifest {
    /// Opens the manifest at `path` and reads it once.
    ///
    /// The name tells the format: `.csv`, `.jsonl`, `.ndjson` or `.json` (JSON lines), `.parquet`.
    /// `-` reads standard input, spooled to a temporary file, as a pipe is; there the first bytes
    /// tell the format.
    ///
    /// # Errors
    /// Everything that is wrong with the file as a whole, each with the remedy; see
    /// [`ManifestError`].
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        Self::open_without(path, None)
    }

    /// Opens the manifest at `path` of the embeddings in the file `embeddings`. Where both are the
    /// same file, the column with the embeddings is none of the manifest's: in JSON lines the field
    /// `array` (`embedding` without it), in Parquet every column of lists.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_beside(
        path: &Path,
        embeddings: &Path,
        array: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let is_same = || {
            let (manifest, embeddings) = (path.canonicalize(), embeddings.canonicalize());
            manifest.is_ok_and(|manifest| embeddings.is_ok_and(|other| other == manifest))
        };
        Self::open_without(path, is_same().then(|| array.unwrap_or(FIELD)))
    }

    fn open_without(path: &Path, embeddings: Option<&str>) -> Result<Self, ManifestError> {
        let (source, format) = Source::open(path)?;
        let Scan { mut layout, lines } = match format {
            Format::Csv => csv::scan(&source),
            Format::JsonLines => json_lines::scan(&source, embeddings),
            Format::Parquet => parquet::scan(&source, embeddings.is_some()),
        }?;
        layout.embeddings = embeddings.map(str::to_owned);
        Ok(Self { source, format, layout: Arc::new(layout), lines })
    }

    /// Number of data lines, those at fault included.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The names of all columns, in order of appearance.
    pub fn columns(&self) -> &[String] {
        self.layout.columns.names()
    }

    /// The columns that are not known ones, in order of appearance.
    pub fn attributes(&self) -> &[Attribute] {
        &self.layout.attributes
    }

    /// Attributes whose names differ from that of a known column, given beside, in capitals alone:
    /// most likely they were meant to be it.
    pub fn misnamed(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let names = self.attributes().iter().map(|attribute| attribute.name.as_str());
        names.filter_map(|name| Some((name, columns::meant(name)?)))
    }

    /// Whether there is a column `row`.
    pub fn has_row(&self) -> bool {
        self.layout.row.is_some()
    }

    /// Whether there is a column `image`.
    pub fn has_images(&self) -> bool {
        self.layout.has_images()
    }

    /// Whether there is a column `subject`.
    pub fn has_subjects(&self) -> bool {
        self.layout.has_subjects()
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Reads the lines from the beginning; may be called again, also while another pass runs.
    ///
    /// # Errors
    /// If the file can no longer be opened, or has another length or time of change than when it
    /// was first read.
    pub fn iter(&self) -> Result<Lines, ManifestError> {
        let input = self.source.input()?;
        let reader = match self.format {
            Format::Csv => Reader::Csv(csv::Csv::open(self.path(), input)?.0),
            Format::JsonLines => Reader::JsonLines(json_lines::JsonLines::open(self.path(), input)),
            Format::Parquet => {
                let without_lists = self.layout.embeddings.is_some();
                let parquet = parquet::Parquet::open(self.path(), input, without_lists)?;
                Reader::Parquet(Box::new(parquet))
            }
        };
        Ok(Lines {
            reader,
            layout: Arc::clone(&self.layout),
            next: 0,
            total: self.lines,
            broken: None,
        })
    }
}

/// What the first pass finds.
struct Scan {
    layout: Layout,
    lines: u64,
}

enum Reader {
    Csv(csv::Csv),
    JsonLines(json_lines::JsonLines),
    Parquet(Box<parquet::Parquet>),
}

impl Reader {
    /// Where the line that was read last stands.
    fn position(&self) -> Position {
        match self {
            Self::Csv(csv) => csv.position(),
            Self::JsonLines(json) => json.position(),
            Self::Parquet(parquet) => parquet.position(),
        }
    }
}

/// The lines of a manifest, in order; always as many as [`Manifest::lines`].
pub struct Lines {
    reader: Reader,
    layout: Arc<Layout>,
    next: u64,
    total: u64,
    /// Why nothing more can be read: every line left is at fault then.
    broken: Option<String>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({} of {})", self.next, self.total)
    }
}

impl Lines {
    fn read(&mut self) -> Result<Line, String> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        let line = match &mut self.reader {
            Reader::Csv(csv) => csv.line(self.next, &self.layout),
            Reader::JsonLines(json) => json.line(self.next, &self.layout),
            Reader::Parquet(parquet) => parquet.line(self.next, &self.layout),
        };
        match line {
            Ok(Some(line)) => line,
            Ok(None) => {
                self.break_off("the manifest has become shorter since it was opened".into())
            }
            Err(error) => self.break_off(error.to_string()),
        }
    }

    fn break_off(&mut self, reason: String) -> Result<Line, String> {
        self.broken = Some(reason.clone());
        Err(reason)
    }
}

impl Iterator for Lines {
    type Item = Result<Line, LineFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.total {
            return None;
        }
        let number = self.next;
        let line = self.read();
        let position = self.reader.position();
        self.next += 1;
        Some(match line {
            Ok(line) => Ok(Line { position, ..line }),
            Err(reason) => Err(LineFault { number, position, reason }),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.total - self.next);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

impl FusedIterator for Lines {}

/// A value that is not of the kind the first pass found.
fn changed_kind(text: &str, kind: Kind) -> String {
    let text = columns::shown(text);
    format!("{text} is not of kind {kind:?}: the manifest has changed since it was opened")
}
