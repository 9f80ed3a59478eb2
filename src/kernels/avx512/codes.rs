//! Kernels of codes for AVX-512 with VNNI and VPOPCNTDQ: a chunk of a code is one register, and
//! `vpdpbusd` multiplies 64 levels with 64 values of the probe at once.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::codes::{Bits, CHUNK_BYTES, NO_DISTANCE, NO_SUM};
use super::super::rows::{CodeRows, Places, each};

/// Needs a code and a probe that fit each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(in super::super) fn levels_dot(bits: Bits, code: &[u8], probe: &[i8]) -> i32 {
    assert_eq!(code.len() / CHUNK_BYTES, probe.len() / bits.chunk_dims());
    let (code, chunks) = (code.as_ptr(), code.len() / CHUNK_BYTES);
    // SAFETY: the code has so many chunks, and the probe their dimensions.
    let [sums] = unsafe {
        match bits {
            Bits::One => long::<1, 1>([code], chunks, probe),
            Bits::Two => long::<2, 1>([code], chunks, probe),
            Bits::Four => long::<4, 1>([code], chunks, probe),
            Bits::Eight => long::<8, 1>([code], chunks, probe),
        }
    };
    _mm512_reduce_add_epi32(sums)
}

/// Needs codes and a probe that fit each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
pub(in super::super) fn hamming_rows(
    rows: CodeRows<'_>,
    range: Range<usize>,
    probe: &[u8],
    distances: &mut Vec<u32>,
) {
    assert_eq!(rows.code_bytes(), probe.len());
    let chunks = probe.len() / CHUNK_BYTES;
    let sums = |code: *const u8| {
        let mut sum = _mm512_setzero_si512();
        for at in 0..chunks {
            // SAFETY: code and probe both have 64 bytes in each of their chunks.
            let (a, b) = unsafe {
                let a = _mm512_loadu_si512(code.add(at * CHUNK_BYTES).cast());
                (a, _mm512_loadu_si512(probe.as_ptr().add(at * CHUNK_BYTES).cast()))
            };
            sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(a, b)));
        }
        sum
    };
    each(
        rows,
        range,
        NO_DISTANCE,
        distances,
        // Counts stay below 2^32, so the upper halves of the eight sums are zero.
        |codes| totals(codes.map(sums)).map(i32::cast_unsigned),
        |code| _mm512_reduce_add_epi64(sums(code)) as u32,
    );
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn levels<const BITS: u32>(
    rows: CodeRows<'_>,
    places: impl Places,
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    let chunks = rows.code_bytes() / CHUNK_BYTES;
    assert_eq!(chunks * 8 / BITS as usize, probe.len() / CHUNK_BYTES);
    if chunks == 1 {
        let mut held = [_mm512_setzero_si512(); 8];
        for (run, values) in held.iter_mut().zip(probe.as_chunks::<CHUNK_BYTES>().0) {
            // SAFETY: an array of 64 bytes.
            *run = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
        }
        let none = _mm512_setzero_si512();
        // SAFETY: `each` hands on pointers to codes, here of one chunk.
        let four = |codes| unsafe { chunk::<BITS, 4>(codes, [none; 4], |run| held[run]) };
        // SAFETY: as above.
        let one = |code| unsafe { chunk::<BITS, 1>([code], [none], |run| held[run]) };
        each(rows, places, NO_SUM, sums, |codes| totals(four(codes)), |code| total(one(code)));
    } else {
        // SAFETY: `each` hands on pointers to codes, and the probe has their dimensions.
        let four = |codes| unsafe { long::<BITS, 4>(codes, chunks, probe) };
        // SAFETY: as above.
        let one = |code| unsafe { long::<BITS, 1>([code], chunks, probe) };
        each(rows, places, NO_SUM, sums, |codes| totals(four(codes)), |code| total(one(code)));
    }
}

/// Sixteen sums of each of some codes.
///
/// # Safety
///
/// The codes must be good for reading so many chunks, and `probe` must have their dimensions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn long<const BITS: u32, const N: usize>(
    codes: [*const u8; N],
    chunks: usize,
    probe: &[i8],
) -> [__m512i; N] {
    let runs = 8 / BITS as usize;
    let mut sums = [_mm512_setzero_si512(); N];
    for at in 0..chunks {
        // SAFETY: the caller's promise; the probe has 64 values for each run of each chunk.
        sums = unsafe {
            chunk::<BITS, N>(codes.map(|code| code.add(at * CHUNK_BYTES)), sums, |run| {
                _mm512_loadu_si512(probe.as_ptr().add((at * runs + run) * CHUNK_BYTES).cast())
            })
        };
    }
    sums
}

/// Adds a chunk of each of some codes to its sixteen sums. The codes take turns, so that the
/// additions to one need not wait for each other. `probe(run)` gives the values of 64 dimensions.
///
/// # Safety
///
/// The codes must be good for reading a chunk.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn chunk<const BITS: u32, const N: usize>(
    codes: [*const u8; N],
    mut sums: [__m512i; N],
    probe: impl Fn(usize) -> __m512i,
) -> [__m512i; N] {
    // What a shift of 16 bits moves over from the neighbouring byte is masked away.
    let level = _mm512_set1_epi8(((1_u32 << BITS) - 1) as u8 as i8);
    // From which bit of a word each byte is to be taken: byte i from bit i.
    let bit = _mm512_setr_epi64(
        0x0706_0504_0302_0100,
        0x0f0e_0d0c_0b0a_0908,
        0x1716_1514_1312_1110,
        0x1f1e_1d1c_1b1a_1918,
        0x2726_2524_2322_2120,
        0x2f2e_2d2c_2b2a_2928,
        0x3736_3534_3332_3130,
        0x3f3e_3d3c_3b3a_3938,
    );
    for run in 0..8 / BITS as usize {
        let values = probe(run);
        for (sum, code) in sums.iter_mut().zip(codes) {
            // SAFETY: the caller's promise; x86 is little-endian, as the code is.
            let levels = unsafe {
                if BITS == 1 {
                    let word = code.add(8 * run).cast::<i64>().read_unaligned();
                    _mm512_multishift_epi64_epi8(bit, _mm512_set1_epi64(word))
                } else {
                    let bytes = _mm512_loadu_si512(code.cast());
                    match run as u32 * BITS {
                        0 => bytes,
                        2 => _mm512_srli_epi16::<2>(bytes),
                        4 => _mm512_srli_epi16::<4>(bytes),
                        _ => _mm512_srli_epi16::<6>(bytes),
                    }
                }
            };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(levels, level), values);
        }
    }
    sums
}

/// The totals of four registers, by fewer steps than four times the total of one.
#[inline]
#[target_feature(enable = "avx512f")]
fn totals([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let four = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let two = _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64::<1>(four));
    let one = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two));
    let mut totals = [0; 4];
    // SAFETY: an array of 16 bytes.
    unsafe { _mm_storeu_si128(totals.as_mut_ptr().cast(), one) };
    totals
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total(sums: [__m512i; 1]) -> i32 {
    _mm512_reduce_add_epi32(sums[0])
}
