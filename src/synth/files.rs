//! The files of a synthetic gallery.
//!
//! In come rows by number; out go NumPy and CSV files in one folder, written from first to last with
//! a bounded part of them in memory. Always: the folder was empty before, every error names its
//! file, and what a failure leaves is removed again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayViewMut2};
use npyz::{DType, WriterBuilder};
use rand::RngExt;
use rayon::prelude::*;

use super::model::Model;
use super::people::People;
use super::seeds::{Stream, generator};
use super::{SynthError, check};
use crate::{Cancel, Progress};

/// Vectors drawn and turned together: one matrix product. The same whatever the number of threads,
/// so that rounding is too.
const BLOCK: usize = 1024;
/// Blocks in memory at once: 32 MB of 512-d vectors.
const BLOCKS: usize = 16;
/// Where the photos would come from, were there any.
const SOURCES: [&str; 5] = [
    "city-archive.example",
    "event-photos.example",
    "news-desk.example",
    "press-archive.example",
    "staff-portal.example",
];
const FIRST_YEAR: u32 = 2015;
const YEARS: u32 = 10;

/// A file of f32 rows, finished.
#[derive(Clone, Debug)]
pub(super) struct Vectors {
    pub(super) path: PathBuf,
    /// Where the rows begin.
    pub(super) offset: u64,
    pub(super) rows: u64,
    pub(super) dims: usize,
}

/// The folder written to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    new: bool,
}

