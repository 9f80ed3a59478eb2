//! Measuring plans, and which of them are worth it.

use std::collections::HashSet;

use rayon::prelude::*;

use super::super::BuildError;
use super::bound;
use super::sample::{Case, Goal, Sample};
use crate::search::{
    Counters, DEFAULT_HIT_RATE, Ladder, Match, Plan, Promise, Query, RangeLadder, Reads, Rung,
    SearchError, exhaustive_microseconds,
};
use crate::{Cancel, Gallery, Progress};

/// A plan of which this is proven needs no wider one: four thousand probes prove little more.
const ENOUGH: f64 = 0.999;
/// Nor does one that misses next to nothing and leaves no more than this many times as much unproven
/// as one that finds all.
const HARDLY_MORE: f64 = 1.1;
/// One probe in this many tries a plan out, before it is measured with all of them.
const TRIAL: usize = 8;
/// A plan that costs this many times what another does that found all in its trial is not tried.
const PATIENCE: f64 = 4.0;
/// Hit rates that are often asked for.
const ASKED: [f64; 3] = [0.95, DEFAULT_HIT_RATE, ENOUGH];
/// So many plans that found all in their trial are measured.
const FOUND_ALL: usize = 3;
/// From this hit rate on a dearer plan is measured where it misses no more than this part of what the
/// best cheaper one did: that users ask for so much is rare, and what they ask for below is looked at
/// closely.
const FINE: (f64, f64) = (0.9975, 0.75);

/// Beams of walks.
const BEAMS: [usize; 9] = [16, 32, 64, 96, 128, 256, 512, 1024, 2048];
/// Confidences of scans of all faces that keep few candidates, and many.
const FEW_KEPT: [f32; 5] = [-1.0, -0.5, 0.0, 0.5, 1.0];
const MANY_KEPT: [f32; 13] =
    [-1.5, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0];
/// The same of scans of a share.
const FEW_SHARED: f32 = 0.5;
const MANY_SHARED: [f32; 3] = [-0.5, 0.5, 1.5];
/// Shares of the faces. With more of them a scan of all takes hardly longer, or less: its sketches
/// come in order.
const SHARES: [f64; 10] = [0.005, 0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3];
/// With fewer cells a share is a matter of a few of them, and the whole is scanned soon anyway.
const LEAST_CELLS: u32 = 64;
/// Beams of walks that are followed by a scan where they leave doubt.
const DOUBTFUL: [usize; 3] = [32, 128, 512];
/// Confidences of those scans.
const AFTER: [f32; 4] = [-1.0, -0.5, 0.0, 1.0];
/// Few candidates and many, for each face asked for and beyond those. Few cost fewer vectors; but by
/// the codes' estimates, a mate that is among the nearest may have a few dozen others before it.
const KEEP_FEW: (usize, usize) = (2, 0);
const KEEP_MANY: (usize, usize) = (4, 64);
/// Where one person has tens of thousands of photos, the nearest of them are told from the rest by
/// their vectors alone: so many are kept, and scans of all faces allow for so much error.
const KEEP_CROWD: [(usize, usize); 3] = [(16, 1024), (32, 3072), (64, 8192)];
const CROWD_KEPT: [f32; 4] = [-0.5, 0.0, 0.5, 2.0];
/// Mates of a probe that are few.
const FEW_MATES: usize = 3;

/// Where every face at or above a threshold is asked for: beams, and confidences of scans.
const RANGE_BEAMS: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// With less of it, mates barely above the threshold are missed more often than others, of whom
/// there are the more the higher it is; and hardly any time is won.
const RANGE_CONFIDENCES: [f32; 3] = [2.5, 3.0, 4.0];

/// Measures plans and collects what they deliver.
pub(in super::super) struct Measuring<'a> {
    sample: &'a Sample,
    /// What was measured for each of the sample's goals.
    rungs: Vec<Vec<Rung>>,
    /// Faces of the gallery.
    faces: u64,
    cancel: &'a Cancel,
}

impl<'a> Measuring<'a> {
    pub(in super::super) fn new(sample: &'a Sample, faces: u64, cancel: &'a Cancel) -> Self {
        Self { sample, rungs: vec![Vec::new(); sample.goals.len()], faces, cancel }
    }

