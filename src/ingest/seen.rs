//! What has been seen before among any number of faces, in bounded memory.
//!
//! In come 128-bit fingerprints with a number each, or rows; out goes whether they came before.
//! [`Seen`] is a hash table with open addressing, [`RowIndex`] a bitmap; both live in files without
//! a name, mapped, so that the kernel may page them out. Their blocks are allocated before they are
//! mapped: a full disk is an error, never a SIGBUS. What is in them ends with the process.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::gallery::map::ScratchMapping;

/// A slot: the fingerprint in two halves, and the value. A fingerprint of 0 means an empty slot.
type Slot = [u64; 3];
const SLOT: usize = size_of::<Slot>();
/// A table begins with this many slots, a power of two.
const FIRST_SLOTS: u64 = 1 << 12;
/// The most rows, a trillion: 128 GiB of bits.
const MOST_ROWS: u64 = 1 << 40;
/// A bitmap begins with this many bytes.
const FIRST_BYTES: u64 = 1 << 12;

/// A map from fingerprints to values that keeps the first value of each.
#[derive(Debug)]
pub(crate) struct Seen {
    directory: PathBuf,
    table: ScratchMapping,
    slots: u64,
    used: u64,
    /// The value of fingerprint 0, which has no slot.
    zero: Option<u64>,
}

impl Seen {
    /// An empty map whose file is in `directory`.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: directory.to_path_buf(),
            table: table(directory, FIRST_SLOTS)?,
            slots: FIRST_SLOTS,
            used: 0,
            zero: None,
        })
    }

    /// Keeps `value` for `fingerprint` unless there is one, which is returned.
    pub(crate) fn insert(&mut self, fingerprint: u128, value: u64) -> io::Result<Option<u64>> {
        if fingerprint == 0 {
            let earlier = self.zero;
            self.zero.get_or_insert(value);
            return Ok(earlier);
        }
        // Beyond 60 % the runs of full slots get long.
        if (self.used + 1) * 10 > self.slots * 6 {
            self.grow()?;
        }
        let slot = [fingerprint as u64, (fingerprint >> 64) as u64, value];
        let earlier = put(&mut self.table, self.slots, slot);
        self.used += u64::from(earlier.is_none());
        Ok(earlier)
    }

    /// The value kept for `fingerprint`.
    pub(crate) fn get(&self, fingerprint: u128) -> Option<u64> {
        if fingerprint == 0 {
            return self.zero;
        }
        let halves = [fingerprint as u64, (fingerprint >> 64) as u64];
        find(&self.table, self.slots, halves).1
    }

    fn grow(&mut self) -> io::Result<()> {
        let slots = self.slots * 2;
        let mut larger = table(&self.directory, slots)?;
        for bytes in self.table.chunks_exact(SLOT) {
            let slot: Slot = bytemuck::pod_read_unaligned(bytes);
            if !is_empty(&slot) {
                put(&mut larger, slots, slot);
            }
        }
        self.table = larger;
        self.slots = slots;
        Ok(())
    }
}

fn is_empty(slot: &Slot) -> bool {
    slot[0] == 0 && slot[1] == 0
}

fn table(directory: &Path, slots: u64) -> io::Result<ScratchMapping> {
    let file = tempfile::tempfile_in(directory)?;
    allocate(&file, 0, slots * SLOT as u64)?;
    ScratchMapping::of(&file)
}

/// Puts a slot where it belongs, or returns the value its fingerprint has there.
fn put(table: &mut [u8], slots: u64, slot: Slot) -> Option<u64> {
    let (begin, earlier) = find(table, slots, [slot[0], slot[1]]);
    if earlier.is_none() {
        table[begin..begin + SLOT].copy_from_slice(bytemuck::bytes_of(&slot));
    }
    earlier
}

