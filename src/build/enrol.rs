//! Enrolling faces one after the other: checks that need to know the others, then writing.
//!
//! A face that is refused goes to `rejects.csv` with its row, file and reason; one that is enrolled
//! with something missing, or beside another of the same photo, is listed there too.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use half::f16;

use super::faces::{Ingested, Item, Prepared, PreparedFace};
use super::lookup::{Numbers, Pairs};
use super::{Build, BuildError, REJECTS, UNORDERED};
use crate::gallery::attributes::{self, AttributeWriter, Row};
use crate::gallery::format::{FileKind, Section};
use crate::gallery::segment::Lookup;
use crate::gallery::write::{BinaryWriter, create_private};
use crate::gallery::{Attribute, Bounds, IngestCounts, MAX_TEXT, Value, VectorType};
use crate::ingest::image::Photo;
use crate::ingest::seen::Seen;
use crate::ingest::{Line, Rejects, Severity};

/// The faces of a segment being written.
pub(super) struct Enrolment<'b> {
    build: &'b Build,
    dims: usize,
    faces: u32,
    next_face_id: u64,
    rows_are_places: bool,
    thumbnails: u64,
    warned: u64,
    flagged: u64,
    findings: Findings<'b>,
    files: Files,
    seen: SeenBefore,
}

/// `rejects.csv` being written.
struct Findings<'b> {
    build: &'b Build,
    path: PathBuf,
    table: Rejects<BufWriter<File>>,
}

/// The segment's files being written.
struct Files {
    faces: BinaryWriter,
    by_id: Pairs,
    lookups: [Pairs; 3],
    vectors: BinaryWriter,
    thumbnails: BinaryWriter,
    thumbnail_offsets: Numbers,
    thumbnail_bytes: u64,
    attributes: AttributeWriter,
}

/// What was enrolled so far, by fingerprint.
struct SeenBefore {
    scratch: PathBuf,
    faces: Seen,
    photos: Seen,
    keys: Seen,
}

/// Why a face is not enrolled, and the file at fault.
type Refused = (PathBuf, String);

impl<'b> Enrolment<'b> {
    /// Opens the files of a segment.
    pub(super) fn begin(
        build: &'b Build,
        segment: &Path,
        dims: usize,
        attributes: &[Attribute],
    ) -> Result<Self, BuildError> {
        let path = segment.ancestors().nth(2).unwrap_or(segment).join(REJECTS);
        let table = Rejects::new(BufWriter::new(create_private(&path)?))
            .map_err(|source| BuildError::io("write", &path, source))?;
        Ok(Self {
            build,
            dims,
            faces: 0,
            next_face_id: 0,
            rows_are_places: true,
            thumbnails: 0,
            warned: 0,
            flagged: 0,
            findings: Findings { build, path, table },
            files: Files::create(segment, build.vectors, attributes)?,
            seen: SeenBefore::new(segment)?,
        })
    }

    /// Enrols a face, or says why not.
    pub(super) fn take(&mut self, prepared: Prepared) -> Result<(), BuildError> {
        let (item, vector, photo) = match prepared {
            Prepared::Face(face) => {
                let PreparedFace { item, vector, photo } = *face;
                (item, vector, photo)
            }
            Prepared::Fault { row, file, reason } => {
                return self.findings.reject(row, &file, &reason);
            }
        };
        let row = item.row;
        let face = vector
            .map_err(|reason| (self.build.embeddings.clone(), reason))
            .and_then(|vector| self.check(&item, &vector.0, photo.as_ref()).map(|()| vector));
        let (vector, norm) = match face {
            Ok(face) => face,
            Err((file, reason)) => return self.findings.reject(Some(row), &file, &reason),
        };
        let prints = Prints::of(&item, &vector, photo.as_ref());
        let key = item.line.as_ref().and_then(|line| line.key.as_deref());
        let key = key.map(|key| (key, fingerprint(&[key.as_bytes()])));
        // Looked up first and kept last: a face that is refused must not stand in another's way.
        if let Some(earlier) = prints.face.and_then(|face| self.seen.faces.get(face)) {
            let file = self.image_of(&item);
            let reason = format!(
                "equal to face {earlier} in image bytes, box, embedding, subject and source"
            );
            return self.findings.reject(Some(row), &file, &reason);
        }
        if let Some((key, earlier)) =
            key.and_then(|(key, print)| Some((key, self.seen.keys.get(print)?)))
        {
            let file = self.manifest();
            let reason = format!("key {key:?} is that of face {earlier} already");
            return self.findings.reject(Some(row), &file, &reason);
        }
        let failed = SeenBefore::failed(&self.seen.scratch);
        if let Some(face) = prints.face {
            self.seen.faces.insert(face, row).map_err(&failed)?;
        }
        if let Some((_, print)) = key {
            self.seen.keys.insert(print, row).map_err(&failed)?;
        }
        let same_photo_as = self.seen.photos.insert(prints.photo, row).map_err(&failed)?;
        self.remark(&item, photo.as_ref(), same_photo_as)?;
        self.write(item, &vector, norm, photo, same_photo_as)
    }

