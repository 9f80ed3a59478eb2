//! Thresholds that mean something: how often a gallery answers with a stranger.
//!
//! In comes a gallery; out goes a [`Calibration`], kept beside `gallery.json`: the similarity of the
//! most similar stranger for each of many probes, and what the similarities of mates look like. A
//! probe is somebody's face searched for without that person's own faces, so that nobody is left to
//! find. From the largest similarities follows the false-positive identification rate (FPIR; ISO/IEC
//! 19795-1) of a search of this gallery, at this size, at any threshold; and from those among a tenth
//! and a hundredth of its people, how the rate grows with the gallery.

use serde::{Deserialize, Serialize};

use crate::Gallery;
use crate::gallery::GalleryError;

mod growth;
#[cfg(feature = "build")]
mod interval;
#[cfg(feature = "build")]
mod measure;
mod store;
mod tail;
#[cfg(all(test, feature = "build"))]
mod tests;

use growth::Growth;
#[cfg(feature = "build")]
pub use measure::{CalibrateError, calibrate};
pub(crate) use store::{FILE_NAME, read};

/// The rate whose threshold `lookalike search` applies to a calibrated gallery where a user names
/// none; [`Gallery::search`] applies what its query says and nothing else.
pub const DEFAULT_FPIR: f64 = 0.01;
/// How much higher than the rate asked for that of its threshold may be.
const REACHED: f64 = 1.1;
/// The rates that are shown.
pub const SHOWN: [f64; 3] = [0.1, 0.01, 0.001];

/// What similarities of strangers and of mates are like in a gallery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Calibration {
    /// Faces of the gallery when it was calibrated.
    pub faces: u64,
    /// Dimensions of an embedding.
    pub dims: usize,
    /// Name of the face model, where the gallery has one.
    pub model: Option<String>,
    /// Whether it is that of the gallery that this one, of too few people to be calibrated, has
    /// replaced.
    pub carried: bool,
    /// Where a build made it, as the gallery that it replaced was calibrated: what held for that.
    pub earlier: Option<Earlier>,
    /// The part of the faces that have no subject, in \[0, 1\]: a probe's most similar stranger may
    /// be a mate among them, so that thresholds are too high rather than too low.
    pub unlabelled: f64,
    /// The part of the draws of `tenth` and `hundredth` whose stranger lay beyond the faces that were
    /// looked at, in \[0, 1\], as those were of few people with very many photos.
    pub beyond: f64,
    /// How alike the probes' most similar strangers are, in groups that vary by themselves: the
    /// probes of one subject, or of two that are each other's most similar strangers.
    pub strangers: Vec<Strangers>,
    /// The similarity of two faces of one subject, a pair for each of many subjects, ascending;
    /// empty where nobody has two.
    pub mates: Vec<f32>,
}

/// What held for a gallery that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Earlier {
    /// Faces it was calibrated with.
    pub faces: u64,
    /// Its threshold for [`DEFAULT_FPIR`], in \[-1, 1\]; `None` where there was none.
    pub similarity: Option<f32>,
}

/// The similarities of the most similar strangers of a group of probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strangers {
    /// Among all faces, one for each probe.
    pub all: Vec<f32>,
    /// Among the faces of a tenth of the people, drawn by chance: four draws for each probe.
    pub tenth: Vec<f32>,
    /// The same among a hundredth.
    pub hundredth: Vec<f32>,
}

/// The part of the draws beyond what was looked at that hardly changes what is foretold.
const MOST_BEYOND: f64 = 0.02;

/// A threshold and what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Threshold {
    /// Similarity, in \[-1, 1\].
    pub similarity: f32,
    /// Expected false-positive identification rate.
    pub fpir: f64,
    /// The part of mates' similarities that lies below: the false non-match rate (FNMR). `None`
    /// where no subject has two faces.
    pub fnmr: Option<f64>,
}

impl Calibration {
    /// What is to be known of it where another takes its place.
    #[cfg(feature = "build")]
    pub(crate) fn as_earlier(&self) -> Earlier {
        let own = self.threshold(DEFAULT_FPIR, self.faces);
        Earlier { faces: self.faces, similarity: own.map(|own| own.similarity) }
    }

    /// Probes it is made of.
    pub fn probes(&self) -> usize {
        self.strangers.iter().map(|group| group.all.len()).sum()
    }

    /// The least rate that so many probes can tell of: what none of them shows may still happen to
    /// three (the rule of three; Hanley & Lippman-Hand 1983).
    pub fn least_fpir(&self) -> f64 {
        3.0 / self.probes().max(1) as f64
    }

    /// The threshold at which a search of a gallery of this many faces answers with a stranger to
    /// this part of the probes that nobody in it belongs to; `None` where `fpir` is no rate below 1,
    /// or less than [`least_fpir`](Self::least_fpir), or there are so many copies of strangers that no threshold
    /// has that rate; and for another size, where the people around the probes have so many photos
    /// that too few people were seen.
    ///
    /// For a gallery of another size than was calibrated, people are taken to come and go by chance,
    /// each with all photos: with as many of a person, and people as alike, as there were.
    pub fn threshold(&self, fpir: f64, faces: u64) -> Option<Threshold> {
        if !(fpir >= self.least_fpir() && fpir < 1.0) {
            return None;
        }
        let growth = self.growth(faces)?;
        let similarity = growth.threshold(fpir) as f32;
        let found = self.expected(&growth, similarity);
        // Equal values may lie on both sides of the rate.
        ((-1.0..=1.0).contains(&similarity) && found.fpir <= fpir * REACHED).then_some(found)
    }

    /// What is expected of a threshold in a gallery of this many faces; `None` where it is no number
    /// or the probes are too few to say.
    pub fn at(&self, similarity: f32, faces: u64) -> Option<Threshold> {
        if similarity.is_nan() {
            return None;
        }
        Some(self.expected(&self.growth(faces)?, similarity))
    }

    fn growth(&self, faces: u64) -> Option<Growth> {
        if faces == 0 || self.faces == 0 || (faces != self.faces && self.beyond > MOST_BEYOND) {
            return None;
        }
        Growth::fit(self.strangers.iter(), self.faces, faces)
    }

    fn expected(&self, growth: &Growth, similarity: f32) -> Threshold {
        let fpir = growth.rate(similarity.into());
        let below = self.mates.partition_point(|&mate| mate < similarity);
        let fnmr = (!self.mates.is_empty()).then(|| below as f64 / self.mates.len() as f64);
        Threshold { similarity, fpir, fnmr }
    }
}

impl Gallery {
    /// What `calibrate` found out about this gallery and was kept; `None` where it was not
    /// calibrated.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of a gallery of another model.
    pub fn calibration(&self) -> Result<Option<Calibration>, GalleryError> {
        let Some(found) = store::read(self.path())? else { return Ok(None) };
        if (found.dims, found.model.as_deref()) != (self.dims(), self.model()) {
            let reason = "it is of a gallery of another face model".to_owned();
            return Err(GalleryError::damaged(&self.path().join(FILE_NAME), reason));
        }
        Ok(Some(found))
    }
}

fn sorted<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    values
}
