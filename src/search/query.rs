//! What to search for, and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::SearchError;
use super::filter::Filter;
use super::scratch::Candidate;
use super::stop::Stop;
use super::subjects::SubjectScore;
use crate::gallery::{Face, GalleryError};
use crate::{Cancel, FaceId, Gallery};

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
    /// codes of one bit a dimension it is twice as wide, to find about as much as by vectors.
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

/// What one search did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// The plan that gave the answer.
    pub plan: Plan,
    /// Neighbour lists read.
    pub hops: u64,
    /// Centroids of cells scored, to find the promising ones.
    pub cells_ranked: u64,
    /// Sketches read.
    pub sketches_read: u64,
    /// Codes read.
    pub codes_read: u64,
    /// Vectors read and scored.
    pub vectors_read: u64,
    /// Bytes of neighbour lists, centroids, sketches, codes and vectors together.
    pub bytes_read: u64,
    /// Faces that passed the filters; all of the gallery without any.
    pub passing: u64,
    /// Time the search took.
    pub elapsed: Duration,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            plan: Plan::Exhaustive,
            hops: 0,
            cells_ranked: 0,
            sketches_read: 0,
            codes_read: 0,
            vectors_read: 0,
            bytes_read: 0,
            passing: 0,
            elapsed: Duration::ZERO,
        }
    }
}

impl Counters {
    /// Adds what a further search for the same answer did; its plan is the one named.
    pub(super) fn add(&mut self, other: &Self) {
        self.plan = other.plan;
        self.hops += other.hops;
        self.cells_ranked += other.cells_ranked;
        self.sketches_read += other.sketches_read;
        self.codes_read += other.codes_read;
        self.vectors_read += other.vectors_read;
        self.bytes_read += other.bytes_read;
        self.elapsed += other.elapsed;
    }
}

/// A face that was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Match<'g> {
    gallery: &'g Gallery,
    place: u32,
    /// The rank of its subject, from 0, where the answer is of subjects.
    pub(super) rank: Option<usize>,
    /// Its id.
    pub face_id: FaceId,
    /// Cosine of the angle between the probe and the face, in \[-1, 1\]; higher is more alike.
    pub similarity: f32,
    /// Cosine of the angle between the probe and the template of the face's subject, where subjects
    /// are scored by it: see [`SubjectScore::Template`].
    pub subject_similarity: Option<f32>,
}

impl<'g> Match<'g> {
    pub(crate) fn new(gallery: &'g Gallery, candidate: Candidate) -> Self {
        let place = gallery.0.segment.place(candidate.slot);
        Self {
            gallery,
            place,
            face_id: FaceId(gallery.0.segment.face_id(place)),
            // Rounding may carry a cosine past 1, which no reader expects.
            similarity: candidate.similarity.clamp(-1.0, 1.0),
            rank: None,
            subject_similarity: None,
        }
    }

    /// Where its attributes lie.
    pub(crate) fn place(&self) -> u32 {
        self.place
    }

    /// Where its vector lies.
    pub(crate) fn slot(&self) -> u32 {
        self.gallery.0.segment.slot(self.place)
    }

    /// What is known of the face.
    ///
    /// # Errors
    /// When its row cannot be read.
    pub fn face(&self) -> Result<Face, GalleryError> {
        self.gallery.face_in(self.place)
    }

    /// Its thumbnail as JPEG; `None` where it has none.
    ///
    /// # Errors
    /// When the thumbnails are damaged.
    pub fn thumbnail(&self) -> Result<Option<&'g [u8]>, GalleryError> {
        self.gallery.0.segment.thumbnail(self.place)
    }
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// Every face that passes the filters was scored by its vector: nothing is missed.
    Complete,
    /// The plan kept this hit rate when the gallery was built and measured.
    Planned {
        /// The hit rate asked for, in (0, 1).
        hit_rate: f64,
    },
    /// Nothing was measured for such a search: a beam, a share or a plan was asked for, more than
    /// 100 faces, or all from a threshold that is lower than any that was measured.
    Unmeasured,
}

impl Basis {
    /// What an answer is worth that rests on two.
    pub(super) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unmeasured, _) | (_, Self::Unmeasured) => Self::Unmeasured,
            (Self::Planned { hit_rate }, Self::Planned { hit_rate: other }) => {
                Self::Planned { hit_rate: hit_rate.min(other) }
            }
            (Self::Complete, other) => other,
            (planned, Self::Complete) => planned,
        }
    }
}

/// The answer to a probe: the faces found, most alike first, ties in order of face id. Of an answer of
/// subjects, the best subject's faces come first; see [`groups`](Self::groups).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Matches<'g> {
    /// The faces found.
    pub found: Vec<Match<'g>>,
    /// What the answer is worth.
    pub basis: Basis,
    /// The threshold that every face of it reaches, where there was one.
    pub threshold: Option<f32>,
    /// Number of faces in the gallery.
    pub faces: u64,
    /// The slot of the face that was searched for, where it is one of the gallery.
    pub(super) without: Option<u32>,
    /// What the search did.
    pub counters: Counters,
}

impl<'g> IntoIterator for Matches<'g> {
    type Item = Match<'g>;
    type IntoIter = std::vec::IntoIter<Match<'g>>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a, 'g> IntoIterator for &'a Matches<'g> {
    type Item = &'a Match<'g>;
    type IntoIter = std::slice::Iter<'a, Match<'g>>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}

impl<'g> std::ops::Deref for Matches<'g> {
    type Target = [Match<'g>];

    fn deref(&self) -> &Self::Target {
        &self.found
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