impl Folder {
    /// Makes the folder, or takes it as it is if it is empty.
    pub(super) fn prepare(path: &Path) -> Result<Self, SynthError> {
        let new = match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(SynthError::NotEmpty(path.to_owned()));
                }
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(at(path))?;
                true
            }
            Err(error) => return Err(at(path)(error)),
        };
        Ok(Self { path: path.to_owned(), new })
    }

    /// Removes what was written. Its own failures matter less than the one that led here.
    pub(super) fn undo(&self) {
        for name in ["embeddings.npy", "manifest.csv", "probes.npy", "probes.csv", "truth.npy"] {
            let _ = fs::remove_file(self.path.join(name));
        }
        if self.new {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Writes `rows` vectors of `dims` numbers; `draw` fills the one of a row before it is turned,
    /// `done` hears how many are written and may stop the work.
    pub(super) fn vectors(
        &self,
        name: &str,
        (rows, dims): (u64, usize),
        model: &Model,
        draw: impl Fn(u64, &mut [f32]) + Sync,
        done: &mut dyn FnMut(u64) -> Result<(), SynthError>,
    ) -> Result<Vectors, SynthError> {
        let path = self.path.join(name);
        let (mut file, offset) =
            begin_npy(&path, "<f4", &[rows, dims as u64]).map_err(at(&path))?;
        let mut values = vec![0.0_f32; BLOCKS * BLOCK * dims];
        let mut bytes = vec![0_u8; values.len() * size_of::<f32>()];
        let mut start = 0;
        while start < rows {
            let count = (rows - start).min((BLOCKS * BLOCK) as u64) as usize;
            let (values, bytes) =
                (&mut values[..count * dims], &mut bytes[..count * dims * size_of::<f32>()]);
            values
                .par_chunks_mut(BLOCK * dims)
                .zip(bytes.par_chunks_mut(BLOCK * dims * size_of::<f32>()))
                .enumerate()
                .try_for_each(|(block, (values, bytes))| {
                    let first = start + (block * BLOCK) as u64;
                    draw_block(first, dims, model, &draw, values)?;
                    let (words, _) = bytes.as_chunks_mut();
                    for (word, value) in words.iter_mut().zip(values) {
                        *word = value.to_le_bytes();
                    }
                    Ok(())
                })
                .map_err(|e: ndarray::ShapeError| at(&path)(io::Error::other(e)))?;
            file.write_all(bytes).map_err(at(&path))?;
            start += count as u64;
            done(start)?;
        }
        file.flush().map_err(at(&path))?;
        Ok(Vectors { path, offset, rows, dims })
    }

    /// Writes who is on each face and where and when the photo would have been taken.
    pub(super) fn manifest(
        &self,
        people: &People,
        seed: u64,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), SynthError> {
        let path = self.path.join("manifest.csv");
        let dates = dates();
        let mut csv = begin_csv(&path, &["subject", "source", "captured_on"])?;
        progress.begin("writing the manifest", Some(people.faces()));
        for row in 0..people.faces() {
            if row % 65_536 == 0 {
                check(cancel)?;
                progress.advance((people.faces() - row).min(65_536));
            }
            let (slot, person) = people.at_row(row);
            let mut rng = generator(seed, Stream::Particulars, slot);
            let source = SOURCES[rng.random_range(0..SOURCES.len())];
            let date = &dates[rng.random_range(0..dates.len())];
            csv.write_record([people.name(person).as_str(), source, date.as_str()])
                .map_err(|e| at(&path)(e.into()))?;
        }
        progress.end();
        csv.flush().map_err(at(&path))
    }

    /// Writes who is on each probe, nothing for people who are not in the gallery.
    pub(super) fn probe_subjects(
        &self,
        subjects: impl Iterator<Item = Option<String>>,
    ) -> Result<(), SynthError> {
        let path = self.path.join("probes.csv");
        let mut csv = begin_csv(&path, &["subject"])?;
        for subject in subjects {
            csv.write_record([subject.unwrap_or_default()]).map_err(|e| at(&path)(e.into()))?;
        }
        csv.flush().map_err(at(&path))
    }

    /// Writes the exact answers.
    pub(super) fn truth(&self, rows: &[i64], (probes, k): (u64, usize)) -> Result<(), SynthError> {
        let path = self.path.join("truth.npy");
        let write = || {
            let (mut file, _) = begin_npy(&path, "<i8", &[probes, k as u64])?;
            for row in rows {
                file.write_all(&row.to_le_bytes())?;
            }
            file.flush()
        };
        write().map_err(at(&path))
    }
}

/// Draws the vectors of one block and turns them into `values`.
fn draw_block(
    first: u64,
    dims: usize,
    model: &Model,
    draw: &(impl Fn(u64, &mut [f32]) + Sync),
    values: &mut [f32],
) -> Result<(), ndarray::ShapeError> {
    let count = values.len() / dims;
    let mut vectors = Array2::<f32>::zeros((count, model.rank()));
    for (row, mut vector) in (first..).zip(vectors.rows_mut()) {
        if let Some(vector) = vector.as_slice_mut() {
            draw(row, vector);
        }
    }
    let mut out = ArrayViewMut2::from_shape((count, dims), values)?;
    model.turn(&vectors, &mut out);
    Ok(())
}

/// Begins a NumPy file and tells where its values start.
fn begin_npy(path: &Path, dtype: &str, shape: &[u64]) -> io::Result<(BufWriter<File>, u64)> {
    let dtype = dtype.parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let mut header = Vec::new();
    npyz::WriteOptions::new_header_only()
        .dtype(DType::new_scalar(dtype))
        .shape(shape)
        .writer(&mut header)
        .write_header_only()?;
    let mut file = BufWriter::new(File::create_new(path)?);
    file.write_all(&header)?;
    Ok((file, header.len() as u64))
}

fn begin_csv(path: &Path, header: &[&str]) -> Result<csv::Writer<File>, SynthError> {
    let file = File::create_new(path).map_err(at(path))?;
    let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 20).from_writer(file);
    csv.write_record(header).map_err(|e| at(path)(e.into()))?;
    Ok(csv)
}

/// Names the file an error is about.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> SynthError + '_ {
    move |source| SynthError::Io { path: path.to_owned(), source }
}

/// Every day on which a photo may have been taken.
fn dates() -> Vec<String> {
    let mut dates = Vec::new();
    for year in FIRST_YEAR..FIRST_YEAR + YEARS {
        for month in 1..=12 {
            let days = match month {
                // No century lies in the range.
                2 if year % 4 == 0 => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            dates.extend((1..=days).map(|day| format!("{year}-{month:02}-{day:02}")));
        }
    }
    dates
}
