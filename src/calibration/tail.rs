//! The upper tail of the largest non-mate similarities, and what it says beyond the largest seen.

/// The part of a sample that its tail is fitted to.
const TAIL: f64 = 0.1;
/// Excesses that it takes to fit a shape.
const LEAST: usize = 30;
/// Shapes outside this range are of too few excesses: similarities end at 1, so tails are short.
const SHAPES: (f64, f64) = (-0.5, 0.2);

/// Which part of the values lie at or above a threshold: as observed up to the last tenth, beyond
/// it a generalised Pareto distribution fitted by probability-weighted moments (Hosking and Wallis
/// 1987; that excesses tend to it: Pickands 1975).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tail {
    /// Ascending.
    values: Vec<f32>,
    /// Where the fitted part begins, and how much lies above.
    from: f64,
    above: f64,
    scale: f64,
    shape: f64,
}

impl Tail {
    /// Of values in ascending order; `None` where they are too few to say anything beyond them.
    pub(super) fn fit(values: Vec<f32>) -> Option<Self> {
        let count = (values.len() as f64 * TAIL) as usize;
        if count < LEAST {
            return None;
        }
        let (below, tail) = values.split_at(values.len() - count);
        let from = f64::from(*below.last()?);
        let n = count as f64;
        let excess = |value: &f32| f64::from(*value) - from;
        let mean = tail.iter().map(excess).sum::<f64>() / n;
        // The largest weigh least.
        let weighted =
            |(at, value): (usize, &f32)| excess(value) * (n - 1.0 - at as f64) / (n - 1.0);
        let weighted = tail.iter().enumerate().map(weighted).sum::<f64>() / n;
        let ratio = mean / (mean - 2.0 * weighted);
        if !ratio.is_finite() {
            return None;
        }
        let shape = (2.0 - ratio).clamp(SHAPES.0, SHAPES.1);
        // The mean of the distribution is scale / (1 - shape).
        let scale = mean * (1.0 - shape);
        let above = n / values.len() as f64;
        (scale > 0.0).then_some(Self { values, from, above, scale, shape })
    }

    /// The part of all values that is expected at or above a threshold, in \[0, 1\].
    pub(super) fn share(&self, threshold: f64) -> f64 {
        let n = self.values.len() as f64;
        let below = self.values.partition_point(|&value| f64::from(value) < threshold);
        let observed = 1.0 - below as f64 / n;
        if threshold <= self.from {
            return observed;
        }
        let excess = (threshold - self.from) / self.scale;
        let left = if self.shape.abs() < 1e-9 {
            (-excess).exp()
        } else {
            (1.0 + self.shape * excess).max(0.0).powf(-1.0 / self.shape)
        };
        // Copies of faces under several names make a step that no such distribution has.
        (self.above * left).max(observed - 2.0 * (observed / n).sqrt())
    }

    /// The threshold that this part of all values is expected to reach.
    pub(super) fn threshold(&self, share: f64) -> f64 {
        if share >= self.above {
            let at = ((1.0 - share) * self.values.len() as f64).ceil() as usize;
            return self.values.get(at).or(self.values.last()).map_or(1.0, |&value| value.into());
        }
        let left = share / self.above;
        let excess = if self.shape.abs() < 1e-9 {
            -left.ln()
        } else {
            (left.powf(-self.shape) - 1.0) / self.shape
        };
        self.from + self.scale * excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of an exponential distribution, as evenly as can be.
    fn exponential(n: usize) -> Vec<f32> {
        (0..n).map(|i| -(1.0 - (i as f32 + 0.5) / n as f32).ln()).collect()
    }

    #[test]
    fn an_exponential_tail_is_followed_beyond_its_values() {
        let values = exponential(10_000);
        let tail = Tail::fit(values).expect("a tail");
        for share in [0.5_f64, 0.1, 0.01, 0.001, 1e-5] {
            let (threshold, expected) = (tail.threshold(share), -share.ln());
            assert!((threshold - expected).abs() < 0.05 * expected, "{share}: {threshold}");
            assert!((tail.share(threshold) / share - 1.0).abs() < 0.02, "{share}");
        }
    }

    #[test]
    fn a_tail_with_an_end_ends() {
        // Uniform: a generalised Pareto distribution of shape -1, which is taken for -0.5.
        let values: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        let tail = Tail::fit(values).expect("a tail");
        assert!(tail.share(1.2) < 1e-4 && tail.share(0.95) > 0.02);
        assert!(tail.threshold(1e-9) < 1.2);
    }

    #[test]
    fn too_few_or_equal_values_have_no_tail() {
        assert_eq!(Tail::fit(exponential(200)), None);
        assert_eq!(Tail::fit(vec![0.5; 1000]), None);
        assert_eq!(Tail::fit(Vec::new()), None);
    }
}
