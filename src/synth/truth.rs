//! Exact answers.
//!
//! In come the faces, block by block from their file, and the probes; out go the rows of the K faces
//! most similar to each probe, most similar first, ties by lower row. Similarities are dot products
//! of unit vectors in f32; since products of blocks round differently from single ones, every face
//! that rounding could have put on either side of the K-th is kept, and the end is decided by the
//! same f32 numbers multiplied and summed in f64. Always: the answer is that of a full sort.

use std::fs::File;
use std::os::unix::fs::FileExt;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::files::{Vectors, at};
use super::{SynthError, check};
use crate::embedding::normalise;
use crate::{Cancel, Progress};

/// Answers that fit in memory with what it takes to find them.
pub(super) const MAX_ANSWERS: u64 = 1 << 30;
/// Faces read at once.
const FACES: usize = 4096;
/// Probes a thread takes at once.
const PROBES: usize = 64;

/// Refuses a K that makes no sense.
pub(super) fn check_k(k: usize, faces: u64, probes: u64) -> Result<(), SynthError> {
    let answers = (k as u64).checked_mul(probes);
    if k > 0 && k as u64 <= faces && answers.is_some_and(|n| n <= MAX_ANSWERS) {
        return Ok(());
    }
    Err(SynthError::Truth { k, faces, probes })
}

/// Reads a whole file of vectors as unit vectors.
pub(super) fn read_all(vectors: &Vectors) -> Result<Array2<f32>, SynthError> {
    let file = File::open(&vectors.path).map_err(at(&vectors.path))?;
    read_rows(&file, vectors, 0, vectors.rows as usize)
}

/// The rows in `faces` of the `k` most similar to each of `probes`, one probe after the other.
pub(super) fn exact_top(
    faces: &Vectors,
    probes: &Array2<f32>,
    k: usize,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<i64>, SynthError> {
    let file = File::open(&faces.path).map_err(at(&faces.path))?;
    let margin = margin(faces.dims);
    let mut best: Vec<Best> = (0..probes.nrows()).map(|_| Best::new(k, margin)).collect();
    progress.begin("finding the exact answers", Some(faces.rows));
    let mut start = 0;
    while start < faces.rows {
        let count = (faces.rows - start).min(FACES as u64) as usize;
        let block = read_rows(&file, faces, start, count)?;
        best.par_chunks_mut(PROBES)
            .zip(probes.axis_chunks_iter(Axis(0), PROBES).into_par_iter())
            .for_each(|(best, probes)| offer(best, probes, &block, start));
        start += count as u64;
        progress.advance(count as u64);
        check(cancel)?;
    }
    progress.end();
    let rows: Result<Vec<Vec<i64>>, SynthError> = best
        .into_par_iter()
        .enumerate()
        .map(|(probe, best)| {
            let probe = probes.row(probe).to_vec();
            decide(best, &probe, &file, faces)
        })
        .collect();
    Ok(rows?.concat())
}

/// How far below the K-th similarity a face may seem to be and still belong to the K best: twice the
/// most that rounding can add to a dot product of unit vectors, half a unit in the last place a term.
fn margin(dims: usize) -> f32 {
    2.0 * dims as f32 * (f32::EPSILON / 2.0)
}

/// Offers a block of faces to each of some probes.
fn offer(best: &mut [Best], probes: ArrayView2<'_, f32>, block: &Array2<f32>, start: u64) {
    let mut similarities = Array2::<f32>::zeros((probes.nrows(), block.nrows()));
    general_mat_mul(1.0, &probes, &block.t(), 0.0, &mut similarities);
    for (best, row) in best.iter_mut().zip(similarities.rows()) {
        for (face, &similarity) in (start..).zip(row) {
            if similarity >= best.least {
                best.add(similarity, face);
            }
        }
    }
}

/// The faces that may be among the K best of a probe.
struct Best {
    k: usize,
    margin: f32,
    /// Similarity below which a face is not.
    least: f32,
    found: Vec<(f32, u64)>,
    /// Number found at which they are sifted.
    full: usize,
}

impl Best {
    fn new(k: usize, margin: f32) -> Self {
        Self { k, margin, least: f32::NEG_INFINITY, found: Vec::new(), full: 2 * k + 64 }
    }

    fn add(&mut self, similarity: f32, face: u64) {
        self.found.push((similarity, face));
        if self.found.len() >= self.full {
            self.sift();
        }
    }

    fn sift(&mut self) {
        if self.found.len() < self.k {
            return;
        }
        let (_, &mut (kth, _), _) =
            self.found.select_nth_unstable_by(self.k - 1, |a, b| b.0.total_cmp(&a.0));
        let least = kth - self.margin;
        self.least = least;
        self.found.retain(|&(similarity, _)| similarity >= least);
        self.full = 2 * self.found.len() + 64;
    }
}

/// Compares the last candidates in f64.
fn decide(
    mut best: Best,
    probe: &[f32],
    file: &File,
    faces: &Vectors,
) -> Result<Vec<i64>, SynthError> {
    best.sift();
    let mut found = Vec::with_capacity(best.found.len());
    for (_, face) in best.found {
        let vector = read_rows(file, faces, face, 1)?;
        let exact: f64 =
            probe.iter().zip(&vector).map(|(&p, &v)| f64::from(p) * f64::from(v)).sum();
        found.push((exact, face));
    }
    found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(best.k);
    // A row is below 2^40.
    Ok(found.into_iter().map(|(_, face)| face as i64).collect())
}

/// Reads `count` vectors from row `start` on, normalised.
fn read_rows(
    file: &File,
    vectors: &Vectors,
    start: u64,
    count: usize,
) -> Result<Array2<f32>, SynthError> {
    let dims = vectors.dims;
    let width = dims * size_of::<f32>();
    let mut bytes = vec![0_u8; count * width];
    file.read_exact_at(&mut bytes, vectors.offset + start * width as u64)
        .map_err(at(&vectors.path))?;
    let (words, _) = bytes.as_chunks();
    let mut values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    values
        .par_chunks_mut(dims)
        .with_min_len(64)
        .try_for_each(|vector| normalise(vector).map(|_| ()))
        .map_err(|e| at(&vectors.path)(std::io::Error::other(e)))?;
    Array2::from_shape_vec((count, dims), values)
        .map_err(|e| at(&vectors.path)(std::io::Error::other(e)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn near_ties_are_kept_until_the_end() {
        let mut best = Best::new(2, 1e-3);
        for face in 0..500 {
            best.add(face as f32 / 1000.0, face);
        }
        for face in 500..510 {
            best.add(0.4985, face);
        }
        best.sift();
        let mut faces: Vec<u64> = best.found.iter().map(|&(_, face)| face).collect();
        faces.sort_unstable();
        assert_eq!(faces, (498..510).collect::<Vec<u64>>());
    }

    #[test]
    fn answers_that_make_no_sense_are_refused() {
        assert!(check_k(10, 10, 5).is_ok());
        for (k, faces, probes) in [(0, 10, 5), (11, 10, 5), (10, 10, u64::MAX)] {
            assert!(check_k(k, faces, probes).is_err());
        }
    }
}
