//! The step from input files to faces: read, validate, pair, thumbnail, write.
//!
//! In come the embeddings, the manifest and the images of a [`Build`]; out go the files of a
//! segment, without codes and graph, and what became of each row. Vectors are not in their final
//! order yet. Reading rows and decoding images runs
//! in parallel; what follows runs in the order of the input, so the result does not depend on the
//! number of threads.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::enrol::Enrolment;
use super::{Build, BuildError};
use crate::embedding::normalise;
use crate::gallery::format::MAX_FACES;
use crate::gallery::{Attribute, IngestCounts};
use crate::ingest::image::{self, ImageLimits, Photo};
use crate::ingest::manifest::Lines;
use crate::ingest::seen::RowIndex;
use crate::ingest::{Embeddings, Line, Manifest, pipeline};
use crate::{Cancel, Progress};

/// What the step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ingested {
    pub(super) counts: IngestCounts,
    pub(super) dims: usize,
    pub(super) next_face_id: u64,
    /// Whether the n-th row is the n-th face, for every row.
    pub(super) rows_are_places: bool,
}

/// The opened input of a build.
struct Input<'b> {
    build: &'b Build,
    embeddings: Embeddings,
    manifest: Option<Manifest>,
}

/// A face as far as its inputs say.
pub(super) struct Item {
    /// Row of the embeddings; its face id.
    pub(super) row: u64,
    /// Its line of the manifest.
    pub(super) line: Option<Line>,
}

/// One step of the input: a face, or something that cannot become one.
pub(super) enum Step {
    Face(Item),
    Fault { row: Option<u64>, file: PathBuf, reason: String },
}

/// A face as far as it can be made without knowing the others.
pub(super) enum Prepared {
    Face(Box<PreparedFace>),
    Fault { row: Option<u64>, file: PathBuf, reason: String },
}

/// A face with all that was made of its own input.
pub(super) struct PreparedFace {
    pub(super) item: Item,
    /// Of unit length, with the length it had; or why the row is no embedding.
    pub(super) vector: Result<(Vec<f32>, f32), String>,
    /// Where there is an image to load.
    pub(super) photo: Option<Photo>,
}

/// Reads the input of a build and writes its faces into a segment's folder.
pub(super) fn ingest(
    build: &Build,
    segment: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Ingested, BuildError> {
    progress.begin("read", None);
    let input = Input::open(build)?;
    progress.end();
    for (name, known) in input.manifest.iter().flat_map(Manifest::misnamed) {
        progress.note(&format!(
            "the manifest's column {name:?} is taken for an attribute; rename it {known:?} if it was \
             meant to be that"
        ));
    }
    let rows = input.embeddings.rows();
    let attributes: &[Attribute] = input.manifest.as_ref().map_or(&[], Manifest::attributes);
    let mut enrolment = Enrolment::begin(build, segment, input.embeddings.dims(), attributes)?;
    let limits = limits(build);
    let total = input.manifest.as_ref().map_or(rows, Manifest::lines);
    progress.begin("faces", Some(total));
    let mut steps = input.steps(segment)?;
    pipeline::ordered(
        std::iter::from_fn(|| steps.next().transpose()),
        image::window(),
        cancel,
        |step| input.prepare(step, &limits),
        |prepared| {
            progress.advance(1);
            enrolment.take(prepared)
        },
    )?;
    progress.end();
    let named = steps.named();
    progress.begin("store", None);
    let ingested = enrolment.finish(rows, rows - named)?;
    progress.end();
    Ok(ingested)
}

/// Half of the memory is for images on their way, the rest for what is being written.
fn limits(build: &Build) -> ImageLimits {
    ImageLimits { max_memory: build.memory / 2, ..ImageLimits::default() }
}

impl<'b> Input<'b> {
    fn open(build: &'b Build) -> Result<Self, BuildError> {
        let open = |path| Manifest::open_beside(path, &build.embeddings, build.array.as_deref());
        let manifest = build.manifest.as_deref().map(open).transpose()?;
        if let Some(folder) = &build.images {
            if !folder.is_dir() {
                return Err(BuildError::NoSuchFolder { path: folder.clone() });
            }
            if !manifest.as_ref().is_some_and(Manifest::has_images) {
                let like = manifest.as_ref().and_then(|manifest| {
                    let mut misnamed = manifest.misnamed();
                    misnamed.find(|(_, known)| *known == "image").map(|(name, _)| name.to_owned())
                });
                return Err(BuildError::NoImageColumn { like });
            }
        } else if build.require_images {
            return Err(BuildError::NoImages);
        }
        let embeddings = Embeddings::open(&build.embeddings, build.array.as_deref())?;
        let rows = embeddings.rows();
        if rows > MAX_FACES {
            return Err(BuildError::TooMany { rows, max: MAX_FACES });
        }
        if let Some(manifest) = manifest.as_ref().filter(|manifest| !manifest.has_row())
            && manifest.lines() != rows
        {
            return Err(BuildError::Lengths {
                embeddings: build.embeddings.clone(),
                rows,
                manifest: manifest.path().to_owned(),
                lines: manifest.lines(),
            });
        }
        Ok(Self { build, embeddings, manifest })
    }

    fn steps(&self, scratch: &Path) -> Result<Steps<'_>, BuildError> {
        let rows = self.embeddings.rows();
        Ok(match &self.manifest {
            None => Steps::Rows { next: 0, rows },
            Some(manifest) if manifest.has_row() => Steps::Named {
                lines: manifest.iter()?,
                manifest,
                seen: RowIndex::new(scratch).map_err(|source| {
                    BuildError::io("create a scratch file in", scratch, source)
                })?,
                scratch: scratch.to_owned(),
                rows,
                named: 0,
            },
            Some(manifest) => Steps::Paired { lines: manifest.iter()?, manifest, rows },
        })
    }

    /// The part of the work that needs nothing but the face itself.
    fn prepare(&self, step: Step, limits: &ImageLimits) -> Prepared {
        let item = match step {
            Step::Face(item) => item,
            Step::Fault { row, file, reason } => return Prepared::Fault { row, file, reason },
        };
        let vector = self.vector(item.row);
        let photo = self.build.images.as_deref().and_then(|folder| {
            // An image whose embedding is of no use need not be looked at.
            vector.as_ref().ok()?;
            let line = item.line.as_ref()?;
            Some(image::load(folder, line.image.as_deref()?, line.bounds.as_ref(), limits))
        });
        Prepared::Face(Box::new(PreparedFace { item, vector, photo }))
    }

    fn vector(&self, row: u64) -> Result<(Vec<f32>, f32), String> {
        let mut values = vec![0.0; self.embeddings.dims()];
        self.embeddings.read(row, &mut values).map_err(|fault| fault.to_string())?;
        let norm = normalise(&mut values).map_err(|fault| fault.to_string())?;
        Ok((values, norm))
    }
}

