//! Pairs as CSV, JSON lines or Parquet, and into a file that a search can go on with.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use super::kind::Described;
use super::spool::{Job, Spool};
use super::{Found, Kind, Pair, Pairs, PairsError, Step};
use crate::gallery::write::{create_private, sync_dir};
use crate::{Cancel, Error, Gallery, Progress};

/// Rows of Parquet held before they are written.
const ROWS: usize = 1 << 16;
/// The columns of a table of pairs.
const COLUMNS: [&str; 10] = [
    "face_id_1",
    "face_id_2",
    "similarity",
    "kind",
    "subject_1",
    "subject_2",
    "image_1",
    "image_2",
    "key_1",
    "key_2",
];

/// How pairs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Comma-separated values with a line of names.
    Csv,
    /// One JSON object a pair and line.
    Json,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The one that a file's name tells.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(format!("no format {name:?}; there are csv, json and parquet")),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    face_id_1: u64,
    face_id_2: u64,
    similarity: f32,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_2: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_2: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_2: Option<&'a str>,
}

impl<'a> From<&Described<'a>> for Line<'a> {
    fn from(described: &Described<'a>) -> Self {
        let Described { pair, kind, subjects, images, keys } = *described;
        Self {
            face_id_1: pair.first.0,
            face_id_2: pair.second.0,
            similarity: pair.similarity,
            kind,
            subject_1: subjects[0],
            subject_2: subjects[1],
            image_1: images[0],
            image_2: images[1],
            key_1: keys[0],
            key_2: keys[1],
        }
    }
}

enum Out<W: Write + Send> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
    Parquet(Box<ArrowWriter<W>>),
}

/// Writes pairs with what is known of their faces.
pub struct PairWriter<W: Write + Send> {
    out: Out<W>,
    kinds: Vec<Kind>,
    counts: [u64; 4],
}

impl<W: Write + Send> PairWriter<W> {
    /// Writes pairs of some kinds, of every one where there are none, to `out`.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(out: W, format: Format, kinds: &[Kind]) -> Result<Self, PairsError> {
        let out = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(COLUMNS).map_err(of_csv)?;
                Out::Csv(Box::new(writer))
            }
            Format::Json => Out::Json(out),
            Format::Parquet => {
                let schema = batch(&[]).map_err(of_parquet)?.schema();
                let writer = ArrowWriter::try_new(out, schema, Some(properties()));
                Out::Parquet(Box::new(writer.map_err(of_parquet)?))
            }
        };
        let kinds = if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds.to_vec() };
        Ok(Self { out, kinds, counts: [0; 4] })
    }

    /// Writes those of some pairs that are of the kinds wanted.
    ///
    /// # Errors
    /// When what is known of a face cannot be read, or the output fails.
    pub fn write(&mut self, gallery: &Gallery, pairs: &[Pair]) -> Result<(), Error> {
        for pairs in pairs.chunks(ROWS) {
            let mut rows = Vec::with_capacity(pairs.len());
            for &pair in pairs {
                let described = Described::of(gallery, pair)?;
                if self.kinds.contains(&described.kind) {
                    self.counts[described.kind.index()] += 1;
                    rows.push(described);
                }
            }
            self.put(&rows)?;
        }
        Ok(())
    }

    fn put(&mut self, rows: &[Described<'_>]) -> Result<(), PairsError> {
        match &mut self.out {
            Out::Csv(out) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                for row in rows.iter().map(Line::from) {
                    let record = [
                        row.face_id_1.to_string(),
                        row.face_id_2.to_string(),
                        row.similarity.to_string(),
                        row.kind.to_string(),
                        text(row.subject_1),
                        text(row.subject_2),
                        text(row.image_1),
                        text(row.image_2),
                        text(row.key_1),
                        text(row.key_2),
                    ];
                    out.write_record(record).map_err(of_csv)?;
                }
            }
            Out::Json(out) => {
                for row in rows.iter().map(Line::from) {
                    serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                    out.write_all(b"\n")?;
                }
            }
            Out::Parquet(out) => {
                let written = batch(rows).and_then(|batch| out.write(&batch));
                written.map_err(of_parquet)?;
            }
        }
        Ok(())
    }

    /// Writes what is left and gives how many pairs there were of each of [`Kind::ALL`].
    ///
    /// # Errors
    /// When the output fails.
    pub fn finish(self) -> Result<[u64; 4], PairsError> {
        match self.out {
            Out::Csv(mut out) => out.flush()?,
            Out::Json(mut out) => out.flush()?,
            Out::Parquet(out) => out.into_inner().map_err(of_parquet)?.flush()?,
        }
        Ok(self.counts)
    }
}

/// Properties of every Parquet file that is written.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROWS))
        .build()
}