    /// Measures every kind of plan that the gallery has what it takes for.
    pub(in super::super) fn run(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
    ) -> Result<(), BuildError> {
        let accept = self.sample.doubtful();
        let kinds: Vec<Vec<Vec<Plan>>> =
            self.sample.goals.iter().map(|goal| goal.kinds(gallery, accept)).collect();
        let steps: usize = kinds.iter().map(|kinds| kinds.len() + 2).sum();
        progress.begin("plans", Some(steps as u64));
        for (which, kinds) in kinds.iter().enumerate() {
            let mut tried = Vec::new();
            for kind in kinds {
                self.climb(gallery, which, kind, &mut tried)?;
                progress.advance(1);
            }
            // Among those that pass a filter, only scans of all faces serve. Further ones are tried
            // where these found too little, and where they turn out to prove too little.
            let scans = |tried: &[Rung]| -> Vec<Rung> {
                tried.iter().filter(|rung| rung.plan.is_whole_scan()).copied().collect()
            };
            let mut crowd = self.sample.goals[which].kinds_for_a_crowd();
            if scans(&tried).iter().all(|rung| rung.hit_rate < ENOUGH) {
                for kind in crowd.drain(..) {
                    self.climb(gallery, which, &kind, &mut tried)?;
                }
            }
            progress.advance(1);
            let most = self.provable(which);
            self.measure(gallery, which, most, unbeaten(tried.clone(), self.faces))?;
            self.measure(gallery, which, most, unbeaten(scans(&tried), self.faces))?;
            let enough =
                |rungs: &[Rung]| scans(rungs).iter().any(|rung| proves_enough(rung.at_least, most));
            if !enough(&self.rungs[which]) {
                for kind in crowd {
                    self.climb(gallery, which, &kind, &mut tried)?;
                }
                self.measure(gallery, which, most, unbeaten(scans(&tried), self.faces))?;
            }
            // In its trial a plan may find all and miss some in the end; the dearest scan stands by.
            if !enough(&self.rungs[which]) {
                let cost = |a: &Rung, b: &Rung| Rung::by_cost(a, b, self.faces);
                let dearest = scans(&tried).into_iter().max_by(cost);
                let dearest = dearest.map(|rung| rung.plan).into_iter().collect();
                self.measure(gallery, which, most, dearest)?;
            }
            progress.advance(1);
        }
        progress.end();
        Ok(())
    }

    /// Measures plans with all probes, the cheapest first, until one finds so much that these probes
    /// would prove hardly more of a dearer one. `most` is what they prove of one that finds all.
    fn measure(
        &mut self,
        gallery: &Gallery,
        which: usize,
        most: f64,
        plans: Vec<Plan>,
    ) -> Result<(), BuildError> {
        let mates: usize = self.sample.cases.iter().map(|case| case.wanted[which].len()).sum();
        for plan in plans {
            let known = self.rungs[which].iter().find(|rung| rung.plan == plan);
            let rung = match known {
                Some(&rung) => rung,
                None => {
                    let rung = self.rung(gallery, which, plan, 1)?;
                    self.rungs[which].push(rung);
                    rung
                }
            };
            let missed = (1.0 - rung.hit_rate) * mates as f64;
            let is_telling = rung.at_least < ENOUGH && missed >= bound::TELLING;
            if !is_telling && proves_enough(rung.at_least, most) {
                break;
            }
        }
        Ok(())
    }

    /// Tries plans of one kind, each dearer than the one before, for as long as that may pay.
    fn climb(
        &self,
        gallery: &Gallery,
        which: usize,
        plans: &[Plan],
        tried: &mut Vec<Rung>,
    ) -> Result<(), BuildError> {
        for &plan in plans {
            let rung = self.rung(gallery, which, plan, TRIAL)?;
            tried.push(rung);
            // Among those that pass a filter only whole scans serve, so that those are for themselves.
            let serves = |rung: &&Rung| !plan.is_whole_scan() || rung.plan.is_whole_scan();
            let found_all = tried.iter().filter(serves).filter(|rung| rung.hit_rate >= 1.0);
            let costs = found_all.map(|rung| rung.microseconds(self.faces));
            let cheapest = costs.fold(f64::INFINITY, f64::min);
            let dear = (PATIENCE * cheapest).min(exhaustive_microseconds(self.faces));
            if rung.microseconds(self.faces) > dear {
                break;
            }
        }
        Ok(())
    }

