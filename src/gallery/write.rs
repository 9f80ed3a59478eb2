//! Writing files so that a reader never sees half of one.
//!
//! In come sections, streamed one after the other; out goes a finished binary file with its header
//! and checksums, on disk before anyone is told of it. Folders are 0700 and files 0600: what is in
//! them are biometrics.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::GalleryError;
use super::format::{ALIGNMENT, FileKind, HEADER_BLOCK, Header, MAX_SECTIONS, Section, TableEntry};

/// Creates a file readable by its owner alone, replacing what is there.
pub(crate) fn create_private(path: &Path) -> Result<File, GalleryError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(|source| GalleryError::io("create", path, source))
}

/// Creates a folder (and its parents) that only its owner may enter.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), GalleryError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| GalleryError::io("create", path, source))
}

/// Writes a small file whole: temporary beside it, synced, renamed over it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), GalleryError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = create_private(&temporary)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| GalleryError::io("write", &temporary, source))?;
    fs::rename(&temporary, path)
        .map_err(|source| GalleryError::io("rename", &temporary, source))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes a folder's entries durable: a rename counts only after this.
pub(crate) fn sync_dir(path: &Path) -> Result<(), GalleryError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    #[cfg(unix)]
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| GalleryError::io("sync", path, source))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A binary file being written, section after section.
pub(crate) struct BinaryWriter {
    out: BufWriter<File>,
    path: PathBuf,
    kind: FileKind,
    at: u64,
    table: Vec<TableEntry>,
    hash: Xxh3,
}

impl BinaryWriter {
    pub(crate) fn create(path: &Path, kind: FileKind) -> Result<Self, GalleryError> {
        let file = create_private(path)?;
        let mut writer = Self {
            out: BufWriter::with_capacity(1 << 18, file),
            path: path.to_owned(),
            kind,
            at: 0,
            table: Vec::new(),
            hash: Xxh3::new(),
        };
        // The place of the header stays zero until every section is there: a file cut off before
        // that is no gallery file at all.
        writer.put(&[0; HEADER_BLOCK])?;
        Ok(writer)
    }

    /// Begins a section; what is written until the next is its content.
    pub(crate) fn section(&mut self, section: Section) -> Result<(), GalleryError> {
        self.end_section();
        debug_assert!(self.table.len() < MAX_SECTIONS);
        let padding = self.at.next_multiple_of(ALIGNMENT) - self.at;
        self.put(&[0; ALIGNMENT as usize][..padding as usize])?;
        self.table.push(TableEntry {
            tag: section.tag(),
            item_bytes: section.item_bytes(),
            offset: self.at,
            length: 0,
            checksum: 0,
        });
        self.hash.reset();
        Ok(())
    }

    /// Adds to the running section.
    pub(crate) fn write<T: bytemuck::NoUninit>(&mut self, items: &[T]) -> Result<(), GalleryError> {
        let bytes: &[u8] = bytemuck::cast_slice(items);
        self.hash.update(bytes);
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GalleryError> {
        self.out
            .write_all(bytes)
            .map_err(|source| GalleryError::io("write", &self.path, source))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn end_section(&mut self) {
        if let Some(entry) = self.table.last_mut() {
            entry.length = self.at - entry.offset;
            entry.checksum = self.hash.digest();
        }
    }

    /// Writes the header and makes the file durable.
    pub(crate) fn finish(mut self, faces: u64, dims: usize) -> Result<(), GalleryError> {
        self.end_section();
        let header = Header {
            kind: self.kind.number(),
            file_length: self.at,
            faces,
            dims: dims as u32,
            table: std::mem::take(&mut self.table),
        };
        let finish = |out: &mut BufWriter<File>| -> io::Result<()> {
            out.seek(SeekFrom::Start(0))?;
            out.write_all(&header.to_bytes())?;
            out.flush()?;
            out.get_ref().sync_all()
        };
        finish(&mut self.out).map_err(|source| GalleryError::io("write", &self.path, source))
    }
}

/// Puts the finished folder `building` in the place `gallery`, which may be taken only where
/// `replace` says so. A reader sees the old gallery or the new one, never half.
pub(crate) fn publish(building: &Path, gallery: &Path, replace: bool) -> Result<(), GalleryError> {
    sync_dir(building)?;
    let parent = gallery.parent().unwrap_or(Path::new("."));
    if replace && gallery.exists() {
        // The old gallery's folder will bear the building's name: no other build may take it.
        let old = File::open(gallery).inspect(|old| drop(old.try_lock()));
        exchange(building, gallery)?;
        sync_dir(parent)?;
        // The old gallery stands in the building's place now.
        fs::remove_dir_all(building)
            .map_err(|source| GalleryError::io("remove", building, source))?;
        drop(old);
    } else {
        rename_to_free_place(building, gallery)
            .map_err(|source| GalleryError::io("publish", gallery, source))?;
    }
    sync_dir(parent)
}

/// Renames and fails where the place has been taken meanwhile.
fn rename_to_free_place(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            done => return done.map_err(io::Error::from),
        }
    }
    if to.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Swaps two folders, in one step where the system can.
fn exchange(building: &Path, gallery: &Path) -> Result<(), GalleryError> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, building, CWD, gallery, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(source) => return Err(GalleryError::io("publish", gallery, source.into())),
        }
    }
    // Without an exchange there is a moment with no gallery, never one with half a gallery.
    let mut aside = building.as_os_str().to_os_string();
    aside.push(".old");
    let aside = PathBuf::from(aside);
    let publish = || {
        fs::rename(gallery, &aside)?;
        fs::rename(building, gallery)?;
        fs::rename(&aside, building)
    };
    publish().map_err(|source| GalleryError::io("publish", gallery, source))
}
