//! From a face in the space's coordinates to its row: code and factors.
//!
//! With one bit a level is a sign. With more, numbers are rounded to a grid whose step is chosen a
//! face: the one whose levels point most nearly the way the face does, since the estimate's error
//! falls with that angle alone. The angle is flat around its best, so a coarse ladder of steps and a
//! fine one around its best rung find it as well as trying every step at which a level changes.

use super::{CHUNK, FACTORS_BYTES, Factors, MAX_CODED, Shape};

/// Sums run side by side, so that compilers use vectors.
const LANES: usize = 8;
/// Numbers rounded at a time, in a loop of their own for the same reason.
const BLOCK: usize = 64;
/// Adding and taking off 1.5 * 2^23 rounds a small f32 to the nearest whole number.
const ROUNDER: f32 = 12_582_912.0;
/// Steps tried between the narrowest and the widest, and again around the best.
const RUNGS: i32 = 8;

/// Writes the code and the factors of the face `z`, as long as the shape has dimensions, into its
/// row of [`Shape::row_bytes`]; `bias` is <mu, x - mu>. A shorter face counts as ending in zeros, and
/// a row of another length is left alone.
pub(crate) fn encode(z: &[f32], bias: f32, shape: Shape, row: &mut [u8]) {
    let Some((code, factors)) = row.split_last_chunk_mut::<FACTORS_BYTES>() else { return };
    if code.len() != shape.bytes() {
        return;
    }
    if z.len() < shape.dims {
        let mut padded = z.to_vec();
        padded.resize(shape.dims, 0.0);
        return encode(&padded, bias, shape, row);
    }
    let (blocks, _) = z[..shape.dims].as_chunks::<BLOCK>();
    let grid = Grid::closest(blocks, shape.bits);
    let mut levels = [0; MAX_CODED];
    let levels = &mut levels[..shape.dims];
    grid.levels(blocks, levels);
    if shape.bits == 1 {
        pack_bits(levels, code);
    } else {
        pack_planes(levels, shape.bits, code);
    }
    *factors = grid.factors(blocks, bias, shape.dims).to_bytes();
}

/// The level of each dimension of a code, the inverse of what [`encode`] packs.
pub(crate) fn decode(code: &[u8], shape: Shape, levels: &mut [u8]) {
    let (bits, per_byte) = (shape.bits as usize, 8 / shape.bits as usize);
    let mask = shape.top() as u8;
    for (chunk, levels) in code.chunks(CHUNK).zip(levels.chunks_mut(CHUNK * per_byte)) {
        for (i, level) in levels.iter_mut().enumerate() {
            let (byte, place) = if bits == 1 { (i / 8, i % 8) } else { (i % CHUNK, i / CHUNK) };
            *level = chunk.get(byte).map_or(0, |b| (b >> (place * bits)) & mask);
        }
    }
}

