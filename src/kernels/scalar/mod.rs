//! The reference kernels: portable, and the measure of all others.

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

/// Independent sums, so that the compiler may keep them in one or several vector registers.
const LANES: usize = 16;

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |v| v)
}

pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    sum(a, b, f16::to_f32)
}

#[inline(always)]
fn sum<T: Copy>(a: &[f32], b: &[T], to_f32: impl Fn(T) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * to_f32(y[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&x, &y)| x * to_f32(y)).sum();
    sums.iter().sum::<f32>() + rest
}
