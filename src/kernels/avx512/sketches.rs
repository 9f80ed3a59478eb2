//! Kernels of sketches for AVX-512 with BW, VBMI and VBMI2: 64 faces a register.
//!
//! `vpermb` looks up six bits of each byte. With four copies of a table of 16 in its register, the
//! upper two of the six make no difference, and nothing need be masked away.

use std::arch::x86_64::*;

use super::super::prefetch_after;
use super::super::sketches::{AHEAD, BLOCK_FACES, Block, Sought, Tables};

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2")]
pub(in super::super) fn scan(blocks: &[Block], first_slot: u32, probes: &mut [Sought<'_>]) {
    let (pairs, rest) = probes.as_chunks_mut::<2>();
    pairs.iter_mut().for_each(|pair| scan_few(blocks, first_slot, pair));
    rest.as_chunks_mut::<1>().0.iter_mut().for_each(|one| scan_few(blocks, first_slot, one));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2")]
fn scan_few<const N: usize>(blocks: &[Block], first_slot: u32, probes: &mut [Sought<'_>; N]) {
    let floors = probes.each_ref().map(|probe| _mm512_set1_epi16(probe.floor.cast_signed()));
    let tables = probes.each_ref().map(|probe| probe.tables);
    let mut first = first_slot;
    for block in blocks {
        if blocks.len() > AHEAD {
            prefetch_after(block, AHEAD);
        }
        let scores = score(block, tables);
        for ((probe, [even, odd]), floors) in probes.iter_mut().zip(scores).zip(floors) {
            let even = u64::from(_mm512_cmpge_epu16_mask(even, floors));
            let odd = u64::from(_mm512_cmpge_epu16_mask(odd, floors));
            let passing = _pdep_u64(even, EVEN) | _pdep_u64(odd, !EVEN);
            append(passing, first, probe.slots);
        }
        first = first.wrapping_add(BLOCK_FACES as u32);
    }
}

/// The bits of the even faces.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Appends those of 64 faces that pass, without a branch on which ones they are. Compressed within
/// a register and stored whole: compressing into memory is many times slower on some processors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
fn append(passing: __mmask64, first: u32, slots: &mut Vec<u32>) {
    if slots.capacity() - slots.len() < BLOCK_FACES {
        slots.reserve(BLOCK_FACES);
    }
    let places = _mm512_maskz_compress_epi8(passing, byte_lanes());
    let first = _mm512_set1_epi32(first.cast_signed());
    let (count, at) = (passing.count_ones() as usize, slots.len());
    let store = |slots: &mut Vec<u32>, place: usize, few: __m128i| {
        let few = _mm512_add_epi32(first, _mm512_cvtepu8_epi32(few));
        // SAFETY: the list has room for 64 more, and `place` is at most 48: 16 fit behind it.
        unsafe { _mm512_storeu_si512(slots.as_mut_ptr().add(at + place).cast(), few) };
    };
    store(slots, 0, _mm512_castsi512_si128(places));
    // So many are rare.
    if count > 16 {
        store(slots, 16, _mm512_extracti32x4_epi32::<1>(places));
        store(slots, 32, _mm512_extracti32x4_epi32::<2>(places));
        store(slots, 48, _mm512_extracti32x4_epi32::<3>(places));
    }
    // SAFETY: as many as the mask has bits, at most 64, were written behind the old length.
    unsafe { slots.set_len(at + count) };
}

/// The scores of the even and of the odd faces, each 16 bits, for each of some probes: they share
/// what is done to the sketches alone.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn score<const N: usize>(block: &Block, tables: [&Tables; N]) -> [[__m512i; 2]; N] {
    // 16-bit sums of pairs of faces as they lie, and of their upper faces alone.
    let mut sums = [[_mm512_setzero_si512(); 2]; N];
    let bytes = block.as_chunks::<BLOCK_FACES>().0.as_chunks::<2>().0;
    let tables = tables.map(|tables| tables.as_chunks::<16>().0.as_chunks::<4>().0);
    for (at, bytes) in bytes.iter().enumerate() {
        let bytes = bytes.each_ref().map(|bytes| {
            // SAFETY: an array of 64 bytes.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
        });
        let upper = bytes.map(|bytes| _mm512_srli_epi16::<4>(bytes));
        for ([both, odd], tables) in sums.iter_mut().zip(tables) {
            let tables = tables[at].each_ref().map(|table| {
                // SAFETY: an array of 16 bytes.
                _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
            });
            let four = _mm512_add_epi8(
                _mm512_add_epi8(
                    _mm512_permutexvar_epi8(bytes[0], tables[0]),
                    _mm512_permutexvar_epi8(upper[0], tables[1]),
                ),
                _mm512_add_epi8(
                    _mm512_permutexvar_epi8(bytes[1], tables[2]),
                    _mm512_permutexvar_epi8(upper[1], tables[3]),
                ),
            );
            *both = _mm512_add_epi16(*both, four);
            *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16::<8>(four));
        }
    }
    // What the odd faces added to the sums as they lie, taken off again.
    sums.map(|[both, odd]| [_mm512_sub_epi16(both, _mm512_slli_epi16::<8>(odd)), odd])
}

/// The bytes 0 to 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn byte_lanes() -> __m512i {
    let numbers: [u8; 64] = std::array::from_fn(|lane| lane as u8);
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}
