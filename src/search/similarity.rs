//! Exact similarities: the dot product of the probe with a face's own vector.

use std::ops::Range;
use std::time::Duration;

use super::walk::{Scored, Scores};
use crate::gallery::map::will_need;
use crate::gallery::segment::Vectors;
use crate::kernels::{Kernels, prefetch};

/// Nanoseconds that no vector from memory takes, nor any of its bytes, nor passing a face over; a
/// page from disk takes many times that.
const VECTOR: u64 = 4000;
const BYTE: u64 = 1;
const PASSED_OVER: u64 = 500;

/// A probe and the vectors it is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Exact<'a> {
    kernels: Kernels,
    probe: &'a [f32],
    vectors: Vectors<'a>,
    faces: u32,
}

impl<'a> Exact<'a> {
    /// Vectors that are best on their way while one is computed.
    pub(crate) const AHEAD: usize = 4;

    pub(crate) fn new(probe: &'a [f32], vectors: Vectors<'a>) -> Self {
        let faces = vectors.faces(probe.len());
        Self { kernels: Kernels::best(), probe, vectors, faces }
    }

    /// Similarity of the probe with a face; a slot that is not there is worse than any.
    #[inline]
    pub(crate) fn similarity(&self, slot: u32) -> f32 {
        let dims = self.probe.len();
        let similarity = match self.vectors {
            Vectors::F32(values) => {
                row(values, slot, dims).map(|v| self.kernels.dot(self.probe, v))
            }
            Vectors::F16(values) => {
                row(values, slot, dims).map(|v| self.kernels.dot_f16(self.probe, v))
            }
        };
        comparable(similarity)
    }

    /// Similarities of two probes of one gallery with three faces, those of
    /// [`similarity`](Self::similarity).
    #[inline]
    pub(super) fn similarities(pair: [&Self; 2], slots: [u32; 3]) -> [[f32; 3]; 2] {
        if let Vectors::F32(values) = pair[0].vectors {
            let dims = pair[0].probe.len();
            if let [Some(x), Some(y), Some(z)] = slots.map(|slot| row(values, slot, dims)) {
                let found = pair[0].kernels.dots(pair.map(|exact| exact.probe), [x, y, z]);
                return found.map(|row| row.map(|similarity| comparable(Some(similarity))));
            }
        }
        pair.map(|exact| slots.map(|slot| exact.similarity(slot)))
    }

    /// Asks the processor to fetch a face's vector.
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        let dims = self.probe.len();
        match self.vectors {
            Vectors::F32(values) => {
                prefetch(row(values, slot, dims).unwrap_or_default());
            }
            Vectors::F16(values) => {
                prefetch(row(values, slot, dims).unwrap_or_default());
            }
        }
    }

    /// Asks the system to read from disk, all together, what of these vectors is not in memory.
    pub(super) fn read_ahead(&self, slots: Range<u32>) {
        let dims = self.probe.len();
        let values = slots.start as usize * dims..slots.end as usize * dims;
        will_need(match self.vectors {
            Vectors::F32(all) => bytemuck::cast_slice(all.get(values).unwrap_or_default()),
            Vectors::F16(all) => bytemuck::cast_slice(all.get(values).unwrap_or_default()),
        });
    }

    /// Whether vectors came from disk, in good part, where reading this many and passing over the
    /// others of `looked_at` faces took so long.
    pub(super) fn is_from_disk(&self, vectors: u64, looked_at: u64, took: Duration) -> bool {
        let reading = vectors * (VECTOR + BYTE * self.vector_bytes());
        vectors > 0 && took > Duration::from_nanos(reading + looked_at * PASSED_OVER)
    }

    /// Number of faces.
    pub(super) fn faces(&self) -> u32 {
        self.faces
    }

    /// Bytes of a vector.
    pub(super) fn vector_bytes(&self) -> u64 {
        let value = match self.vectors {
            Vectors::F32(_) => 4,
            Vectors::F16(_) => 2,
        };
        self.probe.len() as u64 * value
    }
}

impl Scores for Exact<'_> {
    fn faces(&self) -> u32 {
        self.faces
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.fetch(slot);
    }

    fn score(&self, slots: &[u32], scored: &mut Scored) {
        scored.similarities.clear();
        scored.similarities.extend(slots.iter().map(|&slot| self.similarity(slot)));
    }
}

#[inline]
fn row<T>(values: &[T], slot: u32, dims: usize) -> Option<&[T]> {
    let from = slot as usize * dims;
    values.get(from..from + dims)
}

/// Rounding may carry a cosine past its range, where no threshold reaches. A damaged vector may give
/// NaN, which has no place in an order: it is worse than any.
#[inline]
fn comparable(similarity: Option<f32>) -> f32 {
    match similarity {
        Some(similarity) if !similarity.is_nan() => similarity.clamp(-1.0, 1.0),
        _ => f32::NEG_INFINITY,
    }
}
