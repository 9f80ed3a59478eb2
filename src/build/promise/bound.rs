//! How much of a hit rate is proven by the probes it was measured with.

use std::collections::HashMap;

/// Probes of one subject that count as one.
const TOGETHER: usize = 10;
/// Misses that tell how they come.
pub(super) const TELLING: f64 = 10.0;
/// Probes of a part that it takes to say anything of its hit rate, and to prove one of 0.99.
const SOME: usize = 30;
const ENOUGH_TO_PROVE: usize = 300;

/// Hits and mates of probes that say something of their own.
///
/// Probes of one subject look for the same mates, and find or miss them together; but where a large
/// part of all are of one, they say more than a single probe does.
pub(super) fn counts<'a>(
    outcomes: impl Iterator<Item = (Option<&'a str>, (usize, usize))>,
) -> Vec<(usize, usize)> {
    let (mut counts, mut by_subject) = (Vec::new(), HashMap::new());
    for (subject, (hits, mates)) in outcomes {
        let at = subject.map_or(counts.len(), |subject| {
            let (probes, at) = by_subject.entry(subject).or_insert((0, 0));
            if *probes % TOGETHER == 0 {
                *at = counts.len();
            }
            *probes += 1;
            *at
        });
        match counts.get_mut(at) {
            Some((hits_so_far, mates_so_far)) => {
                *hits_so_far += hits;
                *mates_so_far += mates;
            }
            None => counts.push((hits, mates)),
        }
    }
    counts
}

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
    let effect = if mates - hits >= TELLING { (observed / independent).max(1.0) } else { together };
    let n = mates / effect;
    let centre = rate + Z * Z / (2.0 * n);
    let width = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    (rate, ((centre - width) / (1.0 + Z * Z / n)).clamp(0.0, rate))
}

/// The least of the hit rate of all probes and of those of some parts of what is asked for, which
/// hardly count among all: nearly all mates are of people with many photos, who lead to one another.
/// Parts of too few probes say nothing, and those that prove little count as they were observed.
pub(super) fn least(
    all: &[(usize, usize)],
    parts: impl IntoIterator<Item = Vec<(usize, usize)>>,
) -> (f64, f64) {
    parts.into_iter().filter(|part| part.len() >= SOME).fold(hit_rate(all), |least, part| {
        let (rate, bound) = hit_rate(&part);
        let bound = if part.len() >= ENOUGH_TO_PROVE { bound } else { rate };
        (rate.min(least.0), bound.min(least.1))
    })
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
    fn probes_of_one_subject_count_ten_at_a_time() {
        let of = |subject| (Some(subject), (1, 2));
        let probes = [[of("a"); 25].as_slice(), &[of("b"), (None, (3, 3)), of("b")]].concat();
        let counted = counts(probes.into_iter());
        assert_eq!(counted, [(10, 20), (10, 20), (5, 10), (2, 4), (3, 3)]);
    }

    #[test]
    fn finding_all_of_few_proves_little() {
        let (rate, bound) = hit_rate(&[(1, 1); 300]);
        assert!(rate == 1.0 && (0.985..0.995).contains(&bound), "{bound}");
        assert_eq!(hit_rate(&[]), (0.0, 0.0));
    }

    #[test]
    fn parts_that_hardly_count_among_all_count_by_themselves() {
        let all = [vec![(30, 30); 3000], vec![(0, 1); 20]].concat();
        let few = |found: usize| [vec![(1, 1); found], vec![(0, 1); 20]].concat();
        let of_all = hit_rate(&all);
        assert!(of_all.1 > 0.999);
        assert_eq!(least(&all, [few(9), Vec::new()]), of_all);
        assert_eq!(least(&all, [few(180), few(80)]), (0.8, 0.8));
        let (rate, bound) = least(&all, [few(380)]);
        assert!(rate == 0.95 && (0.92..0.95).contains(&bound), "{rate} {bound}");
    }
}
