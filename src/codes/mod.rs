//! Faces in a few bytes, and similarities read off them.
//!
//! In comes a face in the coordinates of a [`Space`](crate::space::Space); out go its code (64 bytes
//! to begin with), eight bytes of factors, and a sketch of 16 bytes for the first pass of a scan. A
//! [`CodedProbe`] turns a code's sum of levels into an estimate of the similarity and how far off it
//! may be. Always: estimates are unbiased over the space's random rotation (RaBitQ: Gao and Long
//! 2024; several bits a dimension: Gao et al. 2025).
//!
//! A code gives each of D dimensions b bits, a *level* v in 0..2^b that stands for the odd number
//! u = 2 v - (2^b - 1). With z the face and p the probe, both less the gallery's mean mu and turned:
//!
//! ```text
//! <q, x> ~ <q, mu> + bias + scale <p, u>      bias = <mu, x - mu>, scale = |z|^2 / <z, u>
//! s.d.   = error |p|                          error = |z| sqrt(1 / cos^2(z, u) - 1) / sqrt(D - 1)
//! ```

#[cfg(feature = "build")]
mod encode;
mod probe;
mod sketch;

#[cfg(all(test, feature = "build"))]
mod tests;

use half::f16;

#[cfg(feature = "build")]
pub(crate) use encode::{decode, encode};
pub(crate) use probe::CodedProbe;
pub(crate) use sketch::SketchScale;
#[cfg(feature = "build")]
pub(crate) use sketch::{block, sketch};

/// Bytes of scale, bias and error after a code.
pub(crate) const FACTORS_BYTES: usize = 8;
/// Bytes of a code's chunk, each of consecutive dimensions: a cache line.
#[cfg(feature = "build")]
const CHUNK: usize = 64;
/// The most dimensions a code may have: 256 bytes of single bits.
#[cfg(feature = "build")]
pub(crate) const MAX_CODED: usize = 2048;

/// How a code spends its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    bits: u32,
    dims: usize,
}

impl Shape {
    /// Bits a dimension that there are codes of, the fewest first.
    pub(crate) const BITS: [u32; 4] = [1, 2, 4, 8];

    /// Codes of 64, 128, 192 or 256 bytes with 1, 2, 4 or 8 bits a dimension.
    pub(crate) fn new(bits: u32, code_bytes: usize) -> Option<Self> {
        let known = Self::BITS.contains(&bits) && matches!(code_bytes, 64 | 128 | 192 | 256);
        known.then(|| Self { bits, dims: code_bytes * 8 / bits as usize })
    }

    /// Bits a dimension.
    pub(crate) fn bits(self) -> u32 {
        self.bits
    }

    /// Dimensions of a code, D.
    pub(crate) fn dims(self) -> usize {
        self.dims
    }

    /// Bytes of a code.
    pub(crate) fn bytes(self) -> usize {
        self.dims * self.bits as usize / 8
    }

    /// Bytes of a code and its factors.
    pub(crate) fn row_bytes(self) -> usize {
        self.bytes() + FACTORS_BYTES
    }

    /// The greatest level, 2^b - 1.
    fn top(self) -> i32 {
        (1 << self.bits) - 1
    }
}

/// What turns a code's sum into a similarity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Factors {
    /// |z|^2 / <z, u>.
    pub(crate) scale: f32,
    /// <mu, x - mu>.
    pub(crate) bias: f32,
    /// One standard deviation of the estimate, for a probe p of length 1.
    pub(crate) error: f32,
}

impl Factors {
    /// scale as f32, bias and error as f16, little-endian; the error is rounded up.
    #[cfg(feature = "build")]
    fn to_bytes(self) -> [u8; FACTORS_BYTES] {
        let mut error = f16::from_f32(self.error);
        if error.to_f32() < self.error {
            error = f16::from_bits(error.to_bits() + 1);
        }
        let mut bytes = [0; FACTORS_BYTES];
        bytes[..4].copy_from_slice(&self.scale.to_le_bytes());
        bytes[4..6].copy_from_slice(&f16::from_f32(self.bias).to_le_bytes());
        bytes[6..].copy_from_slice(&error.to_le_bytes());
        bytes
    }

    #[inline]
    fn from_bytes(bytes: [u8; FACTORS_BYTES]) -> Self {
        let [s0, s1, s2, s3, b0, b1, e0, e1] = bytes;
        Self {
            scale: f32::from_le_bytes([s0, s1, s2, s3]),
            bias: to_f32(u16::from_le_bytes([b0, b1])),
            error: to_f32(u16::from_le_bytes([e0, e1])),
        }
    }
}

/// The factors at the end of a row of `shape`; zeros were the row too short.
#[inline]
pub(crate) fn factors(row: &[u8], shape: Shape) -> Factors {
    let rest = row.get(shape.bytes()..).and_then(<[u8]>::first_chunk);
    rest.map_or_else(Factors::default, |&bytes| Factors::from_bytes(bytes))
}

/// Scale and bias alone, which are all that an estimate takes without its error.
#[inline]
pub(crate) fn scale_and_bias(row: &[u8], shape: Shape) -> (f32, f32) {
    match row.get(shape.bytes()..).and_then(<[u8]>::first_chunk) {
        Some(&[s0, s1, s2, s3, b0, b1]) => {
            (f32::from_le_bytes([s0, s1, s2, s3]), to_f32(u16::from_le_bytes([b0, b1])))
        }
        None => (0.0, 0.0),
    }
}

/// [`f16::to_f32`] without the call, which a walk would make for every face it meets.
#[inline]
fn to_f32(half: u16) -> f32 {
    /// 2^(127 - 15), which takes exponents from the one bias to the other, subnormal values' too.
    const REBIASED: f32 = f32::from_bits((127 + 127 - 15) << 23);
    if half & 0x7C00 == 0x7C00 {
        return f16::from_bits(half).to_f32(); // infinite or no number: only damage makes one
    }
    let magnitude = f32::from_bits(u32::from(half & 0x7FFF) << 13) * REBIASED;
    f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
}

/// A similarity read off a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Cosine, give or take.
    pub(crate) similarity: f32,
    /// One standard deviation of it.
    pub(crate) error: f32,
}
