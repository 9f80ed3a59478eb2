//! Searching for every probe, several times over, and reading the clock.
//!
//! In come probes in memory, a truth and a query; out comes a [`Measured`]. The first pass warms
//! the caches and is scored; the passes after it are timed, mated and non-mated probes apart, and
//! do nothing but search.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::score::returned;
use super::{EvaluateError, MateFound, Outcome, Tally, Truth};
use crate::{Embedding, Error, FaceId, Gallery, Matches, Query};

/// Timed runs, where they do not take too long.
const RUNS: usize = 5;
/// Timed runs however long they take.
const LEAST_RUNS: usize = 3;
/// Time after which no further run is begun.
const ENOUGH: Duration = Duration::from_secs(60);

/// What one setting delivers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// Faces asked for a probe.
    pub k: usize,
    /// Number of probes.
    pub probes: usize,
    /// How many of them are mated, where the truth says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mated: Option<usize>,
    /// Threads that searched.
    pub threads: usize,
    /// Timed runs over all probes, 3 to 5.
    pub runs: usize,
    /// Recall at k, in \[0, 1\]; `None` where no face passes the filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// Hit rate at k, in \[0, 1\]; `None` where no mate is among the exact top k of any probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_rate: Option<f64>,
    /// Share of the mated probes whose first face is a mate, in \[0, 1\]: the true-positive
    /// identification rate at rank 1 without a threshold (ISO/IEC 19795-1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank1: Option<f64>,
    /// Probes answered a second: the median of the runs.
    pub qps: f64,
    /// The same of the mated probes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mated_qps: Option<f64>,
    /// The same of the non-mated probes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_mated_qps: Option<f64>,
    /// Microseconds within which half of the searches of all runs were done.
    pub p50_us: f64,
    /// Microseconds within which 99 of 100 were done.
    pub p99_us: f64,
    /// Neighbour lists read, mean a probe.
    pub hops: f64,
    /// Sketches read, mean a probe.
    pub sketches_read: f64,
    /// Codes read, mean a probe.
    pub codes_read: f64,
    /// Vectors read and scored, mean a probe.
    pub vectors_read: f64,
    /// What came back for each probe, in the order of the probes.
    #[serde(skip)]
    pub outcomes: Vec<Outcome>,
}

/// Measures what a query delivers, and how fast, with the k of the truth.
///
/// With one thread (or none), one probe after the other is searched for on the calling thread; with
/// more, a pool of that many answers the probes as a batch. There, latencies are the searches' own
/// times, and probes that share an exhaustive pass over the faces share its time equally.
///
/// Passes over all probes are timed five times, but no further one is begun after 60 s once there
/// are three.
///
/// ```
/// use lookalike::evaluate::{Exact, Truth, measure};
/// use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent};
///
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("people.gallery");
/// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
/// # Build::new(&place, format!("{sample}/embeddings.npy"))
/// #     .manifest(format!("{sample}/manifest.csv"))
/// #     .run(&Silent, &Cancel::new())?;
/// let gallery = Gallery::open(&place)?;
/// let probes = [gallery.embedding(FaceId(3))?, gallery.embedding(FaceId(17))?];
/// let truth = Truth::new(Exact::of(&gallery, &probes, 10, &Query::new(), &Silent)?);
/// let measured = measure(&gallery, &probes, &truth, &Query::new().top(10), 1)?;
/// println!("{} probes a second", measured.qps);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When there are no probes, the truth is about others or about another query, a probe does not fit
/// the gallery, the query asks for what cannot be, or it is stopped.
pub fn measure(
    gallery: &Gallery,
    probes: &[Embedding],
    truth: &Truth,
    query: &Query,
    threads: usize,
) -> Result<Measured, Error> {
    if probes.is_empty() {
        return Err(EvaluateError::NoProbes.into());
    }
    truth.exact.check(probes.len(), query)?;
    if let Some(mates) = truth.mates.as_ref().filter(|m| m.probes().len() != probes.len()) {
        let rows = mates.probes().len();
        return Err(EvaluateError::Rows { probes: probes.len(), rows }.into());
    }
    let query = query.clone().top(truth.exact.k());
    let bench = Bench { gallery, query, threads: threads.max(1), groups: groups(probes, truth) };
    if bench.threads == 1 {
        return bench.run(truth);
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(bench.threads)
        .build()
        .map_err(|e| EvaluateError::Threads(e.to_string()))?
        .install(|| bench.run(truth))
}

/// Probes that are timed together.
struct Group<'a> {
    /// Which of all probes they are.
    numbers: Vec<usize>,
    probes: Cow<'a, [Embedding]>,
}