fn batch(rows: &[Described<'_>]) -> Result<RecordBatch, ParquetError> {
    let ids = |id: fn(&Described<'_>) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(id)))
    };
    let texts = |text: for<'a> fn(&Described<'a>) -> Option<&'a str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(text)))
    };
    let similarities = Float32Array::from_iter_values(rows.iter().map(|row| row.pair.similarity));
    let kinds = StringArray::from_iter_values(rows.iter().map(|row| row.kind.name()));
    let columns: [ArrayRef; 10] = [
        ids(|row| row.pair.first.0),
        ids(|row| row.pair.second.0),
        Arc::new(similarities),
        Arc::new(kinds),
        texts(|row| row.subjects[0]),
        texts(|row| row.subjects[1]),
        texts(|row| row.images[0]),
        texts(|row| row.images[1]),
        texts(|row| row.keys[0]),
        texts(|row| row.keys[1]),
    ];
    let columns = COLUMNS.into_iter().zip(columns).zip(0..);
    let columns = columns.map(|((name, column), at)| (name, column, at >= 4));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

pub(crate) fn of_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

pub(crate) fn of_parquet(error: ParquetError) -> io::Error {
    io::Error::other(error.to_string())
}

/// The path with an ending more.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Checks that a file can be written there, before long work is done for it.
///
/// # Errors
/// When its folder is not there, or something else than a file is in its place.
pub fn check_place(path: &Path) -> Result<(), PairsError> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            return Err(PairsError::io("write", path, io::ErrorKind::IsADirectory.into()));
        }
        // A device or a pipe would be put out of its place.
        Ok(there) if !there.is_file() => {
            let other = io::Error::other("it is not a file; leave --out away and redirect");
            return Err(PairsError::io("write", path, other));
        }
        _ => {}
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(PairsError::io("write into", folder, io::ErrorKind::NotFound.into()))
        }
        _ => Ok(()),
    }
}

/// Writes a file whole: `write` fills a temporary one beside it, which then takes its place. Only
/// its owner may read it.
pub(crate) fn write_whole<T>(
    path: &Path,
    write: impl FnOnce(BufWriter<fs::File>) -> Result<T, Error>,
) -> Result<T, Error> {
    check_place(path)?;
    // Through a symbolic link, what it leads to is written.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(path, ".new");
    let file = create_private(&temporary)?;
    let again = file.try_clone().map_err(|e| PairsError::io("write", &temporary, e))?;
    let done = write(BufWriter::with_capacity(1 << 18, file)).and_then(|done| {
        again.sync_all().map_err(|e| PairsError::io("write", &temporary, e))?;
        fs::rename(&temporary, path).map_err(|e| PairsError::io("rename", &temporary, e))?;
        Ok(done)
    });
    if done.is_err() {
        // Nothing of it can be used; what led here is to be told.
        let _ = fs::remove_file(&temporary);
    }
    let done = done?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(done)
}

impl Pairs {
    /// Writes the pairs of some kinds (every one without any) to the file `out`, and gives how many
    /// there were of each of [`Kind::ALL`].
    ///
    /// What is found is kept in `OUT.partial` until `out` stands: a search that was interrupted,
    /// even killed, goes on from there when it is run again, and writes the same file.
    ///
    /// # Errors
    /// As [`run`](Self::run); when files cannot be written; or when `OUT.partial` is of another
    /// gallery, similarity, hit rate or version of the program.
    pub fn write(
        &self,
        gallery: &Gallery,
        out: &Path,
        (format, kinds): (Format, &[Kind]),
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(Found, [u64; 4]), Error> {
        self.check()?;
        check_place(out)?;
        let partial = beside(out, ".partial");
        let catalogue = serde_json::to_vec(gallery.catalogue())
            .map_err(|e| PairsError::io("read", gallery.path(), e.into()))?;
        let job = Job {
            gallery: blake3::hash(&catalogue).to_hex().to_string(),
            at_least: self.at_least,
            hit_rate: self.hit_rate,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut spool = match Spool::resume(&partial, &job)? {
            Some(spool) => {
                progress.note("going on with an interrupted search for pairs");
                spool
            }
            None => Spool::begin(&partial, &job, self.reach(gallery, progress, cancel)?)?,
        };
        let (reach, first) = (spool.reach, spool.next);
        let take = &mut |step: Step<'_>| -> Result<(), Error> {
            match step {
                Step::Pairs(pairs) => spool.take(pairs)?,
                Step::Finished(unit) => spool.finish_unit(unit)?,
            }
            Ok(())
        };
        let done = self.run_from(gallery, &reach, first, take, progress, cancel);
        if let Err(Error::Pairs(PairsError::Cancelled)) = done {
            spool.keep()?;
            return Err(PairsError::Interrupted { partial }.into());
        }
        done?;
        let mut pairs = 0;
        let counts = write_whole(out, |file| {
            let mut writer = PairWriter::new(file, format, kinds)?;
            spool.read(gallery, |some| {
                pairs += some.len() as u64;
                super::heed(cancel)?;
                writer.write(gallery, some)
            })?;
            Ok(writer.finish()?)
        });
        if let Err(Error::Pairs(PairsError::Cancelled)) = counts {
            return Err(PairsError::Interrupted { partial }.into());
        }
        let counts = counts?;
        spool.remove()?;
        Ok((Found { pairs, reach }, counts))
    }
}
