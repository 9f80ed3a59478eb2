//! A segment: the mapped files of a part of the gallery, each number checked where it is used.
//!
//! Opening reads headers and compares lengths; no section is read whole. Slots and places that
//! come from disk are looked up with bounds, so a damaged file gives an error or a wrong answer.
//! Ids, attributes, thumbnails and lookups go by place, vectors, codes and the graph by slot.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::f16;
use xxhash_rust::xxh3::xxh3_64;

use super::attributes::{self, AttributeFile};
use super::catalogue::{Catalogue, SegmentInfo, VectorType};
use super::codes::CodeFile;
use super::format::{FileKind, Header, HeaderError, MAX_FACES, NONE, Section};
use super::map::Mapping;
use super::{GalleryError, graph::GraphFile};

/// A binary file with its checked header.
#[derive(Debug)]
pub(crate) struct BinaryFile {
    path: PathBuf,
    data: Mapping,
    header: Header,
}

impl BinaryFile {
    pub(crate) fn open(
        folder: &Path,
        kind: FileKind,
        faces: u64,
        dims: usize,
    ) -> Result<Self, GalleryError> {
        Self::open_named(folder, kind.file_name(), kind, faces, dims)
    }

    /// [`open`](Self::open) of a file that goes by another name than its kind.
    pub(crate) fn open_named(
        folder: &Path,
        name: &str,
        kind: FileKind,
        faces: u64,
        dims: usize,
    ) -> Result<Self, GalleryError> {
        let path = folder.join(name);
        let data = Mapping::open(&path).map_err(|e| GalleryError::io("open", &path, e))?;
        let header = Header::read(&data, kind)
            .map_err(|source| GalleryError::Header { path: path.clone(), source })?;
        if header.faces != faces || header.dims as usize != dims {
            let (got_faces, got_dims) = (header.faces, header.dims);
            return Err(GalleryError::damaged(
                &path,
                format!(
                    "it is about {got_faces} faces of {got_dims} dimensions, the gallery has \
                     {faces} of {dims}"
                ),
            ));
        }
        Ok(Self { path, data, header })
    }

    /// The same with its bytes in memory, not mapped.
    fn into_memory(mut self) -> Result<Self, GalleryError> {
        let data = self.data.into_memory();
        self.data = data.map_err(|e| GalleryError::io("read into memory", &self.path, e))?;
        Ok(self)
    }

    /// Where a section of `items` items lies; any number of items with `None`.
    pub(crate) fn range<T: bytemuck::AnyBitPattern>(
        &self,
        section: Section,
        items: Option<u64>,
    ) -> Result<Range<usize>, GalleryError> {
        let found = self.header.entry(section);
        let got = found.map_or(0, |entry| entry.length);
        let item_bytes = u64::from(section.item_bytes());
        let expected = items.map_or(Some(got), |items| items.checked_mul(item_bytes));
        let entry = found.filter(|entry| {
            expected == Some(got)
                && u64::from(entry.item_bytes) == item_bytes
                && got.is_multiple_of(size_of::<T>() as u64)
        });
        let Some(entry) = entry else {
            let expected = expected.unwrap_or(u64::MAX);
            let source = HeaderError::SectionLength { tag: section.tag(), expected, got };
            return Err(GalleryError::Header { path: self.path.clone(), source });
        };
        // The header's check holds every section within the file.
        Ok(entry.offset as usize..(entry.offset + entry.length) as usize)
    }

    /// The items of a range that [`range`](Self::range) gave for the same type.
    pub(crate) fn items<T: bytemuck::AnyBitPattern>(&self, range: &Range<usize>) -> &[T] {
        let bytes = self.data.get(range.clone()).unwrap_or_default();
        // Sections are aligned to a cache line and the mapping to a page, so this cannot fail.
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn data(&self) -> &Mapping {
        &self.data
    }
}

/// An index from the hash of a value to the places of its faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Key,
    Subject,
    Image,
}

impl Lookup {
    pub(crate) const ALL: [Self; 3] = [Self::Key, Self::Subject, Self::Image];

    pub(crate) fn sections(self) -> (Section, Section) {
        match self {
            Self::Key => (Section::KeyHashes, Section::KeyPlaces),
            Self::Subject => (Section::SubjectHashes, Section::SubjectPlaces),
            Self::Image => (Section::ImageHashes, Section::ImagePlaces),
        }
    }

    /// The hash under which a text is found.
    pub(crate) fn of_text(text: &str) -> u64 {
        xxh3_64(text.as_bytes())
    }

    /// The hash under which an image is found: its content hash's first eight bytes.
    pub(crate) fn of_image(hash: &[u8; 32]) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_le_bytes(first)
    }
}