/// The mated probes and the others; without a word on mates, all are others.
fn groups<'a>(probes: &'a [Embedding], truth: &Truth) -> [Group<'a>; 2] {
    let is_mated = |number: usize| {
        let mates = truth.mates.as_ref();
        mates.and_then(|mates| mates.probes().get(number)).is_some_and(Option::is_some)
    };
    let (mated, others): (Vec<usize>, Vec<usize>) =
        (0..probes.len()).partition(|&number| is_mated(number));
    [mated, others].map(|numbers| {
        let probes = if numbers.len() == probes.len() {
            Cow::Borrowed(probes)
        } else {
            numbers.iter().filter_map(|&number| probes.get(number)).cloned().collect()
        };
        Group { numbers, probes }
    })
}

struct Bench<'a> {
    gallery: &'a Gallery,
    query: Query,
    threads: usize,
    groups: [Group<'a>; 2],
}

impl Bench<'_> {
    fn run(&self, truth: &Truth) -> Result<Measured, Error> {
        let begun = Instant::now();
        let mut scores = Scores::default();
        let probes: usize = self.groups.iter().map(|group| group.numbers.len()).sum();
        let mut latencies = Vec::with_capacity(probes * RUNS);
        for group in &self.groups {
            self.search(group, &mut latencies, |at, matches| {
                scores.add(self.gallery, truth, group.numbers[at], &matches)
            })?;
        }
        latencies.clear();
        scores.outcomes.sort_unstable_by_key(|(number, _)| *number);
        let outcomes: Vec<Outcome> =
            scores.outcomes.drain(..).map(|(_, outcome)| outcome).collect();
        let mut runs: Vec<[Duration; 2]> = Vec::with_capacity(RUNS);
        while runs.len() < LEAST_RUNS || (runs.len() < RUNS && begun.elapsed() < ENOUGH) {
            let mut run = [Duration::ZERO; 2];
            for (time, group) in run.iter_mut().zip(&self.groups) {
                *time = self.search(group, &mut latencies, |_, matches| {
                    black_box(matches);
                    Ok(())
                })?;
            }
            runs.push(run);
        }
        latencies.sort_unstable();
        let [mated, others] = [0, 1].map(|which: usize| self.groups[which].numbers.len());
        let qps_of = |which: usize, probes: usize| {
            (truth.mates.is_some() && probes > 0)
                .then(|| median_rate(probes, runs.iter().map(|run| run[which])))
        };
        Ok(Measured {
            k: truth.exact.k(),
            probes,
            mated: truth.mates.as_ref().map(|_| mated),
            threads: self.threads,
            runs: runs.len(),
            recall: sum(&outcomes, |outcome| outcome.recall).share(),
            hit_rate: sum(&outcomes, |outcome| outcome.hits).share(),
            rank1: sum(&outcomes, first).share(),
            qps: median_rate(probes, runs.iter().map(|[a, b]| *a + *b)),
            mated_qps: qps_of(0, mated),
            non_mated_qps: qps_of(1, others),
            p50_us: percentile(&latencies, 50),
            p99_us: percentile(&latencies, 99),
            hops: scores.hops as f64 / probes as f64,
            sketches_read: scores.sketches_read as f64 / probes as f64,
            codes_read: scores.codes_read as f64 / probes as f64,
            vectors_read: scores.vectors_read as f64 / probes as f64,
            outcomes,
        })
    }

    /// Searches for every probe of a group and hands each answer on; the time it took.
    fn search(
        &self,
        group: &Group<'_>,
        latencies: &mut Vec<Duration>,
        mut each: impl FnMut(usize, Matches<'_>) -> Result<(), Error>,
    ) -> Result<Duration, Error> {
        // A short walk may end before it looks at the flag itself.
        let stopped = || self.query.stop.check();
        stopped()?;
        let begun = Instant::now();
        if self.threads == 1 {
            for (at, probe) in group.probes.iter().enumerate() {
                let begun = Instant::now();
                let matches = self.gallery.search(probe, &self.query)?;
                latencies.push(begun.elapsed());
                each(at, matches)?;
                stopped()?;
            }
            return Ok(begun.elapsed());
        }
        let answers = self.gallery.search_batch(&group.probes, &self.query)?;
        let elapsed = begun.elapsed();
        for (at, answer) in answers.into_iter().enumerate() {
            let matches = answer?;
            latencies.push(matches.counters.elapsed);
            each(at, matches)?;
        }
        stopped()?;
        Ok(elapsed)
    }
}

