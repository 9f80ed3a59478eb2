//! `gallery.json`: what a gallery is, and the checksum of every file of it.
//!
//! The one pointer to the segments. Its own checksum lies beside it in `gallery.json.b3`, in the
//! form that `b3sum --check` reads. It holds no times and no paths, so equal galleries have equal
//! bytes.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::GalleryError;
use super::format::{FORMAT, OLDEST_READABLE};
use super::map::open_regular;
#[cfg(feature = "build")]
use super::write::write_atomically;
use crate::search::Promise;

/// The catalogue's file name.
pub(crate) const FILE_NAME: &str = "gallery.json";
/// The file with the catalogue's checksum.
pub(crate) const CHECKSUM_NAME: &str = "gallery.json.b3";
/// A catalogue larger than this is not one.
const MAX_BYTES: u64 = 64 << 20;

/// The content of `gallery.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The format number of the gallery.
    pub format: u32,
    /// The version of lookalike that wrote it.
    pub written_by: String,
    /// Dimensions of an embedding.
    pub dims: usize,
    /// Name of the face model, where the builder was told.
    pub model: Option<String>,
    /// How vectors are stored.
    pub vectors: VectorType,
    /// Faces in all segments together.
    pub faces: u64,
    /// The id the next enrolled face will get; ids are never used again.
    pub next_face_id: u64,
    /// What became of the input.
    pub ingest: IngestCounts,
    /// The codes.
    pub codes: CodesInfo,
    /// The cells that the faces are stored by.
    pub cells: CellsInfo,
    /// The graph, unless the gallery was built without one.
    pub graph: Option<GraphInfo>,
    /// What plans deliver on this gallery; `None` for one so small that every face is scored.
    pub promise: Option<Promise>,
    /// The segments, in order.
    pub segments: Vec<SegmentInfo>,
    /// Files beside the segments.
    pub files: Vec<FileInfo>,
}

/// How vectors are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VectorType {
    /// Single precision, 4 bytes a dimension.
    #[default]
    F32,
    /// Half precision, 2 bytes a dimension; similarities are off by up to about 0.0005.
    F16,
}

/// What became of the rows of the embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestCounts {
    /// Rows in the embeddings.
    pub rows: u64,
    /// Faces enrolled.
    pub enrolled: u64,
    /// Rows or manifest lines that were refused.
    pub rejected: u64,
    /// Rows that no manifest line named.
    pub unnamed: u64,
    /// Faces enrolled with a warning.
    pub warned: u64,
    /// Faces enrolled whose photo is there under another subject or source.
    pub flagged: u64,
    /// Faces with a thumbnail.
    pub thumbnails: u64,
}

/// How faces are coded, as learned from a sample of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodesInfo {
    /// Bytes of a code, without its factors.
    pub bytes: usize,
    /// Bits a coded dimension.
    pub bits: u32,
    /// Coded dimensions.
    pub dims: usize,
    /// Dimensions that hold 99.99 % of the variance.
    pub carrying: usize,
    /// Root mean square error of the similarities that the codes estimate.
    pub error: f64,
    /// The same of each face's most similar others.
    pub error_nearest: f64,
    /// Standard deviation of the similarities of two faces, whoever they are; 0 where it was not
    /// measured, as in galleries written before it was.
    #[serde(default)]
    pub similarity_spread: f64,
}

/// How the faces lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellsInfo {
    /// Cells, at least one.
    pub count: u32,
    /// Groups of cells; 0 where there is one level.
    pub groups: u32,
    /// Faces of the largest cell.
    pub largest: u32,
}

/// How the graph was built and what it took to make every face reachable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// The builder's name as on the command line.
    pub builder: String,
    /// Links a face on upper layers; twice as many on layer 0.
    pub m: usize,
    /// Candidates examined for each face while building.
    pub ef_construction: usize,
    /// Seed of the levels and of the order in which faces are linked.
    pub seed: u64,
    /// Layers above layer 0.
    pub upper_layers: usize,
    /// Faces that layer 0 did not reach from the entry point as the builder left it.
    pub unreachable_before: u64,
    /// The same after they were linked in.
    pub unreachable_after: u64,
}

/// One segment of a gallery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// Its folder's name under `segments`: four or more digits.
    pub name: String,
    /// Faces in it.
    pub faces: u64,
    /// Its files.
    pub files: Vec<FileInfo>,
}

/// One file and its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name within its folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its content, in hexadecimal.
    pub blake3: String,
}

impl FileInfo {
    /// Measures a file.
    pub(crate) fn of(path: &Path) -> Result<Self, GalleryError> {
        let bytes = open_regular(path)
            .and_then(|file| file.metadata())
            .map_err(|source| GalleryError::io("read", path, source))?
            .len();
        Ok(Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes,
            blake3: hash_file(path)?,
        })
    }
}

