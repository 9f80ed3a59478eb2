//! What searches are worth to those who identify people by them.
//!
//! In come the outcomes of single searches; out come rates, each with what was counted and a 95 %
//! interval. What the sample is too small to show is not given.

use serde::Serialize;

use super::Outcome;
use super::sample::{Sample, Threshold};
use crate::{Cancel, Error};

/// The false-positive identification rates at which misses are counted.
pub const FPIRS: [f64; 3] = [0.1, 0.01, 0.001];
/// Ranks of a CMC, at most.
pub(super) const RANKS: usize = 100;

/// A share of a sample, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The share, in \[0, 1\].
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What was counted.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

/// Probes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sampled {
    /// Probes.
    pub probes: usize,
    /// People on them. Who is not named counts as a person.
    pub people: usize,
}

/// Both identification errors at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Operating {
    /// The rate of false positives that was asked for; `None` for no false positive at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_fpir: Option<f64>,
    /// Non-mated people it takes to say something about that rate (the rule of three).
    pub people_needed: usize,
    /// The least similarity with that rate or a lower one; `None` where the people are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Share of the non-mated searches that return a face at or above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fpir: Option<Estimate>,
    /// Share of the mated searches that return no mate at or above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fnir: Option<Estimate>,
}

/// One rank of the cumulative match characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CmcPoint {
    /// Faces looked at, from 1.
    pub rank: usize,
    /// Share of the mated searches with a mate among them.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// Accuracy of identification, by the outcomes of a sample of searches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Identification {
    /// Probes of people who are enrolled.
    pub mated: Sampled,
    /// Probes of people who are not.
    pub non_mated: Sampled,
    /// Samples drawn again, by person, for each interval.
    pub resamples: usize,
    /// Recall at k.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<Estimate>,
    /// Hit rate at k.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_rate: Option<Estimate>,
    /// FNIR and FPIR at the threshold of each of [`FPIRS`], and at the least threshold that no
    /// non-mated search of the whole sample reaches. Empty without non-mated probes.
    pub open_set: Vec<Operating>,
    /// Share of the mated searches with a mate among the first faces, without a threshold: for each
    /// rank up to k, at most 100. The first is rank 1.
    pub cmc: Vec<CmcPoint>,
}

impl Identification {
    /// Of the outcomes of searches for `k` faces each. FNIR counts mates among these k.
    ///
    /// The intervals are drawn on the threads of the current rayon pool.
    ///
    /// # Errors
    /// When it is cancelled.
    pub fn of(outcomes: &[Outcome], k: usize, cancel: &Cancel) -> Result<Self, Error> {
        let sample = Sample::of(outcomes);
        let thresholds = sample.thresholds();
        sample.identification(&thresholds, k, cancel)
    }

    /// Of a part of the outcomes, at the thresholds of the `whole`.
    pub(super) fn of_part(
        outcomes: &[Outcome],
        whole: &Self,
        k: usize,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let keep = |at: &Operating| Threshold {
            asked: at.asked_fpir,
            needed: at.people_needed,
            similarity: at.threshold,
            drawn_again: false,
        };
        let thresholds: Vec<Threshold> = whole.open_set.iter().map(keep).collect();
        Sample::of(outcomes).identification(&thresholds, k, cancel)
    }

