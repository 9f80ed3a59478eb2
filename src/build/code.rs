//! The step from vectors to codes: learn the space, put the faces by cell, code face after face.
//!
//! In come the mapped vectors of a segment in the order of the input; out go `vectors.bin` and
//! `codes.bin` in the order of slots. Blocks of faces are projected and coded in parallel and written
//! one after the other, so that memory holds a few numbers a face.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cells::{self, Order};
use super::lookup::Numbers;
use super::{Build, BuildError};
use crate::codes::{self, Shape, SketchScale};
use crate::gallery::codes::BLOCK_FACES;
use crate::gallery::format::{FileKind, Section};
use crate::gallery::segment::Vectors;
use crate::gallery::write::BinaryWriter;
use crate::gallery::{CellsInfo, CodesInfo};
use crate::kernels::Kernels;
use crate::space::{self, Space};
use crate::{Cancel, Progress};

/// Faces the space is learned from, spread evenly over the gallery.
const SAMPLE: usize = 20_000;
/// Faces coded by one thread at a time, at most: whole blocks of sketches.
const FACES_A_TASK: usize = 16 * BLOCK_FACES as usize;
/// Numbers held for each dimension of a face that is being coded: as it came, as f32, less the mean,
/// projected.
const COPIES: usize = 4;

/// What the step gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Coded {
    pub(super) codes: CodesInfo,
    pub(super) cells: CellsInfo,
}

/// Learns space and cells, and writes every face into `vectors.bin` and `codes.bin` in the folder
/// `segment`. `vectors` are in the order of places.
pub(super) fn code(
    build: &Build,
    segment: &Path,
    vectors: Vectors<'_>,
    dims: usize,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Coded, BuildError> {
    progress.begin("space", None);
    let faces = vectors.faces(dims);
    let sample = sample(build, vectors, dims, faces);
    let learned = space::learn(&sample, dims, build.code_bytes, build.params.seed())
        .ok_or(BuildError::CodeBytes { bytes: build.code_bytes })?;
    drop(sample);
    progress.end();
    let (space, shape) = (&learned.space, learned.shape);
    let order = cells::order(build, vectors, space, progress, cancel)?;
    let mut ordered =
        BinaryWriter::create(&segment.join(FileKind::Vectors.file_name()), FileKind::Vectors)?;
    ordered.section(match vectors {
        Vectors::F32(_) => Section::VectorsF32,
        Vectors::F16(_) => Section::VectorsF16,
    })?;
    let mut out =
        BinaryWriter::create(&segment.join(FileKind::Codes.file_name()), FileKind::Codes)?;
    out.section(Section::CodeParams)?;
    out.write(&[shape.bits(), shape.bytes() as u32, 0, 0])?;
    out.section(Section::SketchScale)?;
    let SketchScale { gain, bias, error, spread } = learned.sketch;
    out.write(&[gain, bias, error, spread])?;
    out.section(Section::SpaceMean)?;
    out.write(space.mean())?;
    out.section(Section::SpaceMatrix)?;
    out.write(space.matrix())?;
    write_order(&mut out, &order)?;
    out.section(Section::Codes)?;
    let mut sketches = Numbers::new(segment)?;
    progress.begin("codes", Some(u64::from(faces)));
    let tasks = rayon::current_num_threads() * 2;
    let each = faces_a_task(build.memory / tasks as u64, dims.max(shape.dims()));
    let mut from = 0;
    while from < faces {
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let to = (from as usize + tasks * each).min(faces as usize) as u32;
        let places = &order.places[from as usize..to as usize];
        let coded: Vec<Few> = places
            .par_chunks(each)
            .map(|places| code_few(space, shape, vectors, dims, places))
            .collect();
        for few in &coded {
            ordered.write(&few.vectors)?;
            out.write(&few.rows)?;
            sketches.write(&few.sketches)?;
        }
        progress.advance(u64::from(to - from));
        from = to;
    }
    sketches.store(&mut out, Section::Sketches)?;
    ordered.finish(u64::from(faces), dims)?;
    out.finish(u64::from(faces), dims)?;
    progress.end();
    let error = learned.errors.iter().find(|e| e.shape == shape);
    Ok(Coded {
        codes: CodesInfo {
            bytes: shape.bytes(),
            bits: shape.bits(),
            dims: shape.dims(),
            carrying: learned.carrying,
            error: error.map_or(0.0, |e| e.anybody),
            error_nearest: error.map_or(0.0, |e| e.nearest),
            similarity_spread: learned.similarity_spread,
        },
        cells: CellsInfo {
            count: order.centroids.cells() as u32,
            groups: order.centroids.group_starts().len().saturating_sub(1) as u32,
            largest: order.starts.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0),
        },
    })
}

