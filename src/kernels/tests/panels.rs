//! Rows with panels: the scalar kernel against the sum as the layout tells it, the others against
//! the scalar one, to the last bit.

use proptest::prelude::*;

use super::super::panels::{PANEL, Panels, QUAD, ZERO};
use super::super::{Isa, Kernels};
use super::available;

/// The similarity of a row with a centroid, straight from the layout.
fn told(dims: usize, levels: &[u8], steps: &[f32], row: &[i8], centroid: usize) -> f32 {
    let panel = &levels[centroid / PANEL * PANEL * dims..];
    let level = |dim: usize| {
        let at = dim / QUAD * QUAD * PANEL + centroid % PANEL * QUAD + dim % QUAD;
        i32::from(panel[at]) - i32::from(ZERO)
    };
    let sum: i32 = (0..dims).map(|dim| level(dim) * i32::from(row[dim])).sum();
    sum as f32 * steps[centroid]
}

fn check(dims: usize, levels: &[u8], steps: &[f32], rows: &[i8]) {
    let panels = Panels::new(dims, levels, steps).expect("whole panels");
    let rows_of = || rows.chunks_exact(dims);
    let expected: Vec<u32> = rows_of()
        .flat_map(|row| (0..steps.len()).map(move |at| told(dims, levels, steps, row, at)))
        .map(f32::to_bits)
        .collect();
    for kernels in available() {
        let mut scores = vec![7.0; 3];
        kernels.panel_scores(panels, rows, &mut scores);
        let scores: Vec<u32> = scores.into_iter().map(f32::to_bits).collect();
        assert_eq!(scores, expected, "{:?}, {dims} dimensions", kernels.isa());
    }
}

#[test]
fn the_greatest_levels_do_not_saturate() {
    let dims = 512;
    for (level, value) in [(0, 127), (255, 127), (255, -128), (0, -128)] {
        check(dims, &vec![level; 16 * dims], &[0.5; 16], &vec![value; 13 * dims]);
    }
}

#[test]
fn panels_are_whole() {
    let (levels, steps) = (vec![1; 3 * 16 * 8], vec![1.0; 3 * 16]);
    let panels = Panels::new(8, &levels, &steps).expect("whole panels");
    assert_eq!(panels.count(), 48);
    assert_eq!(panels.part(1..9).count(), 32);
    assert_eq!(panels.part(7..9).count(), 0);
    assert!(Panels::new(0, &[], &[]).is_none());
    assert!(Panels::new(6, &levels, &steps[..16]).is_none());
    assert!(Panels::new(8, &levels, &steps[..47]).is_none());
    assert!(Panels::new(8, &levels[1..], &steps).is_none());
    let scalar = Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere");
    let mut scores = vec![1.0];
    scalar.panel_scores(panels.part(7..9), &[1; 24], &mut scores);
    assert!(scores.is_empty());
}

proptest! {
    #[test]
    fn any_rows_and_centroids(
        (quads, panels, rows) in (1_usize..40, 0_usize..6, 0_usize..40),
        seed in any::<u64>(),
    ) {
        let dims = quads * QUAD;
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (state >> 40) as u8
        };
        let levels: Vec<u8> = (0..panels * PANEL * dims).map(|_| next()).collect();
        let steps: Vec<f32> = (0..panels * PANEL).map(|_| f32::from(next()) / 512.0).collect();
        let rows: Vec<i8> = (0..rows * dims).map(|_| next() as i8).collect();
        check(dims, &levels, &steps, &rows);
    }
}