    /// The first rank of the CMC.
    pub fn rank1(&self) -> Option<Estimate> {
        self.cmc.first().map(|point| point.estimate)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::evaluate::{MateFound, Tally};

    fn outcome(person: usize, mated: Option<bool>, rank: usize, score: f32) -> Outcome {
        let found = MateFound { rank, similarity: score };
        let mate = (mated == Some(true) && rank > 0).then_some(found);
        let recall = Tally { count: 4, of: 5 };
        let hits = Tally { count: u64::from(mate.is_some()), of: u64::from(mated == Some(true)) };
        Outcome { person, mated, best: Some(score), mate, recall, hits }
    }

    fn of(outcomes: &[Outcome], k: usize) -> Identification {
        Identification::of(outcomes, k, &Cancel::new()).unwrap()
    }

    fn counted(estimate: Option<Estimate>) -> (u64, u64) {
        estimate.map_or((0, 0), |estimate| (estimate.count, estimate.of))
    }

    /// Forty strangers with similarities 0.01 to 0.4, and mates of whom two in ten are not returned.
    fn forty() -> Vec<Outcome> {
        let strangers = (1..=40).map(|nth| outcome(nth, Some(false), 0, nth as f32 / 100.0));
        let mates = (0..10).map(|nth| {
            outcome(100 + nth, Some(true), nth.saturating_sub(1), 0.355 + nth as f32 / 100.0)
        });
        strangers.chain(mates).collect()
    }

    #[test]
    fn misses_are_those_below_the_threshold_and_those_not_returned() {
        let figures = of(&forty(), 5);
        assert_eq!(figures.non_mated, Sampled { probes: 40, people: 40 });
        let [tenth, hundredth, thousandth, none] = figures.open_set.as_slice() else { panic!() };
        // Four of forty may be answered: the fifth is 0.36.
        assert_eq!(tenth.threshold, Some(0.36_f32.next_up()));
        assert_eq!((counted(tenth.fpir), counted(tenth.fnir)), ((4, 40), (2, 10)));
        assert_eq!(
            (hundredth.threshold, hundredth.fnir, hundredth.people_needed),
            (None, None, 300)
        );
        assert_eq!((thousandth.threshold, thousandth.people_needed), (None, 3000));
        assert_eq!(none.threshold, Some(0.4_f32.next_up()));
        assert_eq!((counted(none.fpir), counted(none.fnir)), ((0, 40), (5, 10)));
        assert_eq!(none.fpir.unwrap().high, 3.0 / 40.0);
    }

    #[test]
    fn the_cmc_ends_at_k_and_never_falls() {
        let figures = of(&forty(), 5);
        let counts: Vec<u64> = figures.cmc.iter().map(|point| point.estimate.count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5]);
        assert_eq!(counted(figures.rank1()), (1, 10));
        assert_eq!(of(&forty(), 1000).cmc.len(), RANKS);
    }

    #[test]
    fn photos_of_one_person_make_nothing_surer() {
        let alone = forty();
        let width = |figures: &Identification| {
            let rate = figures.cmc[2].estimate;
            rate.high - rate.low
        };
        let of_ten: Vec<Outcome> = alone.iter().flat_map(|outcome| [*outcome; 10]).collect();
        let apart = of_ten.iter().enumerate().map(|(nth, &of)| Outcome { person: nth, ..of });
        let apart: Vec<Outcome> = apart.collect();
        assert_eq!(width(&of(&of_ten, 5)), width(&of(&alone, 5)));
        assert!(width(&of(&apart, 5)) < 0.5 * width(&of(&alone, 5)));
    }

    #[test]
    fn without_strangers_or_without_names_less_is_said() {
        let mates: Vec<Outcome> = forty().into_iter().skip(40).collect();
        let figures = of(&mates, 5);
        assert!(figures.open_set.is_empty() && figures.hit_rate.is_some());
        let strangers: Vec<Outcome> = forty().into_iter().take(40).collect();
        let figures = of(&strangers, 5);
        assert!(figures.cmc.is_empty() && figures.hit_rate.is_none());
        assert!(figures.open_set[0].fpir.is_some() && figures.open_set[0].fnir.is_none());
        let unnamed: Vec<Outcome> = (0..9).map(|nth| outcome(nth, None, 0, 0.5)).collect();
        let figures = of(&unnamed, 5);
        assert_eq!(counted(figures.recall), (36, 45));
        assert!(figures.open_set.is_empty() && figures.cmc.is_empty());
        assert!(of(&[], 5).recall.is_none());
    }

    #[test]
    fn it_can_be_stopped() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(Identification::of(&forty(), 5, &cancel).is_err());
    }
}