/// Writes where each face lies, and the cells.
fn write_order(out: &mut BinaryWriter, order: &Order) -> Result<(), BuildError> {
    let Order { places, slots, starts, centroids } = order;
    let mut write = |values: &[f32], first, second| {
        let (levels, steps) = crate::cells::round(values, centroids.dims());
        out.section(first)?;
        out.write(&levels)?;
        out.section(second)?;
        out.write(&steps)
    };
    write(centroids.values(), Section::CellLevels, Section::CellSteps)?;
    write(centroids.group_values(), Section::GroupLevels, Section::GroupSteps)?;
    out.section(Section::CellStarts)?;
    out.write(starts)?;
    out.section(Section::GroupStarts)?;
    out.write(centroids.group_starts())?;
    out.section(Section::Places)?;
    out.write(places)?;
    out.section(Section::Slots)?;
    Ok(out.write(slots)?)
}

/// Vectors spread evenly over the gallery, one after the other.
fn sample(build: &Build, vectors: Vectors<'_>, dims: usize, faces: u32) -> Vec<f32> {
    // A quarter of the memory: learning makes copies of it.
    let affordable = build.memory as usize / (16 * dims.max(1));
    let wanted = SAMPLE.min(faces as usize).min(affordable);
    let mut sample = Vec::with_capacity(wanted * dims);
    for i in 0..wanted {
        let place = (i as u64 * u64::from(faces) / wanted as u64) as u32;
        sample.extend_from_slice(&vectors.vector(place, dims));
    }
    sample
}

/// How many faces a thread codes at a time within half of its memory: whole blocks of sketches, and
/// at least one.
fn faces_a_task(memory: u64, dims: usize) -> usize {
    let affordable = memory as usize / 2 / (COPIES * size_of::<f32>() * dims);
    let blocks = affordable.min(FACES_A_TASK) / BLOCK_FACES as usize;
    blocks.max(1) * BLOCK_FACES as usize
}

/// What is written of a few faces.
struct Few {
    /// As they came, number by number.
    vectors: Vec<u8>,
    /// A code and its factors a face.
    rows: Vec<u8>,
    /// Whole blocks.
    sketches: Vec<u8>,
}

/// Codes the faces in a few places, in this order.
fn code_few(space: &Space, shape: Shape, vectors: Vectors<'_>, dims: usize, places: &[u32]) -> Few {
    let kernels = Kernels::best();
    let mut given = Vec::with_capacity(places.len() * dims);
    let mut stored = Vec::new();
    for &place in places {
        given.extend_from_slice(&vectors.vector(place, dims));
        stored.extend_from_slice(vectors.bytes(place, dims));
    }
    let projected = space.project_many(&given);
    let mut rows = vec![0; places.len() * shape.row_bytes()];
    let faces = given.chunks_exact(dims).zip(projected.chunks_exact(shape.dims()));
    let mut sketches = Vec::with_capacity(places.len());
    for ((vector, z), row) in faces.zip(rows.chunks_exact_mut(shape.row_bytes())) {
        codes::encode(z, space.bias(&kernels, vector), shape, row);
        sketches.push(codes::sketch(z, shape));
    }
    let sketches = sketches.chunks(BLOCK_FACES as usize).flat_map(codes::block).collect();
    Few { vectors: stored, rows, sketches }
}
