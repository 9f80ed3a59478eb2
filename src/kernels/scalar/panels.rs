//! Rows with panels of centroids, as the layout tells it.

use super::super::panels::{PANEL, Panels, QUAD};

/// Needs an idle sum a row, and as many scores as rows times centroids.
pub(in super::super) fn scores(panels: Panels<'_>, rows: &[i8], idles: &[i32], scores: &mut [f32]) {
    let dims = panels.dims();
    let rows = rows.chunks_exact(dims).zip(idles);
    for ((row, idle), scores) in rows.zip(scores.chunks_exact_mut(panels.count().max(1))) {
        let of_panel = panels.levels().chunks_exact(PANEL * dims);
        let steps = panels.steps().as_chunks::<PANEL>().0;
        let scores = scores.as_chunks_mut::<PANEL>().0;
        for ((levels, steps), scores) in of_panel.zip(steps).zip(scores) {
            let mut sums = [idle.wrapping_neg(); PANEL];
            let quads = levels.as_chunks::<{ PANEL * QUAD }>().0;
            for (quad, values) in quads.iter().zip(row.as_chunks::<QUAD>().0) {
                for (sum, levels) in sums.iter_mut().zip(quad.as_chunks::<QUAD>().0) {
                    for (&level, &value) in levels.iter().zip(values) {
                        *sum = sum.wrapping_add(i32::from(level) * i32::from(value));
                    }
                }
            }
            for ((score, sum), step) in scores.iter_mut().zip(sums).zip(steps) {
                *score = sum as f32 * step;
            }
        }
    }
}
