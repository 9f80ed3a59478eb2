//! How the variance of a sample falls over its principal axes.
//!
//! In comes a centred sample; out go eigenvalues of its covariance, largest first, with their axes:
//! all of them up to 512 dimensions, beyond that at most the leading 512 by randomised subspace iteration
//! (Halko, Martinsson and Tropp 2011). Results do not depend on the number of threads.

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::rngs::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::basis::{gaussian, orthonormalise, product};
use crate::kernels::Kernels;

/// The most axes found.
pub(super) const MAX_AXES: usize = 512;
/// Rows of a matrix that one task multiplies.
const STRIPE: usize = 64;
/// How often the subspace is multiplied by the covariance: spectra of faces fall so slowly that the
/// first few rounds find what is worth finding.
const ROUNDS: usize = 4;
/// Sweeps of Jacobi's method; half as many suffice for matrices of no special kind.
const SWEEPS: usize = 16;
/// Two rows at a cosine below this count as orthogonal: a few roundings of f32.
const ORTHOGONAL: f32 = 1e-6;
/// The share of the variance that the carrying dimensions hold.
const CARRIED: f64 = 0.9999;

/// Principal axes and the variances along them.
pub(super) struct Spectrum {
    /// Variances, falling.
    values: Vec<f64>,
    /// Of all dimensions together.
    total: f64,
    /// One a row, orthonormal.
    pub(super) axes: Vec<f32>,
    dims: usize,
}

impl Spectrum {
    /// Of rows of `dims` numbers, already less their mean.
    pub(super) fn of(centred: &[f32], dims: usize, rng: &mut Xoshiro256PlusPlus) -> Self {
        let n = centred.len() / dims;
        let total = centred.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let total = total / n.max(1) as f64;
        let Ok(sample) = ArrayView2::from_shape((n, dims), centred) else {
            return Self { values: Vec::new(), total: 0.0, axes: Vec::new(), dims };
        };
        let (mut square, turn) = if dims <= MAX_AXES {
            (transposed_product(sample, sample), None)
        } else {
            let basis = subspace(sample, rng);
            let turned = transposed(sample, basis.view());
            (transposed_product(turned.view(), turned.view()), Some(basis))
        };
        square /= n.max(1) as f32;
        let (mut square, _) = square.into_raw_vec_and_offset();
        let count = if dims <= MAX_AXES { dims } else { n.min(MAX_AXES) };
        let values = eigen(&mut square, count);
        let mut axes = match turn {
            None => square,
            Some(basis) => {
                let (basis, _) = basis.into_raw_vec_and_offset();
                product(&square, &basis, count)
            }
        };
        orthonormalise(&mut axes, dims, rng);
        Self { values, total, axes, dims }
    }

    /// How many dimensions hold 99.99 % of the variance; at least so many, where the axes known do
    /// not hold it.
    pub(super) fn carrying(&self) -> usize {
        let enough = CARRIED * self.total;
        if enough <= 0.0 {
            return 0;
        }
        let mut held = 0.0;
        for (known, value) in self.values.iter().enumerate() {
            if held >= enough {
                return known;
            }
            held += value;
        }
        // The axes that are missing carry at most as much each as the last one known. (A sample of
        // fewer faces has no others.)
        let least = self.values.last().copied().unwrap_or(0.0);
        let missing = if least > 0.0 { ((enough - held) / least).ceil().max(0.0) } else { 0.0 };
        (self.values.len() + missing as usize).min(self.dims)
    }
}

/// Orthonormal rows near the leading axes of a sample of more than 512 dimensions: 512 of them, or
/// as many as it has rows.
fn subspace(sample: ArrayView2<'_, f32>, rng: &mut Xoshiro256PlusPlus) -> Array2<f32> {
    let dims = sample.ncols();
    let count = MAX_AXES.min(sample.nrows());
    let mut basis = gaussian(count * dims, rng);
    for round in 0..=ROUNDS {
        if round > 0 {
            let Ok(rows) = ArrayView2::from_shape((count, dims), &basis) else { break };
            let turned = transposed(sample, rows);
            basis = transposed_product(turned.view(), sample).into_raw_vec_and_offset().0;
        }
        orthonormalise(&mut basis, dims, rng);
    }
    Array2::from_shape_vec((count, dims), basis).unwrap_or_default()
}

/// A B^T, in parallel over rows of A.
fn transposed(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.nrows(), b.nrows()));
    out.axis_chunks_iter_mut(Axis(0), STRIPE)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), STRIPE).into_par_iter())
        .for_each(|(mut out, rows)| out.assign(&rows.dot(&b.t())));
    out
}

