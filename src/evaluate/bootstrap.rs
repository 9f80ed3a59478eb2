//! How sure a share is: the bootstrap over people (Efron 1979).
//!
//! In come the people of a sample; out come samples of as many people, drawn from them with
//! replacement. Photos of one person do not vary by themselves, so all probes of a person are drawn
//! together; mated and non-mated people are drawn apart. Always: equal input gives equal samples, on
//! any number of threads.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::Tally;

/// Samples drawn again.
pub(super) const RESAMPLES: usize = 1000;
/// The rule of three (Hanley and Lippman-Hand 1983): -ln 0.05, about.
const THREE: f64 = 3.0;

/// How often each person is drawn for the sample of this number. `kinds` are the numbers of people of
/// each kind, who stand one kind after the other.
pub(super) fn drawn(number: usize, kinds: &[usize]) -> Vec<u64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(number as u64);
    let mut times = vec![0; kinds.iter().sum()];
    let mut first = 0;
    for &people in kinds {
        for _ in 0..people {
            times[first + random.random_range(0..people)] += 1;
        }
        first += people;
    }
    times
}

/// The 95 % interval of a share: what the middle of the samples gave (percentile method). Where
/// nothing was counted, or all, no sample differs; there the rule of three over the people says how
/// far off that may be. One person alone says nothing.
pub(super) fn interval(counted: Tally, mut shares: Vec<f64>, people: usize) -> (f64, f64) {
    if people < 2 {
        return (0.0, 1.0);
    }
    shares.sort_unstable_by(f64::total_cmp);
    let left_out = shares.len() / 40;
    let at = |place: usize| shares.get(place).copied();
    let low = at(left_out).unwrap_or(0.0);
    let high = at((shares.len().max(1) - 1).saturating_sub(left_out)).unwrap_or(1.0);
    let unseen = at_most(people);
    match counted {
        Tally { count: 0, .. } => (low, high.max(unseen)),
        Tally { count, of } if count == of => (low.min(1.0 - unseen), high),
        _ => (low, high),
    }
}

/// The rule of three: what never happened to this many people happens, with a probability of 95 %,
/// to no larger part of them.
pub(super) fn at_most(people: usize) -> f64 {
    (THREE / people.max(1) as f64).min(1.0)
}

/// People it takes to say something about a rate.
pub(super) fn people_for(rate: f64) -> usize {
    (THREE / rate - 1e-9).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_drawn_apart_and_again_alike() {
        let times = drawn(7, &[3, 0, 50]);
        assert_eq!((times.len(), times[..3].iter().sum::<u64>()), (53, 3));
        assert_eq!(times[3..].iter().sum::<u64>(), 50);
        assert_eq!(times, drawn(7, &[3, 0, 50]));
        assert_ne!(times, drawn(8, &[3, 0, 50]));
    }

    #[test]
    fn an_interval_leaves_out_one_in_forty_at_each_end() {
        let shares: Vec<f64> = (0..1000).rev().map(|i| f64::from(i) / 1000.0).collect();
        assert_eq!(interval(Tally { count: 5, of: 10 }, shares, 10), (0.025, 0.974));
    }

    #[test]
    fn what_was_never_seen_may_still_happen() {
        assert_eq!(interval(Tally { count: 0, of: 90 }, vec![0.0; 1000], 30), (0.0, 0.1));
        assert_eq!(interval(Tally { count: 90, of: 90 }, vec![1.0; 1000], 30), (0.9, 1.0));
        assert_eq!(interval(Tally { count: 0, of: 2 }, vec![0.0; 1000], 2), (0.0, 1.0));
        assert_eq!(interval(Tally { count: 1, of: 2 }, vec![0.5; 1000], 1), (0.0, 1.0));
    }

    #[test]
    fn rare_errors_take_many_people() {
        assert_eq!([0.1, 0.01, 0.001].map(people_for), [30, 300, 3000]);
    }
}
