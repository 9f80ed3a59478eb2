//! The only place of ours where files are mapped into memory (verifying leaves it to BLAKE3).
//!
//! In comes a path; out go its bytes, read by the kernel page by page as they are touched. Only
//! finished files are mapped: the writers publish by rename and never change what they published.
//! A file cut short by somebody else while it is mapped ends the process with SIGBUS; that is the
//! one fault a reader of mapped files cannot turn into an error.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
#[cfg(feature = "build")]
use std::ops::DerefMut;
use std::path::Path;

use bytes::Bytes;
use memmap2::{Mmap, MmapMut};

/// A file mapped for reading.
#[derive(Debug)]
pub(crate) struct Mapping(Option<Mmap>);

impl Mapping {
    /// Maps the whole file at `path`; an empty file gives an empty mapping.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::of(&open_regular(path)?)
    }

    /// Maps the whole of an open file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the mapping is read-only and private to this value. Its bytes are only ever read
        // as plain data whose every bit pattern is valid, and every offset taken from them is
        // checked against the length where it is used. That nobody writes to or truncates the file
        // meanwhile cannot be enforced; the module's page says what happens then.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(Some(map)))
    }

    /// The same bytes in memory of this process, in huge pages where the system has them: scattered
    /// reads then seldom miss the processor's cache of addresses.
    pub(crate) fn into_memory(self) -> io::Result<Self> {
        let Some(map) = self.0 else { return Ok(self) };
        let mut memory = MmapMut::map_anon(map.len())?;
        // Small pages serve as well, only slower.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        memory.copy_from_slice(&map);
        Ok(Self(Some(memory.make_read_only()?)))
    }

    /// Says that its pages are read here and there: otherwise a missing one brings its neighbours
    /// along, megabytes of them on some systems, which drive out of memory what is needed.
    pub(crate) fn read_scattered(&self) {
        // Reading along is only slower.
        #[cfg(unix)]
        let _ = self.0.as_ref().map(|map| map.advise(memmap2::Advice::Random));
    }

    /// Takes [`read_scattered`](Self::read_scattered) back.
    pub(crate) fn read_in_order(&self) {
        #[cfg(unix)]
        let _ = self.0.as_ref().map(|map| map.advise(memmap2::Advice::Sequential));
    }

    /// The bytes as a shared buffer that keeps the mapping alive.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.0 {
            Some(map) => Bytes::from_owner(map),
            None => Bytes::new(),
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What one request reads at most on common settings of disks.
#[cfg(unix)]
const ONE_REQUEST: usize = 128 << 10;

/// Asks the system to read from disk, all together, what of `bytes` is mapped and not in memory.
#[cfg(unix)]
pub(crate) fn will_need(bytes: &[u8]) {
    for bytes in bytes.chunks(ONE_REQUEST) {
        let before = bytes.as_ptr().addr() % rustix::param::page_size();
        let page = bytes.as_ptr().wrapping_sub(before).cast_mut().cast();
        let advice = rustix::mm::Advice::WillNeed;
        // SAFETY: the advice starts reading and changes nothing in memory. From the start of the
        // page that holds the first byte (there is one) to the last byte, all is mapped as long as
        // the slice lives.
        #[allow(unsafe_code)]
        let asked = unsafe { rustix::mm::madvise(page, before + bytes.len(), advice) };
        // What was not asked for is read when it is touched.
        let _ = asked;
    }
}

/// Elsewhere what is touched is read.
#[cfg(not(unix))]
pub(crate) fn will_need(_: &[u8]) {}

/// Opens a regular file and nothing else: opening a pipe may wait forever, reading a device too.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// A scratch file mapped for reading and writing: memory that the kernel may page out to disk.
#[cfg(feature = "build")]
#[derive(Debug)]
pub(crate) struct ScratchMapping(MmapMut);

#[cfg(feature = "build")]
impl ScratchMapping {
    /// Maps the whole of `file`, which must be open for reading and writing, not empty, and
    /// unlinked or otherwise out of everybody else's reach.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: callers hand over scratch files of their own that no one else opens, so nothing
        // changes or truncates them while they are mapped; the bytes are plain data.
        #[allow(unsafe_code)]
        let map = unsafe { MmapMut::map_mut(file)? };
        Ok(Self(map))
    }
}

#[cfg(feature = "build")]
impl Deref for ScratchMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(feature = "build")]
impl DerefMut for ScratchMapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
