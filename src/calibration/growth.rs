//! How alike the most similar stranger is in a gallery of another size.
//!
//! Comparisons of one probe are not independent of each other, and probes differ: some are like
//! many, and those of a group that is large are like each other. So the largest of N similarities
//! does not follow from the largest of n as it would for independent draws. What is seen of a tenth
//! and of a hundredth of the people tells how fast it grows: the threshold of a rate is taken to be
//! linear in ((ln N)^b - 1) / b. That is the growth of quantiles where tails fall as exp(-x^(1/b)),
//! or end where b is negative (generalised Weibull limit; de Valk, "Approximation of high quantiles
//! from intermediate quantiles", 2016).
//!
//! Two bounds hold for any people who come or go by chance: the rate neither falls where a gallery
//! grows, nor grows more than the gallery does.

use super::tail::Tail;
use super::{Strangers, sorted};

/// The rate whose thresholds tell how growth bends, which those of rarer events would say too
/// roughly.
const BENDS_AT: f64 = 0.1;
/// The least rate whose threshold tells how far growth goes: rarer ones grow alike.
const GROWS_AT: f64 = 0.01;
/// From growth that comes to an end to growth with the logarithm.
const BENDS: (f64, f64) = (-1.0, 1.0);
/// Halvings that leave nothing of an interval to be seen.
const HALVINGS: usize = 50;
/// The least rate that is looked at.
const LEAST: f64 = 1e-9;

/// The most similar strangers of probes in a gallery of a size of interest.
pub(super) struct Growth {
    /// At the size that was measured.
    whole: Tail,
    /// How they grow from there.
    to: Option<To>,
}

/// Growth to another size.
struct To {
    tenth: Tail,
    /// How many times as much is still to be added as a tenth of the people falls short.
    steps: f64,
    /// How many times as large.
    times: f64,
}

impl Growth {
    /// Of groups of probes in a gallery of `from` faces, for one of `to`; `None` where they are too
    /// few.
    pub(super) fn fit<'a>(
        groups: impl Iterator<Item = &'a Strangers> + Clone,
        from: u64,
        to: u64,
    ) -> Option<Self> {
        let of = |part: fn(&Strangers) -> &[f32]| Tail::fit(sorted(groups.clone().flat_map(part)));
        let whole = of(|group| &group.all)?;
        if from == to {
            return Some(Self { whole, to: None });
        }
        let (tenth, hundredth) = (of(|group| &group.tenth)?, of(|group| &group.hundredth)?);
        let [a, b, c] = [&hundredth, &tenth, &whole].map(|tail| tail.threshold(BENDS_AT));
        let (straightness, faces) = ((c - b) / (b - a), from as f64);
        let step = |bend, from, to| curve(to, bend) - curve(from, bend);
        let (mut low, mut high) = BENDS;
        for _ in 0..HALVINGS {
            let bend = f64::midpoint(low, high);
            let last = step(bend, faces / 10.0, faces);
            if last / step(bend, faces / 100.0, faces / 10.0) < straightness {
                low = bend;
            } else {
                high = bend;
            }
        }
        let steps = step(low, faces, to as f64) / step(low, faces / 10.0, faces);
        let times = to as f64 / faces;
        Some(Self { whole, to: Some(To { tenth, steps, times }) })
    }

    /// The threshold that this part of the searches reaches.
    pub(super) fn threshold(&self, rate: f64) -> f64 {
        let measured = self.whole.threshold(rate);
        let Some(To { tenth, steps, times }) = &self.to else { return measured };
        let at = rate.max(GROWS_AT);
        let grown = measured + (self.whole.threshold(at) - tenth.threshold(at)).max(0.0) * steps;
        // Such a part of a gallery that is so many times as small.
        let bound = self.whole.threshold((rate / times).min(1.0));
        grown.max(bound.min(measured)).min(bound.max(measured))
    }

    /// The part of the searches that reaches a threshold.
    pub(super) fn rate(&self, threshold: f64) -> f64 {
        let measured = self.whole.share(threshold);
        let Some(To { times, .. }) = &self.to else { return measured };
        let (mut low, mut high) = (LEAST.ln(), 0.0_f64);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.threshold(middle.exp()) < threshold {
                high = middle;
            } else {
                low = middle;
            }
        }
        let bound = (measured * times).min(1.0);
        high.exp().max(bound.min(measured)).min(bound.max(measured))
    }
}

/// What the largest similarity grows with in line.
fn curve(faces: f64, bend: f64) -> f64 {
    // One face and two are hardly a gallery.
    let log = faces.max(2.0).ln();
    if bend.abs() < 1e-6 { log.ln() } else { (log.powf(bend) - 1.0) / bend }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Quantiles of the largest of so many independent values that are at or above x with
    /// probability exp(-x^power).
    fn largest(faces: f64, power: f64, probes: usize) -> Vec<f32> {
        let quantile = |at: usize| {
            let below = ((at as f64 + 0.5) / probes as f64).powf(1.0 / faces);
            (-(1.0 - below).ln()).powf(1.0 / power) as f32
        };
        (0..probes).map(quantile).collect()
    }

    #[test]
    fn growth_is_foretold_whatever_the_tail() {
        for power in [1.0, 2.0, 4.0] {
            let [all, tenth, hundredth] =
                [1e4, 1e3, 1e2].map(|faces| largest(faces, power, 10_000));
            let group = Strangers { all, tenth, hundredth };
            for (rate, faces) in [(0.1, 1_000_000), (0.01, 1_000_000), (0.1, 1000), (0.01, 300)] {
                let growth = Growth::fit([&group].into_iter(), 10_000, faces).unwrap();
                let threshold = growth.threshold(rate);
                let below = 1.0 - (-threshold.powf(power)).exp();
                let truth = 1.0 - below.powf(faces as f64);
                assert!((0.7..1.4).contains(&(truth / rate)), "{power} {faces} {rate}: {truth}");
                assert!((growth.rate(threshold) / rate - 1.0).abs() < 0.01);
            }
        }
    }

    #[test]
    fn where_a_tenth_is_as_alike_nothing_grows() {
        let all = largest(1e4, 1.0, 1000);
        let group = Strangers { tenth: all.clone(), hundredth: all.clone(), all };
        let at = |faces| Growth::fit([&group].into_iter(), 10_000, faces).unwrap().threshold(0.1);
        assert_eq!(at(1_000_000), at(10_000));
    }
}
