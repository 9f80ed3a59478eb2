//! Which face model a synthetic gallery looks like.
//!
//! In comes a profile's name; out go the figures that describe the embeddings of that model: how many
//! dimensions, how the variance falls over the principal axes, how far the cloud sits from the
//! origin, how long the vectors are. Always: eigenvalues are positive, falling, and sum to 1.

use std::fmt;
use std::str::FromStr;

use super::{MEDIAN_MATE_COSINE, SynthError};

/// The face model whose embeddings are imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// ArcFace (Deng et al. 2019), 512 dimensions: centred, variance in nearly all dimensions
    /// (participation ratio 240, which gives cosines of strangers the s.d. of 0.065 that follows
    /// from the thresholds published for it), lengths of 10 to 30.
    ArcFace512,
    /// FaceNet (Schroff et al. 2015), 512 dimensions of which 49 carry everything, unit length; the
    /// mean of the vectors is 0.215 long. Measured on 1,435 photos of Labeled Faces in the Wild.
    FaceNet512,
    /// dlib's ResNet face descriptor, 128 dimensions, length about 1.4; the mean of the unit vectors
    /// is 0.94 long and takes one dimension for itself. Measured on the sample gallery.
    Dlib128,
}

impl FromStr for Profile {
    type Err = SynthError;

    fn from_str(name: &str) -> Result<Self, SynthError> {
        match name {
            "arcface-512" => Ok(Self::ArcFace512),
            "facenet-512" => Ok(Self::FaceNet512),
            "dlib-128" => Ok(Self::Dlib128),
            _ => Err(SynthError::Profile(name.to_owned())),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ArcFace512 => "arcface-512",
            Self::FaceNet512 => "facenet-512",
            Self::Dlib128 => "dlib-128",
        })
    }
}

/// Rank (from 1) and size of the eigenvalues of FaceNet's covariance on photos of Labeled Faces in
/// the Wild; those between lie on straight lines in the logarithm, and after the last comes nothing.
const FACENET_EIGENVALUES: [(usize, f64); 8] = [
    (1, 5.2e-2),
    (2, 5.1e-2),
    (3, 4.2e-2),
    (4, 4.0e-2),
    (5, 3.7e-2),
    (20, 1.9e-2),
    (38, 1.0e-2),
    (49, 5.1e-3),
];

impl Profile {
    /// Numbers in an embedding.
    pub fn dims(self) -> usize {
        match self {
            Self::ArcFace512 | Self::FaceNet512 => 512,
            Self::Dlib128 => 128,
        }
    }

    /// Length of the mean of the unit vectors.
    pub fn mean_length(self) -> f64 {
        match self {
            Self::ArcFace512 => 0.0,
            Self::FaceNet512 => 0.215,
            Self::Dlib128 => 0.94,
        }
    }

    /// Median cosine of mates after the mean is taken off.
    pub(super) fn centred_mate_cosine(self) -> f64 {
        match self {
            Self::ArcFace512 | Self::FaceNet512 => {
                let mean = self.mean_length() * self.mean_length();
                (MEDIAN_MATE_COSINE - mean) / (1.0 - mean)
            }
            // Raw cosines all lie near 1 here, so the median is that of the centred ones: 0.96 raw,
            // as among the sample gallery's photos.
            Self::Dlib128 => MEDIAN_MATE_COSINE,
        }
    }

    /// Variances along the principal axes that carry any, largest first; their sum is 1.
    pub(super) fn eigenvalues(self) -> Vec<f64> {
        let mut values = match self {
            Self::ArcFace512 => power_law(512, 240.0),
            Self::FaceNet512 => log_linear(&FACENET_EIGENVALUES),
            Self::Dlib128 => power_law(127, 30.0),
        };
        let sum: f64 = values.iter().sum();
        for value in &mut values {
            *value /= sum;
        }
        values
    }

    /// Length of an embedding whose photo has `noise` times the usual deviation from its person.
    pub(super) fn norm(self, noise: f64) -> f64 {
        match self {
            // ArcFace's lengths grow with the quality of the photo (Meng et al. 2021, MagFace).
            Self::ArcFace512 => (20.0 / noise.sqrt()).clamp(10.0, 30.0),
            Self::FaceNet512 => 1.0,
            Self::Dlib128 => 1.4,
        }
    }
}

/// How many equally strong dimensions would spread cosines as these variances do:
/// (sum)^2 / sum of squares.
pub(super) fn participation_ratio(eigenvalues: &[f64]) -> f64 {
    let sum: f64 = eigenvalues.iter().sum();
    let squares: f64 = eigenvalues.iter().map(|v| v * v).sum();
    sum * sum / squares
}

/// i^-m for i in 1 to `dims`, with the m that gives the participation ratio `ratio`.
fn power_law(dims: usize, ratio: f64) -> Vec<f64> {
    let spectrum = |m: f64| -> Vec<f64> { (1..=dims).map(|i| (i as f64).powf(-m)).collect() };
    let (mut low, mut high) = (0.0, 4.0);
    for _ in 0..60 {
        let m = (low + high) / 2.0;
        if participation_ratio(&spectrum(m)) > ratio {
            low = m;
        } else {
            high = m;
        }
    }
    spectrum(low)
}

/// A value for every rank from the first to the last given one.
fn log_linear(known: &[(usize, f64)]) -> Vec<f64> {
    let mut values: Vec<f64> = known.first().map(|&(_, v)| v).into_iter().collect();
    for pair in known.windows(2) {
        let ((from, first), (to, last)) = (pair[0], pair[1]);
        let steps = (to - from) as f64;
        values.extend((1..=to - from).map(|i| first * (last / first).powf(i as f64 / steps)));
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn spectra_have_the_stated_shape() {
        for (profile, rank, ratio) in [
            (Profile::ArcFace512, 512, 239.9..240.1),
            (Profile::FaceNet512, 49, 35.0..37.0),
            (Profile::Dlib128, 127, 29.9..30.1),
        ] {
            let values = profile.eigenvalues();
            assert_eq!(values.len(), rank);
            assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(values.windows(2).all(|w| w[0] >= w[1] && w[1] > 0.0));
            let found = participation_ratio(&values);
            assert!(ratio.contains(&found), "{profile}: {found}");
        }
    }

    #[test]
    fn facenet_eigenvalues_sum_to_what_the_mean_leaves() {
        let sum: f64 = log_linear(&FACENET_EIGENVALUES).iter().sum();
        assert!((sum - 0.954).abs() < 0.03, "{sum}");
    }

    #[test]
    fn names_round_trip() {
        for profile in [Profile::ArcFace512, Profile::FaceNet512, Profile::Dlib128] {
            assert_eq!(profile.to_string().parse::<Profile>().unwrap(), profile);
        }
        let error = "arcface".parse::<Profile>().unwrap_err();
        assert!(error.to_string().contains("arcface-512"), "{error}");
    }
}
