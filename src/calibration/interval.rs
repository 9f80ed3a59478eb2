//! How sure an expected rate is.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::Binomial;

use super::Calibration;
use super::growth::Growth;

/// Samples drawn again.
const SAMPLES: usize = 400;
/// Samples that the interval leaves out at each end: one in forty.
const LEFT_OUT: usize = SAMPLES / 40;

impl Calibration {
    /// The 95 % interval of the false-positive identification rate at a threshold, in a gallery of
    /// this many faces, as it is observed with as many fresh probes as it was calibrated with: groups
    /// of probes are drawn again (bootstrap; Efron 1979), and the searches answered with somebody are
    /// drawn at the rate that follows. Equal calibrations have equal intervals. `None` where the
    /// probes are too few to say, or faces have no subject: how far mates among those put the rate
    /// off, no interval tells.
    pub fn interval(&self, similarity: f32, faces: u64) -> Option<(f64, f64)> {
        if self.unlabelled > 0.0 {
            return None;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
        let mut rates = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let groups = self.strangers.len();
            let drawn: Vec<_> = (0..groups).map(|_| random.random_range(0..groups)).collect();
            let drawn = drawn.iter().map(|&group| &self.strangers[group]);
            let rate = Growth::fit(drawn, self.faces, faces)?.rate(similarity.into());
            let observed = Binomial::new(self.probes() as u64, rate.clamp(0.0, 1.0));
            rates.push(random.sample(observed.ok()?) as f64 / self.probes() as f64);
        }
        rates.sort_unstable_by(f64::total_cmp);
        Some((*rates.get(LEFT_OUT)?, *rates.get(SAMPLES - 1 - LEFT_OUT)?))
    }
}