/// Vectors of one face after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vectors<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

impl<'a> Vectors<'a> {
    /// How many vectors of `dims` values there are.
    pub(crate) fn faces(&self, dims: usize) -> u32 {
        let values = match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        };
        (values / dims.max(1)) as u32
    }

    /// One face's vector as it is stored; empty where there is none.
    #[cfg(feature = "build")]
    pub(crate) fn bytes(&self, slot: u32, dims: usize) -> &'a [u8] {
        let from = slot as usize * dims;
        let range = from..from + dims;
        match self {
            Self::F32(values) => bytemuck::cast_slice(values.get(range).unwrap_or_default()),
            Self::F16(values) => bytemuck::cast_slice(values.get(range).unwrap_or_default()),
        }
    }

    /// One face's vector in single precision; empty where there is none.
    pub(crate) fn vector(&self, slot: u32, dims: usize) -> Cow<'a, [f32]> {
        let from = slot as usize * dims;
        let range = from..from + dims;
        match self {
            Self::F32(values) => Cow::Borrowed(values.get(range).unwrap_or_default()),
            Self::F16(values) => {
                let found = values.get(range).unwrap_or_default();
                Cow::Owned(found.iter().map(|v| v.to_f32()).collect())
            }
        }
    }
}

/// A mapped segment.
#[derive(Debug)]
pub(crate) struct Segment {
    faces: u32,
    dims: usize,
    face_file: BinaryFile,
    ids: Range<usize>,
    places_by_id: Range<usize>,
    lookups: [(Range<usize>, Range<usize>); 3],
    vector_file: BinaryFile,
    vector_type: VectorType,
    vectors: Range<usize>,
    thumbnail_file: BinaryFile,
    thumbnail_offsets: Range<usize>,
    thumbnail_bytes: Range<usize>,
    pub(crate) attributes: AttributeFile,
    pub(crate) codes: CodeFile,
    pub(crate) graph: Option<GraphFile>,
}

impl Segment {
    pub(crate) fn open(
        gallery: &Path,
        catalogue: &Catalogue,
        info: &SegmentInfo,
        resident: bool,
    ) -> Result<Self, GalleryError> {
        let folder = gallery.join("segments").join(&info.name);
        let (count, dims) = (info.faces, catalogue.dims);
        if count > MAX_FACES {
            let reason = format!("segment {} has {count} faces, at most {MAX_FACES}", info.name);
            return Err(GalleryError::damaged(&gallery.join("gallery.json"), reason));
        }
        let open = |kind| BinaryFile::open(&folder, kind, count, dims);
        // What every search reads all over.
        let hot = |kind| {
            let file = open(kind)?;
            if resident { file.into_memory() } else { Ok(file) }
        };
        let face_file = open(FileKind::Faces)?;
        let mut lookups = [const { (0..0, 0..0) }; 3];
        for (range, lookup) in lookups.iter_mut().zip(Lookup::ALL) {
            let (hashes, places) = lookup.sections();
            let hashes = face_file.range::<u64>(hashes, None)?;
            let entries = (hashes.len() / 8) as u64;
            *range = (hashes, face_file.range::<u32>(places, Some(entries))?);
        }
        let vector_file = open(FileKind::Vectors)?;
        vector_file.data.read_scattered();
        let values = count.checked_mul(dims as u64);
        let vectors = match catalogue.vectors {
            VectorType::F32 => vector_file.range::<f32>(Section::VectorsF32, values)?,
            VectorType::F16 => vector_file.range::<f16>(Section::VectorsF16, values)?,
        };
        let thumbnail_file = open(FileKind::Thumbnails)?;
        Ok(Self {
            faces: count as u32,
            dims,
            ids: face_file.range::<u64>(Section::FaceIds, Some(count))?,
            places_by_id: face_file.range::<u32>(Section::PlacesById, Some(count))?,
            lookups,
            face_file,
            vectors,
            vector_type: catalogue.vectors,
            vector_file,
            thumbnail_offsets: thumbnail_file
                .range::<u64>(Section::ThumbnailOffsets, Some(count + 1))?,
            thumbnail_bytes: thumbnail_file.range::<u8>(Section::ThumbnailBytes, None)?,
            thumbnail_file,
            attributes: AttributeFile::open(&folder.join(attributes::FILE_NAME), count as usize)?,
            codes: CodeFile::open(hot(FileKind::Codes)?, count, dims)?,
            graph: match catalogue.graph {
                Some(_) => Some(GraphFile::open(hot(FileKind::Graph)?, count)?),
                None => None,
            },
        })
    }