/// A^T B, in parallel over columns of A: sums always run over rows in one order.
fn transposed_product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.ncols(), b.ncols()));
    out.axis_chunks_iter_mut(Axis(0), STRIPE).into_par_iter().enumerate().for_each(
        |(stripe, mut out)| {
            let columns = stripe * STRIPE..stripe * STRIPE + out.nrows();
            out.assign(&a.slice(s![.., columns]).t().dot(&b));
        },
    );
    out
}

/// Eigenvalues, falling, of a symmetric matrix without negative ones; it is replaced by its
/// eigenvectors, one a row. Vectors of values near zero need not be orthogonal to others.
///
/// One-sided Jacobi (Hestenes 1958): rows are turned in pairs until all are orthogonal. They are then
/// the eigenvectors, each as long as its eigenvalue.
fn eigen(matrix: &mut [f32], count: usize) -> Vec<f64> {
    if count == 0 {
        return Vec::new();
    }
    let kernels = Kernels::best();
    let square = |row: &[f32]| kernels.dot(row, row);
    for _ in 0..SWEEPS {
        let mut squares: Vec<f32> = matrix.chunks_exact(count).map(square).collect();
        let noise = squares.iter().fold(0.0_f32, |m, &v| m.max(v)) * 1e-13;
        let mut turned = false;
        for p in 0..count {
            let (before, after) = matrix.split_at_mut((p + 1) * count);
            let first = &mut before[p * count..];
            for (q, second) in (p + 1..).zip(after.chunks_exact_mut(count)) {
                let (a, b) = (squares[p], squares[q]);
                if a.min(b) <= noise {
                    continue;
                }
                let along = kernels.dot(first, second);
                if along * along <= ORTHOGONAL * ORTHOGONAL * a * b {
                    continue;
                }
                turned = true;
                let ratio = (b - a) / (2.0 * along);
                let tangent = ratio.signum() / (ratio.abs() + (1.0 + ratio * ratio).sqrt());
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                let sine = cosine * tangent;
                for (x, y) in first.iter_mut().zip(second) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
                squares[p] = (a - tangent * along).max(0.0);
                squares[q] = (b + tangent * along).max(0.0);
            }
        }
        if !turned {
            break;
        }
    }
    let mut rows: Vec<(f32, &[f32])> =
        matrix.chunks_exact(count).map(|row| (square(row).sqrt(), row)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let values = rows.iter().map(|row| f64::from(row.0)).collect();
    let sorted: Vec<f32> = rows.iter().flat_map(|row| row.1).copied().collect();
    matrix.copy_from_slice(&sorted);
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::space::basis::random_rows;
    use rand::SeedableRng;

    /// A sample whose variances along random axes are as given.
    fn sample(n: usize, dims: usize, values: &[f64], seed: u64) -> Vec<f32> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let axes = random_rows(values.len(), dims, &mut rng);
        let mut rows = gaussian(n * values.len(), &mut rng);
        for row in rows.chunks_exact_mut(values.len()) {
            row.iter_mut().zip(values).for_each(|(v, value)| *v *= value.sqrt() as f32);
        }
        product(&rows, &axes, values.len())
    }

    #[test]
    fn variances_and_axes_are_found() {
        let values: Vec<f64> = (0..20).map(|i| 0.8_f64.powi(i)).collect();
        for dims in [40, 530] {
            let rows = sample(700, dims, &values, 3);
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
            let spectrum = Spectrum::of(&rows, dims, &mut rng);
            for (found, value) in spectrum.values.iter().zip(&values) {
                assert!((found / value - 1.0).abs() < 0.3, "{dims}: {found} {value}");
            }
            assert!(spectrum.values[20..].iter().all(|&v| v < 1e-5));
            assert_eq!(spectrum.carrying(), 20);
            let gram = product(&spectrum.axes, &transpose(&spectrum.axes, dims), dims);
            let count = dims.min(MAX_AXES);
            for (i, v) in gram.iter().enumerate() {
                let want = if i / count == i % count { 1.0 } else { 0.0 };
                assert!((v - want).abs() < 1e-5, "{dims}: {i} {v}");
            }
        }
    }

    fn transpose(rows: &[f32], dims: usize) -> Vec<f32> {
        (0..dims).flat_map(|i| rows.chunks_exact(dims).map(move |row| row[i])).collect()
    }

    #[test]
    fn nothing_varies_where_all_are_alike() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let spectrum = Spectrum::of(&[0.0; 12 * 5], 12, &mut rng);
        assert_eq!(spectrum.carrying(), 0);
        assert_eq!(Spectrum::of(&[], 12, &mut rng).carrying(), 0);
    }
}