/// The faces of the input, one after the other.
enum Steps<'m> {
    /// Embeddings alone.
    Rows { next: u64, rows: u64 },
    /// The n-th line goes with the n-th row.
    Paired { lines: Lines, manifest: &'m Manifest, rows: u64 },
    /// Each line names its row.
    Named {
        lines: Lines,
        manifest: &'m Manifest,
        seen: RowIndex,
        scratch: PathBuf,
        rows: u64,
        named: u64,
    },
}

impl Steps<'_> {
    fn next(&mut self) -> Result<Option<Step>, BuildError> {
        Ok(match self {
            Self::Rows { next, rows } => (*next < *rows).then(|| {
                *next += 1;
                Step::Face(Item { row: *next - 1, line: None })
            }),
            Self::Paired { lines, manifest, .. } => lines.next().map(|line| match line {
                Ok(line) => Step::Face(Item { row: line.number, line: Some(line) }),
                Err(fault) => Step::Fault {
                    row: Some(fault.number),
                    file: manifest.path().to_owned(),
                    reason: fault.to_string(),
                },
            }),
            Self::Named { lines, manifest, seen, scratch, rows, named } => {
                let Some(line) = lines.next() else { return Ok(None) };
                let fault =
                    |row, reason| Step::Fault { row, file: manifest.path().to_owned(), reason };
                Some(match line {
                    Err(found) => fault(None, found.to_string()),
                    Ok(line) => match line.row {
                        None => fault(None, format!("{} names no row", line.position)),
                        Some(row) if row >= *rows => fault(
                            Some(row),
                            format!(
                                "{} names row {row}, the embeddings have {rows} rows",
                                line.position
                            ),
                        ),
                        Some(row) => {
                            let twice = seen.mark(row).map_err(|source| {
                                BuildError::io("write a scratch file in", scratch, source)
                            })?;
                            if twice {
                                let line = line.position;
                                let reason = format!("{line} names row {row} a second time");
                                fault(Some(row), reason)
                            } else {
                                *named += 1;
                                Step::Face(Item { row, line: Some(line) })
                            }
                        }
                    },
                })
            }
        })
    }

    /// Rows that something named so far.
    fn named(&self) -> u64 {
        match self {
            Self::Rows { rows, .. } | Self::Paired { rows, .. } => *rows,
            Self::Named { named, .. } => *named,
        }
    }
}