    /// Number of faces; slots and places are 0 to this.
    pub(crate) fn faces(&self) -> u32 {
        self.faces
    }

    /// The vectors, slot after slot.
    pub(crate) fn vectors(&self) -> Vectors<'_> {
        match self.vector_type {
            VectorType::F32 => Vectors::F32(self.vector_file.items(&self.vectors)),
            VectorType::F16 => Vectors::F16(self.vector_file.items(&self.vectors)),
        }
    }

    /// Has the system read the vectors ahead, for one who goes through all of them.
    pub(crate) fn read_in_order(&self) {
        self.vector_file.data.read_in_order();
    }

    /// One face's vector in single precision; empty where there is none.
    pub(crate) fn vector(&self, slot: u32) -> Cow<'_, [f32]> {
        self.vectors().vector(slot, self.dims)
    }

    /// The place of the face in a slot; [`NONE`] where there is no such slot or the map is damaged.
    pub(crate) fn place(&self, slot: u32) -> u32 {
        mapped(self.codes.places(), slot)
    }

    /// The slot of the face in a place; [`NONE`] where there is no such place or the map is damaged.
    pub(crate) fn slot(&self, place: u32) -> u32 {
        mapped(self.codes.slots(), place)
    }

    /// The face id in a place.
    pub(crate) fn face_id(&self, place: u32) -> u64 {
        let ids: &[u64] = self.face_file.items(&self.ids);
        ids.get(place as usize).copied().unwrap_or(u64::MAX)
    }

    /// The place of a face id.
    pub(crate) fn place_of_id(&self, face_id: u64) -> Option<u32> {
        let order: &[u32] = self.face_file.items(&self.places_by_id);
        let at = order.partition_point(|&place| self.face_id(place) < face_id);
        order.get(at).copied().filter(|&place| place < self.faces && self.face_id(place) == face_id)
    }

    /// Places in ascending order of face id.
    pub(crate) fn places_by_id(&self) -> &[u32] {
        self.face_file.items(&self.places_by_id)
    }

    /// Places whose value may be the one with this hash, ascending; the caller compares the values.
    pub(crate) fn look_up(&self, lookup: Lookup, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let (hashes, places) = &self.lookups[lookup as usize];
        let hashes: &[u64] = self.face_file.items(hashes);
        let places: &[u32] = self.face_file.items(places);
        let from = hashes.partition_point(|&found| found < hash);
        let same = hashes[from..].iter().take_while(move |&&found| found == hash);
        let faces = self.faces;
        same.zip(places.get(from..).unwrap_or_default())
            .map(|(_, &place)| place)
            .filter(move |&place| place < faces)
    }

    /// All of a lookup: hashes in ascending order, each with a place, so that the faces of one value
    /// follow each other; the caller compares the values.
    pub(crate) fn listed(&self, lookup: Lookup) -> (&[u64], &[u32]) {
        let (hashes, places) = &self.lookups[lookup as usize];
        (self.face_file.items(hashes), self.face_file.items(places))
    }

    /// Whether a place is among those of a hash; entries are in order of hash and place.
    pub(crate) fn is_listed(&self, lookup: Lookup, hash: u64, place: u32) -> bool {
        let (hashes, places) = &self.lookups[lookup as usize];
        let hashes: &[u64] = self.face_file.items(hashes);
        let places: &[u32] = self.face_file.items(places);
        let from = hashes.partition_point(|&found| found < hash);
        let to = hashes.partition_point(|&found| found <= hash);
        places.get(from..to).is_some_and(|places| places.binary_search(&place).is_ok())
    }

    /// A face's thumbnail as JPEG; `None` where it has none.
    pub(crate) fn thumbnail(&self, place: u32) -> Result<Option<&[u8]>, GalleryError> {
        let offsets: &[u64] = self.thumbnail_file.items(&self.thumbnail_offsets);
        let bytes: &[u8] = self.thumbnail_file.items(&self.thumbnail_bytes);
        let place = place as usize;
        let found = offsets.get(place..place + 2).and_then(|edges| {
            bytes.get(usize::try_from(edges[0]).ok()?..usize::try_from(edges[1]).ok()?)
        });
        match found {
            Some(jpeg) => Ok((!jpeg.is_empty()).then_some(jpeg)),
            None => Err(GalleryError::damaged(
                self.thumbnail_file.path(),
                format!("its offsets of place {place} do not fit"),
            )),
        }
    }
}

/// Where a map leads from a number; [`NONE`] where the map has no such number, or leads out of it.
fn mapped(map: &[u32], from: u32) -> u32 {
    let to = map.get(from as usize).copied().unwrap_or(NONE);
    if (to as usize) < map.len() { to } else { NONE }
}
