//! Measuring a gallery: how much of the truth its answers hold, and how fast they come.
//!
//! In come a gallery, probes and what is known of them; out comes a [`Measured`] for each
//! [`Setting`]. How the truth is found takes no part in the times.
//!
//! ```text
//! probes ── exhaustive search, or rows listed in a file ──▶ Exact ──┐
//! their subjects ── who of the exact top k is a mate ─────▶ Mates ──┴▶ Truth ── measure ─▶ Measured
//! outcome of each search ── errors, ranks, bootstrap ─▶ Identification, of all and of each Group
//! ```
//!
//! **Recall at k** is the share of the k faces asked for (or as many as there are) that were
//! returned with an exact similarity of at least the k-th exact one less 1e-6, so that ties count,
//! each id once. **Hit rate at k**, over all mated probes together, is the share of the mates among
//! the exact top k that were returned; ISO/IEC 19795-1 calls a probe mated where its person is
//! enrolled. Exact means in single precision on the vectors of the gallery; where it stores them in
//! half precision, listed rows are the better truth.
//!
//! Open-set identification is measured as ISO/IEC 19795-1 defines it, on what the search returned:
//! **FPIR** at a threshold is the share of the non-mated searches that return a face at or above it,
//! **FNIR** the share of the mated searches that return no mate at or above it among the k faces
//! asked for, and the **CMC** the share of the mated searches with a mate among the first faces,
//! without a threshold. Ranks count faces, not subjects. The threshold of an FPIR is the least that
//! the non-mated probes allow: just above the similarity of the first that would be one too many.
//! Where they show fewer people than 3 / FPIR, there is none.
//!
//! Intervals are of 95 %, by the bootstrap: people are drawn again, with all their probes, and the
//! threshold of an FPIR is found anew in each sample. Where nothing was counted, or all, the rule of
//! three over the people is the other end.

use std::fmt;

use crate::Query;

#[cfg(feature = "build")]
mod bootstrap;
mod error;
mod exact;
#[cfg(feature = "build")]
mod groups;
#[cfg(feature = "build")]
mod identification;
mod mates;
mod measure;
mod open_set;
mod outcome;
#[cfg(feature = "build")]
mod sample;
mod score;
#[cfg(all(test, feature = "build"))]
mod tests;

pub use error::EvaluateError;
pub use exact::Exact;
#[cfg(feature = "build")]
pub use groups::{Group, MOST_GROUPS, groups};
#[cfg(feature = "build")]
pub use identification::{CmcPoint, Estimate, FPIRS, Identification, Operating, Sampled};
pub use mates::Mates;
pub use measure::{Measured, measure};
pub use open_set::{DetPoint, det_curve};
pub use outcome::{MateFound, Outcome, Tally};

/// How the probes are searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Setting {
    /// As the gallery plans it.
    Default,
    /// By a walk whose beam has this width, but no less than k.
    Beam(usize),
    /// By a scan of this share of the faces.
    Share(f64),
    /// By the cheapest plan that keeps this hit rate.
    HitRate(f64),
    /// By scoring every face.
    Exhaustive,
}

impl Setting {
    /// The query, carried out this way.
    #[must_use]
    pub fn apply(self, query: Query) -> Query {
        match self {
            Self::Default => query,
            Self::Beam(width) => query.beam(width),
            Self::Share(share) => query.share(share),
            Self::HitRate(rate) => query.hit_rate(rate),
            Self::Exhaustive => query.exhaustive(),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::Beam(width) => f.pad(&format!("beam={width}")),
            Self::Share(share) => f.pad(&format!("share={share}")),
            Self::HitRate(rate) => f.pad(&format!("hit-rate={rate}")),
            Self::Exhaustive => f.pad("exhaustive"),
        }
    }
}

/// What is known of the probes: their exact answers and, where told, their subjects.
#[derive(Clone, Debug)]
pub struct Truth {
    exact: Exact,
    mates: Option<Mates>,
}

impl Truth {
    /// The truth for speed and recall.
    pub fn new(exact: Exact) -> Self {
        Self { exact, mates: None }
    }

    /// Adds who is whose mate, for the hit rate and the speed by kind of probe.
    #[must_use]
    pub fn mates(mut self, mates: Mates) -> Self {
        self.mates = Some(mates);
        self
    }

    /// What an exhaustive search returns for each probe; nothing without mates.
    pub fn exhaustive(&self) -> &[Outcome] {
        self.mates.as_ref().map_or(&[], Mates::exhaustive)
    }
}
