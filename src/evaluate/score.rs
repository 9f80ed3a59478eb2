//! Counting: how many of the faces returned for a probe are right.
//!
//! In come an answer and what it should hold; out come counts. Plain functions over slices.

use std::collections::HashSet;

use crate::FaceId;

/// The exact top faces of one probe.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Top {
    /// The faces, most similar first.
    pub(super) ids: Vec<FaceId>,
    /// The similarity of each.
    pub(super) similarities: Vec<f32>,
    /// The similarity from which a face counts, listed or not.
    pub(super) least: f32,
    /// The similarity up to which one that is not listed counts.
    pub(super) most: f32,
}

impl Top {
    /// How many of the faces returned, each id once, belong to the exact top or tie with its last.
    pub(super) fn recalled(&self, found: &[(FaceId, f32)]) -> usize {
        let mut seen = HashSet::with_capacity(found.len());
        let right = found.iter().filter(|&&(id, similarity)| {
            let as_good = (self.least..=self.most).contains(&similarity);
            (as_good || self.ids.contains(&id)) && seen.insert(id)
        });
        right.count().min(self.ids.len())
    }
}

/// How many of some faces, each of them once, were returned.
pub(super) fn returned(wanted: &[FaceId], found: &[(FaceId, f32)]) -> usize {
    wanted.iter().filter(|&&wanted| found.iter().any(|&(id, _)| id == wanted)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(ids: &[u64], least: f32, most: f32) -> Top {
        let ids: Vec<FaceId> = ids.iter().copied().map(FaceId).collect();
        Top { similarities: vec![1.0; ids.len()], ids, least, most }
    }

    fn found(faces: &[(u64, f32)]) -> Vec<(FaceId, f32)> {
        faces.iter().map(|&(id, similarity)| (FaceId(id), similarity)).collect()
    }

    #[test]
    fn ties_with_the_last_count() {
        let top = top(&[1, 2, 3], 0.5 - 1e-6, f32::INFINITY);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (2, 0.6), (7, 0.5)])), 3);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (2, 0.6), (7, 0.499)])), 2);
        assert_eq!(top.recalled(&found(&[])), 0);
    }

    #[test]
    fn an_id_counts_once() {
        let top = top(&[1, 2, 3], 0.5, f32::INFINITY);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (1, 0.9), (1, 0.9)])), 1);
        assert_eq!(returned(&top.ids, &found(&[(1, 0.9), (1, 0.9)])), 1);
    }

    #[test]
    fn more_than_asked_for_is_not_more_than_all() {
        let top = top(&[1, 2], 0.5, f32::INFINITY);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (2, 0.5), (3, 0.5)])), 2);
    }

    #[test]
    fn what_rounding_lifted_does_not_count() {
        let top = top(&[1, 2], 0.5 - 1e-6, 0.5 + 1e-6);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (7, 0.51)])), 1);
        assert_eq!(top.recalled(&found(&[(1, 0.9), (7, 0.5)])), 2);
    }
}
