//! A sample of searches: its people, its thresholds, and what is counted in it.
//!
//! In come outcomes; out come the figures of an [`Identification`]. Counting is one function of how
//! often each person is taken: once each for the figures, as drawn for their intervals.

use std::collections::HashMap;

use rayon::prelude::*;

use super::bootstrap::{RESAMPLES, drawn, interval, people_for};
use super::identification::RANKS;
use super::{
    CmcPoint, Estimate, FPIRS, Identification, Operating, Outcome, Sampled, Tally, open_set,
};
use crate::search::SearchError;
use crate::{Cancel, Error};

/// A threshold and where it comes from.
pub(super) struct Threshold {
    pub(super) asked: Option<f64>,
    pub(super) needed: usize,
    pub(super) similarity: Option<f32>,
    /// Whether it is found anew in each sample, as it depends on it.
    pub(super) drawn_again: bool,
}

/// Outcomes with their people numbered: the mated ones first, then the non-mated, then those of whom
/// nothing is known.
pub(super) struct Sample<'a> {
    outcomes: Vec<(&'a Outcome, usize)>,
    /// Non-mated similarities with their people, most similar first.
    strangers: Vec<(f32, usize)>,
    /// People of each kind.
    kinds: [usize; 3],
}

fn kind(outcome: &Outcome) -> usize {
    match outcome.mated {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    }
}

impl<'a> Sample<'a> {
    pub(super) fn of(outcomes: &'a [Outcome]) -> Self {
        let (mut numbered, mut kinds) = (Vec::with_capacity(outcomes.len()), [0; 3]);
        for wanted in 0..kinds.len() {
            let mut people = HashMap::new();
            let first: usize = kinds[..wanted].iter().sum();
            for outcome in outcomes.iter().filter(|outcome| kind(outcome) == wanted) {
                let next = first + people.len();
                numbered.push((outcome, *people.entry(outcome.person).or_insert(next)));
            }
            kinds[wanted] = people.len();
        }
        let those = numbered.iter().filter(|(outcome, _)| outcome.mated == Some(false));
        let mut strangers: Vec<(f32, usize)> =
            those.map(|&(outcome, person)| (outcome.score(), person)).collect();
        strangers.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { outcomes: numbered, strangers, kinds }
    }

    fn sampled(&self, wanted: usize) -> Sampled {
        let probes = self.outcomes.iter().filter(|(outcome, _)| kind(outcome) == wanted).count();
        Sampled { probes, people: self.kinds[wanted] }
    }

    /// The threshold of a rate, with each person as often as given.
    fn threshold(&self, fpir: f64, times: &[u64]) -> Option<f32> {
        let weight = |person: usize| times.get(person).copied().unwrap_or(0);
        let total = self.strangers.iter().map(|&(_, person)| weight(person)).sum();
        let searches = self.strangers.iter().map(|&(score, person)| (score, weight(person)));
        open_set::threshold(searches, total, fpir)
    }

    /// The thresholds of this sample itself; none without non-mated people.
    pub(super) fn thresholds(&self) -> Vec<Threshold> {
        let people = self.kinds[1];
        if people == 0 {
            return Vec::new();
        }
        let once = vec![1; self.kinds.iter().sum()];
        let of = |fpir: f64| {
            let needed = people_for(fpir);
            let similarity = if people < needed { None } else { self.threshold(fpir, &once) };
            Threshold { asked: Some(fpir), needed, similarity, drawn_again: true }
        };
        let mut thresholds: Vec<Threshold> = FPIRS.into_iter().map(of).collect();
        // The largest of a sample drawn again is never larger: it says nothing about its spread.
        let similarity = self.threshold(0.0, &once);
        thresholds.push(Threshold { asked: None, needed: 1, similarity, drawn_again: false });
        thresholds
    }

