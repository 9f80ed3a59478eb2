//! Building a gallery from embeddings, a manifest and images.
//!
//! In come files of a user's; out goes a gallery in its place, all of it or nothing. It is made in
//! `GALLERY.building` beside its place, where an interrupted build goes on from the last step it
//! finished, and published by a rename.
//!
//! ```text
//! faces   read, validate, pair, thumbnail     -> attributes, thumbnails, ids, rejects.csv, vectors
//!                                                in the order of the input
//! codes   space and cells learned, faces put
//!         by cell, every face coded           -> vectors.bin, codes.bin
//! graph   linked in batches, all reachable    -> graph.bin
//! strangers where a calibrated gallery is
//!         replaced: its thresholds            -> calibration.json
//! publish checksums, gallery.json, rename     -> GALLERY
//! ```
//!
//! A face's *place* is its number in the order of the input, its *slot* that in the order of cells.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ::hnsw_rs::anndists::dist::Distance;
use ::hnsw_rs::prelude::Hnsw;
use half::f16;

use crate::codes::Shape;
use crate::gallery::catalogue::FileInfo;
use crate::gallery::format::{FORMAT, FileKind, Section};
use crate::gallery::segment::{BinaryFile, Vectors};
use crate::gallery::write::sync_dir;
use crate::gallery::{Catalogue, GalleryError, IngestCounts, SegmentInfo, VectorType, catalogue};
use crate::graph::{Graph, GraphParams};
use crate::ingest::rejects::first_rejected;
use crate::{Cancel, Progress};

mod cells;
mod code;
mod enrol;
mod error;
mod faces;
mod link;
mod lookup;
mod place;
mod promise;

pub use error::BuildError;

use code::Coded;
use link::{LinkJob, Linking};
use place::{Finished, Measured, Place};

/// The folder of the one segment a build makes.
const SEGMENT: &str = "0001";
/// The vectors in the order of the input, until they are put by cell; never part of a gallery.
const UNORDERED: &str = "vectors.unordered";
/// What was refused, warned of or flagged.
const REJECTS: &str = "rejects.csv";
/// Memory a build may take beside the graph, unless told otherwise.
const DEFAULT_MEMORY: u64 = 2 << 30;
/// Bytes of a code, unless told otherwise: a cache line.
const DEFAULT_CODE_BYTES: usize = 64;
/// What a build takes whatever it is given: batches of attributes, buffers, photos on their way.
const LEAST_MEMORY: u64 = 64 << 20;

/// Who builds the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Builder {
    /// This project.
    #[default]
    Own,
    /// The crate hnsw_rs.
    HnswRs,
    /// Nobody: the gallery answers by scans alone.
    None,
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "own",
            Self::HnswRs => "hnsw-rs",
            Self::None => "none",
        })
    }
}

impl FromStr for Builder {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "own" => Ok(Self::Own),
            "hnsw-rs" => Ok(Self::HnswRs),
            "none" => Ok(Self::None),
            _ => Err(format!("no builder {name:?}; there are own, hnsw-rs and none")),
        }
    }
}

/// A build of a gallery, described.
///
/// ```
/// use lookalike::{Build, Cancel, Gallery, Silent};
/// let folder = tempfile::tempdir()?;
/// let embeddings = folder.path().join("faces.jsonl");
/// std::fs::write(&embeddings, "[1, 0]\n[0, 1]\n[0, 0]\n")?;
///
/// let place = folder.path().join("people.gallery");
/// let counts = Build::new(&place, &embeddings).run(&Silent, &Cancel::new())?;
/// assert_eq!((counts.enrolled, counts.rejected), (2, 1));
/// assert_eq!(Gallery::open(&place)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    gallery: PathBuf,
    embeddings: PathBuf,
    array: Option<String>,
    manifest: Option<PathBuf>,
    images: Option<PathBuf>,
    require_images: bool,
    strict: bool,
    model: Option<String>,
    vectors: VectorType,
    code_bytes: usize,
    builder: Builder,
    params: GraphParams,
    memory: u64,
    threads: Option<usize>,
    replace: bool,
}

impl Build {
    /// A gallery at `gallery` of the embeddings in the file `embeddings`.
    pub fn new(gallery: impl Into<PathBuf>, embeddings: impl Into<PathBuf>) -> Self {
        Self {
            // Without the slash that a shell's completion adds to the name of a folder.
            gallery: gallery.into().components().collect(),
            embeddings: embeddings.into(),
            array: None,
            manifest: None,
            images: None,
            require_images: false,
            strict: false,
            model: None,
            vectors: VectorType::F32,
            code_bytes: DEFAULT_CODE_BYTES,
            builder: Builder::default(),
            params: GraphParams::default(),
            memory: DEFAULT_MEMORY,
            threads: None,
            replace: false,
        }
    }

