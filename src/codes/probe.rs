//! A probe, ready to be compared with codes and sketches.
//!
//! In come a probe and the gallery's space; out go small whole numbers for the kernels to multiply
//! and look up, and functions that turn the kernels' sums into similarities. Made once a probe; used
//! again for the next one it allocates nothing.

use super::sketch::{GROUPS, Tables};
use super::{Estimate, Factors, Shape, SketchScale};
use crate::kernels::Kernels;
use crate::space::Space;

/// The largest whole number that a dimension of a probe is rounded to.
const MAX_LEVEL: f32 = 127.0;

/// A probe in the coordinates of a space, rounded for one shape of code.
#[derive(Clone, Debug)]
pub(crate) struct CodedProbe {
    /// p = R (q - mu).
    turned: Vec<f32>,
    /// p, in units of `step`.
    levels: Vec<i8>,
    step: f32,
    /// What the levels of a code add to its sum without saying anything: (2^b - 1) times the sum of
    /// the probe's levels.
    idle: i32,
    /// <q, mu>.
    base: f32,
    /// |p|.
    length: f32,
    /// Variance that is the probe's own: of its rounding, and of the dimensions left out.
    own_variance: f32,
    tables: Tables,
}

impl Default for CodedProbe {
    /// Room for a probe.
    fn default() -> Self {
        Self {
            turned: Vec::new(),
            levels: Vec::new(),
            step: 0.0,
            idle: 0,
            base: 0.0,
            length: 0.0,
            own_variance: 0.0,
            tables: Tables::EMPTY,
        }
    }
}

impl CodedProbe {
    /// Takes the probe `q`, a unit vector of the space's dimensions, to compare with codes of
    /// `shape`, which has the dimensions that the space codes.
    pub(crate) fn set(&mut self, space: &Space, kernels: &Kernels, q: &[f32], shape: Shape) {
        space.project(kernels, q, &mut self.turned);
        self.turned.resize(shape.dims, 0.0);
        let p = &self.turned;
        let square = kernels.dot(p, p);
        self.base = kernels.dot(q, space.mean());
        self.length = square.sqrt();

        let longest = p.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        self.step = longest / MAX_LEVEL;
        let fineness = if self.step > 0.0 { 1.0 / self.step } else { 0.0 };
        self.levels.clear();
        self.levels.extend(p.iter().map(|v| (v * fineness).round() as i8));
        let sum: i32 = self.levels.iter().map(|&level| i32::from(level)).sum();
        self.idle = shape.top() * sum;
        let lost: f32 = p.iter().zip(&self.levels).fold(0.0, |sum, (v, &level)| {
            let rest = v - self.step * f32::from(level);
            sum + rest * rest
        });
        self.own_variance = self.own_variance(space, square, lost, shape);
        self.tables = Tables::of(&self.turned);
    }

    /// What rounding lost of p meets a face in a random direction; so does what the space leaves out
    /// of the probe, which meets about as much of the face.
    fn own_variance(&self, space: &Space, square: f32, lost: f32, shape: Shape) -> f32 {
        let mean = space.mean_square();
        let face = (1.0 - mean).max(0.0);
        let rounding = lost * face / shape.dims as f32;
        let left_out = space.dims().saturating_sub(space.coded());
        if left_out == 0 {
            return rounding;
        }
        let outside = (1.0 + mean - 2.0 * self.base - square).max(0.0);
        rounding + outside * outside / left_out as f32
    }

    /// The probe's whole numbers, -127 to 127, a dimension of the code.
    pub(crate) fn levels(&self) -> &[i8] {
        &self.levels
    }

    /// p = R (q - mu).
    pub(crate) fn turned(&self) -> &[f32] {
        &self.turned
    }

    /// |p|, what a code's error is multiplied by.
    #[cfg(all(test, feature = "build"))]
    pub(crate) fn length(&self) -> f32 {
        self.length
    }

    /// <q, mu>.
    #[cfg(all(test, feature = "build"))]
    pub(crate) fn base(&self) -> f32 {
        self.base
    }

    /// 16 entries, 0 to 63, for each of 32 nibbles of a sketch.
    pub(crate) fn tables(&self) -> &[u8; 16 * GROUPS] {
        &self.tables.entries
    }

    /// The similarity of a face, from the sum over dimensions of its level times the probe's.
    #[inline]
    pub(crate) fn estimate(&self, sum_of_levels: i32, factors: Factors) -> Estimate {
        let coded = factors.error * self.length;
        Estimate {
            similarity: self.similarity(sum_of_levels, factors.scale, factors.bias),
            error: (coded * coded + self.own_variance).sqrt(),
        }
    }

    /// The similarity alone.
    #[inline]
    pub(crate) fn similarity(&self, sum_of_levels: i32, scale: f32, bias: f32) -> f32 {
        let along = sum_of_levels.wrapping_mul(2).wrapping_sub(self.idle) as f32;
        self.base + bias + scale * self.step * along
    }

    /// The similarity of a face from its sketch's score.
    #[cfg(all(test, feature = "build"))]
    #[inline]
    pub(crate) fn sketch_similarity(&self, score: u16, scale: &SketchScale) -> f32 {
        let along = f32::from(score) * self.tables.step + self.tables.offset;
        self.base + scale.bias + scale.gain * along
    }

    /// The score at which a sketch's similarity is `similarity`; not a whole number, and outside of
    /// the possible scores where no sketch is so similar. Not finite for a probe at the mean.
    pub(crate) fn sketch_score(&self, similarity: f32, scale: &SketchScale) -> f32 {
        let along = (similarity - self.base - scale.bias) / scale.gain;
        (along - self.tables.offset) / self.tables.step
    }

    /// One standard deviation of [`sketch_similarity`](Self::sketch_similarity).
    pub(crate) fn sketch_error(&self, scale: &SketchScale) -> f32 {
        let coded = scale.error * self.length;
        // Entries are rounded to a step: evenly spread errors of variance 1/12.
        let step = scale.gain * self.tables.step;
        let rounding = step * step * GROUPS as f32 / 12.0;
        (coded * coded + scale.spread * scale.spread + rounding + self.own_variance).sqrt()
    }
}
