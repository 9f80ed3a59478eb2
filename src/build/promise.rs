//! Measuring what plans deliver on a gallery, for its promise.
//!
//! In comes the gallery as far as it is built; out goes a [`Promise`]. A sample of faces is searched
//! for. Where a face's subject has others, it is the probe, and is left out of the graph until it
//! was searched for: a face that is linked already finds its own mates too easily. Where it is the
//! only one, or subjects are unknown, the probe is made up: a disturbed copy of the face, as alike
//! as mates are.

use std::collections::HashSet;
use std::sync::Arc;

use rand::seq::index;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;

use super::BuildError;
use crate::gallery::attributes::column;
use crate::search::{
    Counters, Ladder, Match, PROMISED, Plan, Promise, Query, Reads, Rung, SearchError, Selection,
};
use crate::{Cancel, Embedding, Gallery, Progress};

/// Faces searched for, where the exact answers do not take too long.
const MATED: usize = 4000;
/// Faces to one that is searched for, at least: more of a small gallery would say little more.
const FACES_A_CASE: usize = 4;
/// Fewer say too little of a hit rate of 0.99.
const LEAST_MATED: usize = 500;
/// Comparisons that finding the exact answers may take.
const COMPARISONS: u64 = 4_000_000_000;
/// Probes of nobody, who only tell what a search costs.
const NON_MATED: usize = 300;
/// One face in this many may be held out at most: a graph that lacks more is another graph.
const HIDDEN: u64 = 20;
/// Pairs of faces of one subject that mates are learned from.
const PAIRS: usize = 2000;
/// Fewer pairs say too little of what mates look like.
const LEAST_PAIRS: usize = 30;
/// Faces whose directions make up a disturbance, so that it is like nobody's.
const DISTURBERS: usize = 8;
/// Probes answered exactly at a time.
const BATCH: usize = 64;
/// What the centred cosine of mates is taken for where no subject has two faces: its quantiles, in
/// even steps. Three public face models have medians of 0.55 to 0.66 and 5 % below 0.19 to 0.4.
const ASSUMED: [f32; 11] = [0.15, 0.44, 0.51, 0.57, 0.61, 0.65, 0.69, 0.73, 0.77, 0.82, 0.92];

/// Beams that are measured, until one finds all.
const BEAMS: [usize; 9] = [16, 32, 64, 96, 128, 256, 512, 1024, 2048];
/// A plan of which this is proven needs no wider one: four thousand probes prove little more.
const ENOUGH: f64 = 0.999;
/// Microseconds that scoring a face by its vector takes, about: no walk may cost more than all.
const EXACT: f64 = 0.03;

/// Who is searched for, and what should be found.
pub(super) struct Sample {
    cases: Vec<Case>,
    estimated: bool,
    /// All faces but those that are probes, where some are.
    shown: Option<Arc<Selection>>,
}

struct Case {
    probe: Embedding,
    wanted: Wanted,
    /// The probe's own slot, where it is a face of the gallery.
    own: Option<u32>,
    /// Slots of the mates within the exact top, for each promised k.
    in_top: [Vec<u64>; PROMISED.len()],
    /// Similarity of the nearest face.
    nearest: f32,
}

/// Which faces are mates.
enum Wanted {
    OfSubject(String),
    Face(u32),
    Nobody,
}