    /// The array, tensor, column or field of the embeddings' file to read.
    #[must_use]
    pub fn array(mut self, name: impl Into<String>) -> Self {
        self.array = Some(name.into());
        self
    }

    /// The table that says what each face is.
    #[must_use]
    pub fn manifest(mut self, path: impl Into<PathBuf>) -> Self {
        self.manifest = Some(path.into());
        self
    }

    /// The folder that the manifest's image paths are relative to.
    #[must_use]
    pub fn images(mut self, folder: impl Into<PathBuf>) -> Self {
        self.images = Some(folder.into());
        self
    }

    /// Rejects faces whose image cannot be read, instead of enrolling them without a thumbnail.
    #[must_use]
    pub fn require_images(mut self, require: bool) -> Self {
        self.require_images = require;
        self
    }

    /// Ends the build with an error at the first rejected face.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Names the face model, so that probes of another named one are refused.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// How vectors are stored; single precision unless told otherwise.
    #[must_use]
    pub fn vectors(mut self, vectors: VectorType) -> Self {
        self.vectors = vectors;
        self
    }

    /// Bytes of a face's code: 64 (the default), 128, 192 or 256. More say more of a face, and take
    /// as much more memory to search.
    #[must_use]
    pub fn code_bytes(mut self, bytes: usize) -> Self {
        self.code_bytes = bytes;
        self
    }

    /// Who builds the graph.
    #[must_use]
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Settings of the graph.
    #[must_use]
    pub fn graph(mut self, params: GraphParams) -> Self {
        self.params = params;
        self
    }

    /// Bytes of memory to stay below beside the order of faces (12 bytes each) and the graph (its
    /// lists twice over, about 320 bytes a face at M 16; by hnsw_rs the vectors too); 2 GiB unless
    /// told otherwise, 64 MiB at least. Half of it is for photos being decoded, and later a quarter
    /// for the faces that cells are learned from. Pages of mapped files, which the system takes
    /// back when it needs them, are not counted.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Threads to build with; those of the current rayon pool unless told otherwise. The same input
    /// gives the same bytes on any number of them; with [`Builder::HnswRs`] on one alone.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Replaces a gallery that is already there, in one step once the new one is finished. Where
    /// that one was calibrated, so is the new one.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Builds the gallery and says what became of the input.
    ///
    /// # Errors
    /// When the place is taken, a whole input file is at fault, the disk is full, or the build is
    /// cancelled. A bad face is no error, unless [`strict`](Self::strict).
    pub fn run(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<IngestCounts, BuildError> {
        let run = || {
            self.run_here(
                "build",
                &|job| job.link(&self.params, progress, cancel),
                progress,
                cancel,
            )
        };
        match self.threads {
            None => run(),
            Some(threads) => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|e| BuildError::Threads { threads, reason: e.to_string() })?
                .install(run),
        }
    }

    /// Builds the gallery around an index that the crate hnsw_rs made earlier, instead of linking
    /// the faces again; its data ids are the rows of the embeddings, and [`graph`](Self::graph)
    /// must say with how many links it was made.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the index is not of exactly the rows enrolled.
    pub fn run_with_index<D: Distance<f32> + Send + Sync>(
        &self,
        index: &Hnsw<'_, f32, D>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<IngestCounts, BuildError> {
        let build = Self { builder: Builder::HnswRs, ..self.clone() };
        let take_over = |job: LinkJob<'_>| Ok(job.take_over(index, &build.params));
        build.run_here("take over", &take_over, progress, cancel)
    }

