//! The cell of every row.
//!
//! With two levels only the cells of a row's best few groups are looked at. Rows are gathered group
//! by group, so that each group's products are one matrix product whatever the groups a row has.

use rayon::prelude::*;

use super::Centroids;
use super::nearest::{Nearest, Packed, ROWS, Rows, nearest, nearest_few, nearest_of_block};
use super::order::order;

/// Groups whose cells a row is compared with. With fewer, poor photos are lost to wrong cells in
/// large clustered galleries; their cells are a third of the products at 1,000,000 faces, and ever
/// less up to the most groups.
const FEW: usize = 64;
/// Rows looked at together: they take 1 KiB each for their groups.
const TOGETHER: usize = 1 << 16;

impl Centroids {
    /// Appends the cell of each row: the one with the most similar centroid, among the cells of the
    /// row's best 64 groups where there are more than 32,768 cells. Similarities are those of rows
    /// and centroids rounded to a byte a dimension.
    ///
    /// `rows` holds [`dims`](Self::dims) values a row, row after row; a last, incomplete row is left
    /// out. Works on rayon's current pool, best with 10,000 rows or more at once. A row's cell does
    /// not depend on the rows beside it.
    pub fn assign(&self, rows: &[f32], out: &mut Vec<u32>) {
        let dims = self.dims;
        if dims == 0 {
            return;
        }
        let rows = &rows[..rows.len() / dims * dims];
        if !self.by_group {
            let best = nearest(&Rows::of(rows, dims), &Packed::of(&self.values, dims));
            out.extend(best.into_iter().map(|best| best.cell));
            return;
        }
        for rows in rows.chunks(TOGETHER * dims) {
            out.extend(self.nearest_in_groups(rows).into_iter().map(|best| best.cell));
        }
    }

    /// The best cell of each row within its best groups.
    fn nearest_in_groups(&self, rows: &[f32]) -> Vec<Nearest> {
        let dims = self.dims;
        let groups = self.group_starts.len() - 1;
        let few = FEW.min(groups);
        let rows = Rows::of(rows, dims);
        let chosen = nearest_few(&rows, &Packed::of(&self.group_values, dims), few);
        let (places, starts) = order(&chosen, groups);
        let of_group = |group: usize| &places[starts[group] as usize..starts[group + 1] as usize];
        let found: Vec<Vec<Nearest>> = (0..groups)
            .into_par_iter()
            .map(|group| {
                let (mut gathered, mut scores) = (Vec::new(), Vec::new());
                let mut found = Vec::with_capacity(of_group(group).len());
                let (from, to) = (self.group_starts[group], self.group_starts[group + 1]);
                let centroids =
                    Packed::of(&self.values[from as usize * dims..to as usize * dims], dims);
                for places in of_group(group).chunks(ROWS) {
                    gathered.clear();
                    for &place in places {
                        gathered.extend_from_slice(rows.row(place as usize / few));
                    }
                    found.extend(nearest_of_block(&gathered, &centroids, &mut scores));
                }
                found
            })
            .collect();
        let mut best = vec![Nearest::NONE; chosen.len() / few];
        for (group, found) in found.iter().enumerate() {
            for (&place, found) in of_group(group).iter().zip(found) {
                let best = &mut best[place as usize / few];
                // Groups come in the order of their cells, so ties stay with the lower cell.
                if found.score > best.score {
                    *best = Nearest { cell: self.group_starts[group] + found.cell, ..*found };
                }
            }
        }
        best
    }
}
