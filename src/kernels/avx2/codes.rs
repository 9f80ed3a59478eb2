//! Kernels of codes for AVX2: `vpmaddubsw` multiplies 32 levels with 32 values of the probe. Its
//! sums of two in 16 bits cannot saturate for levels below 16; whole bytes are widened first.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::codes::{Bits, CHUNK_BYTES, NO_DISTANCE, NO_SUM};
use super::super::rows::{CodeRows, Places, each};

/// Needs a code and a probe that fit each other.
#[target_feature(enable = "avx2")]
pub(in super::super) fn levels_dot(bits: Bits, code: &[u8], probe: &[i8]) -> i32 {
    assert_eq!(code.len() / CHUNK_BYTES, probe.len() / bits.chunk_dims());
    let (code, chunks) = (code.as_ptr(), code.len() / CHUNK_BYTES);
    // SAFETY: the code has so many chunks, and the probe their dimensions.
    total(unsafe {
        match bits {
            Bits::One => sums_of::<1>(code, chunks, probe),
            Bits::Two => sums_of::<2>(code, chunks, probe),
            Bits::Four => sums_of::<4>(code, chunks, probe),
            Bits::Eight => sums_of::<8>(code, chunks, probe),
        }
    })
}

/// Needs codes and a probe that fit each other.
#[target_feature(enable = "avx2")]
pub(in super::super) fn levels_dot_rows(
    bits: Bits,
    rows: CodeRows<'_>,
    slots: &[u32],
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    match bits {
        Bits::One => levels::<1>(rows, slots, probe, sums),
        Bits::Two => levels::<2>(rows, slots, probe, sums),
        Bits::Four => levels::<4>(rows, slots, probe, sums),
        Bits::Eight => levels::<8>(rows, slots, probe, sums),
    }
}

/// Needs codes and a probe that fit each other.
#[target_feature(enable = "avx2")]
pub(in super::super) fn levels_dot_range(
    bits: Bits,
    rows: CodeRows<'_>,
    range: Range<usize>,
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    match bits {
        Bits::One => levels::<1>(rows, range, probe, sums),
        Bits::Two => levels::<2>(rows, range, probe, sums),
        Bits::Four => levels::<4>(rows, range, probe, sums),
        Bits::Eight => levels::<8>(rows, range, probe, sums),
    }
}

/// Needs codes and a probe of one size.
#[target_feature(enable = "avx2")]
pub(in super::super) fn hamming_rows(
    rows: CodeRows<'_>,
    range: Range<usize>,
    probe: &[u8],
    distances: &mut Vec<u32>,
) {
    assert_eq!(rows.code_bytes(), probe.len());
    // How many bits are set in each value of four bits.
    let set =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let low = _mm256_set1_epi8(15);
    let sums = |code: *const u8| {
        let mut sum = _mm256_setzero_si256();
        for at in (0..probe.len()).step_by(32) {
            // SAFETY: code and probe are of one size, a multiple of 64 bytes.
            let differing = unsafe {
                _mm256_xor_si256(load(code.add(at)), load(probe.as_ptr().cast::<u8>().add(at)))
            };
            let lower = _mm256_and_si256(differing, low);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(differing), low);
            let counts =
                _mm256_add_epi8(_mm256_shuffle_epi8(set, lower), _mm256_shuffle_epi8(set, upper));
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
        }
        sum
    };
    each(
        rows,
        range,
        NO_DISTANCE,
        distances,
        // Counts stay below 2^32, so the upper halves of the four sums are zero.
        |codes| totals(codes.map(sums)).map(i32::cast_unsigned),
        |code| total(sums(code)).cast_unsigned(),
    );
}

#[inline]
#[target_feature(enable = "avx2")]
fn levels<const BITS: u32>(
    rows: CodeRows<'_>,
    places: impl Places,
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    let chunks = rows.code_bytes() / CHUNK_BYTES;
    assert_eq!(chunks * 8 / BITS as usize, probe.len() / CHUNK_BYTES);
    let sum = |code| {
        // SAFETY: `each` hands on pointers to codes, and the probe has their dimensions.
        unsafe { sums_of::<BITS>(code, chunks, probe) }
    };
    each(rows, places, NO_SUM, sums, |codes| totals(codes.map(sum)), |code| total(sum(code)));
}

