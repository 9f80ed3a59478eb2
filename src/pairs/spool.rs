//! The pairs of a search that may be interrupted: `OUT.partial`, beside the file to be written.
//!
//! One line of JSON says what is searched for in which gallery, and how far is looked. Then come
//! records of 12 bytes in chunks, each with its unit and a checksum. A search that goes on cuts off
//! what follows the last chunk of a finished unit, and begins with the unit after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Pair, PairsError, Reach};
use crate::lock::Lock;
use crate::{Error, Gallery};

/// Bytes of a record: two places and the similarity's bits.
const RECORD: usize = 12;
/// Bytes before the records of a chunk: their number, the unit, whether it is finished, the checksum.
const HEAD: usize = 20;
/// Records of a chunk, at most.
const RECORDS: usize = 1 << 16;
/// Longest first line.
const MOST_JSON: u64 = 1 << 16;
/// Time after which what was found is put where an end of the process leaves it.
const KEPT_AFTER: Duration = Duration::from_secs(1);

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    /// BLAKE3 of what `gallery.json` says, the checksums of all files among it.
    pub(super) gallery: String,
    pub(super) at_least: f32,
    pub(super) hit_rate: f64,
    /// Of this program: another may part the work in other units.
    pub(super) version: String,
}

#[derive(Serialize, Deserialize)]
struct Begun {
    pairs_of: Job,
    reach: Reach,
}

/// The file, locked.
pub(super) struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    _lock: Lock,
    /// Where the chunks begin.
    start: u64,
    kept: Instant,
    pub(super) reach: Reach,
    /// The first unit that is not finished.
    pub(super) next: u32,
}

impl Spool {
    /// What an earlier run left of this job; `None` where there is nothing.
    pub(super) fn resume(path: &Path, job: &Job) -> Result<Option<Self>, PairsError> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PairsError::io("open", path, error)),
        };
        let other = || PairsError::OtherPartial { partial: path.to_owned() };
        let lock = lock(&file, path)?;
        let mut line = Vec::new();
        let mut reader = BufReader::new(&file);
        let read = reader.by_ref().take(MOST_JSON).read_until(b'\n', &mut line);
        read.map_err(|e| PairsError::io("read", path, e))?;
        if line.last() != Some(&b'\n') && line.len() < MOST_JSON as usize {
            // It ended while it was begun.
            fs::remove_file(path).map_err(|e| PairsError::io("remove", path, e))?;
            return Ok(None);
        }
        let begun: Begun = serde_json::from_slice(&line).map_err(|_| other())?;
        if begun.pairs_of != *job {
            return Err(other());
        }
        let start = line.len() as u64;
        let (mut next, mut good, mut at) = (0, start, start);
        // What does not fit was being written when the run ended.
        while let Some(chunk) = Chunk::read(&mut reader).filter(|chunk| chunk.unit == next) {
            at += (HEAD + chunk.records.len()) as u64;
            if chunk.finished {
                (good, next) = (at, next + 1);
            }
        }
        drop(reader);
        let mut spool = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            _lock: lock,
            start,
            kept: Instant::now(),
            reach: begun.reach,
            next,
        };
        let file = spool.file.get_mut();
        let cut = file.set_len(good).and_then(|()| file.seek(SeekFrom::Start(good)));
        cut.map_err(|e| PairsError::io("write", path, e))?;
        Ok(Some(spool))
    }

    /// Begins a job.
    pub(super) fn begin(path: &Path, job: &Job, reach: Reach) -> Result<Self, Error> {
        let begun = Begun { pairs_of: job.clone(), reach };
        let json = serde_json::to_vec(&begun);
        let mut line = json.map_err(|e| PairsError::io("write", path, e.into()))?;
        line.push(b'\n');
        // Whoever began the same meanwhile keeps it.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(PairsError::Locked { partial: path.to_owned() }.into());
            }
            Err(error) => return Err(PairsError::io("create", path, error).into()),
        };
        let lock = lock(&file, path)?;
        let written = file.write_all(&line).and_then(|()| file.sync_all());
        written.map_err(|e| PairsError::io("write", path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            _lock: lock,
            start: line.len() as u64,
            kept: Instant::now(),
            reach,
            next: 0,
        })
    }

    /// Takes pairs of the unit at hand.
    pub(super) fn take(&mut self, pairs: &[Pair]) -> Result<(), PairsError> {
        pairs.chunks(RECORDS).try_for_each(|pairs| self.chunk(pairs, false))
    }

    /// Finishes the unit at hand.
    pub(super) fn finish_unit(&mut self, unit: u32) -> Result<(), PairsError> {
        self.chunk(&[], true)?;
        self.next = unit + 1;
        if self.kept.elapsed() > KEPT_AFTER {
            self.keep()?;
        }
        Ok(())
    }

    /// Puts what was found where an end of the process leaves it.
    pub(super) fn keep(&mut self) -> Result<(), PairsError> {
        self.kept = Instant::now();
        self.file.flush().map_err(|e| PairsError::io("write", &self.path, e))
    }

    fn chunk(&mut self, pairs: &[Pair], finished: bool) -> Result<(), PairsError> {
        let mut records = Vec::with_capacity(pairs.len() * RECORD);
        for pair in pairs {
            records.extend(pair.places.0.to_le_bytes());
            records.extend(pair.places.1.to_le_bytes());
            records.extend(pair.similarity.to_le_bytes());
        }
        let chunk = Chunk { unit: self.next, finished, records };
        chunk.write(&mut self.file).map_err(|e| PairsError::io("write", &self.path, e))
    }

    /// Hands `take` all pairs, some at a time.
    pub(super) fn read<E: From<Error>>(
        &mut self,
        gallery: &Gallery,
        mut take: impl FnMut(&[Pair]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.keep().map_err(Error::from)?;
        let failed = |e| Error::from(PairsError::io("read", &self.path, e));
        let mut reader = BufReader::with_capacity(1 << 18, self.file.get_ref());
        reader.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        let mut unit = 0;
        while unit < self.next {
            let chunk = Chunk::read(&mut reader).filter(|chunk| chunk.unit == unit);
            let chunk = chunk.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
            let (records, _) = chunk.records.as_chunks::<RECORD>();
            let pairs: Vec<Pair> = records
                .iter()
                .map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| {
                    let places =
                        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                    Pair::of(gallery, places, f32::from_le_bytes([i, j, k, l]))
                })
                .collect();
            take(&pairs)?;
            unit += u32::from(chunk.finished);
        }
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<(), PairsError> {
        fs::remove_file(&self.path).map_err(|e| PairsError::io("remove", &self.path, e))
    }
}

