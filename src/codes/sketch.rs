//! Sixteen bytes a face, for the first pass of a scan.
//!
//! A sketch is 32 nibbles: the signs of the first 128 dimensions, or, of a code of 64 dimensions,
//! two bits of each by the quantiser that is best for a Gaussian (Lloyd; Max 1960). A probe has a
//! table of 16 small numbers for every nibble, so that four of them add up in a byte and a score is
//! 32 look-ups. Scores of one probe are comparable; a [`SketchScale`], learned from the gallery, and
//! the probe's own step and offset make similarities of them. Always: a sketch counts the same
//! length for every face, which is why it only ever picks whom to look at more closely.

#[cfg(feature = "build")]
use super::Shape;

/// Nibbles of a sketch.
pub(super) const GROUPS: usize = 32;
/// Bytes of a sketch.
#[cfg(feature = "build")]
pub(crate) const SKETCH_BYTES: usize = GROUPS / 2;
/// Faces whose sketches are stored together.
#[cfg(feature = "build")]
pub(crate) const BLOCK_FACES: usize = 64;
/// The largest entry of a table.
const MAX_ENTRY: f32 = 63.0;
/// What two bits stand for, in standard deviations.
const LEVELS: [f32; 4] = [-1.510, -0.4528, 0.4528, 1.510];
/// Where the outer levels begin.
#[cfg(feature = "build")]
const THRESHOLD: f32 = 0.9816;

/// The number a sketch stands for at each of its dimensions: nibble value to numbers, for codes of
/// 128 dimensions and more.
fn signs(nibble: usize) -> [f32; 4] {
    std::array::from_fn(|j| if nibble >> j & 1 == 1 { 1.0 } else { -1.0 })
}

/// The same for codes of 64 dimensions.
fn pair(nibble: usize) -> [f32; 2] {
    [LEVELS[nibble & 3], LEVELS[nibble >> 2 & 3]]
}

/// A probe's tables, and what a score of them means: <p, s> ~ score * step + offset, with s the
/// numbers that a face's sketch stands for.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// 16 entries, 0 to 63, for each group.
    pub(super) entries: [u8; 16 * GROUPS],
    pub(super) step: f32,
    pub(super) offset: f32,
}

impl Tables {
    pub(super) const EMPTY: Self = Self { entries: [0; 16 * GROUPS], step: 0.0, offset: 0.0 };

    /// The tables of a probe p, of 64 dimensions or at least 128.
    pub(super) fn of(p: &[f32]) -> Self {
        let mut sums = [[0.0_f32; 16]; GROUPS];
        if p.len() < 4 * GROUPS {
            for (sums, p) in sums.iter_mut().zip(p.as_chunks::<2>().0) {
                *sums = std::array::from_fn(|nibble| dot(*p, pair(nibble)));
            }
        } else {
            for (sums, p) in sums.iter_mut().zip(p.as_chunks::<4>().0) {
                *sums = std::array::from_fn(|nibble| dot(*p, signs(nibble)));
            }
        }
        let least = sums.map(|group| group.into_iter().fold(f32::INFINITY, f32::min));
        let ranges = sums.iter().zip(&least).flat_map(|(group, low)| group.map(|sum| sum - low));
        let step = ranges.fold(0.0, f32::max) / MAX_ENTRY;
        let mut tables = Self { step, offset: least.iter().sum(), ..Self::EMPTY };
        if step > 0.0 {
            let (entries, _) = tables.entries.as_chunks_mut::<16>();
            for ((entries, group), low) in entries.iter_mut().zip(&sums).zip(&least) {
                *entries = group.map(|sum| ((sum - low) / step).round().min(MAX_ENTRY) as u8);
            }
        }
        tables
    }
}

fn dot<const N: usize>(a: [f32; N], b: [f32; N]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// What the faces of a gallery have in common that a sketch does not say: means over its faces.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct SketchScale {
    /// |z|^2 / <z, s>, as a code's scale.
    pub(crate) gain: f32,
    /// Bias.
    pub(crate) bias: f32,
    /// One standard deviation of <p, z> - gain <p, s>, for a probe p of length 1.
    pub(crate) error: f32,
    /// One standard deviation of the bias.
    pub(crate) spread: f32,
}

