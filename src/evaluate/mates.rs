//! Who is whose mate.
//!
//! In come the subjects of the probes and their exact top k; out comes, for each probe of somebody
//! enrolled, which of those faces are mates. A probe whose subject has no face in the gallery is
//! non-mated, as ISO/IEC 19795-1 has it.

use super::{EvaluateError, Exact};
use crate::gallery::GalleryError;
use crate::gallery::attributes::column;
use crate::{Error, FaceId, Gallery};

/// What is known of the people on the probes.
#[derive(Clone, Debug)]
pub struct Mates {
    probes: Vec<Option<Mated>>,
    strangers: usize,
}

/// A probe of somebody who is enrolled.
#[derive(Clone, Debug)]
pub(super) struct Mated {
    pub(super) subject: String,
    /// The mates among the exact top k.
    pub(super) in_top: Vec<FaceId>,
}

impl Mates {
    /// Looks up the mates of probes whose subjects are given, `None` for a non-mated one.
    ///
    /// # Errors
    /// When there are not as many subjects as exact answers, or the attributes cannot be read.
    pub fn of(
        gallery: &Gallery,
        subjects: &[Option<String>],
        exact: &Exact,
    ) -> Result<Self, Error> {
        let (probes, rows) = (exact.tops().len(), subjects.len());
        if probes != rows {
            return Err(EvaluateError::Rows { probes, rows }.into());
        }
        let mut mates = Self { probes: Vec::with_capacity(probes), strangers: 0 };
        for (subject, faces) in subjects.iter().zip(exact.faces()) {
            let mated = match subject {
                Some(subject) if gallery.places_of_subject(subject)?.is_empty() => {
                    mates.strangers += 1;
                    None
                }
                Some(subject) => Some(Mated::of(gallery, subject, faces)?),
                None => None,
            };
            mates.probes.push(mated);
        }
        Ok(mates)
    }

    /// Number of mated probes.
    pub fn mated(&self) -> usize {
        self.probes.iter().flatten().count()
    }

    /// Number of probes whose subject is given but not enrolled; they count as non-mated.
    pub fn strangers(&self) -> usize {
        self.strangers
    }

    pub(super) fn probes(&self) -> &[Option<Mated>] {
        &self.probes
    }
}

impl Mated {
    fn of(gallery: &Gallery, subject: &str, faces: &[FaceId]) -> Result<Self, GalleryError> {
        let mut mated = Self { subject: subject.to_owned(), in_top: Vec::new() };
        for &face in faces {
            if mated.is_mate(gallery, face)? {
                mated.in_top.push(face);
            }
        }
        Ok(mated)
    }

    /// Whether a face is of the probe's subject.
    pub(super) fn is_mate(&self, gallery: &Gallery, face: FaceId) -> Result<bool, GalleryError> {
        let place = gallery.place(face)?;
        let subject = gallery.0.segment.attributes.text(column::SUBJECT, place)?;
        Ok(subject == Some(self.subject.as_str()))
    }
}
