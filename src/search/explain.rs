//! Why a face is, or is not, in an answer.

use std::fmt;

use super::filter::{self, Filter};
use super::{Matches, Query, SubjectScore};
use crate::{Embedding, Error, FaceId, Gallery};

/// What became of a face in a search.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The face.
    pub face_id: FaceId,
    /// Its similarity with the probe.
    pub similarity: f32,
    /// Why it is, or is not, in the answer.
    pub reason: Reason,
}

/// Why a face is, or is not, in an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It was returned.
    Returned {
        /// In which place, from 1.
        rank: usize,
    },
    /// A filter does not hold for it.
    Filtered {
        /// The first of the filters that does not.
        filter: Filter,
    },
    /// It, or the template of its subject where those are compared, is less similar than was asked
    /// for.
    BelowThreshold {
        /// The threshold.
        threshold: f32,
    },
    /// Other faces stand for its subject.
    Represented {
        /// The best of them.
        by: FaceId,
    },
    /// As many faces or subjects as were asked for are at least as similar.
    LessSimilar {
        /// The similarity of the last of those.
        last: f32,
    },
    /// It should have been returned: the plan missed it.
    Missed,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { face_id, similarity, reason } = self;
        write!(f, "face {face_id}, similarity {similarity:.4}: {reason}")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { rank } => write!(f, "returned in place {rank}"),
            Self::Filtered { filter } => write!(f, "left out, as it does not hold that {filter}"),
            Self::BelowThreshold { threshold } => {
                write!(f, "left out, as it is below the threshold {threshold}")
            }
            Self::Represented { by } => {
                write!(f, "left out, as face {by} stands for its subject")
            }
            Self::LessSimilar { last } => {
                write!(
                    f,
                    "left out, as the last of as many as were asked for has similarity {last:.4}"
                )
            }
            Self::Missed => {
                write!(f, "missed by the plan; a higher hit rate or an exhaustive search finds it")
            }
        }
    }
}

impl Gallery {
    /// Why each of some faces is, or is not, in an answer to a probe and a query.
    ///
    /// ```
    /// use lookalike::search::Reason;
    /// use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("people.gallery");
    /// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    /// # Build::new(&place, format!("{sample}/embeddings.npy"))
    /// #     .manifest(format!("{sample}/manifest.csv"))
    /// #     .run(&Silent, &Cancel::new())?;
    /// let gallery = Gallery::open(&place)?;
    /// let (probe, query) = (gallery.embedding(FaceId(17))?, Query::new().top(3));
    /// let answer = gallery.search(&probe, &query)?;
    /// let why = gallery.explain(&probe, &query, &answer, &[FaceId(17)])?;
    /// assert_eq!(why[0].reason, Reason::Returned { rank: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such face, the probe does not fit the gallery, or a filter does not.
    pub fn explain(
        &self,
        probe: &Embedding,
        query: &Query,
        answer: &Matches<'_>,
        faces: &[FaceId],
    ) -> Result<Vec<Explanation>, Error> {
        let segment = &self.0.segment;
        let mut failed: Vec<Option<&Filter>> = vec![None; faces.len()];
        for filter in &query.filters {
            let one = std::slice::from_ref(filter);
            let passing = filter::select(&segment.attributes, segment.faces(), one, &query.stop)?;
            for (&face_id, failed) in faces.iter().zip(&mut failed) {
                if !passing.contains(segment.place(self.slot(face_id)?)) {
                    failed.get_or_insert(filter);
                }
            }
        }
        let explained = faces.iter().zip(failed).map(|(&face_id, failed)| {
            let similarity = self.similarity(probe, face_id)?;
            let decisive = match (query.score, self.face(face_id)?.subject) {
                (SubjectScore::Template, Some(subject)) => {
                    self.similarity_with_template(probe, &subject)?
                }
                _ => similarity,
            };
            let reason = self.reason(face_id, decisive, query, answer, failed)?;
            Ok(Explanation { face_id, similarity, reason })
        });
        explained.collect()
    }

    fn reason(
        &self,
        face_id: FaceId,
        similarity: f32,
        query: &Query,
        answer: &Matches<'_>,
        failed: Option<&Filter>,
    ) -> Result<Reason, Error> {
        if let Some(at) = answer.iter().position(|found| found.face_id == face_id) {
            return Ok(Reason::Returned { rank: at + 1 });
        }
        if let Some(filter) = failed {
            return Ok(Reason::Filtered { filter: filter.clone() });
        }
        if query.by_subject
            && let Some(subject) = self.face(face_id)?.subject
        {
            for found in answer {
                if found.face()?.subject.as_ref() == Some(&subject) {
                    return Ok(Reason::Represented { by: found.face_id });
                }
            }
        }
        if let Some(threshold) = query.at_least.filter(|&threshold| similarity < threshold) {
            return Ok(Reason::BelowThreshold { threshold });
        }
        let last = answer.groups().last().and_then(|group| group.first());
        let full = answer.groups().count() == query.wanted();
        Ok(match last.map(|last| last.subject_similarity.unwrap_or(last.similarity)) {
            Some(last) if full && last >= similarity => Reason::LessSimilar { last },
            _ => Reason::Missed,
        })
    }
}
