//! The bytes of a gallery's binary files: the one place that knows offsets, tags and numbers.
//!
//! A face has two numbers in a segment. Its *place* is where its id, attributes and thumbnail lie, in
//! the order of the input; its *slot* is where its vector, code and graph node lie, cell by cell.
//!
//! A binary file is a header block of 4,096 bytes, then sections, each at a multiple of 64, zeros
//! between them. All numbers are little-endian.
//!
//! ```text
//! header                              table entry i, at 64 + 32 i
//!  0  8  magic "LOOKALIK"              0  4  tag
//!  8  4  format number                 4  4  bytes an item
//! 12  4  kind of file                  8  8  offset in the file
//! 16  8  length of the file           16  8  length in bytes
//! 24  4  number of sections           24  8  XXH3-64 of the section
//! 28  4  zero
//! 32  8  number of faces
//! 40  4  dimensions
//! 44 12  zero
//! 56  8  XXH3-64 of bytes 0..56 and of the table
//! ```

use xxhash_rust::xxh3::Xxh3;

/// The number of the format this version writes.
pub const FORMAT: u32 = 3;
/// The oldest format number this version reads.
pub const OLDEST_READABLE: u32 = 3;

/// First bytes of every binary file.
pub const MAGIC: [u8; 8] = *b"LOOKALIK";
/// Bytes before the first section: a page, so that a section's start is aligned for any use.
pub const HEADER_BLOCK: usize = 4096;
/// Every section begins at a multiple of this, a cache line.
pub const ALIGNMENT: u64 = 64;

const AT_FORMAT: usize = AT_MAGIC + 8;
const AT_MAGIC: usize = 0;
const AT_KIND: usize = AT_FORMAT + 4;
const AT_LENGTH: usize = AT_KIND + 4;
const AT_SECTIONS: usize = AT_LENGTH + 8;
const AT_FACES: usize = AT_SECTIONS + 8;
const AT_DIMS: usize = AT_FACES + 8;
const AT_CHECKSUM: usize = 56;
const AT_TABLE: usize = 64;
const ENTRY: usize = 32;
/// The most sections that fit the header block.
pub const MAX_SECTIONS: usize = (HEADER_BLOCK - AT_TABLE) / ENTRY;

/// A neighbour list's unused places and "no face" elsewhere.
pub const NONE: u32 = u32::MAX;
/// The most faces a segment holds: slots are u32, and the largest is [`NONE`].
pub const MAX_FACES: u64 = NONE as u64;

/// The kinds of binary files in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Face ids and the lookup of faces by key, subject and image.
    Faces,
    /// The embeddings, in slot order.
    Vectors,
    /// The HNSW graph.
    Graph,
    /// The thumbnails.
    Thumbnails,
    /// The space, the order of the faces, the cells, the codes and the sketches.
    Codes,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Faces, Self::Vectors, Self::Graph, Self::Thumbnails, Self::Codes];

    /// Its number in the header.
    pub fn number(self) -> u32 {
        match self {
            Self::Faces => 1,
            Self::Vectors => 2,
            Self::Graph => 3,
            Self::Thumbnails => 4,
            Self::Codes => 5,
        }
    }

    /// The file's name in a segment's folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Faces => "faces.bin",
            Self::Vectors => "vectors.bin",
            Self::Graph => "graph.bin",
            Self::Thumbnails => "thumbnails.bin",
            Self::Codes => "codes.bin",
        }
    }
}