    /// Whether a face may be enrolled, as far as it alone decides.
    fn check(&self, item: &Item, vector: &[f32], photo: Option<&Photo>) -> Result<(), Refused> {
        debug_assert_eq!(vector.len(), self.dims);
        if let Some(line) = &item.line
            && let Some((name, length)) =
                longest_text(line).filter(|(_, length)| *length > MAX_TEXT)
        {
            let reason = format!("its {name} has {length} bytes, at most {MAX_TEXT} are kept");
            return Err((self.manifest(), reason));
        }
        if !self.build.require_images {
            return Ok(());
        }
        let fault = match photo {
            None => "no image is named".to_owned(),
            Some(Photo { fault: Some(fault), .. }) => fault.to_string(),
            Some(_) => match item.line.as_ref().and_then(|line| line.box_fault.clone()) {
                Some(fault) => fault,
                None => return Ok(()),
            },
        };
        Err((self.image_of(item), format!("images are required: {fault}")))
    }

    /// Lists what people may want to look at in a face that is enrolled.
    fn remark(
        &mut self,
        item: &Item,
        photo: Option<&Photo>,
        same_photo_as: Option<u64>,
    ) -> Result<(), BuildError> {
        let row = Some(item.row);
        let file = self.image_of(item);
        let mut warnings = Vec::new();
        warnings.extend(photo.and_then(|photo| photo.fault.as_ref()).map(ToString::to_string));
        warnings.extend(item.line.as_ref().and_then(|line| line.box_fault.clone()));
        if self.build.images.is_some() && photo.is_none() {
            warnings.push("no image is named".to_owned());
        }
        self.warned += u64::from(!warnings.is_empty());
        for warning in &warnings {
            self.findings.add(row, &file, Severity::Warning, warning)?;
        }
        if let Some(earlier) = same_photo_as {
            self.flagged += 1;
            let reason = if photo.is_some_and(|photo| photo.hash.is_some()) {
                format!("the same photo as face {earlier}")
            } else {
                format!("the same embedding as face {earlier}")
            };
            self.findings.add(row, &file, Severity::Flag, &reason)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        item: Item,
        vector: &[f32],
        norm: f32,
        photo: Option<Photo>,
        same_photo_as: Option<u64>,
    ) -> Result<(), BuildError> {
        let place = self.faces;
        let face_id = item.row;
        let line = item.line;
        let image_hash = photo.as_ref().and_then(|photo| photo.hash);
        let thumbnail = photo.and_then(|photo| photo.thumbnail);
        self.thumbnails += u64::from(thumbnail.is_some());
        let mut row = Row { face_id, norm, image_hash, same_photo_as, ..Row::default() };
        if let Some(line) = line {
            row.image = line.image;
            row.subject = line.subject;
            row.source = line.source;
            row.key = line.key;
            row.bounds = line.bounds;
            row.values = line.attributes;
        }
        self.files.write(place, row, vector, self.build.vectors, thumbnail.as_deref())?;
        self.rows_are_places &= face_id == u64::from(place);
        self.faces += 1;
        self.next_face_id = self.next_face_id.max(face_id + 1);
        Ok(())
    }

    /// Finishes the files.
    pub(super) fn finish(self, rows: u64, unnamed: u64) -> Result<Ingested, BuildError> {
        let found = self.findings.table.counts();
        self.findings.finish()?;
        self.files.finish(self.faces, self.dims)?;
        let counts = IngestCounts {
            rows,
            enrolled: u64::from(self.faces),
            rejected: found.rejected,
            unnamed,
            warned: self.warned,
            flagged: self.flagged,
            thumbnails: self.thumbnails,
        };
        // A row that is left out keeps its number unused: the next id lies behind all of them.
        let next_face_id = rows.max(self.next_face_id);
        let rows_are_places = self.rows_are_places && rows == u64::from(self.faces);
        Ok(Ingested { counts, dims: self.dims, next_face_id, rows_are_places })
    }

    fn manifest(&self) -> PathBuf {
        self.build.manifest.clone().unwrap_or_default()
    }

    /// The file a finding about a face is filed under: its image, or its embeddings.
    fn image_of(&self, item: &Item) -> PathBuf {
        let image = item.line.as_ref().and_then(|line| line.image.as_ref());
        image.map_or_else(|| self.build.embeddings.clone(), PathBuf::from)
    }
}

impl Findings<'_> {
    fn add(
        &mut self,
        row: Option<u64>,
        file: &Path,
        severity: Severity,
        reason: &str,
    ) -> Result<(), BuildError> {
        self.table
            .add(row, file, severity, reason)
            .map_err(|source| BuildError::io("write", &self.path, source))
    }

