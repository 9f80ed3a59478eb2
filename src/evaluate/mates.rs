//! Who is whose mate.
//!
//! In come the subjects of the probes and their exact top k; out comes, for each probe of somebody
//! enrolled, which of those faces are mates. A probe whose subject has no face in the gallery, or
//! none that passes the filters, is non-mated, as ISO/IEC 19795-1 has it.

use std::collections::HashMap;

use super::{EvaluateError, Exact, MateFound, Outcome, Tally};
use crate::gallery::GalleryError;
use crate::gallery::attributes::column;
use crate::search::{Stop, select};
use crate::{Error, FaceId, Gallery};

/// What is known of the people on the probes.
#[derive(Clone, Debug)]
pub struct Mates {
    probes: Vec<Option<Mated>>,
    exhaustive: Vec<Outcome>,
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
        let segment = &gallery.0.segment;
        let passing = match exact.filters() {
            [] => None,
            filters => {
                Some(select(&segment.attributes, segment.faces(), filters, &Stop::default())?)
            }
        };
        let passes = |place| passing.as_ref().is_none_or(|passing| passing.contains(place));
        let mut people = HashMap::new();
        let mut mates =
            Self { probes: Vec::with_capacity(probes), exhaustive: Vec::new(), strangers: 0 };
        for (number, (subject, top)) in subjects.iter().zip(exact.tops()).enumerate() {
            let mated = match subject {
                Some(subject) => {
                    let places = gallery.places_of_subject(subject)?;
                    if places.into_iter().any(passes) {
                        Some(Mated::of(gallery, subject, &top.ids)?)
                    } else {
                        mates.strangers += 1;
                        None
                    }
                }
                None => None,
            };
            // The first probe of a person names it.
            let person =
                subject.as_ref().map_or(number, |subject| *people.entry(subject).or_insert(number));
            let place = mated.as_ref().and_then(|mated| {
                let best = mated.in_top.first()?;
                top.ids.iter().position(|id| id == best)
            });
            let all = |count: usize| Tally { count: count as u64, of: count as u64 };
            mates.exhaustive.push(Outcome {
                person,
                mated: Some(mated.is_some()),
                best: top.similarities.first().copied(),
                mate: place.and_then(|place| {
                    let similarity = *top.similarities.get(place)?;
                    Some(MateFound { rank: place + 1, similarity })
                }),
                recall: all(top.ids.len()),
                hits: all(mated.as_ref().map_or(0, |mated| mated.in_top.len())),
            });
            mates.probes.push(mated);
        }
        Ok(mates)
    }

    /// What an exhaustive search returns for each probe.
    pub fn exhaustive(&self) -> &[Outcome] {
        &self.exhaustive
    }

    /// Number of mated probes.
    pub fn mated(&self) -> usize {
        self.probes.iter().flatten().count()
    }

    /// Number of probes whose subject is given but has no face that may be found; they count as
    /// non-mated.
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