/// Bit j of byte t is dimension 8 t + j.
fn pack_bits(levels: &[u8], code: &mut [u8]) {
    let (levels, _) = levels.as_chunks::<8>();
    for (byte, levels) in code.iter_mut().zip(levels) {
        // Eight bytes of 0 or 1 are gathered into one by a multiplication that never carries.
        let spread = u64::from_le_bytes(*levels);
        *byte = (spread.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
    }
}

/// The s-th bits of byte t, counted in levels, are dimension 64 s + t of the chunk.
fn pack_planes(levels: &[u8], bits: u32, code: &mut [u8]) {
    let chunks = levels.chunks(CHUNK * 8 / bits as usize);
    for (chunk, levels) in code.chunks_mut(CHUNK).zip(chunks) {
        chunk.fill(0);
        for (plane, shift) in levels.chunks(CHUNK).zip((0..8).step_by(bits as usize)) {
            for (byte, level) in chunk.iter_mut().zip(plane) {
                *byte |= level << shift;
            }
        }
    }
}

/// A grid that numbers are rounded to: cells of one size, `half` of them on either side of zero.
#[derive(Clone, Copy)]
struct Grid {
    /// One over the size of a cell.
    fineness: f32,
    half: f32,
}

impl Grid {
    /// The grid of 2^bits cells on which `z` loses the least of its direction.
    fn closest(z: &[[f32; BLOCK]], bits: u32) -> Self {
        let half = (1_u32 << (bits - 1)) as f32;
        let mut most = [0.0_f32; LANES];
        for numbers in z.as_flattened().as_chunks::<LANES>().0 {
            for (most, number) in most.iter_mut().zip(numbers) {
                *most = if number.abs() > *most { number.abs() } else { *most };
            }
        }
        let longest = most.into_iter().fold(0.0, f32::max);
        // From a grid that holds every number down to one that cuts off the longest; of two bits
        // a Gaussian's best grid ends at 2.0 standard deviations, of four at 2.7, of eight at 4.
        let narrowest: f32 = match bits {
            // Signs need no grid, only cells so small that no number is lost beside zero.
            1 => return Self { fineness: if longest > 0.0 { 1e3 / longest } else { 0.0 }, half },
            2 => 0.4,
            4 => 0.6,
            _ => 0.85,
        };
        let widest = half / longest;
        if !widest.is_finite() {
            return Self { fineness: 0.0, half };
        }
        let ratio = narrowest.powf(-1.0 / RUNGS as f32);
        let mut best = (f32::NEG_INFINITY, widest);
        let mut consider = |fineness: f32| {
            let grid = Self { fineness, half };
            let (along, square) = grid.sums(z);
            let closeness = along * along / square;
            if closeness > best.0 {
                best = (closeness, fineness);
            }
            best.1
        };
        let mut coarse = widest;
        let mut rung = widest;
        for _ in 0..=RUNGS {
            coarse = consider(rung);
            rung *= ratio;
        }
        let step = ratio.powf(2.0 / RUNGS as f32);
        rung = coarse / ratio;
        for _ in 0..RUNGS {
            consider(rung);
            rung *= step;
        }
        Self { fineness: best.1, half }
    }

    /// The cell a number falls into, -half to half - 1, added to [`ROUNDER`].
    #[inline(always)]
    fn cell(self, z: f32) -> f32 {
        // Comparisons rather than `max` and `min`, which take longer for the sake of NaN.
        let (place, last) = (z * self.fineness - 0.5, self.half - 1.0);
        let place = if place > -self.half { place } else { -self.half };
        (if place < last { place } else { last }) + ROUNDER
    }

    /// The odd numbers u that stand for a block of numbers.
    #[inline(always)]
    fn round(self, z: &[f32; BLOCK]) -> [f32; BLOCK] {
        let mut u = [0.0; BLOCK];
        for (u, &z) in u.iter_mut().zip(z) {
            *u = 2.0 * (self.cell(z) - ROUNDER) + 1.0;
        }
        u
    }

    /// <z, u> and |u|^2.
    fn sums(self, z: &[[f32; BLOCK]]) -> (f32, f32) {
        let (mut along, mut square) = ([0.0; LANES], [0.0; LANES]);
        for z in z {
            let u = self.round(z);
            for (z, u) in z.as_chunks::<LANES>().0.iter().zip(u.as_chunks::<LANES>().0) {
                for i in 0..LANES {
                    along[i] += z[i] * u[i];
                    square[i] += u[i] * u[i];
                }
            }
        }
        (along.iter().sum(), square.iter().sum())
    }

    fn levels(self, z: &[[f32; BLOCK]], levels: &mut [u8]) {
        let half = self.half as u8;
        for (level, &z) in levels.iter_mut().zip(z.as_flattened()) {
            // The last bits of a sum with the rounder are those of the whole number.
            *level = (self.cell(z).to_bits() as u8).wrapping_add(half);
        }
    }

    fn factors(self, z: &[[f32; BLOCK]], bias: f32, dims: usize) -> Factors {
        let (along, square) = self.sums(z);
        let part = along / square;
        // What z has beside u; taken off directly, as 1 - cos^2 would drown in rounding.
        let (mut length, mut beside) = ([0.0; LANES], [0.0; LANES]);
        for z in z {
            let u = self.round(z);
            for (z, u) in z.as_chunks::<LANES>().0.iter().zip(u.as_chunks::<LANES>().0) {
                for i in 0..LANES {
                    let rest = z[i] - part * u[i];
                    length[i] += z[i] * z[i];
                    beside[i] += rest * rest;
                }
            }
        }
        let (length, beside): (f32, f32) = (length.iter().sum(), beside.iter().sum());
        let tangent = beside / (part * along);
        let error = (length * tangent / (dims - 1) as f32).sqrt();
        let scale = length / along;
        if scale.is_finite() && error.is_finite() {
            Factors { scale, bias, error }
        } else {
            // The mean itself (or no number at all): the bias says everything.
            Factors { scale: 0.0, bias, error: 0.0 }
        }
    }
}