    fn run_here(
        &self,
        way: &str,
        link: &dyn Fn(LinkJob<'_>) -> Result<Option<Graph>, BuildError>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<IngestCounts, BuildError> {
        if self.memory < LEAST_MEMORY {
            return Err(BuildError::Memory { bytes: self.memory, least: LEAST_MEMORY });
        }
        if Shape::new(1, self.code_bytes).is_none() {
            return Err(BuildError::CodeBytes { bytes: self.code_bytes });
        }
        let mut place = Place::take(self, way, progress)?;
        let ingested = match place.finished.faces {
            Some(ingested) => ingested,
            None => {
                let done = faces::ingest(self, &place.segment(), progress, cancel);
                if done.as_ref().is_err_and(|e| !matches!(e, BuildError::Cancelled)) {
                    // Nothing of a failed step can be used again; a full disk gets its space back.
                    place.clear();
                }
                let done = done?;
                place.finish(Finished { faces: Some(done), ..Finished::default() })?;
                done
            }
        };
        if ingested.counts.enrolled == 0 && is_gallery(&self.gallery) {
            // The table goes with the folder: what it says first is all that is left to say why.
            let first = first_rejected(&place.folder().join(REJECTS));
            place.clear();
            let rejected = ingested.counts.rejected;
            return Err(BuildError::NothingEnrolled { rejected, first });
        }
        if way != "build" && !ingested.rows_are_places {
            return Err(BuildError::OtherIndex { faces: ingested.counts.enrolled });
        }
        let coded = match place.finished.coded.clone() {
            Some(coded) => coded,
            None => {
                let segment = place.segment();
                let file = VectorFile::open(&segment, UNORDERED, self.vectors, ingested)?;
                let (vectors, dims) = (file.vectors(), ingested.dims);
                let coded = code::code(self, &segment, vectors, dims, progress, cancel)?;
                let finished = place.finished.clone();
                place.finish(Finished { coded: Some(coded.clone()), ..finished })?;
                coded
            }
        };
        // Not before the step counts as finished: until then it may have to be done again.
        remove_unordered(&place.segment())?;
        let measured = match place.finished.measured.clone() {
            Some(measured) => measured,
            None => {
                let step = Linking { build: self, place: &place, ingested, coded: &coded };
                let holds_out = way == "build";
                let measured = step.run(link, holds_out, progress, cancel)?;
                let finished = place.finished.clone();
                place.finish(Finished { measured: Some(measured.clone()), ..finished })?;
                measured
            }
        };
        let catalogue = self.catalogue(ingested, coded, measured);
        if self.replace {
            place.calibrate_again(&catalogue, progress, cancel)?;
        } else {
            place.remove_calibration()?;
        }
        progress.begin("publish", None);
        self.publish(&place, catalogue)?;
        progress.end();
        Ok(ingested.counts)
    }

    fn publish(&self, place: &Place, mut catalogue: Catalogue) -> Result<(), BuildError> {
        let segment = place.segment();
        let mut names = vec![
            FileKind::Faces.file_name(),
            FileKind::Vectors.file_name(),
            FileKind::Thumbnails.file_name(),
            FileKind::Codes.file_name(),
            crate::gallery::attributes::FILE_NAME,
        ];
        if catalogue.graph.is_some() {
            names.push(FileKind::Graph.file_name());
        }
        for segment_info in &mut catalogue.segments {
            segment_info.files = names
                .iter()
                .map(|name| FileInfo::of(&segment.join(name)))
                .collect::<Result<_, GalleryError>>()?;
        }
        catalogue.files = vec![FileInfo::of(&place.folder().join(REJECTS))?];
        catalogue.write(place.folder())?;
        sync_dir(&segment)?;
        sync_dir(&place.folder().join("segments"))?;
        place.publish(self.replace)
    }

    /// What `gallery.json` says, but for the files and their checksums.
    fn catalogue(&self, ingested: faces::Ingested, coded: Coded, measured: Measured) -> Catalogue {
        let faces = ingested.counts.enrolled;
        Catalogue {
            format: FORMAT,
            written_by: format!("lookalike {}", env!("CARGO_PKG_VERSION")),
            dims: ingested.dims,
            model: self.model.clone(),
            vectors: self.vectors,
            faces,
            next_face_id: ingested.next_face_id,
            ingest: ingested.counts,
            codes: coded.codes,
            cells: coded.cells,
            graph: measured.graph,
            promise: measured.promise,
            segments: vec![SegmentInfo { name: SEGMENT.to_owned(), faces, files: Vec::new() }],
            files: Vec::new(),
        }
    }
}

/// The vectors of a segment that is being built.
struct VectorFile {
    file: BinaryFile,
    kind: VectorType,
    range: Range<usize>,
}

impl VectorFile {
    fn open(
        segment: &Path,
        name: &str,
        kind: VectorType,
        ingested: faces::Ingested,
    ) -> Result<Self, GalleryError> {
        let (faces, dims) = (ingested.counts.enrolled, ingested.dims);
        let file = BinaryFile::open_named(segment, name, FileKind::Vectors, faces, dims)?;
        let range = match kind {
            VectorType::F32 => file.range::<f32>(Section::VectorsF32, None)?,
            VectorType::F16 => file.range::<f16>(Section::VectorsF16, None)?,
        };
        Ok(Self { file, kind, range })
    }

    /// Says that vectors are read here and there.
    fn read_scattered(&self) {
        self.file.data().read_scattered();
    }

    fn vectors(&self) -> Vectors<'_> {
        match self.kind {
            VectorType::F32 => Vectors::F32(self.file.items(&self.range)),
            VectorType::F16 => Vectors::F16(self.file.items(&self.range)),
        }
    }
}

/// Removes the vectors in the order of the input, where they are still there.
fn remove_unordered(segment: &Path) -> Result<(), BuildError> {
    let path = segment.join(UNORDERED);
    match fs::remove_file(&path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| BuildError::io("remove", &path, source)),
    }
}

/// Whether a folder holds a gallery of any version: what `--replace` may replace.
fn is_gallery(path: &Path) -> bool {
    fs::symlink_metadata(path.join(catalogue::FILE_NAME)).is_ok_and(|found| found.is_file())
}
