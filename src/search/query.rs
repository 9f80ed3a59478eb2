//! What to search for, and how.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::SearchError;
use super::filter::Filter;
use super::stop::Stop;
use super::subjects::SubjectScore;
use crate::Cancel;

/// Faces returned where neither a number nor a threshold is asked for.
pub const DEFAULT_TOP: usize = 10;
/// The hit rate that is kept where none is asked for.
pub const DEFAULT_HIT_RATE: f64 = 0.99;

/// How to search: how many faces, how alike, which of them, and by which plan.
///
/// Without [`top`](Self::top) and [`at_least`](Self::at_least), the ten nearest faces; with a
/// threshold alone, every face at or above it.
///
/// ```
/// use lookalike::Query;
/// let query = Query::new().top(5).at_least(0.45).filter("source = archive".parse()?);
/// # Ok::<(), lookalike::FilterError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub(crate) top: Option<usize>,
    pub(crate) at_least: Option<f32>,
    pub(crate) beam: Option<usize>,
    pub(crate) share: Option<f64>,
    pub(crate) hit_rate: Option<f64>,
    pub(crate) exhaustive: bool,
    pub(crate) plan: Option<Plan>,
    pub(crate) by_subject: bool,
    pub(crate) per_subject: Option<usize>,
    pub(crate) score: SubjectScore,
    pub(crate) filters: Vec<Filter>,
    pub(crate) model: Option<String>,
    pub(crate) stop: Stop,
}

impl Query {
    /// The ten nearest faces.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this many faces (or subjects, where grouped); at least 1.
    #[must_use]
    pub fn top(mut self, k: usize) -> Self {
        self.top = Some(k);
        self
    }

    /// Only faces whose similarity is at or above this threshold, in \[-1, 1\].
    #[must_use]
    pub fn at_least(mut self, similarity: f32) -> Self {
        self.at_least = Some(similarity);
        self
    }

    /// The share of a person's faces that must be found, of those that scoring every face would
    /// find; in (0, 1], 0.99 unless said. The cheapest plan is taken that kept it when the gallery
    /// was built and measured, and every face scored where none did.
    ///
    /// Measured is up to the 100 nearest faces. Up to 100 subjects take the plan for 100 faces, as
    /// often as they need; more faces a scan that allows for four standard deviations of error. All
    /// faces above a threshold were measured at several: the rate is of the mates among them, of
    /// other faces above it fewer may be found.
    #[must_use]
    pub fn hit_rate(mut self, rate: f64) -> Self {
        self.hit_rate = Some(rate);
        self
    }

    /// Walks the graph with a beam of this width: wider finds more and takes longer; at least 1. By
    /// codes of one bit a dimension it is twice as wide, to find about as much as by vectors. It ends
    /// early where all faces ahead are less similar than the last of those wanted by more than a
    /// margin, which grows with the width, but never in three cases: with a filter, when every face
    /// above a threshold is asked for, and with a beam as wide as the gallery.
    #[must_use]
    pub fn beam(mut self, width: usize) -> Self {
        self.beam = Some(width);
        self
    }

    /// Scans the codes of this share of the faces, the most promising first; in (0, 1].
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = Some(share);
        self
    }

    /// Scores every face by its vector, which misses nothing.
    #[must_use]
    pub fn exhaustive(mut self) -> Self {
        self.exhaustive = true;
        self
    }

    /// Searches by this plan, such as one of the gallery's [`Promise`](super::Promise), whatever
    /// hit rate, beam or share is asked for, or all faces. Among few that pass a filter, a walk may
    /// miss some.
    #[must_use]
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Only faces that pass; several filters are joined by and.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Names the face model that made the probe; a gallery of another named model refuses it.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Stops with [`SearchError::DeadlinePassed`] soon after this moment.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.stop.deadline = Some(deadline);
        self
    }

    /// Stops with [`SearchError::Cancelled`] soon after the flag is raised.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.stop.cancel = Some(cancel);
        self
    }

    pub(crate) fn check(&self) -> Result<(), SearchError> {
        if self.top == Some(0) {
            return Err(SearchError::TopZero);
        }
        self.check_grouping()?;
        let share = match self.plan {
            Some(Plan::Scan { share, .. }) => Some(share),
            _ => self.share,
        };
        if self.walks() == Some(0) {
            return Err(SearchError::BeamZero);
        }
        if let Some(rate) = self.hit_rate.filter(|&rate| !(rate > 0.0 && rate <= 1.0)) {
            return Err(SearchError::HitRate(rate));
        }
        if let Some(share) = share.filter(|&share| !(share > 0.0 && share <= 1.0)) {
            return Err(SearchError::Share(share));
        }
        match self.at_least {
            Some(threshold) if !(-1.0..=1.0).contains(&threshold) => {
                Err(SearchError::Threshold(threshold))
            }
            _ => Ok(()),
        }
    }

    /// The beam of the walk that is asked for, if any.
    pub(crate) fn walks(&self) -> Option<usize> {
        match self.plan {
            Some(Plan::Walk { beam } | Plan::WalkThenScan { beam, .. }) => Some(beam),
            Some(_) => None,
            None => self.beam,
        }
    }

    /// How many to return; all there are with a threshold and no number.
    pub(crate) fn wanted(&self) -> usize {
        match (self.top, self.at_least) {
            (Some(top), _) => top,
            (None, Some(_)) => usize::MAX,
            (None, None) => DEFAULT_TOP,
        }
    }
}

/// How a search is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
#[non_exhaustive]
pub enum Plan {
    /// A walk of the graph.
    Walk {
        /// Width of the beam.
        beam: usize,
    },
    /// A scan of sketches and codes.
    Scan {
        /// Share of the faces whose sketches are read, in (0, 1].
        share: f64,
        /// Candidates kept by estimate.
        keep: usize,
        /// Standard deviations of a sketch's error that are allowed for; below 0, faces whose sketch
        /// seems barely good enough are left out.
        confidence: f32,
    },
    /// A walk; and where its best face is less similar than `accept`, a scan of all faces.
    WalkThenScan {
        /// Width of the walk's beam.
        beam: usize,
        /// Similarity from which the walk's answer stands.
        accept: f32,
        /// Candidates the scan keeps by estimate.
        keep: usize,
        /// Standard deviations of a sketch's error that the scan allows for, as above.
        confidence: f32,
    },
    /// Every face (that passes the filters) is scored by its vector.
    Exhaustive,
}

impl Plan {
    /// Whether it looks wherever the other does, and rules out no more.
    pub(crate) fn finds_as_much_as(self, other: Self) -> bool {
        match (self, other) {
            (Self::Walk { beam }, Self::Walk { beam: other }) => beam >= other,
            (
                Self::Scan { share, keep, confidence },
                Self::Scan { share: other, keep: kept, confidence: sure },
            ) => share >= other && keep >= kept && confidence >= sure,
            (Self::Exhaustive, _) => true,
            _ => self == other,
        }
    }

    /// Whether it is a scan of all faces.
    pub fn is_whole_scan(self) -> bool {
        matches!(self, Self::Scan { share, .. } if share >= 1.0)
    }
}

/// A query with its filters turned into a selection, shared by the probes of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Request<'q> {
    pub(crate) query: &'q Query,
    pub(crate) selection: Option<Arc<super::selection::Selection>>,
    /// The faces that are not hidden, where some are: those that are measured with are in no graph
    /// and must not be scanned either.
    pub(crate) shown: Option<Arc<super::selection::Selection>>,
    /// The slot of a face that is never an answer: the one searched for.
    pub(crate) without: Option<u32>,
}
