//! Centroids in a byte a dimension: what a search ranks cells by.
//!
//! In come unit vectors; out go whole numbers and, a centroid, the step they are in. Rounding errs by
//! under a hundredth of a centroid's length, in no particular direction, which is far below the
//! noise of a mate; and half the bytes of half precision are read.

use std::ops::Range;

use crate::kernels::codes::CHUNK_BYTES;
use crate::kernels::panels::ZERO;
use crate::kernels::{Bits, CodeRows, Kernels};

/// The largest distance from the level that stands for 0.
const MAX_LEVEL: f32 = 127.0;
/// Added to a number below 2^22, it leaves the nearest whole number in the lowest bits, ties to
/// even: compilers vectorise that, and call a function for each `f32::round`.
const TO_WHOLE: f32 = 12_582_912.0;

/// Centroids as whole numbers: a dimension's value is (level - 128) times the centroid's step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels<'a> {
    /// A row a centroid, of as many bytes as it has dimensions, rounded up to a multiple of 64.
    pub levels: &'a [u8],
    /// A step a centroid.
    pub steps: &'a [f32],
}

impl<'a> Levels<'a> {
    /// Bytes of a centroid of `dims` dimensions.
    pub(super) fn row_bytes(dims: usize) -> usize {
        dims.next_multiple_of(CHUNK_BYTES)
    }

    /// Whether there are `count` centroids of `dims` dimensions.
    pub(super) fn fit(&self, count: usize, dims: usize) -> bool {
        self.steps.len() == count
            && count.checked_mul(Self::row_bytes(dims)) == Some(self.levels.len())
    }

    /// Hands `take` the number and the similarity, up to a factor that is the same for all, of those
    /// centroids of a range that exist.
    pub(super) fn score(
        &self,
        kernels: Kernels,
        probe: &ProbeLevels,
        range: Range<usize>,
        sums: &mut Vec<i32>,
        mut take: impl FnMut(usize, f32),
    ) {
        let bytes = probe.levels.len();
        let rows = CodeRows::new(self.levels, bytes, bytes);
        let slots = range.start as u32..range.end as u32;
        kernels.levels_dot_range(Bits::Eight, rows, slots, &probe.levels, sums);
        let steps = self.steps.get(range.start..).unwrap_or_default();
        for ((number, &sum), &step) in (range.start..).zip(&*sums).zip(steps) {
            take(number, sum.wrapping_sub(probe.idle) as f32 * step);
        }
    }
}

/// A probe, rounded for centroids.
#[derive(Debug, Default)]
pub(crate) struct ProbeLevels {
    levels: Vec<i8>,
    /// What a level stands for.
    step: f32,
    /// What the levels that stand for 0 add to a sum.
    idle: i32,
}

impl ProbeLevels {
    /// A probe of any length.
    #[cfg(feature = "build")]
    pub(crate) fn of(probe: &[f32]) -> Self {
        let mut levels = Self::default();
        levels.set(probe);
        levels
    }

    /// What a level stands for: the factor that [`Levels::score`] leaves out.
    #[cfg(feature = "build")]
    pub(super) fn step(&self) -> f32 {
        self.step
    }

    /// Takes a probe of any length.
    pub(super) fn set(&mut self, probe: &[f32]) {
        self.levels.clear();
        self.step = levels(probe, &mut self.levels);
        self.levels.resize(Levels::row_bytes(probe.len()), 0);
        let sum: i32 = self.levels.iter().map(|&level| i32::from(level)).sum();
        self.idle = i32::from(ZERO) * sum;
    }
}

/// Appends the levels of a vector, -127 to 127, and tells their step. What is not a number has none.
pub(super) fn levels(vector: &[f32], levels: &mut Vec<i8>) -> f32 {
    let longest = vector.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let fineness = if longest > 0.0 { MAX_LEVEL / longest } else { 0.0 };
    levels.extend(vector.iter().map(|v| (v * fineness + TO_WHOLE).to_bits() as i8));
    longest / MAX_LEVEL
}

/// The levels and steps of centroids of `dims` values each.
#[cfg(feature = "build")]
pub fn round(centroids: &[f32], dims: usize) -> (Vec<u8>, Vec<f32>) {
    let (mut all, mut steps, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for centroid in centroids.chunks_exact(dims.max(1)) {
        own.clear();
        steps.push(levels(centroid, &mut own));
        let end = all.len() + Levels::row_bytes(dims);
        all.extend(own.iter().map(|&level| level as u8 ^ ZERO));
        all.resize(end, ZERO);
    }
    (all, steps)
}