    /// What a plan delivers, measured with one probe in `every`.
    fn rung(
        &self,
        gallery: &Gallery,
        which: usize,
        plan: Plan,
        every: usize,
    ) -> Result<Rung, BuildError> {
        let goal = &self.sample.goals[which];
        let query = goal.query().plan(plan).cancel(self.cancel.clone());
        let goals = self.goals_within(which);
        let one = |case: &&Case| -> Result<(Vec<(usize, usize)>, Counters), SearchError> {
            let matches = gallery.search_shown(&case.probe, &query, self.sample.shown.clone())?;
            let found: HashSet<u32> = matches.iter().map(Match::slot).collect();
            let count = |&goal: &usize| {
                let wanted = &case.wanted[goal];
                (wanted.iter().filter(|&mate| found.contains(mate)).count(), wanted.len())
            };
            Ok((goals.iter().map(count).collect(), matches.counters))
        };
        let cases: Vec<&Case> = self.sample.cases.iter().step_by(every).collect();
        let outcomes: Vec<_> = cases.par_iter().map(one).collect::<Result<_, _>>()?;
        let (mut mated, mut others) = ((Reads::default(), 0), (Reads::default(), 0));
        for (case, (_, counters)) in cases.iter().zip(&outcomes) {
            let (reads, searches) = if case.is_of_nobody() { &mut others } else { &mut mated };
            reads.add(counters);
            *searches += 1;
        }
        let outcomes = cases.into_iter().zip(outcomes.into_iter().map(|(counts, _)| counts));
        let (hit_rate, at_least) = self.proven(which, &outcomes.collect::<Vec<_>>());
        Ok(Rung {
            plan,
            hit_rate,
            at_least,
            mated: mated.0.mean(mated.1),
            non_mated: others.0.mean(others.1),
        })
    }

    /// A goal, and those that ask for less: what is found first is found for them, too.
    fn goals_within(&self, which: usize) -> Vec<usize> {
        let goals = self.sample.goals.iter().enumerate();
        let less = goals.filter(|(_, goal)| goal.is_less_than(&self.sample.goals[which]));
        std::iter::once(which).chain(less.map(|(at, _)| at)).collect()
    }

    /// The hit rate and its lower bound that follow from outcomes: of each case, hits and mates for
    /// each of the goals within.
    fn proven(&self, which: usize, outcomes: &[(&Case, Vec<(usize, usize)>)]) -> (f64, f64) {
        let counted = |goal: usize, of: &dyn Fn(&Case) -> bool| {
            let counted = outcomes.iter().filter(|(case, _)| of(case));
            let said = counted.map(|(case, counts)| (case.subject(), counts[goal]));
            bound::counts(said.filter(|(_, (_, mates))| *mates > 0))
        };
        let all = |at| counted(at, &|_| true);
        let parts = match self.sample.goals[which] {
            Goal::Top(_) => (1..self.goals_within(which).len()).map(all).collect(),
            Goal::AtLeast(_) => vec![counted(0, &|case| case.mates().len() <= FEW_MATES)],
        };
        bound::least(&all(0), parts)
    }

    /// The lower bound of a plan that finds all.
    fn provable(&self, which: usize) -> f64 {
        let goals = self.goals_within(which);
        let all = |case: &Case, at: usize| (case.wanted[at].len(), case.wanted[at].len());
        let found = |case| (case, goals.iter().map(|&at| all(case, at)).collect());
        self.proven(which, &self.sample.cases.iter().map(found).collect::<Vec<_>>()).1
    }