impl Sample {
    /// Draws whom to search for. `gallery` needs no graph yet. Unless `holds_out`, every probe is
    /// made up, as no face is left out of the graph.
    pub(super) fn draw(gallery: &Gallery, seed: u64, holds_out: bool) -> Result<Self, BuildError> {
        let faces = gallery.len();
        let affordable = (COMPARISONS / faces.max(1)) as usize;
        let mated = affordable.clamp(LEAST_MATED, MATED).min(faces as usize / FACES_A_CASE);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut subjects = Vec::with_capacity(mated);
        let segment = &gallery.0.segment;
        for place in index::sample(&mut random, faces as usize, mated) {
            let place = place as u32;
            let subject = segment.attributes.text(column::SUBJECT, place)?.map(str::to_owned);
            let mates = match &subject {
                Some(subject) => gallery.places_of_subject(subject)?,
                None => Vec::new(),
            };
            let others = mates.into_iter().filter(|&mate| mate != place);
            let mates: Vec<u32> = others.map(|mate| segment.slot(mate)).collect();
            subjects.push((segment.slot(place), subject, mates));
        }
        let disturb = Disturb::new(gallery)?;
        let mut pairs = Vec::new();
        for (slot, _, mates) in subjects.iter().filter(|(_, _, mates)| !mates.is_empty()) {
            if pairs.len() < PAIRS {
                let mate = mates[random.random_range(0..mates.len())];
                pairs.push(disturb.centred_cosine(*slot, mate));
            }
        }
        pairs.sort_unstable_by(f32::total_cmp);
        let estimated = pairs.len() < LEAST_PAIRS;
        let alike: &[f32] = if estimated { &ASSUMED } else { &pairs };
        let mut cases = Vec::with_capacity(mated + NON_MATED);
        let mut shown = Selection::all(faces as u32);
        let most_hidden = if holds_out { faces / HIDDEN } else { 0 };
        for (slot, subject, mates) in subjects {
            let (probe, wanted, own) = match subject {
                Some(subject)
                    if !mates.is_empty() && faces - u64::from(shown.count()) < most_hidden =>
                {
                    shown.remove(slot);
                    let vector = gallery.0.segment.vector(slot).into_owned();
                    (Embedding::new(vector), Wanted::OfSubject(subject), Some(slot))
                }
                _ => {
                    let copy = disturb.copy(slot, quantile(alike, random.random()), &mut random);
                    (Embedding::new(copy), Wanted::Face(slot), None)
                }
            };
            // A damaged vector makes no probe.
            if let Ok(probe) = probe {
                cases.push(Case::new(probe, wanted, own));
            }
        }
        for _ in 0..NON_MATED {
            if let Ok(probe) = Embedding::new(disturb.nobody(&mut random)) {
                cases.push(Case::new(probe, Wanted::Nobody, None));
            }
        }
        let hides = u64::from(shown.count()) < faces;
        Ok(Self { cases, estimated, shown: hides.then(|| Arc::new(shown)) })
    }

    /// The similarity below which what was found may well be nobody's mate: that of the nearest
    /// face of all but one in a hundred of the probes of nobody.
    fn doubtful(&self) -> f32 {
        let nobody = self.cases.iter().filter(|case| matches!(case.wanted, Wanted::Nobody));
        let mut nearest: Vec<f32> = nobody.map(|case| case.nearest).collect();
        nearest.sort_unstable_by(f32::total_cmp);
        if nearest.is_empty() { 1.0 } else { quantile(&nearest, 0.99) }
    }

    /// Slots that are to be left out of the graph while walks are measured.
    pub(super) fn held_out(&self) -> HashSet<u32> {
        self.cases.iter().filter_map(|case| case.own).collect()
    }

    /// Finds the exact answers, by scoring every face.
    pub(super) fn find_exact(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), BuildError> {
        let most = PROMISED[PROMISED.len() - 1];
        let query = Query::new().top(most).exhaustive().cancel(cancel.clone());
        progress.begin("exact", Some(self.cases.len() as u64));
        for cases in self.cases.chunks_mut(BATCH * rayon::current_num_threads()) {
            let probes: Vec<Embedding> = cases.iter().map(|case| case.probe.clone()).collect();
            let answers = gallery.search_all(&probes, &query, self.shown.clone())?;
            for (case, answer) in cases.iter_mut().zip(answers) {
                let answer = answer?;
                case.nearest = answer.first().map_or(0.0, |found| found.similarity);
                case.mark(gallery, &answer)?;
            }
            progress.advance(probes.len() as u64);
        }
        progress.end();
        Ok(())
    }
}

