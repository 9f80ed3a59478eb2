//! Kernels for AVX-512F: sixteen f32 a register, tails by mask.

use std::arch::x86_64::*;

use half::f16;

use super::codes::CodeKernels;

mod codes;
mod panels;
mod sketches;

pub(super) use panels::scores as panel_scores;
pub(super) use sketches::scan as sketch_scan;

pub(super) const CODES: CodeKernels = CodeKernels {
    levels_dot: codes::levels_dot,
    levels_dot_rows: codes::levels_dot_rows,
    levels_dot_range: codes::levels_dot_range,
    hamming_rows: codes::hamming_rows,
};

const LANES: usize = 16;
/// Four sums in flight hide the latency of a fused multiply-add at two a cycle.
const BLOCK: usize = 4 * LANES;

/// Needs slices of equal length.
#[target_feature(enable = "avx512f")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(
        a,
        b.len(),
        |at| {
            // SAFETY: `sum` asks for `at + LANES <= b.len()` only.
            unsafe { _mm512_loadu_ps(b.as_ptr().add(at)) }
        },
        |at, mask| {
            // SAFETY: `mask` selects only the lanes below `b.len()`; masked lanes are not read.
            unsafe { _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)) }
        },
    )
}

/// Needs slices of equal length.
#[target_feature(enable = "avx512f")]
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    sum(
        a,
        b.len(),
        |at| {
            // SAFETY: `sum` asks for `at + LANES <= b.len()` only: 32 bytes are there to read.
            _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(b.as_ptr().add(at).cast()) })
        },
        |at, _| {
            let mut tail = [f16::ZERO; LANES];
            tail[..b.len() - at].copy_from_slice(&b[at..]);
            // SAFETY: the array has 32 bytes.
            _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(tail.as_ptr().cast()) })
        },
    )
}

/// Each of two with each of three, summed in the order of `dot`: 24 sums and the five vectors' values
/// fit the 32 registers, and six products take five loads rather than twelve.
///
/// Needs slices of equal length.
#[target_feature(enable = "avx512f")]
pub(super) fn dots(a: [&[f32]; 2], b: [&[f32]; 3]) -> [[f32; 3]; 2] {
    let n = a[0].len();
    assert!(a.iter().chain(&b).all(|vector| vector.len() == n));
    let mut sums = [[[_mm512_setzero_ps(); 4]; 3]; 2];
    // Adds the products of sixteen values from `at` to the sums of one number.
    let mut add = |at: usize, of: usize, mask: __mmask16| {
        // SAFETY: `mask` selects only lanes below `n`, the length of all; others are not read. All
        // sixteen are selected only where `at + LANES <= n`.
        let load = |from: &[f32]| unsafe { _mm512_maskz_loadu_ps(mask, from.as_ptr().add(at)) };
        let (x, y) = (a.map(load), b.map(load));
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sums, y) in sums.iter_mut().zip(y) {
                sums[of] = _mm512_fmadd_ps(x, y, sums[of]);
            }
        }
    };
    let mut at = 0;
    while n - at >= BLOCK {
        for of in 0..4 {
            add(at + of * LANES, of, !0);
        }
        at += BLOCK;
    }
    while n - at >= LANES {
        add(at, 0, !0);
        at += LANES;
    }
    if at < n {
        add(at, 1, (1 << (n - at)) - 1);
    }
    sums.map(|sums| sums.map(|sums| total(sums)))
}

/// `full(at)` gives b's sixteen values from `at`; `tail(at, mask)` those left, zeros after them.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum(
    a: &[f32],
    b_len: usize,
    full: impl Fn(usize) -> __m512,
    tail: impl Fn(usize, __mmask16) -> __m512,
) -> f32 {
    assert_eq!(a.len(), b_len);
    let n = a.len();
    let mut sums = [_mm512_setzero_ps(); 4];
    let mut at = 0;
    while n - at >= BLOCK {
        for (i, sum) in sums.iter_mut().enumerate() {
            let from = at + i * LANES;
            // SAFETY: `from + LANES <= at + BLOCK <= n`.
            let x = unsafe { _mm512_loadu_ps(a.as_ptr().add(from)) };
            *sum = _mm512_fmadd_ps(x, full(from), *sum);
        }
        at += BLOCK;
    }
    while n - at >= LANES {
        // SAFETY: `at + LANES <= n`.
        let x = unsafe { _mm512_loadu_ps(a.as_ptr().add(at)) };
        sums[0] = _mm512_fmadd_ps(x, full(at), sums[0]);
        at += LANES;
    }
    if at < n {
        let mask = (1_u16 << (n - at)) - 1;
        // SAFETY: the mask selects the `n - at` lanes that are left; masked lanes are not read.
        let x = unsafe { _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)) };
        sums[1] = _mm512_fmadd_ps(x, tail(at, mask), sums[1]);
    }
    total(sums)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total(sums: [__m512; 4]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(
        _mm512_add_ps(sums[0], sums[1]),
        _mm512_add_ps(sums[2], sums[3]),
    ))
}
