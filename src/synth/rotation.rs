//! Directions drawn at random.
//!
//! In come a number of rows and a seeded generator; out go that many unit vectors, each at a right
//! angle to all others, every such set equally likely.

use ndarray::Array2;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// `rows` orthonormal vectors of `dims` numbers, `rows` at most `dims`.
///
/// Gaussian vectors, orthogonalised one after the other (modified Gram-Schmidt) in f64: such vectors
/// are independent enough that one pass leaves products below f32's rounding.
pub(super) fn orthonormal_rows(
    rows: usize,
    dims: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> Array2<f32> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(rows);
    while basis.len() < rows {
        let mut vector: Vec<f64> = (0..dims).map(|_| StandardNormal.sample(rng)).collect();
        for earlier in &basis {
            let along = dot(earlier, &vector);
            for (v, e) in vector.iter_mut().zip(earlier) {
                *v -= along * e;
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        // What is left of a vector that happened to lie among the earlier ones is mostly rounding.
        if norm < 1e-6 {
            continue;
        }
        for v in &mut vector {
            *v /= norm;
        }
        basis.push(vector);
    }
    Array2::from_shape_fn((rows, dims), |(row, i)| basis[row][i] as f32)
}

/// Four sums side by side, which the processor adds at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in a4.iter().zip(b4) {
        for i in 0..4 {
            sums[i] += x[i] * y[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::synth::seeds::{Stream, generator};

    #[test]
    fn rows_are_orthonormal() {
        for (rows, dims) in [(1, 5), (49, 128), (128, 128)] {
            let axes = orthonormal_rows(rows, dims, &mut generator(9, Stream::Rotation, 0));
            let gram = axes.dot(&axes.t());
            for ((i, j), v) in gram.indexed_iter() {
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((v - want).abs() < 2e-6, "{rows}x{dims} ({i},{j}): {v}");
            }
        }
    }
}
