//! Embeddings and face ids: values that are valid by construction.
//!
//! In comes a row of numbers as a face model gave it; out goes an [`Embedding`]: finite, not zero,
//! of unit length, with the length it had kept beside it. Everything behind this door may rely on
//! that, and the similarity of two embeddings is their dot product.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a face: given once when it is enrolled, never changed and never used again.
///
/// A build numbers faces from 0 by their row in the embeddings; a rejected row leaves its number
/// unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaceId(pub u64);

impl fmt::Display for FaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The most dimensions an embedding may have; face models give 128 to 1,024.
pub const MAX_DIMS: usize = 8192;

/// Why a row of numbers is not an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// It has no numbers, or more than [`MAX_DIMS`].
    #[error("an embedding has 1 to {MAX_DIMS} dimensions, this one has {0}")]
    Dims(usize),
    /// A value is NaN.
    #[error("value {0} is NaN")]
    Nan(usize),
    /// A value is infinite.
    #[error("value {0} is infinite")]
    Infinite(usize),
    /// Every value is zero (or too small for a direction), so it has no direction to compare.
    #[error("the vector is zero, it has no direction to compare")]
    Zero,
}

/// A face's embedding, normalised to unit length.
///
/// The length it had is kept as [`norm`](Self::norm): models such as MagFace (Meng et al. 2021)
/// put the photo's quality into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    values: Box<[f32]>,
    norm: f32,
}

impl Embedding {
    /// Takes the numbers of a face model, of any length above zero, and normalises them.
    ///
    /// # Errors
    /// Refuses NaN, infinite and zero vectors, and lengths outside 1 to [`MAX_DIMS`].
    ///
    /// ```
    /// use lookalike::Embedding;
    /// let embedding = Embedding::new(vec![3.0, 4.0])?;
    /// assert_eq!(embedding.norm(), 5.0);
    /// assert_eq!(embedding.values(), [0.6, 0.8]);
    /// assert!(Embedding::new(vec![0.0, 0.0]).is_err());
    /// # Ok::<(), lookalike::EmbeddingError>(())
    /// ```
    pub fn new(values: impl Into<Vec<f32>>) -> Result<Self, EmbeddingError> {
        let mut values = values.into();
        let norm = normalise(&mut values)?;
        Ok(Self { values: values.into_boxed_slice(), norm })
    }

    /// The unit vector.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of dimensions.
    pub fn dims(&self) -> usize {
        self.values.len()
    }

    /// The length the vector had before it was normalised.
    pub fn norm(&self) -> f32 {
        self.norm
    }
}

/// Scales `values` to unit length in place and returns the length they had.
///
/// Squares are summed in f64, whose range holds those of every f32, so neither huge nor tiny vectors
/// overflow or vanish.
pub(crate) fn normalise(values: &mut [f32]) -> Result<f32, EmbeddingError> {
    if values.is_empty() || values.len() > MAX_DIMS {
        return Err(EmbeddingError::Dims(values.len()));
    }
    for (i, v) in values.iter().enumerate() {
        if v.is_nan() {
            return Err(EmbeddingError::Nan(i));
        }
        if v.is_infinite() {
            return Err(EmbeddingError::Infinite(i));
        }
    }
    let squares: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let norm = squares.sqrt();
    if norm == 0.0 {
        return Err(EmbeddingError::Zero);
    }
    for v in values.iter_mut() {
        *v = (f64::from(*v) / norm) as f32;
    }
    // The largest finite f32 times sqrt(MAX_DIMS) leaves f32's range; the attribute is clamped.
    Ok(norm.min(f64::from(f32::MAX)) as f32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_vectors_are_refused_with_the_place() {
        assert_eq!(Embedding::new(vec![]), Err(EmbeddingError::Dims(0)));
        assert_eq!(Embedding::new(vec![1.0, f32::NAN]), Err(EmbeddingError::Nan(1)));
        assert_eq!(Embedding::new(vec![f32::NEG_INFINITY, 1.0]), Err(EmbeddingError::Infinite(0)));
        assert_eq!(Embedding::new(vec![0.0, -0.0]), Err(EmbeddingError::Zero));
    }

    #[test]
    fn extremes_keep_their_direction() {
        for scale in [1e-44_f32, 1e-30, 1.0, 1e30, f32::MAX] {
            let e = Embedding::new(vec![scale, 0.0, scale]).expect("valid");
            assert!((e.values()[0] - 0.5_f32.sqrt()).abs() < 1e-6, "{scale}");
        }
    }

    proptest! {
        #[test]
        fn length_is_one(values in prop::collection::vec(-1e30_f32..1e30, 1..600)) {
            if let Ok(e) = Embedding::new(values) {
                let length: f64 = e.values().iter().map(|&v| f64::from(v).powi(2)).sum();
                prop_assert!((length - 1.0).abs() < 1e-5);
            }
        }
    }
}
