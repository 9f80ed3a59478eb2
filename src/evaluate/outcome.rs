//! What one search was worth: whom it was for, and what came back.

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that are counted.
    pub count: u64,
    /// Those there are.
    pub of: u64,
}

impl Tally {
    /// Counts of two tallies together.
    pub fn add(&mut self, count: usize, of: usize) {
        self.count += count as u64;
        self.of += of as u64;
    }

    /// The share that is counted, in \[0, 1\]; `None` where there is nothing to count.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// The best mate among the faces returned for a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MateFound {
    /// Its place among the faces returned, from 1.
    pub rank: usize,
    /// Its similarity, in \[-1, 1\].
    pub similarity: f32,
}

/// What the search for one probe returned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Number of the person on the probe: probes of one person share it. Who is not named is a
    /// person of their own.
    pub person: usize,
    /// Whether the person is enrolled; `None` where nobody says who is on the probes.
    pub mated: Option<bool>,
    /// Similarity of the first face returned; `None` where there was none.
    pub best: Option<f32>,
    /// The best mate returned.
    pub mate: Option<MateFound>,
    /// Faces of the exact top k that were returned, as recall counts them.
    pub recall: Tally,
    /// Mates of the exact top k that were returned.
    pub hits: Tally,
}

impl Outcome {
    /// The similarity of the mate where it was returned, of the first face for a non-mated probe;
    /// negative infinity where there is none.
    pub(super) fn score(&self) -> f32 {
        let score =
            if self.mated == Some(true) { self.mate.map(|m| m.similarity) } else { self.best };
        score.unwrap_or(f32::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_together() {
        let mut tally = Tally::default();
        assert_eq!(tally.share(), None);
        tally.add(0, 0);
        assert_eq!(tally.share(), None);
        tally.add(1, 1);
        tally.add(1, 3);
        assert_eq!(tally.share(), Some(0.5));
    }
}
