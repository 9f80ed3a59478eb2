//! Rows with panels of centroids: `vpdpbusd` adds four products a lane, 64 an instruction.

use std::arch::x86_64::*;

use super::super::panels::{PANEL, Panels, QUAD};

/// Rows of a tile: with two panels 16 sums in flight. With 24 compilers run out of registers.
const ROWS: usize = 8;

/// Needs an idle sum a row, and as many scores as rows times centroids.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(in super::super) fn scores(panels: Panels<'_>, rows: &[i8], idles: &[i32], scores: &mut [f32]) {
    let whole = panels.count() / PANEL;
    for first in (0..whole).step_by(2) {
        if first + 1 < whole {
            beside::<2>(panels, first, rows, idles, scores);
        } else {
            beside::<1>(panels, first, rows, idles, scores);
        }
    }
}

/// All rows with some panels, which stay in the first-level cache meanwhile.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn beside<const P: usize>(
    panels: Panels<'_>,
    first: usize,
    rows: &[i8],
    idles: &[i32],
    scores: &mut [f32],
) {
    let count = rows.len() / panels.dims();
    let mut row = 0;
    while count - row >= ROWS {
        tile::<ROWS, P>(panels, first, rows, idles, row, scores);
        row += ROWS;
    }
    while count > row {
        tile::<1, P>(panels, first, rows, idles, row, scores);
        row += 1;
    }
}

/// `R` rows from `row` with `P` panels from `first`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const R: usize, const P: usize>(
    panels: Panels<'_>,
    first: usize,
    rows: &[i8],
    idles: &[i32],
    row: usize,
    scores: &mut [f32],
) {
    let (dims, count) = (panels.dims(), panels.count());
    let rows = &rows[row * dims..(row + R) * dims];
    let levels = &panels.levels()[first * PANEL * dims..(first + P) * PANEL * dims];
    let steps = &panels.steps()[first * PANEL..(first + P) * PANEL];
    let scores = &mut scores[row * count..(row + R) * count];
    let mut sums = [[_mm512_setzero_si512(); P]; R];
    for (sums, idle) in sums.iter_mut().zip(&idles[row..row + R]) {
        *sums = [_mm512_set1_epi32(idle.wrapping_neg()); P];
    }
    // Where rows and panels begin, so that the loop has nothing left to compute or to check.
    let rows: [*const i8; R] = std::array::from_fn(|row| rows[row * dims..].as_ptr());
    let levels: [*const u8; P] =
        std::array::from_fn(|panel| levels[panel * PANEL * dims..].as_ptr());
    for at in (0..dims).step_by(QUAD) {
        let mut held = [_mm512_setzero_si512(); P];
        for (held, panel) in held.iter_mut().zip(levels) {
            // SAFETY: a panel has `PANEL * dims` levels, and `at + QUAD <= dims`, a multiple of it.
            *held = unsafe { _mm512_loadu_si512(panel.add(at.wrapping_mul(PANEL)).cast()) };
        }
        for (sums, row) in sums.iter_mut().zip(rows) {
            // SAFETY: a row has `dims` values, and `at + QUAD <= dims`.
            let values = unsafe { row.add(at).cast::<i32>().read_unaligned() };
            let values = _mm512_set1_epi32(values);
            for (sum, held) in sums.iter_mut().zip(held) {
                *sum = _mm512_dpbusd_epi32(*sum, held, values);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (panel, &sum) in sums.iter().enumerate() {
            // SAFETY: `steps` has `P * PANEL` values.
            let step = unsafe { _mm512_loadu_ps(steps.as_ptr().add(panel * PANEL)) };
            let score = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), step);
            let at = row * count + (first + panel) * PANEL;
            // SAFETY: `scores` has `R * count` values, and `first + panel` is a panel of `count`
            // centroids.
            unsafe { _mm512_storeu_ps(scores.as_mut_ptr().add(at), score) };
        }
    }
}