    /// The promise: of the plans measured, those that none beats, and of scans of all faces, which
    /// are all that serves a search with a filter, those that no other such scan does.
    pub(in super::super) fn promise(self) -> Promise {
        let cases = &self.sample.cases;
        let count = |which: fn(&Case) -> bool| cases.iter().filter(|case| which(case)).count();
        let (mut ladders, mut ranges) = (Vec::new(), Vec::new());
        for (which, (goal, mut rungs)) in self.sample.goals.iter().zip(self.rungs).enumerate() {
            rungs.sort_by(|a, b| Rung::by_cost(a, b, self.faces));
            let (mut best, mut best_scan) = (-1.0, -1.0);
            rungs.retain(|rung| {
                let mut better = rung.at_least > best;
                best = rung.at_least.max(best);
                if rung.plan.is_whole_scan() {
                    better |= rung.at_least > best_scan;
                    best_scan = rung.at_least.max(best_scan);
                }
                better
            });
            let mates = cases.iter().map(|case| case.wanted[which].len() as u64).sum();
            match *goal {
                Goal::Top(k) => ladders.push(Ladder { k, mates, rungs }),
                Goal::AtLeast(at_least) => ranges.push(RangeLadder { at_least, mates, rungs }),
            }
        }
        Promise {
            mated: count(|case| !case.is_of_nobody()),
            made_up: count(Case::is_made_up),
            non_mated: count(Case::is_of_nobody),
            estimated: self.sample.estimated,
            ladders,
            ranges,
        }
    }
}

impl Goal {
    /// Whether it asks for the first of what another asks for.
    fn is_less_than(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Top(k), Self::Top(more)) if k < more)
    }

    fn query(&self) -> Query {
        match *self {
            Self::Top(k) => Query::new().top(k),
            Self::AtLeast(similarity) => Query::new().at_least(similarity),
        }
    }

    /// The plans that are considered, by kind, the cheapest of a kind first.
    fn kinds(&self, gallery: &Gallery, accept: f32) -> Vec<Vec<Plan>> {
        match *self {
            Self::Top(k) => kinds(gallery, k, accept),
            Self::AtLeast(_) => kinds_of_range(gallery),
        }
    }

    /// Those that are considered where no scan of all faces among them finds enough.
    fn kinds_for_a_crowd(&self) -> Vec<Vec<Plan>> {
        match *self {
            Self::Top(k) => KEEP_CROWD.map(|keep| whole(kept(keep, k), &CROWD_KEPT)).to_vec(),
            Self::AtLeast(_) => Vec::new(),
        }
    }
}

/// Whether a dearer plan is not worth it, where a sample proves `most` of one that finds all: little
/// is left to prove, and nothing that is often asked for.
fn proves_enough(at_least: f64, most: f64) -> bool {
    let is_between = |rate| at_least < rate && rate <= most;
    let hardly_more = 1.0 - at_least <= (1.0 - most) * HARDLY_MORE;
    at_least >= ENOUGH || hardly_more && !ASKED.into_iter().any(is_between)
}

/// Candidates that are kept, for `k` faces.
fn kept((each, beyond): (usize, usize), k: usize) -> usize {
    each * k + beyond
}

/// Scans of all faces.
fn whole(keep: usize, confidences: &[f32]) -> Vec<Plan> {
    let plan = |&confidence| Plan::Scan { share: 1.0, keep, confidence };
    confidences.iter().map(plan).collect()
}

/// The plans that are considered where `k` faces are asked for, by kind, the cheapest of a kind
/// first.
fn kinds(gallery: &Gallery, k: usize, accept: f32) -> Vec<Vec<Plan>> {
    let (few, many) = (kept(KEEP_FEW, k), kept(KEEP_MANY, k));
    let mut kinds = vec![whole(few, &FEW_KEPT), whole(many, &MANY_KEPT)];
    if gallery.catalogue().cells.count >= LEAST_CELLS {
        let shares = |keep, confidence| {
            let plan = |share| Plan::Scan { share, keep, confidence };
            SHARES.map(plan).to_vec()
        };
        kinds.push(shares(few, FEW_SHARED));
        kinds.extend(MANY_SHARED.map(|confidence| shares(many, confidence)));
    }
    if gallery.0.segment.graph.is_some() {
        let beams = BEAMS.iter().filter(|&&beam| beam >= k);
        kinds.push(beams.map(|&beam| Plan::Walk { beam }).collect());
        kinds.extend(DOUBTFUL.map(|beam| {
            let plan = |confidence| Plan::WalkThenScan { beam, accept, keep: many, confidence };
            AFTER.map(plan).to_vec()
        }));
    }
    kinds
}

