//! The step from vectors to codes: learn the space from a sample, then code face after face.
//!
//! In come the mapped vectors of a segment; out goes `codes.bin`. Blocks of faces are projected and
//! coded in parallel and written in slot order, so memory does not grow with the gallery.

use std::path::Path;

use rayon::prelude::*;

use super::lookup::Numbers;
use super::{Build, BuildError};
use crate::codes::{self, Shape, SketchScale};
use crate::gallery::CodesInfo;
use crate::gallery::codes::BLOCK_FACES;
use crate::gallery::format::{FileKind, Section};
use crate::gallery::segment::Vectors;
use crate::gallery::write::BinaryWriter;
use crate::kernels::Kernels;
use crate::space::{self, Space};
use crate::{Cancel, Progress};

/// Faces the space is learned from, spread evenly over the gallery.
const SAMPLE: usize = 20_000;
/// Faces coded by one thread at a time: whole blocks of sketches.
const FACES_A_TASK: usize = 16 * BLOCK_FACES as usize;

/// Learns the space and codes every face into `codes.bin` in the folder `segment`.
pub(super) fn code(
    build: &Build,
    segment: &Path,
    vectors: Vectors<'_>,
    dims: usize,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<CodesInfo, BuildError> {
    progress.begin("space", None);
    let faces = vectors.faces(dims);
    let sample = sample(vectors, dims, faces);
    let learned = space::learn(&sample, dims, build.code_bytes, build.params.seed())
        .ok_or(BuildError::CodeBytes { bytes: build.code_bytes })?;
    drop(sample);
    progress.end();
    let (space, shape) = (&learned.space, learned.shape);
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
    out.section(Section::Codes)?;
    let mut sketches = Numbers::new(segment)?;
    progress.begin("codes", Some(u64::from(faces)));
    let tasks = rayon::current_num_threads() * 2;
    let mut from = 0;
    while from < faces {
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let to = (from as usize + tasks * FACES_A_TASK).min(faces as usize) as u32;
        let slots: Vec<u32> = (from..to).collect();
        let coded: Vec<(Vec<u8>, Vec<u8>)> = slots
            .par_chunks(FACES_A_TASK)
            .map(|slots| code_few(space, shape, vectors, dims, slots))
            .collect();
        for (rows, blocks) in &coded {
            out.write(rows)?;
            sketches.write(blocks)?;
        }
        progress.advance(u64::from(to - from));
        from = to;
    }
    sketches.store(&mut out, Section::Sketches)?;
    out.finish(u64::from(faces), dims)?;
    progress.end();
    let error = learned.errors.iter().find(|e| e.shape == shape);
    Ok(CodesInfo {
        bytes: shape.bytes(),
        bits: shape.bits(),
        dims: shape.dims(),
        carrying: learned.carrying,
        error: error.map_or(0.0, |e| e.anybody),
        error_nearest: error.map_or(0.0, |e| e.nearest),
    })
}

/// Vectors spread evenly over the gallery, one after the other.
fn sample(vectors: Vectors<'_>, dims: usize, faces: u32) -> Vec<f32> {
    let wanted = SAMPLE.min(faces as usize).min((1 << 28) / dims.max(1));
    let mut sample = Vec::with_capacity(wanted * dims);
    for i in 0..wanted {
        let slot = (i as u64 * u64::from(faces) / wanted as u64) as u32;
        sample.extend_from_slice(&vectors.vector(slot, dims));
    }
    sample
}

/// The rows and the blocks of sketches of a few faces.
fn code_few(
    space: &Space,
    shape: Shape,
    vectors: Vectors<'_>,
    dims: usize,
    slots: &[u32],
) -> (Vec<u8>, Vec<u8>) {
    let kernels = Kernels::best();
    let mut given = Vec::with_capacity(slots.len() * dims);
    for &slot in slots {
        given.extend_from_slice(&vectors.vector(slot, dims));
    }
    let projected = space.project_many(&given);
    let mut rows = vec![0; slots.len() * shape.row_bytes()];
    let faces = given.chunks_exact(dims).zip(projected.chunks_exact(shape.dims()));
    let mut sketches = Vec::with_capacity(slots.len());
    for ((vector, z), row) in faces.zip(rows.chunks_exact_mut(shape.row_bytes())) {
        codes::encode(z, space.bias(&kernels, vector), shape, row);
        sketches.push(codes::sketch(z, shape));
    }
    let blocks = sketches.chunks(BLOCK_FACES as usize).flat_map(codes::block).collect();
    (rows, blocks)
}
