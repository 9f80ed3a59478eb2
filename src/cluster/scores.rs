//! How clusters agree with the subjects that are known.
//!
//! Faces without a subject count for nothing. *Pairwise*: of the pairs of faces in one cluster, the
//! part of one subject (precision), and of the pairs of one subject, the part in one cluster
//! (recall). *BCubed* (Bagga & Baldwin 1998): the same for each face and those with it, itself
//! included, and the mean over faces; people with many photos do not outweigh the others so much.

use std::collections::HashMap;

use serde::Serialize;

use crate::gallery::GalleryError;
use crate::gallery::attributes::column;
use crate::{FaceId, Gallery};

/// How far two groupings agree, each number in \[0, 1\].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scores {
    /// Of what was put together, the part that belongs together.
    pub precision: f64,
    /// Of what belongs together, the part that was put together.
    pub recall: f64,
    /// Their harmonic mean.
    pub f: f64,
}

impl Scores {
    fn of(precision: f64, recall: f64) -> Self {
        let f = 2.0 * precision * recall / (precision + recall);
        Self { precision, recall, f: if f.is_nan() { 0.0 } else { f } }
    }
}

/// How clusters agree with the subjects that are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Agreement {
    /// Faces with a subject.
    pub labelled: u64,
    /// Subjects, as far as 64 bits of a hash tell them apart.
    pub subjects: u64,
    /// By pairs of faces; `None` where no pair was put together, or none belongs together.
    pub pairwise: Option<Scores>,
    /// By faces.
    pub bcubed: Scores,
}

/// Compares clusters, by place, with a gallery's subjects; `None` where there are none.
pub(super) fn agreement(
    gallery: &Gallery,
    people: &[FaceId],
) -> Result<Option<Agreement>, GalleryError> {
    let mut counts: HashMap<(u64, u64), u64> = HashMap::new();
    for (person, place) in people.iter().zip(0..) {
        if let Some(subject) = gallery.0.segment.attributes.text(column::SUBJECT, place)? {
            let subject = crate::gallery::segment::Lookup::of_text(subject);
            *counts.entry((person.0, subject)).or_default() += 1;
        }
    }
    Ok(score(&counts))
}

fn score(counts: &HashMap<(u64, u64), u64>) -> Option<Agreement> {
    let (mut clusters, mut subjects) = (HashMap::new(), HashMap::new());
    for (&(cluster, subject), &count) in counts {
        *clusters.entry(cluster).or_insert(0) += count;
        *subjects.entry(subject).or_insert(0) += count;
    }
    let labelled: u64 = clusters.values().sum();
    if labelled == 0 {
        return None;
    }
    let pairs = |counts: &mut dyn Iterator<Item = u64>| {
        counts
            .map(|count| u128::from(count) * u128::from(count.saturating_sub(1)) / 2)
            .sum::<u128>()
    };
    let both = pairs(&mut counts.values().copied()) as f64;
    let (put, belong) = (
        pairs(&mut clusters.values().copied()) as f64,
        pairs(&mut subjects.values().copied()) as f64,
    );
    // In order, so that rounding is the same on every run.
    let mut ordered: Vec<_> = counts.iter().collect();
    ordered.sort_unstable();
    let (mut precision, mut recall) = (0.0, 0.0);
    for (&(cluster, subject), &count) in ordered {
        let square = (count * count) as f64;
        precision += square / clusters.get(&cluster).copied().unwrap_or(count) as f64;
        recall += square / subjects.get(&subject).copied().unwrap_or(count) as f64;
    }
    let faces = labelled as f64;
    Some(Agreement {
        labelled,
        subjects: subjects.len() as u64,
        pairwise: (put > 0.0 && belong > 0.0).then(|| Scores::of(both / put, both / belong)),
        bcubed: Scores::of(precision / faces, recall / faces),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scores_by_the_definition() {
        // Clusters {a a b}, {b}, {c}: of 3 pairs put together 1 belongs; of 2 that belong, 1 was put.
        let counts = HashMap::from([((0, 10), 2), ((0, 11), 1), ((1, 11), 1), ((2, 12), 1)]);
        let found = score(&counts).unwrap();
        assert_eq!((found.labelled, found.subjects), (5, 3));
        let pairwise = found.pairwise.unwrap();
        assert_eq!((pairwise.precision, pairwise.recall), (1.0 / 3.0, 0.5));
        let precision = (2.0 * 2.0 / 3.0 + 1.0 / 3.0 + 1.0 + 1.0) / 5.0;
        let recall = (2.0 + 0.5 + 0.5 + 1.0) / 5.0;
        assert!((found.bcubed.precision - precision).abs() < 1e-12);
        assert!((found.bcubed.recall - recall).abs() < 1e-12);
        let f = 2.0 * precision * recall / (precision + recall);
        assert!((found.bcubed.f - f).abs() < 1e-12);
        assert_eq!(score(&HashMap::new()), None);
        let alone = score(&HashMap::from([((0, 10), 1)])).unwrap();
        assert!(alone.pairwise.is_none() && alone.bcubed.f == 1.0);
    }
}