/// What the answers of one pass are worth, and what they took.
#[derive(Default)]
struct Scores {
    /// With the numbers of the probes.
    outcomes: Vec<(usize, Outcome)>,
    hops: u64,
    sketches_read: u64,
    codes_read: u64,
    vectors_read: u64,
}

impl Scores {
    fn add(
        &mut self,
        gallery: &Gallery,
        truth: &Truth,
        number: usize,
        matches: &Matches<'_>,
    ) -> Result<(), Error> {
        let found: Vec<(FaceId, f32)> =
            matches.iter().map(|face| (face.face_id, face.similarity)).collect();
        let mut outcome = Outcome {
            person: number,
            mated: None,
            best: found.first().map(|&(_, similarity)| similarity),
            mate: None,
            recall: Tally::default(),
            hits: Tally::default(),
        };
        if let Some(top) = truth.exact.tops().get(number) {
            outcome.recall.add(top.recalled(&found), top.ids.len());
        }
        if let Some(mates) = &truth.mates {
            let exhaustive = mates.exhaustive().get(number);
            outcome.person = exhaustive.map_or(number, |exhaustive| exhaustive.person);
            outcome.mated = Some(false);
            if let Some(Some(mated)) = mates.probes().get(number) {
                outcome.mated = Some(true);
                outcome.hits.add(returned(&mated.in_top, &found), mated.in_top.len());
                for (place, &(id, similarity)) in found.iter().enumerate() {
                    if mated.is_mate(gallery, id)? {
                        outcome.mate = Some(MateFound { rank: place + 1, similarity });
                        break;
                    }
                }
            }
        }
        self.outcomes.push((number, outcome));
        self.hops += matches.counters.hops;
        self.sketches_read += matches.counters.sketches_read;
        self.codes_read += matches.counters.codes_read;
        self.vectors_read += matches.counters.vectors_read;
        Ok(())
    }
}

fn sum(outcomes: &[Outcome], of: impl Fn(&Outcome) -> Tally) -> Tally {
    outcomes.iter().map(of).fold(Tally::default(), |sum, one| Tally {
        count: sum.count + one.count,
        of: sum.of + one.of,
    })
}

/// Whether the first face returned for a mated probe is a mate.
fn first(outcome: &Outcome) -> Tally {
    let first = outcome.mate.is_some_and(|mate| mate.rank == 1);
    let mated = outcome.mated == Some(true);
    Tally { count: u64::from(mated && first), of: u64::from(mated) }
}

/// The median of the rates at which `probes` were answered in these times.
fn median_rate(probes: usize, times: impl Iterator<Item = Duration>) -> f64 {
    let mut rates: Vec<f64> =
        times.map(|time| probes as f64 / time.max(Duration::from_nanos(1)).as_secs_f64()).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let middle = rates.len() / 2;
    match (rates.get(middle), middle.checked_sub(1).and_then(|below| rates.get(below))) {
        (Some(above), Some(below)) if rates.len().is_multiple_of(2) => (above + below) / 2.0,
        (Some(median), _) => *median,
        (None, _) => 0.0,
    }
}

/// The time, in microseconds, within which this many of a hundred lie (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_run_counts() {
        let rate = |millis: &[u64]| {
            median_rate(100, millis.iter().map(|&time| Duration::from_millis(time)))
        };
        assert_eq!(rate(&[100, 1000, 50]), 1000.0);
        assert_eq!(rate(&[100, 50, 200, 1000]), 750.0);
        assert_eq!(rate(&[]), 0.0);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert!((percentile(&times, 50) - 100.0).abs() < 1e-9);
        assert!((percentile(&times, 99) - 198.0).abs() < 1e-9);
        assert!((percentile(&times[..1], 99) - 1.0).abs() < 1e-9);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