impl Case {
    fn new(probe: Embedding, wanted: Wanted, own: Option<u32>) -> Self {
        Self { probe, wanted, own, in_top: Default::default(), nearest: 0.0 }
    }

    /// Notes the mates among the exact answers.
    fn mark(&mut self, gallery: &Gallery, found: &[Match<'_>]) -> Result<(), BuildError> {
        for (rank, found) in found.iter().enumerate() {
            let slot = found.slot();
            let is_mate = match &self.wanted {
                Wanted::OfSubject(subject) => {
                    let segment = &gallery.0.segment;
                    segment.attributes.text(column::SUBJECT, found.place())? == Some(subject)
                }
                Wanted::Face(face) => *face == slot,
                Wanted::Nobody => false,
            };
            for (in_top, k) in self.in_top.iter_mut().zip(PROMISED) {
                if is_mate && rank < k {
                    in_top.push(u64::from(slot));
                }
            }
        }
        Ok(())
    }
}

/// Copies of faces that are as unlike them as asked for.
struct Disturb<'g> {
    gallery: &'g Gallery,
    mean: &'g [f32],
}

impl<'g> Disturb<'g> {
    fn new(gallery: &'g Gallery) -> Result<Self, BuildError> {
        let segment = &gallery.0.segment;
        let codes = segment.codes.view(segment.faces())?;
        Ok(Self { gallery, mean: codes.space.mean() })
    }

    fn centred(&self, slot: u32) -> Vec<f32> {
        let vector = self.gallery.0.segment.vector(slot);
        vector.iter().zip(self.mean).map(|(v, m)| v - m).collect()
    }

    fn centred_cosine(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (self.centred(a), self.centred(b));
        let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
        if lengths > 0.0 { dot(&a, &b) / lengths } else { 1.0 }
    }

    /// A direction that the faces have and no person.
    fn direction(&self, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let mut sum = vec![0.0; self.mean.len()];
        for _ in 0..DISTURBERS {
            let other = self.centred(random.random_range(0..self.gallery.len()) as u32);
            let sign = if random.random() { 1.0 } else { -1.0 };
            sum.iter_mut().zip(&other).for_each(|(sum, v)| *sum += sign * v);
        }
        sum
    }

    /// A face's copy whose centred cosine with it is `alike`.
    fn copy(&self, slot: u32, alike: f32, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let own = self.centred(slot);
        let square = dot(&own, &own);
        let mut away = self.direction(random);
        let along = if square > 0.0 { dot(&away, &own) / square } else { 0.0 };
        away.iter_mut().zip(&own).for_each(|(away, own)| *away -= along * own);
        let length = dot(&away, &away).sqrt();
        let turn = if length > 0.0 {
            (1.0 - alike * alike).max(0.0).sqrt() * square.sqrt() / length
        } else {
            0.0
        };
        let copy = own.iter().zip(&away).map(|(own, away)| alike * own + turn * away);
        copy.zip(self.mean).map(|(v, m)| v + m).collect()
    }

    /// Somebody who is not in the gallery.
    fn nobody(&self, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let face = random.random_range(0..self.gallery.len()) as u32;
        self.copy(face, 0.0, random)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f32], share: f32) -> f32 {
    let place = share * (sorted.len() - 1) as f32;
    let (below, rest) = (place as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + rest * (sorted[above] - sorted[below])
}

/// Measures plans and collects what they deliver.
pub(super) struct Measuring<'a> {
    sample: &'a Sample,
    ladders: Vec<Ladder>,
    cancel: &'a Cancel,
}

impl<'a> Measuring<'a> {
    pub(super) fn new(sample: &'a Sample, cancel: &'a Cancel) -> Self {
        let ladder = |which: usize| {
            let mates = sample.cases.iter().map(|case| case.in_top[which].len() as u64).sum();
            Ladder { k: PROMISED[which], mates, rungs: Vec::new() }
        };
        Self { sample, ladders: (0..PROMISED.len()).map(ladder).collect(), cancel }
    }