/// The same where every face at or above a threshold is asked for.
fn kinds_of_range(gallery: &Gallery) -> Vec<Vec<Plan>> {
    let keep = gallery.len() as usize;
    let scan = |share, confidence| Plan::Scan { share, keep, confidence };
    let mut kinds = vec![RANGE_CONFIDENCES.map(|confidence| scan(1.0, confidence)).to_vec()];
    if gallery.catalogue().cells.count >= LEAST_CELLS {
        kinds.push(SHARES.map(|share| scan(share, RANGE_CONFIDENCES[0])).to_vec());
    }
    if gallery.0.segment.graph.is_some() {
        kinds.push(RANGE_BEAMS.map(|beam| Plan::Walk { beam }).to_vec());
    }
    kinds
}

/// Plans that no cheaper one found nearly as much as, the cheapest first. Of those that found all,
/// which one finds a little less than all is not known yet; the first few are kept.
fn unbeaten(mut tried: Vec<Rung>, faces: u64) -> Vec<Plan> {
    tried.sort_by(|a, b| Rung::by_cost(a, b, faces));
    let (mut least_missed, mut all) = (f64::INFINITY, 0);
    tried.retain(|rung| {
        let missed = 1.0 - rung.hit_rate;
        let found_all = missed <= 0.0;
        all += usize::from(found_all);
        let worth = if rung.hit_rate < FINE.0 { 1.0 } else { FINE.1 };
        let better = missed < least_missed * worth;
        let kept = if found_all { all <= FOUND_ALL } else { better };
        least_missed = if kept { missed } else { least_missed };
        kept
    });
    tried.into_iter().map(|rung| rung.plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_often_asked_for_is_worth_a_dearer_plan() {
        assert!(proves_enough(0.9991, 0.9993) && proves_enough(0.963, 0.9633));
        assert!(!proves_enough(0.95, 0.9633) && !proves_enough(0.9495, 0.952));
        assert!(!proves_enough(0.9898, 0.9903) && proves_enough(0.9901, 0.9903));
        assert!(!proves_enough(0.99895, 0.999));
    }

    #[test]
    fn a_trial_leaves_what_a_cheaper_plan_does_not_beat() {
        let tried = |beam, hit_rate, hops| Rung {
            plan: Plan::Walk { beam },
            hit_rate,
            at_least: 0.0,
            mated: Reads { hops, ..Reads::default() },
            non_mated: Reads::default(),
        };
        let tried = vec![
            tried(1, 0.5, 10.0),
            tried(4, 1.0, 40.0),
            tried(2, 0.4, 20.0),
            tried(3, 0.9, 30.0),
            tried(5, 0.9, 50.0),
            tried(6, 1.0, 60.0),
            tried(7, 1.0, 70.0),
            tried(8, 1.0, 80.0),
        ];
        let beams = unbeaten(tried, 1000).into_iter().map(|plan| match plan {
            Plan::Walk { beam } => beam,
            _ => 0,
        });
        assert_eq!(beams.collect::<Vec<_>>(), [1, 3, 4, 6, 7]);
    }

    #[test]
    fn who_finds_next_to_all_has_to_be_beaten_clearly() {
        let tried = |beam, hit_rate| Rung {
            plan: Plan::Walk { beam },
            hit_rate,
            at_least: 0.0,
            mated: Reads { hops: beam as f64, ..Reads::default() },
            non_mated: Reads::default(),
        };
        let tried = [tried(1, 0.9960), tried(2, 0.9970), tried(3, 0.9977), tried(4, 0.9980)];
        let left = |tried: Vec<Rung>| unbeaten(tried, 1000).len();
        assert_eq!(left(tried[..2].to_vec()), 2);
        // A quarter fewer missed than by the last, and not.
        assert_eq!((left(tried[1..3].to_vec()), left(tried[2..].to_vec())), (1, 1));
        assert_eq!(left(vec![tried[1], tried[3]]), 2);
    }
}
