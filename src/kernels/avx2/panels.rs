//! Rows with panels of centroids, widened to 16 bits: `vpmaddwd` adds two products a lane, exactly.

use std::arch::x86_64::*;

use super::super::panels::{PANEL, Panels, QUAD};

/// Registers of a panel's quad: four centroids each.
const PARTS: usize = 4;

/// Needs an idle sum a row, and as many scores as rows times centroids.
#[target_feature(enable = "avx2")]
pub(in super::super) fn scores(panels: Panels<'_>, rows: &[i8], idles: &[i32], scores: &mut [f32]) {
    let count = rows.len() / panels.dims();
    for panel in 0..panels.count() / PANEL {
        let mut row = 0;
        while count - row >= 2 {
            tile::<2>(panels, panel, rows, idles, row, scores);
            row += 2;
        }
        if row < count {
            tile::<1>(panels, panel, rows, idles, row, scores);
        }
    }
}

/// `R` rows from `row` with a panel.
#[inline]
#[target_feature(enable = "avx2")]
fn tile<const R: usize>(
    panels: Panels<'_>,
    panel: usize,
    rows: &[i8],
    idles: &[i32],
    row: usize,
    scores: &mut [f32],
) {
    let (dims, count) = (panels.dims(), panels.count());
    let rows = &rows[row * dims..(row + R) * dims];
    let levels = &panels.levels()[panel * PANEL * dims..(panel + 1) * PANEL * dims];
    let steps = &panels.steps()[panel * PANEL..(panel + 1) * PANEL];
    let scores = &mut scores[row * count..(row + R) * count];
    let mut sums = [[_mm256_setzero_si256(); PARTS]; R];
    // Where rows begin, so that the loop has nothing left to compute or to check.
    let starts: [*const i8; R] = std::array::from_fn(|row| rows[row * dims..].as_ptr());
    let levels = levels.as_ptr();
    for at in (0..dims).step_by(QUAD) {
        let mut held = [_mm256_setzero_si256(); PARTS];
        for (part, held) in held.iter_mut().enumerate() {
            // SAFETY: a panel has `PANEL * dims` levels, and `at + QUAD <= dims`, a multiple of it:
            // from `at * PANEL` there are 64, of which a part is 16.
            let levels = unsafe { levels.add(at.wrapping_mul(PANEL)).add(part.wrapping_mul(16)) };
            // SAFETY: as above.
            *held = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(levels.cast()) });
        }
        for (sums, row) in sums.iter_mut().zip(starts) {
            // SAFETY: a row has `dims` values, and `at + QUAD <= dims`.
            let values = unsafe { row.add(at).cast::<i32>().read_unaligned() };
            let values = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(values)));
            for (sum, held) in sums.iter_mut().zip(held) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(held, values));
            }
        }
    }
    for ((row, sums), &idle) in sums.iter().enumerate().zip(&idles[row..row + R]) {
        let idle = _mm256_set1_epi32(idle);
        for (half, sums) in sums.as_chunks::<2>().0.iter().enumerate() {
            // Of each 128 bits the sums of two centroids of the one, then two of the other.
            let eight =
                _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(sums[0], sums[1]));
            let sums = _mm256_cvtepi32_ps(_mm256_sub_epi32(eight, idle));
            // SAFETY: `steps` has 16 values, two halves of 8.
            let step = unsafe { _mm256_loadu_ps(steps.as_ptr().add(8 * half)) };
            let at = row * count + panel * PANEL + 8 * half;
            // SAFETY: `scores` has `R * count` values, and `panel` is a panel of `count` centroids.
            unsafe { _mm256_storeu_ps(scores.as_mut_ptr().add(at), _mm256_mul_ps(sums, step)) };
        }
    }
}
