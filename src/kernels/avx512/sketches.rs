//! Kernels of sketches for AVX-512 with BW, VBMI and VBMI2: 64 faces a register.
//!
//! `vpermb` looks up six bits of each byte. With four copies of a table of 16 in its register, the
//! upper two of the six make no difference, and nothing need be masked away.

use std::arch::x86_64::*;

use super::super::sketches::{BLOCK_FACES, Block, Tables};

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
pub(in super::super) fn scan(
    blocks: &[Block],
    tables: &Tables,
    floor: u16,
    first_slot: u32,
    slots: &mut Vec<u32>,
) {
    let floors = _mm512_set1_epi16(floor.cast_signed());
    let mut first = first_slot;
    for block in blocks {
        for half in <[__m512i; 2]>::from(score(block, tables)) {
            let passing = _mm512_cmpge_epu16_mask(half, floors);
            append(passing, first, slots);
            first = first.wrapping_add(32);
        }
    }
}

/// Appends those of 32 faces that pass, without a branch on which ones they are. Compressed within
/// a register and stored whole: compressing into memory is many times slower on some processors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
fn append(passing: __mmask32, first: u32, slots: &mut Vec<u32>) {
    if slots.capacity() - slots.len() < 32 {
        slots.reserve(BLOCK_FACES);
    }
    let places = _mm512_maskz_compress_epi16(passing, lanes(|lane| lane));
    let (low, high) = (_mm512_castsi512_si256(places), _mm512_extracti64x4_epi64::<1>(places));
    let first = _mm512_set1_epi32(first.cast_signed());
    // SAFETY: the list has room for 32 more, of 128 bytes; as many as the mask has bits, at most 32,
    // have been written when the length is set.
    unsafe {
        let end = slots.as_mut_ptr().add(slots.len());
        _mm512_storeu_si512(end.cast(), _mm512_add_epi32(first, _mm512_cvtepu16_epi32(low)));
        let high = _mm512_add_epi32(first, _mm512_cvtepu16_epi32(high));
        _mm512_storeu_si512(end.add(16).cast(), high);
        slots.set_len(slots.len() + passing.count_ones() as usize);
    }
}

/// The scores of the first and the last 32 faces, each 16 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn score(block: &Block, tables: &Tables) -> (__m512i, __m512i) {
    // 16-bit sums of pairs of faces as they lie, and of their upper faces alone.
    let (mut both, mut upper) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let (bytes, tables) = (block.as_chunks::<BLOCK_FACES>().0, tables.as_chunks::<16>().0);
    for (bytes, tables) in bytes.as_chunks::<2>().0.iter().zip(tables.as_chunks::<4>().0) {
        // SAFETY: arrays of 64 and of 16 bytes.
        let (bytes, tables) = unsafe {
            (
                bytes.each_ref().map(|bytes| _mm512_loadu_si512(bytes.as_ptr().cast())),
                tables
                    .each_ref()
                    .map(|t| _mm512_broadcast_i32x4(_mm_loadu_si128(t.as_ptr().cast()))),
            )
        };
        let pair = |bytes, even, odd| {
            let upper = _mm512_srli_epi16::<4>(bytes);
            _mm512_add_epi8(
                _mm512_permutexvar_epi8(bytes, even),
                _mm512_permutexvar_epi8(upper, odd),
            )
        };
        let four = _mm512_add_epi8(
            pair(bytes[0], tables[0], tables[1]),
            pair(bytes[1], tables[2], tables[3]),
        );
        both = _mm512_add_epi16(both, four);
        upper = _mm512_add_epi16(upper, _mm512_srli_epi16::<8>(four));
    }
    // What the upper faces added to the sums as they lie, taken off again.
    let lower = _mm512_sub_epi16(both, _mm512_slli_epi16::<8>(upper));
    (
        _mm512_permutex2var_epi16(lower, lanes(|lane| lane / 2 + lane % 2 * 32), upper),
        _mm512_permutex2var_epi16(lower, lanes(|lane| 16 + lane / 2 + lane % 2 * 32), upper),
    )
}

/// A register of 32 numbers that follow from their place; the compiler makes it a constant.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(of: impl Fn(u16) -> u16) -> __m512i {
    let mut numbers = [0; 32];
    for (number, lane) in numbers.iter_mut().zip(0..) {
        *number = of(lane);
    }
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}