/// The sections of binary files; a tag never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// u64 a face: place to face id.
    FaceIds,
    /// u32 a face: places in ascending order of face id.
    PlacesById,
    /// u64 an entry, ascending: XXH3-64 of a key; beside it [`Section::KeyPlaces`].
    KeyHashes,
    /// u32 an entry: the place of the key's face.
    KeyPlaces,
    /// u64 an entry, ascending: XXH3-64 of a subject's name.
    SubjectHashes,
    /// u32 an entry: the place of a face of that subject.
    SubjectPlaces,
    /// u64 an entry, ascending: the first eight bytes of an image's BLAKE3 hash.
    ImageHashes,
    /// u32 an entry: the place of a face in that image.
    ImagePlaces,
    /// f32 x dimensions a face, in slot order.
    VectorsF32,
    /// f16 x dimensions a face, in slot order.
    VectorsF16,
    /// u32 x degree a face: layer 0, unused places [`NONE`] at the end.
    Layer0,
    /// u32 a node: the upper layers' slots, layer 1 first.
    UpperSlots,
    /// u32 a node: where the same face stands in the layer below (a slot for layer 1).
    UpperDown,
    /// u32 x degree a node: places within the same layer.
    UpperLinks,
    /// u32 a layer: nodes of each upper layer, layer 1 first.
    UpperSizes,
    /// u32 x 4: degree of layer 0, degree of upper layers, the entry point's slot, zero.
    GraphParams,
    /// u64 a face and one more: where each thumbnail begins in [`Section::ThumbnailBytes`].
    ThumbnailOffsets,
    /// JPEG files, one after the other.
    ThumbnailBytes,
    /// u32 x 4: bits a dimension, bytes of a code, zero, zero.
    CodeParams,
    /// f32 x dimensions: the mean of the faces.
    SpaceMean,
    /// f16 x dimensions x coded dimensions: a row a coded dimension.
    SpaceMatrix,
    /// f32 x 4: gain, bias, error and spread of the sketches.
    SketchScale,
    /// A code and its factors a face, in slot order.
    Codes,
    /// 1,024 bytes for 64 faces each: the sketches, nibble by nibble.
    Sketches,
    /// u32 a face: slot to place.
    Places,
    /// u32 a face: place to slot.
    Slots,
    /// u32 a cell and one more: the first slot of each cell, and the number of faces.
    CellStarts,
    /// A byte x coded dimensions a cell: its centroid in the coordinates of the codes, in steps.
    CellLevels,
    /// The same of groups of cells; empty where there is one level.
    GroupLevels,
    /// u32 a group and one more: the first cell of each group, and the number of cells; empty where
    /// there is one level.
    GroupStarts,
    /// f32 a cell: the step of its centroid's bytes.
    CellSteps,
    /// The same of groups of cells.
    GroupSteps,
}

impl Section {
    /// Its number in the table.
    pub fn tag(self) -> u32 {
        match self {
            Self::FaceIds => 0x01,
            Self::PlacesById => 0x02,
            Self::KeyHashes => 0x03,
            Self::KeyPlaces => 0x04,
            Self::SubjectHashes => 0x05,
            Self::SubjectPlaces => 0x06,
            Self::ImageHashes => 0x07,
            Self::ImagePlaces => 0x08,
            Self::VectorsF32 => 0x10,
            Self::VectorsF16 => 0x11,
            Self::Layer0 => 0x20,
            Self::UpperSlots => 0x21,
            Self::UpperDown => 0x22,
            Self::UpperLinks => 0x23,
            Self::UpperSizes => 0x24,
            Self::GraphParams => 0x25,
            Self::ThumbnailOffsets => 0x30,
            Self::ThumbnailBytes => 0x31,
            Self::CodeParams => 0x40,
            Self::SpaceMean => 0x41,
            Self::SpaceMatrix => 0x42,
            Self::SketchScale => 0x43,
            Self::Codes => 0x44,
            Self::Sketches => 0x45,
            Self::Places => 0x46,
            Self::Slots => 0x47,
            Self::CellStarts => 0x48,
            Self::CellLevels => 0x49,
            Self::GroupLevels => 0x4a,
            Self::GroupStarts => 0x4b,
            Self::CellSteps => 0x4c,
            Self::GroupSteps => 0x4d,
        }
    }

    /// Bytes of one item.
    pub fn item_bytes(self) -> u32 {
        match self {
            Self::FaceIds
            | Self::KeyHashes
            | Self::SubjectHashes
            | Self::ImageHashes
            | Self::ThumbnailOffsets => 8,
            Self::VectorsF16 | Self::SpaceMatrix => 2,
            Self::ThumbnailBytes
            | Self::Codes
            | Self::Sketches
            | Self::CellLevels
            | Self::GroupLevels => 1,
            _ => 4,
        }
    }
}

/// One line of a file's section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// [`Section::tag`].
    pub tag: u32,
    /// [`Section::item_bytes`].
    pub item_bytes: u32,
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// XXH3-64 of those bytes.
    pub checksum: u64,
}

/// A binary file's header and section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`FileKind::number`].
    pub kind: u32,
    /// Length of the whole file in bytes.
    pub file_length: u64,
    /// Number of faces the file is about.
    pub faces: u64,
    /// Dimensions of an embedding.
    pub dims: u32,
    /// The sections, in file order.
    pub table: Vec<TableEntry>,
}