/// Where a fingerprint is or would be, in bytes, and its value if it is there.
fn find(table: &[u8], slots: u64, halves: [u64; 2]) -> (usize, Option<u64>) {
    // The high bits of the hash choose the place, so that a table grows from front to back and
    // its pages are written in order.
    let hash = (halves[0] ^ halves[1].rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut at = hash >> (64 - slots.trailing_zeros());
    loop {
        let begin = at as usize * SLOT;
        let there: Slot = bytemuck::pod_read_unaligned(&table[begin..begin + SLOT]);
        if is_empty(&there) {
            return (begin, None);
        }
        if there[..2] == halves {
            return (begin, Some(there[2]));
        }
        at = (at + 1) % slots;
    }
}

/// The set of rows seen.
#[derive(Debug)]
pub(crate) struct RowIndex {
    file: File,
    bits: ScratchMapping,
}

impl RowIndex {
    /// An empty set whose file is in `directory`.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        allocate(&file, 0, FIRST_BYTES)?;
        let bits = ScratchMapping::of(&file)?;
        Ok(Self { file, bits })
    }

    /// Marks a row and returns whether it was marked before.
    ///
    /// The file has a bit for every row up to the highest, so a row must be checked against the
    /// number of rows there are before it is marked.
    pub(crate) fn mark(&mut self, row: u64) -> io::Result<bool> {
        if row >= MOST_ROWS {
            let message = format!("row {row} is too large, rows go up to {MOST_ROWS}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let byte = row / 8;
        let length = self.bits.len() as u64;
        if byte >= length {
            let wanted = (byte + 1).max(length * 2);
            allocate(&self.file, length, wanted)?;
            self.bits = ScratchMapping::of(&self.file)?;
        }
        let bit = 1 << (row % 8);
        let bits = &mut self.bits[byte as usize];
        let before = *bits & bit != 0;
        *bits |= bit;
        Ok(before)
    }
}

/// Makes `file` as long as `to` with zeros from `from` on, each of them with its block on disk.
fn allocate(file: &File, from: u64, to: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => (),
            Err(error) => return Err(error.into()),
        }
    }
    write_zeros(file, from, to)
}

/// What [`allocate`] does where the file system cannot.
fn write_zeros(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};

    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    file.seek(SeekFrom::Start(from))?;
    let mut left = to - from;
    while left > 0 {
        let part = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..part as usize])?;
        left -= part;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use proptest::prelude::*;

    fn seen() -> Seen {
        Seen::new(&std::env::temp_dir()).unwrap()
    }

    #[test]
    fn the_first_value_is_kept() {
        let mut seen = seen();
        for fingerprint in [0, 1, 1 << 64, u128::MAX] {
            assert_eq!(seen.insert(fingerprint, u64::MAX).unwrap(), None);
            assert_eq!(seen.insert(fingerprint, 5).unwrap(), Some(u64::MAX));
            assert_eq!(seen.insert(fingerprint, 6).unwrap(), Some(u64::MAX));
        }
    }

    #[test]
    fn nothing_is_lost_when_it_grows() {
        let mut seen = seen();
        let fingerprint = |i: u64| xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes());
        for i in 0..50_000 {
            assert_eq!(seen.insert(fingerprint(i), i).unwrap(), None);
        }
        assert!(seen.slots > FIRST_SLOTS);
        assert!(seen.used * 10 <= seen.slots * 6);
        for i in 0..50_000 {
            assert_eq!(seen.insert(fingerprint(i), 0).unwrap(), Some(i));
        }
    }

    #[test]
    fn rows_are_marked_once() {
        let mut rows = RowIndex::new(&std::env::temp_dir()).unwrap();
        for row in [0, 7, 8, 1_000_000, 3, 40_000, 1_000_001] {
            assert!(!rows.mark(row).unwrap(), "{row}");
            assert!(rows.mark(row).unwrap(), "{row}");
        }
        assert!(!rows.mark(6).unwrap());
    }

    #[test]
    fn a_row_beyond_every_disk_is_an_error() {
        let mut rows = RowIndex::new(&std::env::temp_dir()).unwrap();
        assert!(rows.mark(u64::MAX).is_err());
        assert!(!rows.mark(1).unwrap());
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        assert!(Seen::new(Path::new("/nowhere/at/all")).is_err());
        assert!(RowIndex::new(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn zeros_are_written_where_blocks_cannot_be_allocated() {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"kept").unwrap();
        write_zeros(&file, 4, 200_000).unwrap();
        let bits = ScratchMapping::of(&file).unwrap();
        assert_eq!(bits.len(), 200_000);
        assert_eq!(&bits[..4], b"kept");
        assert!(bits[4..].iter().all(|&b| b == 0));
    }

    proptest! {
        #[test]
        fn it_does_as_a_hash_map(pairs in prop::collection::vec((0_u128..500, any::<u64>()), 0..600)) {
            let mut seen = seen();
            let mut model = HashMap::new();
            for (fingerprint, value) in pairs {
                let earlier = model.get(&fingerprint).copied();
                prop_assert_eq!(seen.insert(fingerprint, value).unwrap(), earlier);
                model.entry(fingerprint).or_insert(value);
            }
        }

        #[test]
        fn it_does_as_a_hash_set(rows in prop::collection::vec(0_u64..200_000, 0..200)) {
            let mut index = RowIndex::new(&std::env::temp_dir()).unwrap();
            let mut model = HashSet::new();
            for row in rows {
                prop_assert_eq!(index.mark(row).unwrap(), !model.insert(row));
            }
        }
    }
}