    /// Measures every kind of plan.
    pub(super) fn all(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
    ) -> Result<(), BuildError> {
        self.scans(gallery, progress)?;
        self.doubts(gallery, progress)?;
        self.walks(gallery, progress)
    }

    /// Measures scans of the gallery.
    pub(super) fn scans(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
    ) -> Result<(), BuildError> {
        let shares = if gallery.catalogue().cells.count >= LEAST_CELLS { &SHARES[..] } else { &[] };
        let plans: Vec<Plan> = SCANS
            .iter()
            .map(|&(times, confidence)| Plan::Scan { share: 1.0, keep: times, confidence })
            .collect();
        let each = plans.len() + shares.len() * SHARED.len();
        progress.begin("scans", Some((each * PROMISED.len()) as u64));
        for (which, &k) in PROMISED.iter().enumerate() {
            for &plan in &plans {
                let plan = match plan {
                    Plan::Scan { share, keep, confidence } => {
                        Plan::Scan { share, keep: keep * k, confidence }
                    }
                    other => other,
                };
                self.rung(gallery, which, plan)?;
                progress.advance(1);
            }
            self.shares(gallery, which, shares)?;
            progress.advance((shares.len() * SHARED.len()) as u64);
        }
        progress.end();
        Ok(())
    }

    /// Measures walks with a scan where they leave doubt.
    pub(super) fn doubts(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
    ) -> Result<(), BuildError> {
        let accept = self.sample.doubtful();
        progress.begin("walks and scans", Some((DOUBTS.len() * PROMISED.len()) as u64));
        for (which, &k) in PROMISED.iter().enumerate() {
            for (beam, times, confidence) in DOUBTS {
                let keep = times * k;
                let plan = Plan::WalkThenScan { beam, accept, keep, confidence };
                self.rung(gallery, which, plan)?;
                progress.advance(1);
            }
        }
        progress.end();
        Ok(())
    }

