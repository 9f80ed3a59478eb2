//! Orthonormal rows.
//!
//! In come rows of numbers, or a generator to draw them from; out go rows of unit length at right
//! angles. A row that says nothing new is replaced by a random direction, so a full set always comes
//! out. Matrices are slices, one row after the other.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

use crate::kernels::Kernels;

/// Rows that are made orthonormal one by one, after a matrix product did it for those before them.
const BLOCK: usize = 32;
/// Of its length, what a row must have left to count as new.
const NEW: f32 = 1e-4;

/// `count` numbers, standard normal.
pub(super) fn gaussian(count: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

/// `count` orthonormal rows of `dims` numbers, `count` at most `dims`, every such set as likely.
pub(super) fn random_rows(count: usize, dims: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let mut rows = gaussian(count * dims, rng);
    orthonormalise(&mut rows, dims, rng);
    rows
}

/// Makes rows of `dims` numbers orthonormal, at most `dims` of them, by block Gram-Schmidt. Each row
/// stays in the span of itself and those before it unless it lies in theirs.
pub(super) fn orthonormalise(rows: &mut [f32], dims: usize, rng: &mut Xoshiro256PlusPlus) {
    let size = BLOCK * dims;
    for start in (0..rows.len()).step_by(size.max(1)) {
        let (done, rest) = rows.split_at_mut(start);
        let end = size.min(rest.len());
        let block = &mut rest[..end];
        // Twice is enough (Giraud et al. 2005), and once more for rows drawn anew.
        let mut rounds = 2;
        while rounds > 0 {
            rounds -= 1;
            remove(done, block, dims);
            if settle(block, dims, rng) {
                rounds = 2;
            }
        }
    }
}

/// Takes off `block` what lies in the span of the orthonormal rows `done`, where it is not nearly
/// all of a row; such rows become zero.
fn remove(done: &[f32], block: &mut [f32], dims: usize) {
    let shape = |rows: &[f32]| (rows.len() / dims, dims);
    let lengths: Vec<f32> = block.chunks_exact(dims).map(length).collect();
    let block_shape = shape(block);
    let done_rows = ArrayView2::from_shape(shape(done), done);
    let block_rows = ArrayViewMut2::from_shape(block_shape, block);
    if let (Ok(done), Ok(mut block)) = (done_rows, block_rows) {
        let along: Array2<f32> = block.dot(&done.t());
        general_mat_mul(-1.0, &along, &done, 1.0, &mut block);
    }
    for (row, before) in block.chunks_exact_mut(dims).zip(lengths) {
        if length(row) <= NEW * before {
            row.fill(0.0);
        }
    }
}

/// Makes a block orthonormal in itself; says whether a row had to be drawn anew.
fn settle(block: &mut [f32], dims: usize, rng: &mut Xoshiro256PlusPlus) -> bool {
    let kernels = Kernels::best();
    let mut drawn = false;
    for i in 0..block.len() / dims {
        let (before, rest) = block.split_at_mut(i * dims);
        let row = &mut rest[..dims];
        let own = length(row);
        for earlier in before.chunks_exact(dims) {
            let along = kernels.dot(earlier, row);
            row.iter_mut().zip(earlier).for_each(|(v, e)| *v -= along * e);
        }
        let mut left = length(row);
        if !(left > NEW * own && left.is_normal()) {
            // Its part among the others is for the next round to remove.
            row.copy_from_slice(&gaussian(dims, rng));
            left = length(row);
            drawn = true;
        }
        row.iter_mut().for_each(|v| *v /= left);
    }
    drawn
}

fn length(row: &[f32]) -> f32 {
    Kernels::best().dot(row, row).sqrt()
}

/// The product of two matrices, `a` of rows of `inner` numbers and `b` of `inner` rows.
pub(super) fn product(a: &[f32], b: &[f32], inner: usize) -> Vec<f32> {
    let (n, m) = (a.len() / inner.max(1), b.len() / inner.max(1));
    let a = ArrayView2::from_shape((n, inner), a);
    let b = ArrayView2::from_shape((inner, m), b);
    let mut product = vec![0.0; n * m];
    let into = ArrayViewMut2::from_shape((n, m), &mut product);
    if let (Ok(a), Ok(b), Ok(mut into)) = (a, b, into) {
        // Row after row: a product that allocates may choose another order.
        general_mat_mul(1.0, &a, &b, 0.0, &mut into);
    }
    product
}
