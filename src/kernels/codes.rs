//! Sums over quantised codes: levels of 1, 2, 4 or 8 bits against a probe of signed bytes, and sign
//! against sign.
//!
//! A code is a multiple of 64 bytes. Each chunk of 64 bytes holds 512 / bits consecutive
//! dimensions. Within a chunk, with t from 0 to 63:
//!
//! | bits | where a dimension lies |
//! |---|---|
//! | 1 | bit j of byte t: dimension 8 t + j |
//! | 2 | bits 2 s and 2 s + 1 of byte t: dimension 64 s + t |
//! | 4 | low half of byte t: dimension t; high half: dimension 64 + t |
//! | 8 | byte t: dimension t |
//!
//! All arithmetic is of whole numbers, so every instruction set gives the same sums to the bit.
//! Sums wrap beyond 32 bits, which codes below 64 KiB never reach. Rows that do not exist and
//! arguments that do not fit each other give [`NO_SUM`] or [`NO_DISTANCE`]: never a panic.

use std::ops::Range;

use super::Kernels;
use super::rows::CodeRows;

/// Bytes of a chunk: what a code's size is a multiple of.
pub const CHUNK_BYTES: usize = 64;

/// The sum of a row that does not exist, or of a probe that does not fit the code.
pub const NO_SUM: i32 = i32::MIN;

/// The distance to a row that does not exist, or from a probe that does not fit the code.
pub const NO_DISTANCE: u32 = u32::MAX;

/// How many bits of a code each dimension has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// Levels 0 and 1.
    One,
    /// Levels 0 to 3.
    Two,
    /// Levels 0 to 15.
    Four,
    /// Levels 0 to 255.
    Eight,
}

impl Bits {
    /// Every width, the narrowest first.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Four, Self::Eight];

    /// The width of `bits` bits, or `None` where there is no such width.
    pub fn of(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|width| width.bits() == bits)
    }

    /// Bits a dimension: 1, 2, 4 or 8.
    pub const fn bits(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// How many levels there are: 2 to the power of the bits.
    pub const fn levels(self) -> u32 {
        1 << self.bits()
    }

    /// Dimensions in a chunk of [`CHUNK_BYTES`].
    pub const fn chunk_dims(self) -> usize {
        match self {
            Self::One => 512,
            Self::Two => 256,
            Self::Four => 128,
            Self::Eight => 64,
        }
    }

    /// Whether codes of this many bytes have as many dimensions as the probe.
    fn fits(self, code_bytes: usize, probe: &[i8]) -> bool {
        code_bytes.is_multiple_of(CHUNK_BYTES)
            && probe.len().is_multiple_of(self.chunk_dims())
            && probe.len() / self.chunk_dims() == code_bytes / CHUNK_BYTES
    }
}

/// The code kernels of one instruction set. All need arguments that fit each other: code bytes a
/// multiple of [`CHUNK_BYTES`], and probes of as many dimensions (levels) or bytes (signs).
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeKernels {
    pub(super) levels_dot: unsafe fn(Bits, &[u8], &[i8]) -> i32,
    pub(super) levels_dot_rows: unsafe fn(Bits, CodeRows<'_>, &[u32], &[i8], &mut Vec<i32>),
    pub(super) levels_dot_range: unsafe fn(Bits, CodeRows<'_>, Range<usize>, &[i8], &mut Vec<i32>),
    pub(super) hamming_rows: unsafe fn(CodeRows<'_>, Range<usize>, &[u8], &mut Vec<u32>),
}

impl Kernels {
    /// The sum of level times probe over the dimensions of one code; [`NO_SUM`] where the probe has
    /// not as many dimensions as the code.
    #[inline]
    pub fn levels_dot(&self, bits: Bits, code: &[u8], probe: &[i8]) -> i32 {
        if !bits.fits(code.len(), probe) {
            return NO_SUM;
        }
        // SAFETY: a `Kernels` exists only after its instruction sets were detected; code and probe
        // fit each other.
        unsafe { (self.codes.levels_dot)(bits, code, probe) }
    }

    /// [`Self::levels_dot`] of the rows named by `slots`, in their order, in any order and as often
    /// as they are named. What `sums` held is lost; afterwards it is as long as `slots`, with
    /// [`NO_SUM`] for a slot beyond the last row.
    #[inline]
    pub fn levels_dot_rows(
        &self,
        bits: Bits,
        rows: CodeRows<'_>,
        slots: &[u32],
        probe: &[i8],
        sums: &mut Vec<i32>,
    ) {
        if !bits.fits(rows.code_bytes(), probe) {
            sums.clear();
            sums.resize(slots.len(), NO_SUM);
            return;
        }
        // SAFETY: as in `levels_dot`.
        unsafe { (self.codes.levels_dot_rows)(bits, rows, slots, probe, sums) }
    }

    /// [`Self::levels_dot`] of consecutive rows; those beyond the last row are left out of `sums`.
    #[inline]
    pub fn levels_dot_range(
        &self,
        bits: Bits,
        rows: CodeRows<'_>,
        range: Range<u32>,
        probe: &[i8],
        sums: &mut Vec<i32>,
    ) {
        let range = rows.clamp(range);
        if !bits.fits(rows.code_bytes(), probe) {
            sums.clear();
            sums.resize(range.len(), NO_SUM);
            return;
        }
        // SAFETY: as in `levels_dot`.
        unsafe { (self.codes.levels_dot_range)(bits, rows, range, probe, sums) }
    }

    /// In how many bits the codes of consecutive rows differ from the probe's; rows beyond the last
    /// are left out of `distances`. A probe of another size than the codes gives [`NO_DISTANCE`].
    #[inline]
    pub fn hamming_rows(
        &self,
        rows: CodeRows<'_>,
        range: Range<u32>,
        probe: &[u8],
        distances: &mut Vec<u32>,
    ) {
        let range = rows.clamp(range);
        if !rows.code_bytes().is_multiple_of(CHUNK_BYTES) || probe.len() != rows.code_bytes() {
            distances.clear();
            distances.resize(range.len(), NO_DISTANCE);
            return;
        }
        // SAFETY: as in `levels_dot`.
        unsafe { (self.codes.hamming_rows)(rows, range, probe, distances) }
    }
}
