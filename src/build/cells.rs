//! The order of the faces: cells learned from a sample, and every face put into its cell.
//!
//! In come vectors by place and the space of the codes; out goes an [`Order`]. Faces are projected
//! block by block, so that of each only its cell and its numbers are held in memory.

use rayon::prelude::*;

use super::{Build, BuildError};
use crate::cells::{self, Centroids};
use crate::gallery::segment::Vectors;
use crate::space::Space;
use crate::{Cancel, Progress};

/// Faces projected by one thread at a time.
const FACES_A_TASK: usize = 1024;
/// Bytes of projected faces that are put into cells at a time: 16,384 faces of 512 dimensions.
const BLOCK_BYTES: usize = 32 << 20;
/// The part of the memory that the sample may take: learning holds it about twice.
const SAMPLE_PART: u64 = 4;

/// Where each face lies.
pub(super) struct Order {
    /// The place of each slot.
    pub(super) places: Vec<u32>,
    /// The slot of each place.
    pub(super) slots: Vec<u32>,
    /// The first slot of each cell, and at the end the number of faces.
    pub(super) starts: Vec<u32>,
    pub(super) centroids: Centroids,
}

/// Learns the cells of the faces and puts every face into one.
pub(super) fn order(
    build: &Build,
    vectors: Vectors<'_>,
    space: &Space,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Order, BuildError> {
    let (dims, coded) = (space.dims(), space.coded());
    let faces = vectors.faces(dims);
    let affordable = build.memory / SAMPLE_PART / (4 * coded as u64);
    let wanted = cells::sample_for(faces.into()).min(affordable);
    let sampled: Vec<u32> = (0..wanted).map(|i| (i * u64::from(faces) / wanted) as u32).collect();
    let sample = project(vectors, space, &sampled);
    let (count, seed) = (cells::cells_for(faces.into()), build.params.seed());
    let centroids =
        cells::learn(&sample, coded, count, seed, progress, cancel).ok_or(BuildError::Cancelled)?;
    drop(sample);
    progress.begin("cells", Some(faces.into()));
    let block = (BLOCK_BYTES / (4 * coded)).max(FACES_A_TASK);
    let mut assignments = Vec::with_capacity(faces as usize);
    let mut from = 0;
    while from < faces {
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let to = (from as usize + block).min(faces as usize) as u32;
        let places: Vec<u32> = (from..to).collect();
        centroids.assign(&project(vectors, space, &places), &mut assignments);
        progress.advance(u64::from(to - from));
        from = to;
    }
    let (places, starts) = cells::order(&assignments, centroids.cells());
    let mut slots = assignments;
    for (&place, slot) in places.iter().zip(0..) {
        slots[place as usize] = slot;
    }
    progress.end();
    Ok(Order { places, slots, starts, centroids })
}

/// Faces in the coordinates of the codes, one after the other.
fn project(vectors: Vectors<'_>, space: &Space, places: &[u32]) -> Vec<f32> {
    let (dims, coded) = (space.dims(), space.coded());
    let mut projected = vec![0.0; places.len() * coded];
    let parts = projected.par_chunks_mut(FACES_A_TASK * coded);
    parts.zip(places.par_chunks(FACES_A_TASK)).for_each(|(part, places)| {
        let mut given = Vec::with_capacity(places.len() * dims);
        for &place in places {
            given.extend_from_slice(&vectors.vector(place, dims));
        }
        part.copy_from_slice(&space.project_many(&given));
    });
    projected
}
