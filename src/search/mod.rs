//! Search: which faces of a gallery are most like a probe.
//!
//! In comes a probe (an [`Embedding`]) and a [`Query`]; out come [`Matches`], most alike first.
//!
//! ```text
//! query -> filter (which faces pass) -> plan -> walk | scan | exact -> group, threshold -> matches
//! ```
//!
//! Whatever the plan, a similarity is the same kernel's dot product of the same two vectors, and a
//! face matches at similarity >= threshold. An exhaustive search never misses; a walk may.

use std::sync::Arc;

use rayon::prelude::*;

use crate::gallery::GalleryError;
use crate::{Embedding, Error, FaceId, Gallery};

mod best_faces;
mod coded;
mod everyone;
mod exact;
mod exhaustive;
mod explain;
mod filter;
mod filtered;
mod finish;
mod fuse;
mod matches;
mod plan;
mod promise;
mod query;
mod range;
mod rerank;
mod scan;
mod scratch;
mod searcher;
mod selection;
mod share;
mod similarity;
mod stop;
mod subjects;
mod template;
mod together;
pub(crate) mod walk;

#[cfg(feature = "build")]
pub(crate) use coded::Coded;
pub use explain::{Explanation, Reason};
pub(crate) use filter::select;
pub use filter::{Filter, FilterError};
pub use fuse::Fusion;
pub use matches::{Basis, Counters, Match, Matches};
pub use promise::{Ladder, Promise, RangeLadder, Reads, Rung};
#[cfg(feature = "build")]
pub(crate) use promise::{MOST_PROMISED, PROMISED, exhaustive_microseconds};
pub use query::{DEFAULT_HIT_RATE, DEFAULT_TOP, Plan, Query};
pub(crate) use scratch::Candidate;
pub(crate) use scratch::ScratchPool;
pub(crate) use selection::Selection;
pub(crate) use selection::SelectionCache;
pub(crate) use similarity::Exact;
pub(crate) use stop::Stop;

use filtered::Filtered;
pub use plan::FEW;
use query::Request;
use searcher::Searcher;
pub use subjects::SubjectScore;
use subjects::Subjects;

/// Probes of a batch that share each stretch of faces, at most: what more of them write to would
/// drive the faces out of the caches.
const PROBES_A_SCAN: usize = 32;

/// Why a search gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The probe has another dimension than the gallery.
    #[error(
        "the probe has {got} dimensions, the gallery {expected}: are they from the same face model?"
    )]
    Dims {
        /// The gallery's.
        expected: usize,
        /// The probe's.
        got: usize,
    },
    /// The probe was made by another face model than the gallery.
    #[error(
        "the probe is from the face model {got:?}, the gallery from {expected:?}; similarities across models mean nothing"
    )]
    Model {
        /// The gallery's.
        expected: String,
        /// The probe's.
        got: String,
    },
    /// A threshold outside the range of similarities.
    #[error("the threshold {0} is outside [-1, 1], the range of similarities")]
    Threshold(f32),
    /// Nothing asked for.
    #[error("the number of faces to return must be at least 1")]
    TopZero,
    /// No face of each subject asked for.
    #[error("the number of faces of each subject must be at least 1")]
    PerSubjectZero,
    /// Said how to group, without grouping.
    #[error("faces of each subject, and its score, need grouping by subject")]
    NotGrouped,
    /// A set of no probes.
    #[error("a set of probes needs at least one")]
    NoProbe,
    /// The probes of a set point in opposite directions, so that their mean is zero.
    #[error(
        "the probes of the set cancel each other out, so they have no mean: are they all of one person?"
    )]
    NoMean,
    /// No width to walk with.
    #[error("the beam must be at least 1 wide")]
    BeamZero,
    /// A hit rate of nothing, or of more than all.
    #[error("the hit rate {0} is outside (0, 1]")]
    HitRate(f64),
    /// A share of nothing, or of more than there is.
    #[error("the share {0} of the faces to scan is outside (0, 1]")]
    Share(f64),
    /// A walk was asked of a gallery built without a graph.
    #[error(
        "this gallery was built without a graph, so there is nothing to walk: leave out the beam, or build it with a builder"
    )]
    NoGraph,
    /// The subject has no face here.
    #[error("no face of subject {0:?} in this gallery")]
    NoSuchSubject(String),
    /// A filter does not fit the gallery.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The gallery's files are at fault.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The deadline passed first.
    #[error("the deadline passed before the search was done")]
    DeadlinePassed,
    /// The cancel flag was raised.
    #[error("the search was cancelled")]
    Cancelled,
}

