//! The most similar centroids of many rows.
//!
//! In come rows and centroids, row-major; out go, a row, the best centroid (or the best few) by dot
//! product, ties to the lower one. Products are blocked matrix products; a block's maxima are taken
//! while it is in the cache. Always: a row's answer depends on that row and the centroids alone,
//! since every product is summed in the same order wherever it lies in a block.

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::linalg::general_mat_mul;
use rayon::prelude::*;

/// Rows of a block: with 512 centroids, products of 512 KiB, which stay in the second-level cache.
pub(super) const ROWS: usize = 256;
/// Centroids of a block.
const CENTROIDS: usize = 512;

/// A centroid and its dot product with a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearest {
    pub(super) score: f32,
    pub(super) cell: u32,
}

impl Nearest {
    /// What every centroid beats; a row of NaN stays with the first.
    pub(super) const NONE: Self = Self { score: f32::NEG_INFINITY, cell: 0 };
}

/// The best centroid of each row of `dims` values.
pub(super) fn nearest(rows: &[f32], dims: usize, centroids: &[f32]) -> Vec<Nearest> {
    let blocks = rows.par_chunks(ROWS * dims);
    blocks
        .map_init(Vec::new, |products, rows| nearest_of_block(rows, dims, centroids, products))
        .flatten_iter()
        .collect()
}

/// [`nearest`] for few rows, on the current thread; `products` is scratch.
pub(super) fn nearest_of_block(
    rows: &[f32],
    dims: usize,
    centroids: &[f32],
    products: &mut Vec<f32>,
) -> Vec<Nearest> {
    let mut best = vec![Nearest::NONE; rows.len() / dims];
    for (tile, centroids) in centroids.chunks(CENTROIDS * dims).enumerate() {
        let count = centroids.len() / dims;
        product(rows, centroids, dims, products);
        for (best, scores) in best.iter_mut().zip(products.chunks_exact(count)) {
            let score = maximum(scores);
            if score > best.score {
                let place = scores.iter().position(|&s| s == score).unwrap_or(0);
                *best = Nearest { score, cell: (tile * CENTROIDS + place) as u32 };
            }
        }
    }
    best
}

/// The `few` best centroids of each row (all, where there are fewer), best first, row after row.
pub(super) fn nearest_few(rows: &[f32], dims: usize, centroids: &[f32], few: usize) -> Vec<u32> {
    let count = centroids.len() / dims;
    let few = few.min(count);
    let blocks = rows.par_chunks(ROWS * dims);
    blocks
        .map_init(Vec::new, |products, rows| {
            product(rows, centroids, dims, products);
            let mut cells = Vec::with_capacity(rows.len() / dims * few);
            let mut best = vec![Nearest::NONE; few];
            for scores in products.chunks_exact(count) {
                best.fill(Nearest::NONE);
                for (cell, &score) in (0..).zip(scores) {
                    if score > best[few - 1].score {
                        let at = best.partition_point(|other| other.score >= score);
                        best[at..].rotate_right(1);
                        best[at] = Nearest { score, cell };
                    }
                }
                cells.extend(best.iter().map(|best| best.cell));
            }
            cells
        })
        .flatten_iter()
        .collect()
}

/// Rows times centroids: `products` becomes rows x centroids, row-major.
fn product(rows: &[f32], centroids: &[f32], dims: usize, products: &mut Vec<f32>) {
    let shape = (rows.len() / dims, centroids.len() / dims);
    products.clear();
    products.resize(shape.0 * shape.1, 0.0);
    let a = ArrayView2::from_shape((shape.0, dims), rows);
    let b = ArrayView2::from_shape((shape.1, dims), centroids);
    let c = ArrayViewMut2::from_shape(shape, products);
    // The shapes are those of the slices, so none of the three is refused.
    if let (Ok(a), Ok(b), Ok(mut c)) = (a, b, c) {
        general_mat_mul(1.0, &a, &b.t(), 0.0, &mut c);
    }
}

/// The largest value, in lanes that compilers keep in registers; NaN is passed over.
fn maximum(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}
