//! What lies next to what.
//!
//! Cells are chained: each is followed by the most similar one that is left, so that a run of the
//! file is a region of space. Faces are put by cell and, within a cell, by row: photos that came in
//! together often show one person, a build then copies in rising order, and the order needs nothing
//! but the assignments. Similarity to the centroid would say little: in hundreds of dimensions nearly
//! all faces of a cell are about equally far from it.

use crate::kernels::Kernels;

/// Puts rows by cell, in counting sort: the permutation (slot to row) and `cells + 1` starts, the
/// slots of cell c being `starts[c]..starts[c + 1]`.
///
/// Assignments at or above `cells` count as the last cell's, so that every row has a slot. At most
/// `u32::MAX` rows.
pub fn order(assignments: &[u32], cells: usize) -> (Vec<u32>, Vec<u32>) {
    let last = cells.saturating_sub(1);
    let mut starts = vec![0_u32; last + 2];
    for &cell in assignments {
        starts[(cell as usize).min(last) + 1] += 1;
    }
    for cell in 0..=last {
        starts[cell + 1] += starts[cell];
    }
    let mut next = starts.clone();
    let mut rows = vec![0_u32; assignments.len()];
    for (&cell, row) in assignments.iter().zip(0..) {
        let slot = &mut next[(cell as usize).min(last)];
        rows[*slot as usize] = row;
        *slot += 1;
    }
    (rows, starts)
}

/// The order in which each centroid is followed by the most similar one left, beginning with the
/// one most similar to `after`, or with the first.
pub(super) fn chain(centroids: &[f32], dims: usize, after: Option<&[f32]>) -> Vec<u32> {
    let kernels = Kernels::best();
    let of = |cell: u32| &centroids[cell as usize * dims..][..dims];
    let mut left: Vec<u32> = (0..(centroids.len() / dims) as u32).collect();
    let mut chain: Vec<u32> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let end = chain.last().map_or(after, |&cell| Some(of(cell)));
        let mut best = (f32::NEG_INFINITY, 0);
        for (place, &cell) in left.iter().enumerate() {
            let Some(end) = end else { break };
            let score = kernels.dot(end, of(cell));
            if score > best.0 {
                best = (score, place);
            }
        }
        chain.push(left.swap_remove(best.1));
    }
    chain
}