/// Why a header cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Shorter than a header block.
    #[error("it has {got} bytes, a header alone takes {HEADER_BLOCK}; it was cut short")]
    Short {
        /// Bytes there are.
        got: u64,
    },
    /// Other first bytes.
    #[error("it does not begin with LOOKALIK: not a gallery's file, or damaged")]
    Magic,
    /// A format number this version does not read.
    #[error(
        "it has format {found}, this version reads {OLDEST_READABLE} to {FORMAT}; \
         {}", if *found > FORMAT { "use a newer lookalike" } else { "build the gallery again" }
    )]
    Format {
        /// The number found.
        found: u32,
    },
    /// Another kind of file.
    #[error("it is a file of kind {found}, expected {expected}; was it renamed?")]
    Kind {
        /// The number expected.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// Another length than the header says.
    #[error("its header says {expected} bytes, it has {got}; it was cut short or added to")]
    Length {
        /// Bytes the header says.
        expected: u64,
        /// Bytes there are.
        got: u64,
    },
    /// The header's checksum does not hold.
    #[error("its header is damaged: the checksum does not match")]
    Checksum,
    /// A section reaches beyond the file, is not aligned, or is no whole number of items.
    #[error("its section {tag:#04x} does not fit the file")]
    Section {
        /// The section's tag.
        tag: u32,
    },
    /// A section that must be there is not, or has another length than the number of faces asks.
    #[error("its section {tag:#04x} has {got} bytes, expected {expected}")]
    SectionLength {
        /// The section's tag.
        tag: u32,
        /// Bytes the number of faces asks for.
        expected: u64,
        /// Bytes there are.
        got: u64,
    },
}

impl Header {
    /// The header block's bytes.
    ///
    /// At most [`MAX_SECTIONS`] sections are written; a writer has a fixed few.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut block = vec![0; HEADER_BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(AT_MAGIC, &MAGIC);
        put(AT_FORMAT, &FORMAT.to_le_bytes());
        put(AT_KIND, &self.kind.to_le_bytes());
        put(AT_LENGTH, &self.file_length.to_le_bytes());
        put(AT_SECTIONS, &(self.table.len().min(MAX_SECTIONS) as u32).to_le_bytes());
        put(AT_FACES, &self.faces.to_le_bytes());
        put(AT_DIMS, &self.dims.to_le_bytes());
        for (i, entry) in self.table.iter().take(MAX_SECTIONS).enumerate() {
            let at = AT_TABLE + i * ENTRY;
            put(at, &entry.tag.to_le_bytes());
            put(at + 4, &entry.item_bytes.to_le_bytes());
            put(at + 8, &entry.offset.to_le_bytes());
            put(at + 16, &entry.length.to_le_bytes());
            put(at + 24, &entry.checksum.to_le_bytes());
        }
        let checksum = header_checksum(&block);
        block[AT_CHECKSUM..AT_CHECKSUM + 8].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// Reads and checks the header of a whole file's bytes.
    ///
    /// # Errors
    /// When anything in the header cannot be true of these bytes; sections are not read.
    pub fn read(file: &[u8], kind: FileKind) -> Result<Self, HeaderError> {
        let got = file.len() as u64;
        let Some(block) = file.get(..HEADER_BLOCK) else {
            return Err(HeaderError::Short { got });
        };
        if block[AT_MAGIC..AT_MAGIC + 8] != MAGIC {
            return Err(HeaderError::Magic);
        }
        let format = read_u32(block, AT_FORMAT);
        if !(OLDEST_READABLE..=FORMAT).contains(&format) {
            return Err(HeaderError::Format { found: format });
        }
        if header_checksum(block) != read_u64(block, AT_CHECKSUM) {
            return Err(HeaderError::Checksum);
        }
        let found = read_u32(block, AT_KIND);
        if found != kind.number() {
            return Err(HeaderError::Kind { expected: kind.number(), found });
        }
        let file_length = read_u64(block, AT_LENGTH);
        if file_length != got {
            return Err(HeaderError::Length { expected: file_length, got });
        }
        let sections = read_u32(block, AT_SECTIONS) as usize;
        if sections > MAX_SECTIONS {
            return Err(HeaderError::Checksum);
        }
        let table = (0..sections)
            .map(|i| read_entry(block, AT_TABLE + i * ENTRY, file_length))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            kind: found,
            file_length,
            faces: read_u64(block, AT_FACES),
            dims: read_u32(block, AT_DIMS),
            table,
        })
    }

    /// The table's entry for a section.
    pub fn entry(&self, section: Section) -> Option<&TableEntry> {
        self.table.iter().find(|entry| entry.tag == section.tag())
    }
}

