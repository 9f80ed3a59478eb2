//! How far a search for pairs looks.

use serde::{Deserialize, Serialize};

use super::compare::Sieve;

/// Standard deviations of error that sketches are allowed where the hit rate is measured, and how
/// much longer a search then takes, about. What reaches a code has a vector to decide soon anyway, so
/// codes are allowed more.
pub(super) const MEASURED: [(f32, f64); 3] = [(2.5, 1.0), (3.0, 1.1), (3.5, 1.25)];
const MORE_OF_CODES: f32 = 0.5;
/// Those that sketches and codes are allowed where it is not.
const SURE: (f32, f32) = (4.0, 4.0);

/// How far a search for pairs looks, settled by a sample of the gallery's faces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
#[non_exhaustive]
pub enum Reach {
    /// Every two faces are compared by their vectors: nothing is missed.
    Exhaustive,
    /// Every two faces are compared by sketch, then by code, then by vector, as far as four standard
    /// deviations of their error leave it open: the sample's pairs did not prove that less would do,
    /// or too few of them were found so. What of them that finds was not measured.
    Whole,
    /// The same with the error that was measured to do.
    Measured {
        /// Only cells whose centroid is this similar to a face, less the gallery's mean, are looked
        /// into; all of them without a number.
        promise: Option<f32>,
        /// Standard deviations of a sketch's error that are allowed for; of a code's, half a one more.
        confidence: f32,
        /// Part of all comparisons that is left then, about, in \[0, 1\].
        share: f64,
        /// Part of the sample's pairs that was found: the least of that of all pairs, of those of
        /// faces with up to three, and of those of two subjects, where at least 30 faces have such.
        hit_rate: f64,
        /// The least lower 95 % bound, one-sided; of groups of too few faces to prove the hit rate
        /// asked for, what was observed.
        lower: f64,
        /// Faces that were compared with all others: by their vectors, and where those had too few
        /// pairs to prove the hit rate, further ones by sketch and code with four standard deviations
        /// of their error allowed for.
        sample: u32,
        /// Pairs of theirs.
        pairs: u64,
    },
}

impl Reach {
    /// Whom sketches and codes let pass; `None` where they are not asked.
    pub(super) fn sieve(&self, at_least: f32) -> Option<Sieve> {
        let (sketch, code) = match self {
            Self::Exhaustive => return None,
            Self::Whole => SURE,
            Self::Measured { confidence, .. } => (*confidence, *confidence + MORE_OF_CODES),
        };
        Some(Sieve { at_least, sketch, code })
    }

    /// The promise from which a cell is looked into; `None` where all of them are.
    pub(super) fn promise(&self) -> Option<f32> {
        match self {
            Self::Measured { promise, .. } => *promise,
            _ => None,
        }
    }
}
