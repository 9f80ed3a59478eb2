//! Kernels of sketches for AVX-512 with BW, VBMI and VBMI2: 64 faces a register.
//!
//! `vpermb` looks up six bits of each byte. With four copies of a table of 16 in its register, the
//! upper two of the six make no difference, and nothing need be masked away.

use std::arch::x86_64::*;
use std::slice::Iter;

use super::super::prefetch;
use super::super::sketches::{BLOCK_FACES, Block, Sought, TABLE_BYTES, Tables};

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2")]
pub(in super::super) fn scan(
    [blocks, next]: [&[Block]; 2],
    first_slot: u32,
    probes: &mut [Sought<'_>],
) {
    let mut next = next.iter();
    let (pairs, rest) = probes.as_chunks_mut::<2>();
    pairs.iter_mut().for_each(|pair| scan_few(blocks, first_slot, pair, &mut next));
    let rest = rest.as_chunks_mut::<1>().0;
    rest.iter_mut().for_each(|one| scan_few(blocks, first_slot, one, &mut next));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2")]
fn scan_few<const N: usize>(
    blocks: &[Block],
    first_slot: u32,
    probes: &mut [Sought<'_>; N],
    next: &mut Iter<'_, Block>,
) {
    let floors = probes.each_ref().map(|probe| _mm512_set1_epi16(probe.floor.cast_signed()));
    let tables = probes.each_ref().map(|probe| probe.tables);
    let mut first = first_slot;
    let (pairs, rest) = blocks.as_chunks::<2>();
    for pair in pairs {
        next.by_ref().take(2).for_each(|block| prefetch(block));
        let [one, other] = score(pair.each_ref(), tables);
        take(one, floors, first, probes);
        take(other, floors, first.wrapping_add(BLOCK_FACES as u32), probes);
        first = first.wrapping_add(2 * BLOCK_FACES as u32);
    }
    for block in rest {
        next.next().into_iter().for_each(|block| prefetch(block));
        let [scores] = score([block], tables);
        take(scores, floors, first, probes);
    }
}

/// Appends the faces of a block whose scores reach the floors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2")]
fn take<const N: usize>(
    scores: [[__m512i; 2]; N],
    floors: [__m512i; N],
    first: u32,
    probes: &mut [Sought<'_>; N],
) {
    for ((probe, [even, odd]), floors) in probes.iter_mut().zip(scores).zip(floors) {
        let even = u64::from(_mm512_cmpge_epu16_mask(even, floors));
        let odd = u64::from(_mm512_cmpge_epu16_mask(odd, floors));
        let passing = _pdep_u64(even, EVEN) | _pdep_u64(odd, !EVEN);
        append(passing, first, probe.slots);
    }
}

/// Times that the entries of four groups are added up in 8 bits.
const FOURS: usize = TABLE_BYTES / 64;

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

/// The scores of the even and of the odd faces, each 16 bits, of each block for each probe: blocks
/// share the tables, probes what is done to the sketches alone.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn score<const B: usize, const N: usize>(
    blocks: [&Block; B],
    tables: [&Tables; N],
) -> [[[__m512i; 2]; N]; B] {
    // 16-bit sums of pairs of faces as they lie, and of their upper faces alone.
    let mut sums = [[[_mm512_setzero_si512(); 2]; N]; B];
    for at in 0..FOURS {
        let mut bytes = [[_mm512_setzero_si512(); 4]; B];
        for (bytes, block) in bytes.iter_mut().zip(blocks) {
            let [first, second] = &block.as_chunks::<BLOCK_FACES>().0.as_chunks::<2>().0[at];
            let (first, second) = (load(first), load(second));
            let upper = [_mm512_srli_epi16::<4>(first), _mm512_srli_epi16::<4>(second)];
            *bytes = [first, upper[0], second, upper[1]];
        }
        for (probe, tables) in tables.iter().enumerate() {
            let [a, b, c, d] = &tables.as_chunks::<16>().0.as_chunks::<4>().0[at];
            let (a, b, c, d) = (spread(a), spread(b), spread(c), spread(d));
            for (sums, bytes) in sums.iter_mut().zip(&bytes) {
                let four = _mm512_add_epi8(
                    _mm512_add_epi8(
                        _mm512_permutexvar_epi8(bytes[0], a),
                        _mm512_permutexvar_epi8(bytes[1], b),
                    ),
                    _mm512_add_epi8(
                        _mm512_permutexvar_epi8(bytes[2], c),
                        _mm512_permutexvar_epi8(bytes[3], d),
                    ),
                );
                let [both, odd] = &mut sums[probe];
                *both = _mm512_add_epi16(*both, four);
                *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16::<8>(four));
            }
        }
    }
    // What the odd faces added to the sums as they lie, taken off again.
    for [both, odd] in sums.as_flattened_mut() {
        *both = _mm512_sub_epi16(*both, _mm512_slli_epi16::<8>(*odd));
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Four copies of a table.
#[inline]
#[target_feature(enable = "avx512f")]
fn spread(table: &[u8; 16]) -> __m512i {
    // SAFETY: an array of 16 bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// The bytes 0 to 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn byte_lanes() -> __m512i {
    let numbers: [u8; 64] = std::array::from_fn(|lane| lane as u8);
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}
