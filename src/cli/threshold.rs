//! The threshold of a search, and where it comes from.

use lookalike::Gallery;
use lookalike::calibration::{Calibration, DEFAULT_FPIR};

use super::{Failure, grouped};

/// The part of the faces without a subject from which a calibration says too little of a threshold
/// that nobody asked for.
const MOST_UNLABELLED: f64 = 0.5;

/// Whether searches without a threshold take one from this calibration.
pub(super) fn has_own(calibration: &Calibration) -> bool {
    calibration.unlabelled < MOST_UNLABELLED
}

/// Whether it was made of other faces than a gallery of this many has.
pub(super) fn is_carried(calibration: &Calibration, faces: u64) -> bool {
    calibration.carried || calibration.faces != faces
}

/// What faces have to reach.
pub(super) struct LeastSimilarity {
    pub(super) similarity: Option<f32>,
    /// The rate that the calibration gave it for.
    pub(super) fpir: Option<f64>,
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
            return Ok(Self { similarity, fpir: None, own: false, meaning });
        }
        let Some(calibration) = gallery.calibration()? else {
            return match fpir {
                Some(_) => Err(Failure::Failed(format!(
                    "{} is not calibrated, so nothing says which threshold has that rate: run \
                     `lookalike calibrate` first",
                    gallery.path().display()
                ))),
                None => Ok(Self { similarity, fpir: None, own: false, meaning }),
            };
        };
        let rate = fpir.unwrap_or(DEFAULT_FPIR);
        if fpir.is_none() && !has_own(&calibration) {
            return Ok(Self { similarity, fpir: None, own: false, meaning });
        }
        if rate < calibration.least_fpir() {
            return Err(Failure::Failed(format!(
                "{} was calibrated with {} probes, which say nothing of rates below {:.1e}: ask for \
                 more",
                gallery.path().display(),
                grouped(calibration.probes() as u64),
                calibration.least_fpir()
            )));
        }
        let Some(threshold) = calibration.threshold(rate, gallery.len()) else {
            let told = if !is_carried(&calibration, gallery.len()) {
                format!(
                    "no threshold has a rate of {rate}: the gallery has too many copies of faces \
                     under several subjects, or too few faces"
                )
            } else {
                format!(
                    "the calibration is of {} faces and says nothing of these {}: run `lookalike \
                     calibrate`, for which there must be enough people",
                    grouped(calibration.faces),
                    grouped(gallery.len())
                )
            };
            if fpir.is_none() {
                eprintln!("{told}");
            }
            return match fpir {
                Some(_) => Err(Failure::Failed(told)),
                None => Ok(Self { similarity, fpir: None, own: false, meaning }),
            };
        };
        let own = fpir.is_none();
        let whose = if own { ", this gallery's own" } else { "" };
        let whole = if filtered { " of the whole gallery" } else { "" };
        let estimated = if calibration.unlabelled > 0.0 { ", estimated" } else { "" };
        let carried = if is_carried(&calibration, gallery.len()) {
            format!(", carried from {} faces", grouped(calibration.faces))
        } else {
            String::new()
        };
        let meaning = format!(", FPIR {rate}{whole}{whose}{estimated}{carried}");
        Ok(Self { similarity: Some(threshold.similarity), fpir: Some(rate), own, meaning })
    }
}