    fn reject(&mut self, row: Option<u64>, file: &Path, reason: &str) -> Result<(), BuildError> {
        if self.build.strict {
            let (file, reason) = (file.display().to_string(), reason.to_owned());
            return Err(BuildError::Strict { row, file, reason });
        }
        self.add(row, file, Severity::Rejected, reason)
    }

    fn finish(self) -> Result<(), BuildError> {
        let path = self.path;
        self.table
            .finish()
            .and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error))
            .and_then(|file| file.sync_all())
            .map_err(|source| BuildError::io("write", &path, source))
    }
}

impl Files {
    fn create(
        segment: &Path,
        vectors: VectorType,
        attributes: &[Attribute],
    ) -> Result<Self, BuildError> {
        let create = |name, kind, section| {
            let mut writer = BinaryWriter::create(&segment.join(name), kind)?;
            writer.section(section)?;
            Ok::<_, BuildError>(writer)
        };
        let pairs = || Pairs::new(segment);
        let values = match vectors {
            VectorType::F32 => Section::VectorsF32,
            VectorType::F16 => Section::VectorsF16,
        };
        let attribute_path = segment.join(attributes::FILE_NAME);
        Ok(Self {
            faces: create(FileKind::Faces.file_name(), FileKind::Faces, Section::FaceIds)?,
            by_id: pairs()?,
            lookups: [pairs()?, pairs()?, pairs()?],
            vectors: create(UNORDERED, FileKind::Vectors, values)?,
            thumbnails: create(
                FileKind::Thumbnails.file_name(),
                FileKind::Thumbnails,
                Section::ThumbnailBytes,
            )?,
            thumbnail_offsets: Numbers::new(segment)?,
            thumbnail_bytes: 0,
            attributes: AttributeWriter::create(&attribute_path, attributes)?,
        })
    }

    fn write(
        &mut self,
        place: u32,
        row: Row,
        vector: &[f32],
        vectors: VectorType,
        thumbnail: Option<&[u8]>,
    ) -> Result<(), BuildError> {
        self.faces.write(&[row.face_id])?;
        self.by_id.push(row.face_id, place)?;
        let hashes = [
            row.key.as_deref().map(Lookup::of_text),
            row.subject.as_deref().map(Lookup::of_text),
            row.image_hash.as_ref().map(Lookup::of_image),
        ];
        for (lookup, hash) in self.lookups.iter_mut().zip(hashes) {
            if let Some(hash) = hash {
                lookup.push(hash, place)?;
            }
        }
        match vectors {
            VectorType::F32 => self.vectors.write(vector)?,
            VectorType::F16 => {
                let halves: Vec<f16> = vector.iter().map(|&v| f16::from_f32(v)).collect();
                self.vectors.write(&halves)?;
            }
        }
        self.thumbnail_offsets.push(self.thumbnail_bytes)?;
        if let Some(jpeg) = thumbnail {
            self.thumbnails.write(jpeg)?;
            self.thumbnail_bytes += jpeg.len() as u64;
        }
        Ok(self.attributes.push(row)?)
    }

