//! The threshold of a search, and where it comes from.

use lookalike::Gallery;
use lookalike::calibration::DEFAULT_FPIR;

use super::Failure;

/// What faces have to reach.
pub(super) struct LeastSimilarity {
    pub(super) similarity: Option<f32>,
    /// Whether it is the calibrated gallery's own, as the user named none.
    pub(super) own: bool,
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
        filtered: bool,
    ) -> Result<Self, Failure> {
        let meaning = String::new();
        if similarity.is_some() {
            return Ok(Self { similarity, own: false, meaning });
        }
        let Some(calibration) = gallery.calibration()? else {
            return match fpir {
                Some(_) => Err(Failure::Failed(format!(
                    "{} is not calibrated, so nothing says which threshold has that rate: run \
                     `lookalike calibrate` first",
                    gallery.path().display()
                ))),
                None => Ok(Self { similarity, own: false, meaning }),
            };
        };
        let rate = fpir.unwrap_or(DEFAULT_FPIR);
        let Some(threshold) = calibration.threshold(rate, gallery.len()) else {
            return match fpir {
                Some(_) => Err(Failure::Failed(format!(
                    "no threshold has a rate of {rate}: the gallery has too many copies of faces \
                     under several subjects, or too few faces"
                ))),
                None => Ok(Self { similarity, own: false, meaning }),
            };
        };
        let own = fpir.is_none();
        let whose = if own { ", this gallery's own" } else { "" };
        let whole = if filtered { " of the whole gallery" } else { "" };
        let estimated = if calibration.unlabelled > 0.0 { ", estimated" } else { "" };
        let meaning = format!(", FPIR {rate}{whole}{whose}{estimated}");
        Ok(Self { similarity: Some(threshold.similarity), own, meaning })
    }
}