    /// Measures scans of larger and larger shares of the gallery, until one finds all or costs more
    /// than scanning the whole.
    fn shares(
        &mut self,
        gallery: &Gallery,
        which: usize,
        shares: &[f64],
    ) -> Result<(), BuildError> {
        for (times, confidence) in SHARED {
            let keep = times * PROMISED[which];
            let whole = Plan::Scan { share: 1.0, keep, confidence };
            let rungs = self.ladders[which].rungs.iter();
            let dear = rungs.filter(|rung| rung.plan == whole).map(Rung::microseconds);
            let dear = dear.fold(f64::INFINITY, f64::min);
            for &share in shares {
                let rung = self.rung(gallery, which, Plan::Scan { share, keep, confidence })?;
                if rung.at_least >= ENOUGH || rung.microseconds() > dear {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Measures walks of the gallery's graph, wider and wider until one finds all.
    pub(super) fn walks(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
    ) -> Result<(), BuildError> {
        progress.begin("walks", Some((BEAMS.len() * PROMISED.len()) as u64));
        for (which, &k) in PROMISED.iter().enumerate() {
            let dear = self.cost_of_enough(which).min(gallery.len() as f64 * EXACT);
            for (done, &beam) in BEAMS.iter().enumerate() {
                let skipped = BEAMS.len() - done;
                if beam < k {
                    progress.advance(1);
                    continue;
                }
                let rung = self.rung(gallery, which, Plan::Walk { beam })?;
                progress.advance(1);
                if rung.at_least >= ENOUGH || rung.microseconds() > dear {
                    progress.advance(skipped as u64 - 1);
                    break;
                }
            }
        }
        progress.end();
        Ok(())
    }

    /// What the cheapest plan measured so far costs that finds all.
    fn cost_of_enough(&self, which: usize) -> f64 {
        let enough = self.ladders[which].rungs.iter().filter(|rung| rung.at_least >= ENOUGH);
        enough.map(Rung::microseconds).fold(f64::INFINITY, f64::min)
    }

    fn rung(&mut self, gallery: &Gallery, which: usize, plan: Plan) -> Result<Rung, BuildError> {
        let query = Query::new().top(PROMISED[which]).planned(plan).cancel(self.cancel.clone());
        let one = |case: &Case| -> Result<(usize, usize, Counters), SearchError> {
            let matches = gallery.search_shown(&case.probe, &query, self.sample.shown.clone())?;
            let found: HashSet<u64> = matches.iter().map(|found| u64::from(found.slot())).collect();
            let wanted = &case.in_top[which];
            let hits = wanted.iter().filter(|&mate| found.contains(mate)).count();
            Ok((hits, wanted.len(), matches.counters))
        };
        let outcomes: Vec<_> = self.sample.cases.par_iter().map(one).collect::<Result<_, _>>()?;
        let mut counts = Vec::with_capacity(outcomes.len());
        let (mut mated, mut others) = ((Reads::default(), 0), (Reads::default(), 0));
        for (case, (hits, wanted, counters)) in self.sample.cases.iter().zip(&outcomes) {
            let nobody = matches!(case.wanted, Wanted::Nobody);
            let (reads, searches) = if nobody { &mut others } else { &mut mated };
            reads.add(counters);
            *searches += 1;
            counts.push((*hits, *wanted));
        }
        let (hit_rate, at_least) = hit_rate(&counts);
        let rung = Rung {
            plan,
            hit_rate,
            at_least,
            mated: mated.0.mean(mated.1),
            non_mated: others.0.mean(others.1),
        };
        self.ladders[which].rungs.push(rung);
        Ok(rung)
    }

    /// The promise: of the plans measured, those that none beats.
    pub(super) fn promise(self) -> Promise {
        let cases = &self.sample.cases;
        let count = |which: fn(&Case) -> bool| cases.iter().filter(|case| which(case)).count();
        let mut ladders = self.ladders;
        for ladder in &mut ladders {
            ladder.rungs.sort_by(|a, b| a.microseconds().total_cmp(&b.microseconds()));
            let mut best = -1.0;
            ladder.rungs.retain(|rung| {
                let better = rung.at_least > best;
                best = rung.at_least.max(best);
                better
            });
        }
        Promise {
            mated: count(|case| !matches!(case.wanted, Wanted::Nobody)),
            made_up: count(|case| matches!(case.wanted, Wanted::Face(_))),
            non_mated: count(|case| matches!(case.wanted, Wanted::Nobody)),
            estimated: self.sample.estimated,
            ladders,
        }
    }
}

/// How many candidates for each face asked for, and the confidence, of the scans measured.
const SCANS: [(usize, f32); 5] = [(2, 0.0), (4, 1.0), (10, 2.0), (10, 3.0), (20, 4.0)];

/// Beams, candidates for each face asked for, and the confidence, of the walks followed by scans.
const DOUBTS: [(usize, usize, f32); 6] =
    [(32, 2, 0.0), (32, 4, 1.0), (32, 10, 2.0), (128, 2, 0.0), (128, 4, 1.0), (128, 10, 2.0)];

/// The same of the scans of a share.
const SHARED: [(usize, f32); 2] = [(2, 1.0), (4, 2.0)];
/// Shares that are measured.
const SHARES: [f64; 6] = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
/// With fewer cells a share is a matter of a few of them, and the whole is scanned soon anyway.
const LEAST_CELLS: u32 = 64;

/// The hit rate of hits and mates a probe, and its lower 95 % bound (one-sided).
///
/// Wilson's interval for a share, on the number of mates that would say as much were they found
/// independently: the mates of one probe are found or missed together.
fn hit_rate(counts: &[(usize, usize)]) -> (f64, f64) {
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

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[1.0, 2.0], 0.0), 1.0);
        assert_eq!(quantile(&[1.0, 2.0], 1.0), 2.0);
        assert!((quantile(&[1.0, 2.0, 4.0], 0.75) - 3.0).abs() < 1e-6);
    }
}
