//! Why a face is, or is not, in an answer.

use std::collections::HashMap;
use std::fmt;

use super::filter::{self, Filter};
use super::matches::{Basis, Match};
use super::subjects::Subjects;
use super::{Matches, Query, SubjectScore};
use crate::gallery::attributes::column;
use crate::{Embedding, Error, FaceId, Gallery};

/// What became of a face in a search.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The face.
    pub face_id: FaceId,
    /// Its similarity with the probe.
    pub similarity: f32,
    /// That of its subject's template, where subjects are scored by it, which then decides.
    pub subject_similarity: Option<f32>,
    /// Why it is, or is not, in the answer.
    pub reason: Reason,
}

/// Why a face is, or is not, in an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It was returned.
    Returned {
        /// Its rank, or that of its subject, from 1.
        rank: usize,
    },
    /// It is the face that was searched for, which is never an answer.
    SearchedFor,
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
        let Self { face_id, similarity, subject_similarity, reason } = self;
        write!(f, "face {face_id}, similarity {similarity:.4}")?;
        if let Some(similarity) = subject_similarity {
            write!(f, ", its subject's {similarity:.4}")?;
        }
        write!(f, ": {reason}")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { rank } => write!(f, "returned, rank {rank}"),
            Self::SearchedFor => write!(f, "left out, as it is the one searched for"),
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
        let request = self.request(query, answer.without)?;
        let segment = &self.0.segment;
        let subject = |place| segment.attributes.text(column::SUBJECT, place);
        // The subjects that others stand for, each with its best face.
        let mut represented: HashMap<&str, FaceId> = HashMap::new();
        if query.by_subject {
            for found in answer {
                if let Some(subject) = subject(found.place())? {
                    represented.entry(subject).or_insert(found.face_id);
                }
            }
        }
        let explained = faces.iter().map(|&face_id| {
            let place = self.place(face_id)?;
            let similarity = self.similarity(probe, face_id)?;
            let subject = subject(place)?;
            let seen = Seen {
                slot: segment.slot(place),
                place,
                similarity,
                represented: subject.and_then(|subject| represented.get(subject)).copied(),
                template: match (query.score, subject) {
                    (SubjectScore::Template, Some(subject)) => {
                        let subjects = Subjects::new(self, &request)?;
                        subjects.similarity_with(probe.values(), subject)?
                    }
                    _ => None,
                },
            };
            let reason = self.reason(face_id, &seen, query, answer)?;
            Ok(Explanation { face_id, similarity, subject_similarity: seen.template, reason })
        });
        explained.collect()
    }

    fn reason(
        &self,
        face_id: FaceId,
        seen: &Seen,
        query: &Query,
        answer: &Matches<'_>,
    ) -> Result<Reason, Error> {
        let holds = |group: &[Match<'_>]| group.iter().any(|found| found.face_id == face_id);
        if let Some(at) = answer.groups().position(holds) {
            return Ok(Reason::Returned { rank: at + 1 });
        }
        if answer.without == Some(seen.slot) {
            return Ok(Reason::SearchedFor);
        }
        for filter in &query.filters {
            if !filter::passes(&self.0.segment.attributes, seen.place, filter)? {
                return Ok(Reason::Filtered { filter: filter.clone() });
            }
        }
        let decisive = seen.template.unwrap_or(seen.similarity);
        if let Some(threshold) = query.at_least.filter(|&threshold| decisive < threshold) {
            return Ok(Reason::BelowThreshold { threshold });
        }
        if let Some(by) = seen.represented {
            return Ok(Reason::Represented { by });
        }
        let last = answer.groups().last().and_then(|group| group.first());
        let last = last.map(|last| last.subject_similarity.unwrap_or(last.similarity));
        let full = answer.groups().count() == query.wanted();
        Ok(match last {
            Some(last) if full && (last >= decisive || answer.basis == Basis::Complete) => {
                Reason::LessSimilar { last }
            }
            _ => Reason::Missed,
        })
    }
}

/// A face that is asked about.
struct Seen {
    slot: u32,
    place: u32,
    similarity: f32,
    /// Who stands for its subject in the answer.
    represented: Option<FaceId>,
    /// The similarity of its subject's template, where those are compared.
    template: Option<f32>,
}