/// BLAKE3 of a file's content in hexadecimal, on all threads of the pool.
pub(crate) fn hash_file(path: &Path) -> Result<String, GalleryError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(path).map_err(|source| GalleryError::io("read", path, source))?;
    Ok(hasher.finalize().to_hex().to_string())
}

impl Catalogue {
    #[cfg(feature = "build")]
    /// Writes `gallery.json` and its checksum into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), GalleryError> {
        let path = folder.join(FILE_NAME);
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|source| GalleryError::io("write", &path, source.into()))?;
        json.push(b'\n');
        write_atomically(&path, &json)?;
        let checksum = format!("{}  {FILE_NAME}\n", blake3::hash(&json).to_hex());
        write_atomically(&folder.join(CHECKSUM_NAME), checksum.as_bytes())
    }

    /// Reads and checks `gallery.json`.
    pub(crate) fn read(folder: &Path) -> Result<Self, GalleryError> {
        let path = folder.join(FILE_NAME);
        // What may not be entered is another matter than what is not there.
        if matches!(path.try_exists(), Ok(false)) {
            return Err(GalleryError::NotAGallery { path: folder.to_owned() });
        }
        let json = read_small(&path)?;
        let checksum = read_small(&folder.join(CHECKSUM_NAME))?;
        let damaged = |reason: String| GalleryError::damaged(&path, reason);
        let expected = format!("{}  {FILE_NAME}\n", blake3::hash(&json).to_hex());
        check_format(&path, &json)?;
        if checksum != expected.as_bytes() {
            return Err(damaged(format!("it does not match its checksum in {CHECKSUM_NAME}")));
        }
        let catalogue: Self = serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))?;
        // Names become parts of paths: none may lead out of the gallery.
        for segment in &catalogue.segments {
            if segment.name.len() < 4 || !segment.name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(damaged(format!("segment name {:?}", segment.name)));
            }
        }
        let of_segments = catalogue.segments.iter().flat_map(|segment| &segment.files);
        for file in catalogue.files.iter().chain(of_segments) {
            // So does this one: it may not lead out of its folder.
            if Path::new(&file.name).file_name() != Some(OsStr::new(&file.name)) {
                return Err(damaged(format!("file name {:?}", file.name)));
            }
        }
        Ok(catalogue)
    }
}

/// The format number comes first: an unknown one explains everything else that seems wrong.
fn check_format(path: &Path, json: &[u8]) -> Result<(), GalleryError> {
    #[derive(Deserialize)]
    struct Numbered {
        format: u32,
    }
    let found = serde_json::from_slice::<Numbered>(json)
        .map_err(|e| GalleryError::damaged(path, e.to_string()))?
        .format;
    if (OLDEST_READABLE..=FORMAT).contains(&found) {
        return Ok(());
    }
    Err(GalleryError::Format {
        path: path.to_owned(),
        found,
        oldest: OLDEST_READABLE,
        newest: FORMAT,
        remedy: if found > FORMAT { "use a newer lookalike" } else { "build the gallery again" },
    })
}

fn read_small(path: &Path) -> Result<Vec<u8>, GalleryError> {
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| GalleryError::io("read", path, source))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(GalleryError::damaged(path, format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn catalogue(file: &str) -> Catalogue {
        let info = FileInfo { name: file.to_owned(), bytes: 0, blake3: String::new() };
        Catalogue {
            format: FORMAT,
            written_by: String::new(),
            dims: 2,
            model: None,
            vectors: VectorType::F32,
            faces: 0,
            next_face_id: 0,
            ingest: IngestCounts::default(),
            codes: CodesInfo {
                bytes: 64,
                bits: 1,
                dims: 512,
                carrying: 2,
                error: 0.0,
                error_nearest: 0.0,
                similarity_spread: 0.0,
            },
            cells: CellsInfo { count: 1, groups: 0, largest: 0 },
            graph: None,
            promise: None,
            segments: vec![SegmentInfo {
                name: "0001".to_owned(),
                faces: 0,
                files: vec![info.clone()],
            }],
            files: vec![info],
        }
    }

    #[test]
    fn names_do_not_lead_out_of_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name| {
            catalogue(name).write(folder.path()).unwrap();
            Catalogue::read(folder.path())
        };
        assert!(read("rejects.csv").is_ok());
        for name in ["", ".", "..", "../x", "/dev/zero", "a/b", "a/"] {
            let error = read(name).unwrap_err().to_string();
            assert!(error.contains(&format!("file name {name:?}")), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_never_read() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join(FILE_NAME);
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(Catalogue::read(folder.path()).is_err());
        let endless = folder.path().join("endless");
        std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
        assert!(FileInfo::of(&endless).is_err());
        assert!(super::super::map::Mapping::open(&pipe).is_err());
    }
}
