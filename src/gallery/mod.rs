//! A gallery on disk: a folder that is mapped into memory and never loaded.
//!
//! ```text
//! gallery.json      what it is and the checksum of every file (gallery.json.b3: its own)
//! calibration.json  thresholds, where they were calibrated
//! rejects.csv       what of the input was refused, warned of or flagged
//! segments/0001/    faces.bin vectors.bin codes.bin graph.bin thumbnails.bin attributes.arrow
//! ```
//!
//! | file | job |
//! |---|---|
//! | `format` | the bytes of the binary files |
//! | `write` | writing and publishing them |
//! | `map` | mapping them |
//! | `segment`, `codes`, `graph`, `attributes` | checked reading in place |
//! | `catalogue` | `gallery.json` |
//! | `verify` | reading everything and checking everything |
//!
//! Finished files never change. [`Gallery::open`] reads headers only; [`verify`] reads all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::search::ScratchPool;
use crate::{Embedding, FaceId};

pub(crate) mod attributes;
pub(crate) mod catalogue;
pub(crate) mod codes;
pub(crate) mod date;
mod error;
pub mod format;
pub(crate) mod graph;
pub(crate) mod map;
pub(crate) mod segment;
mod verify;
#[cfg(feature = "build")]
pub(crate) mod write;

pub use attributes::{Attribute, Bounds, Kind, MAX_TEXT, Value};
pub use catalogue::{
    Catalogue, CellsInfo, CodesInfo, FileInfo, GraphInfo, IngestCounts, SegmentInfo, VectorType,
};
pub use error::GalleryError;
pub use verify::{Verified, verify};

use attributes::column;
use segment::{Lookup, Segment};

/// An open gallery: cheap to clone and to share between threads.
///
/// ```
/// use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent};
///
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("people.gallery");
/// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
/// # Build::new(&place, format!("{sample}/embeddings.npy"))
/// #     .manifest(format!("{sample}/manifest.csv"))
/// #     .run(&Silent, &Cancel::new())?;
/// let gallery = Gallery::open(&place)?;
/// let probe = gallery.embedding(FaceId(17))?;
/// let found = gallery.search(&probe, &Query::new().top(10))?;
/// assert_eq!(found[0].face_id, FaceId(17));
/// println!("{} {:.3}", found[1].face()?.image, found[1].similarity);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gallery(pub(crate) Arc<Opened>);

/// What every clone of a gallery shares.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    catalogue: Catalogue,
    pub(crate) segment: Segment,
    pub(crate) scratch: ScratchPool,
    pub(crate) selections: crate::search::SelectionCache,
}

/// One face of a gallery.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Face {
    /// Its id.
    pub face_id: FaceId,
    /// Path of its image as the manifest gave it; empty where it gave none.
    pub image: String,
    /// The person, where known.
    pub subject: Option<String>,
    /// Where it came from, where known.
    pub source: Option<String>,
    /// The caller's own id, where given.
    pub key: Option<String>,
    /// Where it is in the image, in pixels of the upright image.
    pub bounds: Option<Bounds>,
    /// Length of its embedding before normalising; some models put the photo's quality into it.
    pub norm: f32,
    /// BLAKE3 of the image file, where it could be read.
    pub image_hash: Option<[u8; 32]>,
    /// The first face with the same photo (or, without an image, the same embedding), for people to
    /// decide.
    pub same_photo_as: Option<FaceId>,
    /// The manifest's other columns, in the order of [`Gallery::attributes`].
    pub attributes: Vec<Value>,
}

