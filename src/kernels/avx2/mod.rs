//! Kernels for AVX2 with FMA and F16C: eight f32 a register, tails value by value.

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

const LANES: usize = 8;
/// Four sums in flight hide the latency of a fused multiply-add at two a cycle.
const BLOCK: usize = 4 * LANES;

/// Needs slices of equal length.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(
        a,
        b,
        |at| {
            // SAFETY: `sum` asks for `at + LANES <= b.len()` only.
            unsafe { _mm256_loadu_ps(b.as_ptr().add(at)) }
        },
        |v| v,
    )
}

/// Needs slices of equal length.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    sum(
        a,
        b,
        |at| {
            // SAFETY: `sum` asks for `at + LANES <= b.len()` only: 16 bytes are there to read.
            _mm256_cvtph_ps(unsafe { _mm_loadu_si128(b.as_ptr().add(at).cast()) })
        },
        f16::to_f32,
    )
}

/// `full(at)` gives b's eight values from `at`; `to_f32` turns one of the values left.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sum<T: Copy>(
    a: &[f32],
    b: &[T],
    full: impl Fn(usize) -> __m256,
    to_f32: impl Fn(T) -> f32,
) -> f32 {
    assert_eq!(a.len(), b.len());
    let n = a.len();
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    while n - at >= BLOCK {
        for (i, sum) in sums.iter_mut().enumerate() {
            let from = at + i * LANES;
            // SAFETY: `from + LANES <= at + BLOCK <= n`.
            let x = unsafe { _mm256_loadu_ps(a.as_ptr().add(from)) };
            *sum = _mm256_fmadd_ps(x, full(from), *sum);
        }
        at += BLOCK;
    }
    while n - at >= LANES {
        // SAFETY: `at + LANES <= n`.
        let x = unsafe { _mm256_loadu_ps(a.as_ptr().add(at)) };
        sums[0] = _mm256_fmadd_ps(x, full(at), sums[0]);
        at += LANES;
    }
    let eight = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    let one = _mm_add_ss(two, _mm_movehdup_ps(two));
    let rest: f32 = a[at..].iter().zip(&b[at..]).map(|(&x, &y)| x * to_f32(y)).sum();
    _mm_cvtss_f32(one) + rest
}