/// Eight sums of a code.
///
/// # Safety
///
/// `code` must be good for reading so many chunks, and `probe` must have their dimensions.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sums_of<const BITS: u32>(code: *const u8, chunks: usize, probe: &[i8]) -> __m256i {
    let dims = CHUNK_BYTES * 8 / BITS as usize;
    let mut sum = _mm256_setzero_si256();
    for at in 0..chunks {
        // SAFETY: the caller's promise.
        let more = unsafe {
            let code = code.add(at * CHUNK_BYTES);
            let probe = probe.as_ptr().add(at * dims).cast();
            match BITS {
                1 => chunk_of_bits(code, probe),
                8 => chunk_of_bytes(code, probe),
                _ => chunk_of_levels::<BITS>(code, probe),
            }
        };
        sum = _mm256_add_epi32(sum, more);
    }
    sum
}

/// # Safety
///
/// `code` must be good for reading 64 bytes, and `probe` for 512.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn chunk_of_bits(code: *const u8, probe: *const u8) -> __m256i {
    // Byte k of four bytes repeated is put where its eight bits belong.
    let spread =
        _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
    let one = _mm256_set1_epi8(1);
    let mut sum = _mm256_setzero_si256();
    for run in 0..16 {
        // SAFETY: the caller's promise.
        let (bits, values) = unsafe {
            (code.add(4 * run).cast::<i32>().read_unaligned(), load(probe.add(32 * run)))
        };
        let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread);
        let levels = _mm256_min_epu8(_mm256_and_si256(bits, bit), one);
        // Sixteen times at most 2 * 128 stays within 16 bits.
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(levels, values));
    }
    _mm256_madd_epi16(sum, _mm256_set1_epi16(1))
}

/// Levels of 2 or 4 bits.
///
/// # Safety
///
/// `code` must be good for reading 64 bytes, and `probe` for 512 / `BITS`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn chunk_of_levels<const BITS: u32>(code: *const u8, probe: *const u8) -> __m256i {
    let level = _mm256_set1_epi8(((1_u32 << BITS) - 1) as u8 as i8);
    let mut sum = _mm256_setzero_si256();
    for half in [0, 32] {
        // SAFETY: the caller's promise.
        let mut bytes = unsafe { load(code.add(half)) };
        for run in 0..8 / BITS as usize {
            // SAFETY: the caller's promise.
            let values = unsafe { load(probe.add(64 * run + half)) };
            let levels = _mm256_and_si256(bytes, level);
            // Eight times 2 * 3 * 128, or four times 2 * 15 * 128, stays within 16 bits.
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(levels, values));
            bytes = if BITS == 2 {
                _mm256_srli_epi16::<2>(bytes)
            } else {
                _mm256_srli_epi16::<4>(bytes)
            };
        }
    }
    _mm256_madd_epi16(sum, _mm256_set1_epi16(1))
}

/// # Safety
///
/// `code` and `probe` must be good for reading 64 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn chunk_of_bytes(code: *const u8, probe: *const u8) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    for at in [0, 16, 32, 48] {
        // SAFETY: the caller's promise.
        let (levels, values) = unsafe {
            (_mm_loadu_si128(code.add(at).cast()), _mm_loadu_si128(probe.add(at).cast()))
        };
        let (levels, values) = (_mm256_cvtepu8_epi16(levels), _mm256_cvtepi8_epi16(values));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(levels, values));
    }
    sum
}

/// # Safety
///
/// `at` must be good for reading 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// The totals of four registers, by fewer steps than four times the total of one.
#[inline]
#[target_feature(enable = "avx2")]
fn totals([a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
    let two = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let one = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two));
    let mut totals = [0; 4];
    // SAFETY: an array of 16 bytes.
    unsafe { _mm_storeu_si128(totals.as_mut_ptr().cast(), one) };
    totals
}

#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    totals([sums; 4])[0]
}