impl Gallery {
    /// Maps the gallery in the folder `path`.
    ///
    /// Reads headers only, whatever the gallery's size; [`verify`] checks the content.
    ///
    /// # Errors
    /// When the folder is no gallery, was written in another format, or a file is missing, cut
    /// short or damaged where opening has to look.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GalleryError> {
        Self::open_with(path.as_ref(), false)
    }

    /// [`open`](Self::open) with codes and graph read into memory, in huge pages where the system
    /// has them (on Linux `transparent_hugepage/enabled` must be `madvise` or `always`); vectors,
    /// thumbnails and attributes stay mapped. Takes as long as reading those files, and as much
    /// memory; each search is then faster, and never waits for the disk before the last candidates.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when there is not that much memory.
    pub fn open_resident(path: impl AsRef<Path>) -> Result<Self, GalleryError> {
        Self::open_with(path.as_ref(), true)
    }

    fn open_with(path: &Path, resident: bool) -> Result<Self, GalleryError> {
        // A gallery that is replaced while it is opened may give files of two galleries; the
        // second try sees the new one alone.
        Self::open_once(path, resident).or_else(|_| Self::open_once(path, resident))
    }

    fn open_once(path: &Path, resident: bool) -> Result<Self, GalleryError> {
        Self::of(path, Catalogue::read(path)?, resident)
    }

    /// The gallery of which this is the catalogue.
    pub(crate) fn of(
        path: &Path,
        catalogue: Catalogue,
        resident: bool,
    ) -> Result<Self, GalleryError> {
        let json = path.join(catalogue::FILE_NAME);
        let [info] = catalogue.segments.as_slice() else {
            let count = catalogue.segments.len();
            return Err(GalleryError::damaged(&json, format!("{count} segments, expected one")));
        };
        if !(1..=crate::MAX_DIMS).contains(&catalogue.dims) || info.faces != catalogue.faces {
            let reason = format!("{} dimensions, {} faces", catalogue.dims, catalogue.faces);
            return Err(GalleryError::damaged(&json, reason));
        }
        let segment = Segment::open(path, &catalogue, info, resident)?;
        Ok(Self(Arc::new(Opened {
            path: path.to_owned(),
            catalogue,
            segment,
            scratch: ScratchPool::default(),
            selections: crate::search::SelectionCache::default(),
        })))
    }

    /// The folder it was opened from.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What `gallery.json` says.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// Number of faces.
    pub fn len(&self) -> u64 {
        u64::from(self.0.segment.faces())
    }

    /// Whether there is no face.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dimensions of an embedding.
    pub fn dims(&self) -> usize {
        self.0.catalogue.dims
    }

    /// Name of the face model, where the gallery was built with one.
    pub fn model(&self) -> Option<&str> {
        self.0.catalogue.model.as_deref()
    }

    /// The attribute columns that came from the manifest.
    pub fn attributes(&self) -> &[Attribute] {
        self.0.segment.attributes.attributes()
    }

    /// A face by its id.
    ///
    /// # Errors
    /// When there is no such face, or its row cannot be read.
    pub fn face(&self, face_id: FaceId) -> Result<Face, GalleryError> {
        self.face_in(self.place(face_id)?)
    }

    /// A face by the caller's own id.
    ///
    /// # Errors
    /// When no face has that key, or its row cannot be read.
    pub fn face_by_key(&self, key: &str) -> Result<Face, GalleryError> {
        let places = self.places_with(Lookup::Key, key)?;
        let place = places
            .first()
            .ok_or_else(|| GalleryError::NoSuchFace { face: format!("with key {key:?}") })?;
        self.face_in(*place)
    }

    /// Ids of every face of a subject, ascending; none where there is no such subject.
    ///
    /// # Errors
    /// When the attributes cannot be read.
    pub fn faces_of_subject(&self, subject: &str) -> Result<Vec<FaceId>, GalleryError> {
        Ok(self.sorted_ids(self.places_with(Lookup::Subject, subject)?))
    }

    /// Ids of every face in an image with this BLAKE3 hash, ascending: all of them, for a group
    /// photo.
    ///
    /// # Errors
    /// When the attributes cannot be read.
    pub fn faces_of_image(&self, hash: &[u8; 32]) -> Result<Vec<FaceId>, GalleryError> {
        let mut places = Vec::new();
        for place in self.0.segment.look_up(Lookup::Image, Lookup::of_image(hash)) {
            if self.0.segment.attributes.row(place)?.image_hash.as_ref() == Some(hash) {
                places.push(place);
            }
        }
        Ok(self.sorted_ids(places))
    }

    /// Every face, in ascending order of its id.
    ///
    /// ```
    /// use lookalike::{Build, Cancel, Gallery, Silent};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("people.gallery");
    /// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    /// # Build::new(&place, format!("{sample}/embeddings.npy"))
    /// #     .manifest(format!("{sample}/manifest.csv"))
    /// #     .run(&Silent, &Cancel::new())?;
    /// let gallery = Gallery::open(&place)?;
    /// let labelled = gallery.faces().filter(|face| face.as_ref().is_ok_and(|f| f.subject.is_some()));
    /// assert_eq!(labelled.count(), 553);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn faces(&self) -> impl Iterator<Item = Result<Face, GalleryError>> + '_ {
        self.0.segment.places_by_id().iter().map(|&place| self.face_in(place))
    }

    /// A face's embedding as stored: of unit length, rounded where the gallery stores f16.
    ///
    /// # Errors
    /// When there is no such face, or its vector is damaged.
    pub fn embedding(&self, face_id: FaceId) -> Result<Embedding, GalleryError> {
        let slot = self.slot(face_id)?;
        let values = self.0.segment.vector(slot);
        Embedding::new(values.into_owned()).map_err(|e| {
            GalleryError::damaged(&self.0.path, format!("the vector of face {face_id}: {e}"))
        })
    }

    /// A face's thumbnail as JPEG, 128 pixels on its longer side; `None` where it has none.
    ///
    /// # Errors
    /// When there is no such face, or the thumbnails are damaged.
    pub fn thumbnail(&self, face_id: FaceId) -> Result<Option<&[u8]>, GalleryError> {
        self.0.segment.thumbnail(self.place(face_id)?)
    }

    /// Where a face's id and attributes lie.
    pub(crate) fn place(&self, face_id: FaceId) -> Result<u32, GalleryError> {
        self.0
            .segment
            .place_of_id(face_id.0)
            .ok_or_else(|| GalleryError::NoSuchFace { face: face_id.to_string() })
    }

    /// Where a face's vector, code and node lie.
    pub(crate) fn slot(&self, face_id: FaceId) -> Result<u32, GalleryError> {
        Ok(self.0.segment.slot(self.place(face_id)?))
    }

    pub(crate) fn face_in(&self, place: u32) -> Result<Face, GalleryError> {
        let row = self.0.segment.attributes.row(place)?;
        Ok(Face {
            // The ids that searches answer with come from here too, so they always agree.
            face_id: FaceId(self.0.segment.face_id(place)),
            image: row.image.unwrap_or_default(),
            subject: row.subject,
            source: row.source,
            key: row.key,
            bounds: row.bounds,
            norm: row.norm,
            image_hash: row.image_hash,
            same_photo_as: row.same_photo_as.map(FaceId),
            attributes: row.values,
        })
    }

    pub(crate) fn places_of_subject(&self, subject: &str) -> Result<Vec<u32>, GalleryError> {
        self.places_with(Lookup::Subject, subject)
    }

    fn places_with(&self, lookup: Lookup, text: &str) -> Result<Vec<u32>, GalleryError> {
        let column = if lookup == Lookup::Key { column::KEY } else { column::SUBJECT };
        let mut places = Vec::new();
        for place in self.0.segment.look_up(lookup, Lookup::of_text(text)) {
            if self.0.segment.attributes.text(column, place)? == Some(text) {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn sorted_ids(&self, places: Vec<u32>) -> Vec<FaceId> {
        let mut ids: Vec<FaceId> =
            places.into_iter().map(|place| FaceId(self.0.segment.face_id(place))).collect();
        ids.sort_unstable();
        ids
    }
}