impl SketchScale {
    /// Learned from faces z, one after the other, and their biases.
    ///
    /// The gain is the mean of what would be unbiased for each face, the errors the root mean square
    /// of RaBitQ's for a code that is zero beyond the sketch.
    #[cfg(feature = "build")]
    pub(crate) fn learn(faces: &[f32], biases: &[f32], shape: Shape) -> Self {
        let (mut count, mut gain, mut error) = (0.0_f64, 0.0, 0.0);
        for z in faces.chunks_exact(shape.dims) {
            let numbers = sums(z, &sketch(z, shape));
            let (length, along, square) = (numbers.length, numbers.along, numbers.square);
            if along > 0.0 {
                count += 1.0;
                gain += length / along;
                let tangent = (length * square / (along * along) - 1.0).max(0.0);
                error += length * tangent / (shape.dims - 1) as f64;
            }
        }
        let mean = |values: &dyn Fn(f64) -> f64| -> f64 {
            biases.iter().map(|&b| values(f64::from(b))).sum::<f64>() / biases.len().max(1) as f64
        };
        let bias = mean(&|b| b);
        Self {
            gain: (gain / count.max(1.0)) as f32,
            bias: bias as f32,
            error: (error / count.max(1.0)).sqrt() as f32,
            spread: mean(&|b| (b - bias) * (b - bias)).sqrt() as f32,
        }
    }
}

/// |z|^2, <z, s> and |s|^2.
#[cfg(feature = "build")]
struct Sums {
    length: f64,
    along: f64,
    square: f64,
}

#[cfg(feature = "build")]
fn sums(z: &[f32], sketch: &[u8; SKETCH_BYTES]) -> Sums {
    let mut sums = Sums { length: 0.0, along: 0.0, square: 0.0 };
    sums.length = z.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let mut add = |z: f32, s: f32| {
        sums.along += f64::from(z) * f64::from(s);
        sums.square += f64::from(s) * f64::from(s);
    };
    let nibbles = sketch.iter().flat_map(|byte| [byte & 15, byte >> 4]).map(usize::from);
    if z.len() < 4 * GROUPS {
        for (z, nibble) in z.chunks(2).zip(nibbles) {
            z.iter().zip(pair(nibble)).for_each(|(&z, s)| add(z, s));
        }
    } else {
        for (z, nibble) in z.chunks(4).zip(nibbles) {
            z.iter().zip(signs(nibble)).for_each(|(&z, s)| add(z, s));
        }
    }
    sums
}

/// The sketch of a face z: byte j holds group 2 j below and group 2 j + 1 above.
#[cfg(feature = "build")]
pub(crate) fn sketch(z: &[f32], shape: Shape) -> [u8; SKETCH_BYTES] {
    let mut sketch = [0; SKETCH_BYTES];
    if shape.dims < 4 * GROUPS {
        let square: f32 = z.iter().map(|v| v * v).sum();
        let outer = THRESHOLD * (square / shape.dims as f32).sqrt();
        for (byte, z) in sketch.iter_mut().zip(z.chunks(4)) {
            for (place, &v) in z.iter().enumerate() {
                let level = u8::from(v >= -outer) + u8::from(v >= 0.0) + u8::from(v >= outer);
                *byte |= level.min(3) << (2 * place);
            }
        }
    } else {
        for (byte, z) in sketch.iter_mut().zip(z.chunks(8)) {
            for (place, &v) in z.iter().enumerate() {
                *byte |= u8::from(v >= 0.0) << place;
            }
        }
    }
    sketch
}

/// Up to 64 sketches as they are stored: the first byte of each face, then the second of each, and
/// so on; zeros where there is no face.
#[cfg(feature = "build")]
pub(crate) fn block(sketches: &[[u8; SKETCH_BYTES]]) -> [u8; SKETCH_BYTES * BLOCK_FACES] {
    let mut block = [0; SKETCH_BYTES * BLOCK_FACES];
    for (face, sketch) in sketches.iter().take(BLOCK_FACES).enumerate() {
        for (j, &byte) in sketch.iter().enumerate() {
            block[BLOCK_FACES * j + face] = byte;
        }
    }
    block
}