    fn finish(mut self, faces: u32, dims: usize) -> Result<(), BuildError> {
        let faces = u64::from(faces);
        self.by_id.store(&mut self.faces, None, Section::PlacesById)?;
        for (pairs, lookup) in self.lookups.into_iter().zip(Lookup::ALL) {
            let (hashes, places) = lookup.sections();
            pairs.store(&mut self.faces, Some(hashes), places)?;
        }
        self.faces.finish(faces, dims)?;
        self.vectors.finish(faces, dims)?;
        self.thumbnail_offsets.push(self.thumbnail_bytes)?;
        self.thumbnail_offsets.store(&mut self.thumbnails, Section::ThumbnailOffsets)?;
        self.thumbnails.finish(faces, dims)?;
        Ok(self.attributes.finish()?)
    }
}

impl SeenBefore {
    fn new(scratch: &Path) -> Result<Self, BuildError> {
        let seen = || {
            Seen::new(scratch)
                .map_err(|source| BuildError::io("create a scratch file in", scratch, source))
        };
        Ok(Self { scratch: scratch.to_owned(), faces: seen()?, photos: seen()?, keys: seen()? })
    }

    fn failed(scratch: &Path) -> impl Fn(std::io::Error) -> BuildError + use<> {
        let scratch = scratch.to_owned();
        move |source| BuildError::io("write a scratch file in", &scratch, source)
    }
}

/// What makes a face the same as another.
struct Prints {
    /// Of the whole face, where the bytes of its image are known: another is refused.
    face: Option<u128>,
    /// Of the photo of the face: another stays, flagged.
    photo: u128,
}

impl Prints {
    fn of(item: &Item, vector: &[f32], photo: Option<&Photo>) -> Self {
        let embedding: &[u8] = bytemuck::cast_slice(vector);
        let line = item.line.as_ref();
        let Some(hash) = photo.and_then(|photo| photo.hash.as_ref()) else {
            // Without the image's bytes, an equal embedding is the only sign of an equal photo.
            return Self { face: None, photo: fingerprint(&[b"embedding", embedding]) };
        };
        let bounds = line.and_then(|line| line.bounds).map(edges);
        let bounds: &[u8] = bounds.as_ref().map_or(&[], |bounds| bytemuck::bytes_of(bounds));
        let text =
            |text: Option<&String>| text.map_or(vec![], |text| [b"=", text.as_bytes()].concat());
        let subject = text(line.and_then(|line| line.subject.as_ref()));
        let source = text(line.and_then(|line| line.source.as_ref()));
        let face = fingerprint(&[b"face", hash, bounds, embedding, &subject, &source]);
        // Without a box, the faces of a group photo differ in their embeddings alone.
        let photo = if bounds.is_empty() {
            fingerprint(&[b"photo", hash, embedding])
        } else {
            fingerprint(&[b"photo", hash, bounds])
        };
        Self { face: Some(face), photo }
    }
}

fn edges(bounds: Bounds) -> [f32; 4] {
    [bounds.left, bounds.top, bounds.right, bounds.bottom]
}

/// 128 bits of BLAKE3 over the parts, each with its length, so that no two lists of parts meet.
fn fingerprint(parts: &[&[u8]]) -> u128 {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    u128::from_le_bytes(first)
}

/// The longest text of a line and what it is.
fn longest_text(line: &Line) -> Option<(&'static str, usize)> {
    let own = [
        ("image", line.image.as_ref()),
        ("subject", line.subject.as_ref()),
        ("source", line.source.as_ref()),
        ("key", line.key.as_ref()),
    ];
    let own = own.into_iter().filter_map(|(name, text)| Some((name, text?.len())));
    let others = line.attributes.iter().filter_map(|value| match value {
        Value::Text(text) => Some(("attribute", text.len())),
        _ => None,
    });
    own.chain(others).max_by_key(|(_, length)| *length)
}
