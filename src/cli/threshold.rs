//! The threshold of a search, and where it comes from.

use lookalike::Gallery;
use lookalike::calibration::DEFAULT_FPIR;

use super::Failure;

/// What faces have to reach.
pub(super) struct LeastSimilarity {
    pub(super) similarity: Option<f32>,
    /// The false-positive identification rate that it stands for, in words; empty where the user
    /// said how alike.
    pub(super) meaning: String,
}

impl LeastSimilarity {
    /// What the user said; or what the gallery's calibration says of `fpir`, or of its own rate.
    pub(super) fn of(
        similarity: Option<f32>,
        fpir: Option<f64>,
        gallery: &Gallery,
    ) -> Result<Self, Failure> {
        let meaning = String::new();
        if similarity.is_some() {
            return Ok(Self { similarity, meaning });
        }
        let Some(calibration) = gallery.calibration()? else {
            return match fpir {
                Some(_) => Err(Failure::Failed(format!(
                    "{} is not calibrated, so nothing says which threshold has that rate: run \
                     `lookalike calibrate` first",
                    gallery.path().display()
                ))),
                None => Ok(Self { similarity, meaning }),
            };
        };
        let rate = fpir.unwrap_or(DEFAULT_FPIR);
        let threshold = calibration.threshold(rate, gallery.len()).ok_or_else(|| {
            Failure::Failed(format!("the calibration says nothing about a rate of {rate}"))
        })?;
        let whose = if fpir.is_some() { "" } else { ", this gallery's own" };
        let estimated = if calibration.unlabelled { ", estimated" } else { "" };
        let meaning = format!(", FPIR {rate}{whose}{estimated}");
        Ok(Self { similarity: Some(threshold.similarity), meaning })
    }
}