impl Gallery {
    /// The faces most like a probe.
    ///
    /// Runs on the calling thread. After warm-up, the answer is all it allocates.
    ///
    /// # Errors
    /// When the probe does not fit the gallery, the query asks for what cannot be, the files it
    /// reads are damaged, or it is stopped.
    pub fn search(&self, probe: &Embedding, query: &Query) -> Result<Matches<'_>, Error> {
        Ok(self.search_one(probe, query)?)
    }

    fn search_one(&self, probe: &Embedding, query: &Query) -> Result<Matches<'_>, SearchError> {
        let request = self.request(query, None)?;
        self.check_probe(probe)?;
        self.carry_out(&request, probe)
    }

    /// Answers a probe that fits.
    fn carry_out(
        &self,
        request: &Request<'_>,
        probe: &Embedding,
    ) -> Result<Matches<'_>, SearchError> {
        if request.query.by_subject {
            return Subjects::new(self, request)?.search(probe.values());
        }
        Filtered::new(self, request)?.search(probe.values())
    }

    /// The faces most like a probe, of those shown.
    #[cfg(feature = "build")]
    pub(crate) fn search_shown(
        &self,
        probe: &Embedding,
        query: &Query,
        shown: Option<Arc<Selection>>,
    ) -> Result<Matches<'_>, SearchError> {
        let request = Request { shown, ..self.request(query, None)? };
        self.check_probe(probe)?;
        self.carry_out(&request, probe)
    }

    /// How a query would be carried out, and what its answers would be worth. A probe that the plan
    /// leaves undecided may get a better one.
    ///
    /// # Errors
    /// When the query asks for what cannot be, or the files it reads are damaged.
    pub fn plan(&self, query: &Query) -> Result<(Plan, Basis), Error> {
        let request = self.request(query, None)?;
        if query.by_subject {
            let subjects = Subjects::new(self, &request)?;
            return Ok((subjects.plan, subjects.basis));
        }
        let filtered = Filtered::new(self, &request)?;
        Ok((filtered.plan(), filtered.basis()))
    }

    /// The answers to many probes, in their order, on the threads of the current rayon pool.
    ///
    /// A probe that does not fit gets its own error; the others are answered.
    ///
    /// # Errors
    /// When the query itself cannot be carried out.
    pub fn search_batch(
        &self,
        probes: &[Embedding],
        query: &Query,
    ) -> Result<Vec<Result<Matches<'_>, SearchError>>, Error> {
        Ok(self.search_all(probes, query, None)?)
    }

    pub(crate) fn search_all(
        &self,
        probes: &[Embedding],
        query: &Query,
        shown: Option<Arc<Selection>>,
    ) -> Result<Vec<Result<Matches<'_>, SearchError>>, SearchError> {
        let request = Request { shown, ..self.request(query, None)? };
        if query.by_subject {
            return Subjects::new(self, &request)?.search_all(probes);
        }
        self.search_faces(probes, &request)
    }

    /// The faces most like many probes.
    fn search_faces(
        &self,
        probes: &[Embedding],
        request: &Request<'_>,
    ) -> Result<Vec<Result<Matches<'_>, SearchError>>, SearchError> {
        let filtered = Filtered::new(self, request)?;
        if filtered.is_apart() {
            let one = |probe: &Embedding| {
                self.check_probe(probe).and_then(|()| filtered.search(probe.values()))
            };
            return Ok(probes.par_iter().map(one).collect());
        }
        let each = probes.len().div_ceil(rayon::current_num_threads());
        Ok(probes
            .par_chunks(each.clamp(1, PROBES_A_SCAN))
            .flat_map_iter(|few| self.scan(few, &filtered.passing))
            .collect())
    }

    /// The faces most like a face of the gallery, itself left out.
    ///
    /// ```
    /// use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("people.gallery");
    /// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    /// # Build::new(&place, format!("{sample}/embeddings.npy"))
    /// #     .manifest(format!("{sample}/manifest.csv"))
    /// #     .run(&Silent, &Cancel::new())?;
    /// let gallery = Gallery::open(&place)?;
    /// let found = gallery.search_face(FaceId(17), &Query::new().top(3))?;
    /// assert!(found.len() == 3 && found.iter().all(|face| face.face_id != FaceId(17)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search), and when there is no such face.
    pub fn search_face(&self, face_id: FaceId, query: &Query) -> Result<Matches<'_>, Error> {
        let request = self.request(query, Some(self.slot(face_id)?))?;
        let probe = self.embedding(face_id)?;
        Ok(self.carry_out(&request, &probe)?)
    }

    /// Similarity of a probe with one face: a 1:1 comparison.
    ///
    /// # Errors
    /// When the probe does not fit the gallery or there is no such face.
    pub fn similarity(&self, probe: &Embedding, face_id: FaceId) -> Result<f32, Error> {
        self.check_probe(probe)?;
        let slot = self.slot(face_id)?;
        let exact = Exact::new(probe.values(), self.0.segment.vectors());
        Ok(exact.similarity(slot).max(-1.0))
    }

    /// A probe's most similar face of one subject: a 1:1 comparison with a person.
    ///
    /// ```
    /// use lookalike::{Build, Cancel, FaceId, Gallery, Silent};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("people.gallery");
    /// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    /// # Build::new(&place, format!("{sample}/embeddings.npy"))
    /// #     .manifest(format!("{sample}/manifest.csv"))
    /// #     .run(&Silent, &Cancel::new())?;
    /// let gallery = Gallery::open(&place)?;
    /// let probe = gallery.embedding(FaceId(17))?;
    /// let subject = gallery.face(FaceId(17))?.subject.ok_or("nobody")?;
    /// let best = gallery.similarity_with_subject(&probe, &subject)?;
    /// assert!(best.similarity >= gallery.similarity(&probe, FaceId(17))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the probe does not fit the gallery or the subject has no face in it.
    pub fn similarity_with_subject(
        &self,
        probe: &Embedding,
        subject: &str,
    ) -> Result<Match<'_>, Error> {
        self.check_probe(probe)?;
        let places = self.places_of_subject(subject)?;
        let exact = Exact::new(probe.values(), self.0.segment.vectors());
        let found = places.into_iter().map(|place| {
            let slot = self.0.segment.slot(place);
            Match::new(self, Candidate { similarity: exact.similarity(slot), slot })
        });
        found
            .max_by(|a, b| a.similarity.total_cmp(&b.similarity).then(b.face_id.cmp(&a.face_id)))
            .ok_or_else(|| SearchError::NoSuchSubject(subject.to_owned()).into())
    }

    /// A probe's similarity with the template of one subject: see [`SubjectScore::Template`].
    ///
    /// # Errors
    /// When the probe does not fit the gallery or the subject has no face in it.
    pub fn similarity_with_template(&self, probe: &Embedding, subject: &str) -> Result<f32, Error> {
        self.check_probe(probe)?;
        let segment = &self.0.segment;
        let places = self.places_of_subject(subject)?.into_iter();
        let slots: Vec<u32> = places.map(|place| segment.slot(place)).collect();
        if slots.is_empty() {
            return Err(SearchError::NoSuchSubject(subject.to_owned()).into());
        }
        let mut fuser = template::Fuser::default();
        Ok(template::similarity(probe.values(), fuser.fuse(segment, &slots)?))
    }

    fn check_probe(&self, probe: &Embedding) -> Result<(), SearchError> {
        if probe.dims() == self.dims() {
            return Ok(());
        }
        Err(SearchError::Dims { expected: self.dims(), got: probe.dims() })
    }

    /// Checks a query and finds which faces pass its filters.
    fn request<'q>(
        &self,
        query: &'q Query,
        without: Option<u32>,
    ) -> Result<Request<'q>, SearchError> {
        query.check()?;
        if let (Some(expected), Some(got)) = (self.model(), &query.model)
            && expected != got
        {
            let (expected, got) = (expected.to_owned(), got.clone());
            return Err(SearchError::Model { expected, got });
        }
        let segment = &self.0.segment;
        if query.walks().is_some() && segment.graph.is_none() {
            return Err(SearchError::NoGraph);
        }
        let selection = if query.filters.is_empty() {
            None
        } else if let Some(found) = self.0.selections.get(&query.filters) {
            Some(found)
        } else {
            let found =
                filter::select(&segment.attributes, segment.faces(), &query.filters, &query.stop)?;
            let found = Arc::new(found.mapped(segment.codes.slots()));
            self.0.selections.put(&query.filters, found.clone());
            Some(found)
        };
        Ok(Request { query, selection, shown: None, without })
    }

    /// Answers a few probes by one pass over the faces.
    fn scan<'g>(
        &'g self,
        probes: &[Embedding],
        searcher: &Searcher<'g, '_>,
    ) -> Vec<Result<Matches<'g>, SearchError>> {
        let fitting: Vec<&[f32]> = probes
            .iter()
            .filter(|probe| probe.dims() == self.dims())
            .map(Embedding::values)
            .collect();
        let mut answers = searcher.scan_together(&fitting).into_iter();
        let answer = |probe| {
            self.check_probe(probe)?;
            // One answer a fitting probe, in order.
            answers.next().unwrap_or(Err(SearchError::Cancelled))
        };
        probes.iter().map(answer).collect()
    }
}
