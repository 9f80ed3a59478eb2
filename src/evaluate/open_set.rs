//! Open-set identification: how often a stranger is answered with somebody, how often a mate is
//! missed (ISO/IEC 19795-1).
//!
//! In come the similarities of single searches; out come thresholds and the curve of both errors.
//! FPIR at a threshold is the share of the non-mated searches whose first face is at or above it;
//! FNIR the share of the mated searches that do not return a mate at or above it among the k faces
//! asked for. Plain functions over slices.

use super::Outcome;

/// The least threshold at which no more than this share of the searches is answered.
///
/// `searches` are the similarities of the first faces of non-mated searches, most similar first,
/// each with its weight. The threshold lies just above (by the smallest step of single precision)
/// the first similarity that would be one too many: of equal similarities all are answered or none,
/// so the rate may fall below `fpir`, and never rises above it. `None` where no weight is left out
/// by any threshold.
#[cfg(any(feature = "build", test))]
pub(super) fn threshold(
    searches: impl Iterator<Item = (f32, u64)>,
    total: u64,
    fpir: f64,
) -> Option<f32> {
    // Rounding must not make three of thirty fewer than 0.1.
    let allowed = (fpir * total as f64 + 1e-9).floor() as u64;
    let mut answered = 0;
    for (similarity, weight) in searches {
        answered += weight;
        if answered > allowed {
            return Some(similarity.next_up());
        }
    }
    None
}

/// A point of the detection error trade-off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetPoint {
    /// Similarity from which a face counts as a match.
    pub threshold: f32,
    /// False-positive identification rate there.
    pub fpir: f64,
    /// False-negative identification rate there.
    pub fnir: f64,
}

/// Both error rates at every similarity that changes one of them, from the highest threshold to the
/// lowest: FPIR rises, FNIR falls. Empty where there are no mated or no non-mated searches.
pub fn det_curve(outcomes: &[Outcome]) -> Vec<DetPoint> {
    let scores = |mated: bool| -> Vec<f32> {
        let those = outcomes.iter().filter(|outcome| outcome.mated == Some(mated));
        let mut scores: Vec<f32> = those.map(Outcome::score).collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        scores
    };
    let (mated, others) = (scores(true), scores(false));
    if mated.is_empty() || others.is_empty() {
        return Vec::new();
    }
    let mut thresholds: Vec<f32> = mated.iter().chain(&others).copied().collect();
    thresholds.sort_unstable_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    thresholds.retain(|threshold| threshold.is_finite());
    let at_least = |scores: &[f32], threshold| {
        scores.partition_point(|&score| score >= threshold) as f64 / scores.len() as f64
    };
    let point = |threshold| DetPoint {
        threshold,
        fpir: at_least(&others, threshold),
        fnir: 1.0 - at_least(&mated, threshold),
    };
    thresholds.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::{MateFound, Tally};

    fn of(similarities: &[f32], fpir: f64) -> Option<f32> {
        let searches = similarities.iter().map(|&similarity| (similarity, 1));
        threshold(searches, similarities.len() as u64, fpir)
    }

    #[test]
    fn the_threshold_lies_just_above_the_first_that_is_too_many() {
        let ten = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
        assert_eq!(of(&ten, 0.1), Some(0.8_f32.next_up()));
        assert_eq!(of(&ten, 0.19), Some(0.8_f32.next_up()));
        assert_eq!(of(&ten, 0.3), Some(0.6_f32.next_up()));
        assert_eq!(of(&ten, 0.01), Some(0.9_f32.next_up()));
        assert_eq!(of(&[], 0.1), None);
    }

    #[test]
    fn of_equal_similarities_all_are_answered_or_none() {
        // Three of ten may be answered, but the third to fifth are alike.
        let ties = [0.9, 0.8, 0.7, 0.7, 0.7, 0.4, 0.3, 0.2, 0.1, 0.0];
        assert_eq!(of(&ties, 0.3), Some(0.7_f32.next_up()));
        assert_eq!(of(&ties, 0.5), Some(0.4_f32.next_up()));
    }

    #[test]
    fn three_of_thirty_are_a_tenth() {
        let thirty: Vec<f32> = (0..30).rev().map(|i| i as f32 / 30.0).collect();
        assert_eq!(of(&thirty, 0.1), Some(thirty[3].next_up()));
    }

    #[test]
    fn a_search_without_an_answer_is_below_every_threshold() {
        let silent = [0.5, f32::NEG_INFINITY, f32::NEG_INFINITY];
        assert_eq!(of(&silent, 0.5), Some(f32::MIN));
    }

    fn outcome(mated: bool, score: f32) -> Outcome {
        let mate = mated.then_some(MateFound { rank: 1, similarity: score });
        let (recall, hits) = (Tally::default(), Tally::default());
        Outcome { person: 0, mated: Some(mated), best: Some(score), mate, recall, hits }
    }

    #[test]
    fn the_curve_of_four_searches_is_known_by_hand() {
        let four = [(true, 0.9), (true, 0.3), (false, 0.5), (false, 0.3)];
        let outcomes = four.map(|(mated, score)| outcome(mated, score));
        let curve: Vec<(f32, f64, f64)> =
            det_curve(&outcomes).iter().map(|p| (p.threshold, p.fpir, p.fnir)).collect();
        assert_eq!(curve, [(0.9, 0.0, 0.5), (0.5, 0.5, 0.5), (0.3, 1.0, 0.0)]);
        assert!(det_curve(&outcomes[..2]).is_empty());
        let mut missed = outcomes;
        missed[0].mate = None;
        assert_eq!(det_curve(&missed).last().map(|point| point.fnir), Some(0.5));
    }

    proptest! {
        #[test]
        fn the_rate_asked_for_is_kept_and_no_lower_threshold_keeps_it(
            mut similarities in prop::collection::vec((0_u8..40).prop_map(|s| f32::from(s) / 40.0), 1..80),
            fpir in 0.001_f64..0.999,
        ) {
            similarities.sort_unstable_by(|a, b| b.total_cmp(a));
            let found = of(&similarities, fpir).unwrap();
            let rate = |threshold: f32| {
                let answered = similarities.iter().filter(|&&s| s >= threshold).count();
                answered as f64 / similarities.len() as f64
            };
            prop_assert!(rate(found) <= fpir + 1e-9);
            prop_assert!(rate(found.next_down()) > fpir);
        }
    }
}
