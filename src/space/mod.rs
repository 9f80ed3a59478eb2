//! The coordinates that codes are made in.
//!
//! In comes an embedding x; out goes z = R (x - mu): less the gallery's mean, in the dimensions that
//! matter, turned at random so that every one of them matters alike. R has orthonormal rows where
//! dimensions are left out, orthonormal columns where there are more than the embedding has; in both
//! cases <q, x> ~ <q, mu> + <mu, x - mu> + <R (q - mu), R (x - mu)>, in the second up to the
//! rounding of R.

#[cfg(feature = "build")]
mod basis;
#[cfg(feature = "build")]
mod learn;
#[cfg(feature = "build")]
mod spectrum;

#[cfg(all(test, feature = "synth"))]
mod tests;

use half::f16;

use crate::kernels::Kernels;

#[cfg(feature = "build")]
pub(crate) use learn::learn;

/// A gallery's mean and the matrix R: in half precision, whose rounding is far below what a code
/// leaves out, so that the caches hold it between probes.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    dims: usize,
    coded: usize,
    mean: Vec<f32>,
    mean_square: f32,
    matrix: Vec<f16>,
}

impl Space {
    /// From `dims` numbers of mean and `coded` rows of `dims` numbers each, all finite; `None` where
    /// they are not that.
    pub(crate) fn from_parts(
        dims: usize,
        coded: usize,
        mean: Vec<f32>,
        matrix: Vec<f16>,
    ) -> Option<Self> {
        let fits = dims > 0 && mean.len() == dims && Some(matrix.len()) == dims.checked_mul(coded);
        let finite = || mean.iter().all(|v| v.is_finite()) && matrix.iter().all(|v| v.is_finite());
        if !(fits && finite()) {
            return None;
        }
        let mean_square = mean.iter().map(|v| v * v).sum();
        Some(Self { dims, coded, mean, mean_square, matrix })
    }

    /// Dimensions of embeddings.
    pub(crate) fn dims(&self) -> usize {
        self.dims
    }

    /// Dimensions of codes.
    pub(crate) fn coded(&self) -> usize {
        self.coded
    }

    /// mu.
    pub(crate) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// |mu|^2.
    pub(crate) fn mean_square(&self) -> f32 {
        self.mean_square
    }

    /// R, one row a dimension of the code.
    #[cfg(feature = "build")]
    pub(crate) fn matrix(&self) -> &[f16] {
        &self.matrix
    }

    /// <mu, x - mu>, the part of a face's similarities that is the same for every probe.
    #[cfg(feature = "build")]
    pub(crate) fn bias(&self, kernels: &Kernels, x: &[f32]) -> f32 {
        kernels.dot(&self.mean, x) - self.mean_square
    }

    /// z = R (x - mu) of one embedding, in place of what `out` held.
    pub(crate) fn project(&self, kernels: &Kernels, x: &[f32], out: &mut Vec<f32>) {
        // The centred embedding is kept behind the result for as long as it is needed.
        out.clear();
        out.resize(self.coded + self.dims, 0.0);
        let (turned, centred) = out.split_at_mut(self.coded);
        for ((c, x), mean) in centred.iter_mut().zip(x).zip(&self.mean) {
            *c = x - mean;
        }
        for (z, row) in turned.iter_mut().zip(self.matrix.chunks_exact(self.dims)) {
            *z = kernels.dot_f16(centred, row);
        }
        out.truncate(self.coded);
    }

    /// z of many embeddings, one after the other, on this thread alone.
    #[cfg(feature = "build")]
    pub(crate) fn project_many(&self, rows: &[f32]) -> Vec<f32> {
        use ndarray::linalg::general_mat_mul;
        use ndarray::{ArrayView2, ArrayViewMut2};
        let n = rows.len() / self.dims;
        let mut centred = rows[..n * self.dims].to_vec();
        for x in centred.chunks_exact_mut(self.dims) {
            x.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x -= mean);
        }
        let matrix: Vec<f32> = self.matrix.iter().map(|v| v.to_f32()).collect();
        let faces = ArrayView2::from_shape((n, self.dims), &centred);
        let matrix = ArrayView2::from_shape((self.coded, self.dims), &matrix);
        let mut turned = vec![0.0; n * self.coded];
        let into = ArrayViewMut2::from_shape((n, self.coded), &mut turned);
        // No length can differ: two were just made, the other was checked.
        if let (Ok(faces), Ok(matrix), Ok(mut into)) = (faces, matrix, into) {
            general_mat_mul(1.0, &faces, &matrix.t(), 0.0, &mut into);
        }
        turned
    }
}