fn read_entry(block: &[u8], at: usize, file_length: u64) -> Result<TableEntry, HeaderError> {
    let entry = TableEntry {
        tag: read_u32(block, at),
        item_bytes: read_u32(block, at + 4),
        offset: read_u64(block, at + 8),
        length: read_u64(block, at + 16),
        checksum: read_u64(block, at + 24),
    };
    let fits = entry.offset >= HEADER_BLOCK as u64
        && entry.offset.is_multiple_of(ALIGNMENT)
        && entry.item_bytes > 0
        && entry.length.is_multiple_of(u64::from(entry.item_bytes))
        && entry.offset.checked_add(entry.length).is_some_and(|end| end <= file_length);
    if fits { Ok(entry) } else { Err(HeaderError::Section { tag: entry.tag }) }
}

fn header_checksum(block: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&block[..AT_CHECKSUM]);
    hash.update(&block[AT_TABLE..]);
    hash.digest()
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            kind: FileKind::Vectors.number(),
            file_length: HEADER_BLOCK as u64 + 64,
            faces: 8,
            dims: 2,
            table: vec![TableEntry {
                tag: Section::VectorsF32.tag(),
                item_bytes: 4,
                offset: HEADER_BLOCK as u64,
                length: 64,
                checksum: 7,
            }],
        }
    }

    /// These numbers are on people's disks: a change here is a new format.
    #[test]
    fn the_layout_is_pinned() {
        let bytes = header().to_bytes();
        assert_eq!(bytes.len(), 4096);
        assert_eq!(&bytes[..16], b"LOOKALIK\x03\0\0\0\x02\0\0\0");
        assert_eq!(read_u64(&bytes, 16), 4160);
        assert_eq!(bytes[24], 1);
        assert_eq!((bytes[32], bytes[40]), (8, 2));
        assert_eq!((bytes[64], bytes[68], bytes[88]), (0x10, 4, 7));
        let tags = [Section::FaceIds, Section::Layer0, Section::ThumbnailBytes, Section::Codes];
        assert_eq!(tags.map(Section::tag), [0x01, 0x20, 0x31, 0x44]);
        let cells = [Section::Places, Section::Slots, Section::CellStarts, Section::CellLevels];
        assert_eq!(cells.map(Section::tag), [0x46, 0x47, 0x48, 0x49]);
        let groups = [Section::GroupLevels, Section::GroupStarts, Section::GroupSteps];
        let groups = groups.map(|group| (group.tag(), group.item_bytes()));
        assert_eq!(groups, [(0x4a, 1), (0x4b, 4), (0x4d, 4)]);
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut file = header().to_bytes();
        file.extend([0; 64]);
        assert_eq!(Header::read(&file, FileKind::Vectors).unwrap(), header());
        let found = Header::read(&file, FileKind::Graph);
        assert_eq!(found, Err(HeaderError::Kind { expected: 3, found: 2 }));
        file.pop();
        let found = Header::read(&file, FileKind::Vectors);
        assert_eq!(found, Err(HeaderError::Length { expected: 4160, got: 4159 }));
    }

    #[test]
    fn another_format_is_refused_with_both_numbers() {
        let mut file = header().to_bytes();
        file[AT_FORMAT] = 9;
        let message = Header::read(&file, FileKind::Vectors).unwrap_err().to_string();
        assert!(message.contains("format 9") && message.contains("reads 3 to 3"), "{message}");
        assert!(message.contains("newer"), "{message}");
    }

    proptest! {
        #[test]
        fn every_changed_header_byte_is_noticed(at in 0..HEADER_BLOCK, change in 1_u8..) {
            let mut file = header().to_bytes();
            file.extend([0; 64]);
            file[at] ^= change;
            prop_assert!(Header::read(&file, FileKind::Vectors).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert!(Header::read(&bytes, FileKind::Faces).is_err());
        }
    }
}