/// Some pairs of a unit.
struct Chunk {
    unit: u32,
    finished: bool,
    records: Vec<u8>,
}

impl Chunk {
    /// The next chunk; `None` where none follows that is whole.
    fn read(reader: &mut impl Read) -> Option<Self> {
        let mut head = [0; HEAD];
        reader.read_exact(&mut head).ok()?;
        let number = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).copied();
        let records = u32::from_le_bytes(number(0)?) as usize;
        let unit = u32::from_le_bytes(number(4)?);
        let finished = u32::from_le_bytes(number(8)?);
        if records > RECORDS || finished > 1 {
            return None;
        }
        let mut bytes = vec![0; records * RECORD];
        reader.read_exact(&mut bytes).ok()?;
        let chunk = Self { unit, finished: finished == 1, records: bytes };
        (chunk.head() == head).then_some(chunk)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.head())?;
        out.write_all(&self.records)
    }

    fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&((self.records.len() / RECORD) as u32).to_le_bytes());
        head[4..8].copy_from_slice(&self.unit.to_le_bytes());
        head[8..12].copy_from_slice(&u32::from(self.finished).to_le_bytes());
        // Of the numbers before it too, so that no chunk is taken for that of another unit.
        let sum = xxh3_64(&head) ^ xxh3_64(&self.records).rotate_left(1);
        head[12..].copy_from_slice(&sum.to_le_bytes());
        head
    }
}

fn lock(file: &File, path: &Path) -> Result<Lock, PairsError> {
    let file = file.try_clone().map_err(|e| PairsError::io("lock", path, e))?;
    Lock::of(file, path).ok_or_else(|| PairsError::Locked { partial: path.to_owned() })
}