    /// The figures at these thresholds, with their intervals.
    pub(super) fn identification(
        &self,
        thresholds: &[Threshold],
        k: usize,
        cancel: &Cancel,
    ) -> Result<Identification, Error> {
        let ranks = k.min(RANKS);
        let counted = self.count(thresholds, ranks, &vec![1; self.kinds.iter().sum()]);
        let samples: Vec<Vec<Tally>> = (0..RESAMPLES)
            .into_par_iter()
            .map(|number| {
                if cancel.is_cancelled() {
                    return Err(SearchError::Cancelled);
                }
                Ok(self.count(thresholds, ranks, &drawn(number, &self.kinds)))
            })
            .collect::<Result<_, _>>()?;
        let estimate = |at: usize, people: usize| {
            let tally = *counted.get(at)?;
            let value = tally.share()?;
            let shares = samples.iter().filter_map(|sample| sample.get(at)?.share()).collect();
            let (low, high) = interval(tally, shares, people);
            Some(Estimate { value, low, high, count: tally.count, of: tally.of })
        };
        let [mated, others, _] = self.kinds;
        let open_set = thresholds.iter().enumerate().map(|(nth, threshold)| Operating {
            asked_fpir: threshold.asked,
            people_needed: threshold.needed,
            threshold: threshold.similarity,
            fpir: threshold.similarity.and_then(|_| estimate(2 + 2 * nth, others)),
            fnir: threshold.similarity.and_then(|_| estimate(3 + 2 * nth, mated)),
        });
        let cmc = (1..=ranks).filter_map(|rank| {
            let estimate = estimate(1 + 2 * thresholds.len() + rank, mated)?;
            Some(CmcPoint { rank, estimate })
        });
        Ok(Identification {
            mated: self.sampled(0),
            non_mated: self.sampled(1),
            resamples: RESAMPLES,
            recall: estimate(0, self.kinds.iter().sum()),
            hit_rate: estimate(1, mated),
            open_set: open_set.collect(),
            cmc: cmc.collect(),
        })
    }

    /// Everything that is counted, with each person as often as given: recall, hits, false positives
    /// and misses at each threshold, mates up to each rank.
    fn count(&self, thresholds: &[Threshold], ranks: usize, times: &[u64]) -> Vec<Tally> {
        let limits: Vec<f32> = thresholds
            .iter()
            .map(|threshold| {
                let again = threshold.asked.filter(|_| threshold.drawn_again);
                let again = again.and_then(|fpir| self.threshold(fpir, times));
                again.or(threshold.similarity).unwrap_or(f32::INFINITY)
            })
            .collect();
        let mut tallies = vec![Tally::default(); 2 + 2 * limits.len()];
        let mut at_rank = vec![0; ranks];
        let mut mated = 0;
        for &(outcome, person) in &self.outcomes {
            let times = times.get(person).copied().unwrap_or(0);
            let mut add = |at: usize, count: u64, of: u64| {
                if let Some(tally) = tallies.get_mut(at) {
                    tally.count += times * count;
                    tally.of += times * of;
                }
            };
            add(0, outcome.recall.count, outcome.recall.of);
            add(1, outcome.hits.count, outcome.hits.of);
            let score = outcome.score();
            for (nth, (limit, threshold)) in limits.iter().zip(thresholds).enumerate() {
                match outcome.mated {
                    Some(true) => add(3 + 2 * nth, u64::from(score < *limit), 1),
                    // A rate of false positives belongs to the threshold that is given.
                    Some(false) => {
                        let given = threshold.similarity.unwrap_or(f32::INFINITY);
                        add(2 + 2 * nth, u64::from(score >= given), 1);
                    }
                    None => {}
                }
            }
            if outcome.mated == Some(true) {
                mated += times;
                let rank = outcome.mate.and_then(|mate| mate.rank.checked_sub(1));
                if let Some(found) = rank.and_then(|rank| at_rank.get_mut(rank)) {
                    *found += times;
                }
            }
        }
        let up_to = at_rank.into_iter().scan(0, |found, here| {
            *found += here;
            Some(Tally { count: *found, of: mated })
        });
        tallies.extend(up_to);
        tallies
    }
}
