//! How much of a hit rate is proven by the probes it was measured with.

/// The hit rate of hits and mates a probe, and its lower 95 % bound (one-sided).
///
/// Wilson's interval for a share, on the number of mates that would say as much were they found
/// independently: the mates of one probe are found or missed together.
pub(super) fn hit_rate(counts: &[(usize, usize)]) -> (f64, f64) {
    const Z: f64 = 1.645;
    let hits: usize = counts.iter().map(|&(hits, _)| hits).sum();
    let mates: usize = counts.iter().map(|&(_, mates)| mates).sum();
    if mates == 0 {
        return (0.0, 0.0);
    }
    let (hits, mates) = (hits as f64, mates as f64);
    let rate = hits / mates;
    let independent = rate * (1.0 - rate) / mates;
    let observed: f64 =
        counts.iter().map(|&(hits, of)| (hits as f64 - rate * of as f64).powi(2)).sum::<f64>()
            / (mates * mates);
    let together = counts.iter().map(|&(_, of)| (of * of) as f64).sum::<f64>() / mates;
    // Too few misses tell nothing of how they come; then all mates of a probe are taken as one.
    let effect = if mates - hits >= 10.0 { (observed / independent).max(1.0) } else { together };
    let n = mates / effect;
    let centre = rate + Z * Z / (2.0 * n);
    let width = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    (rate, ((centre - width) / (1.0 + Z * Z / n)).clamp(0.0, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mates_that_are_missed_together_say_less() {
        let apart: Vec<_> = (0..1000).map(|i| (usize::from(i >= 20), 1)).collect();
        let together: Vec<_> = (0..100).map(|i| (if i >= 2 { 10 } else { 0 }, 10)).collect();
        let ((rate, bound), (same, lower)) = (hit_rate(&apart), hit_rate(&together));
        assert_eq!((rate, same), (0.98, 0.98));
        assert!(bound > 0.97 && lower < 0.96, "{bound} {lower}");
    }

    #[test]
    fn finding_all_of_few_proves_little() {
        let (rate, bound) = hit_rate(&[(1, 1); 300]);
        assert!(rate == 1.0 && (0.985..0.995).contains(&bound), "{bound}");
        assert_eq!(hit_rate(&[]), (0.0, 0.0));
    }
}
