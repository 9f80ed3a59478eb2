//! The reference kernels of codes. They wrap where the others wrap, and never check for overflow,
//! which would keep the compiler from vectorising them.

use std::ops::Range;

use super::super::codes::{Bits, CHUNK_BYTES, NO_DISTANCE, NO_SUM};
use super::super::rows::{CodeRows, Places, each};

pub(in super::super) fn levels_dot(bits: Bits, code: &[u8], probe: &[i8]) -> i32 {
    match bits {
        Bits::One => dot::<1>(code, probe),
        Bits::Two => dot::<2>(code, probe),
        Bits::Four => dot::<4>(code, probe),
        Bits::Eight => dot::<8>(code, probe),
    }
}

pub(in super::super) fn levels_dot_rows(
    bits: Bits,
    rows: CodeRows<'_>,
    slots: &[u32],
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    levels(bits, rows, slots, probe, sums);
}

pub(in super::super) fn levels_dot_range(
    bits: Bits,
    rows: CodeRows<'_>,
    range: Range<usize>,
    probe: &[i8],
    sums: &mut Vec<i32>,
) {
    levels(bits, rows, range, probe, sums);
}

pub(in super::super) fn hamming_rows(
    rows: CodeRows<'_>,
    range: Range<usize>,
    probe: &[u8],
    distances: &mut Vec<u32>,
) {
    let one = |code| hamming(slice(rows, code), probe);
    each(rows, range, NO_DISTANCE, distances, |codes| codes.map(one), one);
}

fn levels(bits: Bits, rows: CodeRows<'_>, places: impl Places, probe: &[i8], sums: &mut Vec<i32>) {
    let one = |code| levels_dot(bits, slice(rows, code), probe);
    each(rows, places, NO_SUM, sums, |codes| codes.map(one), one);
}

fn slice<'a>(rows: CodeRows<'a>, code: *const u8) -> &'a [u8] {
    // SAFETY: `each` hands on pointers that are good for reading a code of these rows, whose bytes
    // are borrowed for 'a.
    unsafe { std::slice::from_raw_parts(code, rows.code_bytes()) }
}

fn dot<const BITS: u32>(code: &[u8], probe: &[i8]) -> i32 {
    let chunks = code.as_chunks::<CHUNK_BYTES>().0;
    let dims = CHUNK_BYTES * 8 / BITS as usize;
    let sums = chunks.iter().zip(probe.chunks_exact(dims)).map(|(chunk, probe)| {
        if BITS == 1 { chunk_of_bits(chunk, probe) } else { chunk_of_levels::<BITS>(chunk, probe) }
    });
    sums.fold(0, i32::wrapping_add)
}

/// Dimensions in the order of the bits.
fn chunk_of_bits(chunk: &[u8; CHUNK_BYTES], probe: &[i8]) -> i32 {
    let mut sums = [0_i32; 8];
    for (&byte, values) in chunk.iter().zip(probe.as_chunks::<8>().0) {
        for bit in 0..8 {
            // All ones where the bit is set.
            let mask = -(i32::from(byte) >> bit & 1);
            sums[bit] = sums[bit].wrapping_add(i32::from(values[bit]) & mask);
        }
    }
    sums.into_iter().fold(0, i32::wrapping_add)
}

/// Dimensions in runs of 64: the lowest bits of every byte first.
fn chunk_of_levels<const BITS: u32>(chunk: &[u8; CHUNK_BYTES], probe: &[i8]) -> i32 {
    let mut sum = 0_i32;
    for (run, values) in probe.as_chunks::<CHUNK_BYTES>().0.iter().enumerate() {
        let shift = run as u32 * BITS;
        for (&byte, &value) in chunk.iter().zip(values) {
            let level = (byte >> shift) & (u8::MAX >> (8 - BITS));
            sum = sum.wrapping_add(i32::from(level).wrapping_mul(i32::from(value)));
        }
    }
    sum
}

fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let differing = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| (u64::from_ne_bytes(a) ^ u64::from_ne_bytes(b)).count_ones());
    differing.fold(0, u32::wrapping_add)
}
