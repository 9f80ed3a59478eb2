//! What came of a search: the faces found, what the answer is worth, and what it took.

use std::time::Duration;

use super::query::Plan;
use super::scratch::Candidate;
use crate::gallery::{Face, GalleryError};
use crate::{FaceId, Gallery};

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
    /// are scored by it: see [`SubjectScore::Template`](super::SubjectScore::Template).
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
