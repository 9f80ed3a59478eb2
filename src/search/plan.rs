//! Choosing how to carry out a search, and carrying it out.
//!
//! Few faces (or few that pass the filters) are answered exactly. Otherwise the query's own wish
//! decides, or else the cheapest plan that keeps the promised hit rate, as measured when the
//! gallery was built. Where a plan leaves the question open (too few subjects, or a threshold below
//! all it found), it is widened, and every face scored once that costs no more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::time::Instant;

use super::coded::Coded;
use super::exact::{Keep, score_all};
use super::query::{Counters, DEFAULT_HIT_RATE, Match, Matches, Plan, Request};
use super::rerank::{Reranked, rerank};
use super::scan::{Sieve, Sift, Sifted, scan};
use super::scratch::{Candidate, Scratch};
use super::selection::Selection;
use super::share::Promising;
use super::similarity::Exact;
use super::walk::{Steps, Trace, Walk, walk};
use super::{Gallery, SearchError};
use crate::cells::Cells;
use crate::codes::CodedProbe;
use crate::gallery::attributes::column;
use crate::gallery::codes::CodesView;
use crate::gallery::graph::GraphView;
use crate::kernels::Kernels;

/// Faces that are answered exactly rather than by codes: it takes a fraction of a millisecond.
pub(crate) const FEW: usize = 4096;
/// A walk among few that pass a filter may miss some: it must read this much less than all of them.
const WORTH_MISSING: usize = 3;
/// By how much a plan that left the question open is widened.
const WIDEN: usize = 4;
/// Standard deviations of a code's error that a walk's rerank allows for.
const WALK_CONFIDENCE: f32 = 2.0;
/// The same of the rerank after a scan, whose own confidence says how many candidates there are.
const RERANK_CONFIDENCE: f32 = 2.0;
/// The same of a scan that was asked for by its share, and of one for every face that matches.
const SCAN_CONFIDENCE: f32 = 4.0;
/// The hit rate up to which that confidence is trusted without having been measured.
const SCAN_HOLDS: f64 = 0.999;
/// Faces whose neighbours are looked at after a scan: photos of one person are linked, so whoever
/// was found leads to the others.
const HOPS_AFTER_SCAN: u64 = 16;
/// Candidates a scan keeps for each face wanted, where nothing was measured.
const SCAN_KEEP: usize = 10;

/// A probe, as codes and as vectors are compared with it.
struct Asked<'a> {
    coded: Coded<'a>,
    exact: Exact<'a>,
}

/// A request on a gallery, ready for probes.
pub(super) struct Searcher<'g, 'q> {
    gallery: &'g Gallery,
    request: &'q Request<'q>,
    codes: CodesView<'g>,
    cells: Cells<'g>,
    graph: Option<GraphView<'g>>,
    faces: usize,
    passing: usize,
    wanted: usize,
    plan: Plan,
}

impl<'g, 'q> Searcher<'g, 'q> {
    pub(super) fn new(gallery: &'g Gallery, request: &'q Request<'q>) -> Result<Self, SearchError> {
        let segment = &gallery.0.segment;
        let faces = segment.faces() as usize;
        let mut searcher = Self {
            gallery,
            request,
            codes: segment.codes.view(segment.faces())?,
            cells: segment.codes.cells()?,
            graph: segment.graph.as_ref().map(|graph| graph.view()),
            faces,
            passing: request.selection.as_ref().map_or(faces, |found| found.count() as usize),
            wanted: request.query.wanted(),
            plan: Plan::Exhaustive,
        };
        searcher.plan = searcher.choose();
        Ok(searcher)
    }

    /// Whether probes look at different faces, so that there is nothing to share between them.
    pub(super) fn is_apart(&self) -> bool {
        match self.plan {
            Plan::Walk { .. } | Plan::WalkThenScan { .. } => true,
            Plan::Scan { share, .. } => share < 1.0,
            Plan::Exhaustive => false,
        }
    }

    fn choose(&self) -> Plan {
        let query = self.request.query;
        if let Some(plan) = query.planned {
            return plan;
        }
        if query.exhaustive {
            return Plan::Exhaustive;
        }
        let filtered = self.request.selection.is_some();
        if let Some(beam) = query.beam {
            // A beam that was asked for is walked in any gallery, but never where fewer pass a
            // filter than it would read: scoring those is exact and cheaper.
            let degree = self.graph.as_ref().map_or(0, |graph| graph.degree);
            let reads = self.width(self.keep(beam)).saturating_mul(degree / 2);
            return if filtered && self.passing <= reads.saturating_mul(WORTH_MISSING) {
                Plan::Exhaustive
            } else {
                Plan::Walk { beam }
            };
        }
        let keep = SCAN_KEEP.saturating_mul(self.wanted.min(self.faces));
        let scan = |share| Plan::Scan { share, keep, confidence: SCAN_CONFIDENCE };
        if let Some(share) = query.share {
            return scan(share);
        }
        let hit_rate = query.hit_rate.unwrap_or(DEFAULT_HIT_RATE);
        if self.passing <= FEW || hit_rate >= 1.0 {
            return Plan::Exhaustive;
        }
        if self.wanted == usize::MAX {
            return if hit_rate <= SCAN_HOLDS { scan(1.0) } else { Plan::Exhaustive };
        }
        let Some(promise) = &self.gallery.catalogue().promise else { return Plan::Exhaustive };
        match promise.plan(self.keep(0), hit_rate, filtered) {
            Some(rung) => rung.plan,
            None => Plan::Exhaustive,
        }
    }

    /// Candidates to end with: no fewer than are wanted, and one more where the face searched for
    /// is among them.
    fn keep(&self, least: usize) -> usize {
        let itself = usize::from(self.request.without.is_some());
        let wanted = if self.wanted == usize::MAX { 0 } else { self.wanted };
        least.max(wanted.saturating_add(itself)).min(self.faces.max(1))
    }

    /// The beam it takes to keep this many that pass.
    fn width(&self, keep: usize) -> usize {
        let share = self.passing.max(1) as f64 / self.faces.max(1) as f64;
        ((keep as f64 / share) as usize).clamp(keep, self.faces.max(keep))
    }

    /// The plan after one that left the question open.
    fn wider(&self, plan: Plan) -> Plan {
        match plan {
            Plan::Walk { beam } => {
                let beam = self.keep(beam).saturating_mul(WIDEN);
                if self.width(beam) < self.faces / WIDEN {
                    Plan::Walk { beam }
                } else {
                    Plan::Exhaustive
                }
            }
            Plan::Scan { share, keep, confidence } => {
                let share = (share * WIDEN as f64).min(1.0);
                let keep = keep.saturating_mul(WIDEN * WIDEN);
                if keep.saturating_mul(self.wanted) < self.faces / WIDEN {
                    Plan::Scan { share, keep, confidence }
                } else {
                    Plan::Exhaustive
                }
            }
            Plan::WalkThenScan { keep, confidence, .. } => {
                self.wider(Plan::Scan { share: 1.0, keep, confidence })
            }
            Plan::Exhaustive => Plan::Exhaustive,
        }
    }

    /// Answers one probe.
    pub(super) fn search(&self, probe: &[f32]) -> Result<Matches<'g>, SearchError> {
        let begun = Instant::now();
        let exact = Exact::new(probe, self.gallery.0.segment.vectors());
        let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
        let mut found = None;
        if self.plan != Plan::Exhaustive {
            found = self.gallery.0.scratch.with(|scratch| {
                let CodesView { space, shape, .. } = self.codes;
                scratch.probe.set(space, &Kernels::best(), probe, shape);
                let mut plan = self.plan;
                while plan != Plan::Exhaustive {
                    counters.plan = plan;
                    let found = match plan {
                        Plan::Walk { beam } => self.walk(beam, &exact, scratch, &mut counters)?,
                        Plan::WalkThenScan { beam, accept, .. } => {
                            let walked = self.walk(beam, &exact, scratch, &mut counters)?;
                            let sure = |found: &Vec<Match<'_>>| {
                                found.first().is_some_and(|best| best.similarity >= accept)
                            };
                            match walked.filter(sure) {
                                Some(found) => Some(found),
                                None => {
                                    let candidates = scratch.steps.beam.candidates();
                                    let floor = candidates.get(self.sieve(plan).keep - 1);
                                    let floor = floor.map_or(f32::NEG_INFINITY, |c| c.similarity);
                                    counters.plan = plan;
                                    self.scan_alone(plan, floor, &exact, scratch, &mut counters)?
                                }
                            }
                        }
                        _ => {
                            let floor = f32::NEG_INFINITY;
                            self.scan_alone(plan, floor, &exact, scratch, &mut counters)?
                        }
                    };
                    if found.is_some() {
                        return Ok(found);
                    }
                    plan = self.wider(plan);
                }
                Ok::<_, SearchError>(None)
            })?;
        }
        let mut matches = match found {
            Some(found) => Matches { found, counters },
            None => self.exhaustive(&exact, counters)?,
        };
        matches.counters.elapsed = begun.elapsed();
        Ok(matches)
    }

    fn walk(
        &self,
        beam: usize,
        exact: &Exact<'_>,
        scratch: &mut Scratch,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let Some(graph) = &self.graph else { return Ok(None) };
        let keep = self.keep(beam);
        let selection = self.request.selection.as_deref();
        let selected = selection.map(|found| (found, keep));
        let ask = Walk { selection: selected, ..Walk::of(self.width(keep)) };
        counters.plan = Plan::Walk { beam: ask.width };
        let Scratch { probe, steps, reranked, .. } = scratch;
        let asked = Asked { coded: Coded::new(probe, self.codes), exact: *exact };
        self.take_walk(graph, ask, &asked.coded, steps, counters)?;
        let beam = if selection.is_some() { &steps.passing } else { &steps.beam };
        let candidates = beam.candidates();
        let all = candidates.len() < keep;
        self.decide(candidates, all, &asked, WALK_CONFIDENCE, reranked, counters)
    }

    fn scan_alone(
        &self,
        plan: Plan,
        floor: f32,
        exact: &Exact<'_>,
        scratch: &mut Scratch,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let Scratch { probe, sift, steps, promising, reranked } = scratch;
        sift.reset(floor);
        let coded = Coded::new(probe, self.codes);
        let sieve = self.sieve(plan);
        let stretches = self.stretches(plan, probe, promising, counters);
        let stop = &self.request.query.stop;
        scan(&mut [(coded, sift)], &sieve, stretches, self.seen(), stop)?;
        let asked = Asked { coded, exact: *exact };
        let answer = self.decide_scan(&sieve, sift, &asked, steps, reranked, counters)?;
        Ok(answer.filter(|found| !self.is_short(plan, found.len())))
    }

    /// What a scan keeps.
    fn sieve(&self, plan: Plan) -> Sieve {
        let (keep, confidence) = match plan {
            Plan::Scan { keep, confidence, .. } | Plan::WalkThenScan { keep, confidence, .. } => {
                (keep, confidence)
            }
            _ => (SCAN_KEEP, SCAN_CONFIDENCE),
        };
        let at_least = self.request.query.at_least.unwrap_or(f32::NEG_INFINITY);
        let keep = match self.wanted {
            usize::MAX => usize::MAX,
            _ => self.keep(keep),
        };
        Sieve { keep, at_least, confidence }
    }

    /// The faces a scan looks at: runs of slots, the most promising first.
    fn stretches<'s>(
        &self,
        plan: Plan,
        probe: &CodedProbe,
        promising: &'s mut Promising,
        counters: &mut Counters,
    ) -> &'s [Range<u32>] {
        let share = if let Plan::Scan { share, .. } = plan { share } else { 1.0 };
        if share >= 1.0 {
            promising.whole(&self.cells, probe.turned(), self.faces as u32);
            self.count_cells(promising, counters);
            return promising.stretches();
        }
        // Enough that as many as are wanted should pass.
        let answer = self.width(self.keep(1));
        let wanted = ((share * self.faces as f64).ceil() as usize).max(answer);
        promising.choose(&self.cells, probe.turned(), wanted.min(self.faces) as u32);
        self.count_cells(promising, counters);
        promising.stretches()
    }

    fn count_cells(&self, promising: &Promising, counters: &mut Counters) {
        counters.cells_ranked += promising.ranked;
        counters.bytes_read += promising.ranked * self.cells.centroid_bytes();
    }

    /// Whether a share of the faces gave fewer answers than there are in all of them. Fewer than
    /// were asked for with a threshold are as many as the share holds.
    fn is_short(&self, plan: Plan, found: usize) -> bool {
        let itself = usize::from(self.request.without.is_some());
        matches!(plan, Plan::Scan { share, .. } if share < 1.0)
            && self.request.query.at_least.is_none()
            && found < self.wanted.min(self.passing.saturating_sub(itself))
    }

    fn decide_scan(
        &self,
        sieve: &Sieve,
        sift: &mut Sift,
        asked: &Asked<'_>,
        steps: &mut Steps,
        reranked: &mut Reranked,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let Sifted { sketches, codes } = sift.counts;
        counters.sketches_read += sketches;
        counters.codes_read += codes;
        counters.bytes_read += sketches * 16 + codes * self.codes.shape.row_bytes() as u64;
        let candidates = sift.candidates(sieve);
        let all = candidates.len() < sieve.keep;
        let confidence = sieve.confidence.max(RERANK_CONFIDENCE);
        let (Some(graph), None, false) = (&self.graph, &self.request.selection, all) else {
            return self.decide(candidates, all, asked, confidence, reranked, counters);
        };
        let ask = Walk { from: candidates, hops: HOPS_AFTER_SCAN, ..Walk::of(sieve.keep) };
        self.take_walk(graph, ask, &asked.coded, steps, counters)?;
        self.decide(steps.beam.candidates(), all, asked, confidence, reranked, counters)
    }

    fn take_walk(
        &self,
        graph: &GraphView<'_>,
        ask: Walk<'_>,
        coded: &Coded<'_>,
        steps: &mut Steps,
        counters: &mut Counters,
    ) -> Result<(), SearchError> {
        let mut trace = Trace::default();
        walk(graph, coded, ask, &self.request.query.stop, steps, &mut trace)?;
        counters.hops += trace.hops;
        counters.codes_read += trace.scored;
        counters.bytes_read += trace.hops * graph.degree as u64 * 4
            + trace.scored * self.codes.shape.row_bytes() as u64;
        Ok(())
    }

    /// The faces that are looked at, where not all are.
    fn seen(&self) -> Option<&'q Selection> {
        self.request.selection.as_deref().or(self.request.shown.as_deref())
    }

    /// Turns candidates by estimate into an answer by exact similarity; `None` where more
    /// candidates are needed. `all` says that there are no more than these.
    fn decide(
        &self,
        candidates: &[Candidate],
        all: bool,
        asked: &Asked<'_>,
        confidence: f32,
        reranked: &mut Reranked,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let query = self.request.query;
        // A subject's faces count once, so how many faces it takes is not known before.
        let wanted = if query.by_subject { usize::MAX } else { self.first_keep() };
        let least = query.at_least.unwrap_or(f32::NEG_INFINITY);
        // Where every face is a candidate, no estimate need decide.
        let confidence = if candidates.len() >= self.passing { f32::INFINITY } else { confidence };
        let Asked { coded, exact } = asked;
        let read = rerank(candidates, coded, exact, wanted, least, confidence, reranked);
        counters.vectors_read += read;
        counters.bytes_read += read * exact.vector_bytes();
        let past_threshold = candidates
            .last()
            .is_some_and(|last| last.similarity + confidence * coded.error(last.slot) < least);
        self.finish(&reranked.found, all || past_threshold)
    }

    fn exhaustive(
        &self,
        exact: &Exact<'_>,
        mut counters: Counters,
    ) -> Result<Matches<'g>, SearchError> {
        counters.plan = Plan::Exhaustive;
        let (selection, stop) = (self.seen(), &self.request.query.stop);
        let mut keep = self.first_keep();
        loop {
            let mut probe = [(*exact, self.keeper(keep))];
            score_all(&mut probe, selection, stop)?;
            self.count_all(&mut counters, exact);
            if let Some(similarity) = probe[0].1.tied() {
                probe[0].1 = Keep::AtLeast(similarity, Vec::new());
                score_all(&mut probe, selection, stop)?;
                self.count_all(&mut counters, exact);
            }
            let [(_, kept)] = probe;
            let candidates = kept.into_candidates();
            if let Some(found) = self.finish(&candidates, self.saw_all(keep, candidates.len()))? {
                return Ok(Matches { found, counters });
            }
            keep = keep.saturating_mul(WIDEN * WIDEN);
        }
    }

    fn count_all(&self, counters: &mut Counters, exact: &Exact<'_>) {
        counters.vectors_read += self.passing as u64;
        counters.bytes_read += self.passing as u64 * exact.vector_bytes();
    }

    /// Answers several probes by one pass over the faces; those it leaves open get their own.
    pub(super) fn scan_together(&self, probes: &[&[f32]]) -> Vec<Result<Matches<'g>, SearchError>> {
        if self.plan == Plan::Exhaustive {
            return self.exhaustive_together(probes);
        }
        let begun = Instant::now();
        let CodesView { space, shape, .. } = self.codes;
        let mut coded: Vec<CodedProbe> = Vec::with_capacity(probes.len());
        for probe in probes {
            let mut set = CodedProbe::default();
            set.set(space, &Kernels::best(), probe, shape);
            coded.push(set);
        }
        let mut sifts: Vec<Sift> = probes.iter().map(|_| Sift::default()).collect();
        sifts.iter_mut().for_each(|sift| sift.reset(f32::NEG_INFINITY));
        let mut pairs: Vec<(Coded<'_>, &mut Sift)> =
            coded.iter().map(|probe| Coded::new(probe, self.codes)).zip(sifts.iter_mut()).collect();
        let (sieve, whole) = (self.sieve(self.plan), 0..self.faces as u32);
        let (selection, stop) = (self.seen(), &self.request.query.stop);
        if let Err(error) = scan(&mut pairs, &sieve, std::slice::from_ref(&whole), selection, stop)
        {
            return all_failed(probes.len(), &error);
        }
        let elapsed = begun.elapsed() / probes.len().max(1) as u32;
        let vectors = self.gallery.0.segment.vectors();
        let (mut steps, mut reranked) = (Steps::default(), Reranked::default());
        let mut answer = |probe: &[f32], coded: &CodedProbe, sift: &mut Sift| {
            let begun = Instant::now();
            let (exact, coded) = (Exact::new(probe, vectors), Coded::new(coded, self.codes));
            let asked = Asked { coded, exact };
            let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
            counters.plan = self.plan;
            let answer =
                self.decide_scan(&sieve, sift, &asked, &mut steps, &mut reranked, &mut counters)?;
            let mut matches = match answer {
                Some(found) => Matches { found, counters },
                None => self.search(probe)?,
            };
            matches.counters.elapsed = elapsed + begun.elapsed();
            Ok(matches)
        };
        let each = probes.iter().zip(&coded).zip(&mut sifts);
        each.map(|((probe, coded), sift)| answer(probe, coded, sift)).collect()
    }

    fn exhaustive_together(&self, probes: &[&[f32]]) -> Vec<Result<Matches<'g>, SearchError>> {
        let begun = Instant::now();
        let keep = self.first_keep();
        let vectors = self.gallery.0.segment.vectors();
        let mut kept: Vec<_> =
            probes.iter().map(|probe| (Exact::new(probe, vectors), self.keeper(keep))).collect();
        let (selection, stop) = (self.seen(), &self.request.query.stop);
        if let Err(error) = score_all(&mut kept, selection, stop) {
            return all_failed(probes.len(), &error);
        }
        let elapsed = begun.elapsed() / probes.len().max(1) as u32;
        let finish = |(exact, kept): (Exact<'_>, Keep)| {
            let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
            self.count_all(&mut counters, &exact);
            counters.elapsed = elapsed;
            if kept.tied().is_some() {
                return self.exhaustive(&exact, counters);
            }
            let candidates = kept.into_candidates();
            match self.finish(&candidates, self.saw_all(keep, candidates.len()))? {
                Some(found) => Ok(Matches { found, counters }),
                None => self.exhaustive(&exact, counters),
            }
        };
        kept.into_iter().map(finish).collect()
    }

    /// How many to keep of a first pass over all faces.
    fn first_keep(&self) -> usize {
        let several = if self.request.query.by_subject { 4 } else { 1 };
        let itself = usize::from(self.request.without.is_some());
        self.wanted.saturating_mul(several).saturating_add(itself)
    }

    fn keeper(&self, keep: usize) -> Keep {
        match self.request.query.at_least {
            Some(least) if self.wanted == usize::MAX => Keep::AtLeast(least, Vec::new()),
            _ => Keep::best(keep),
        }
    }

    /// Whether a pass over all faces kept all that there are to keep.
    fn saw_all(&self, keep: usize, kept: usize) -> bool {
        self.wanted == usize::MAX || kept < keep
    }

    /// Turns candidates, best first, into an answer; `None` where more candidates are needed.
    /// `all` says that there are no more than these.
    fn finish(
        &self,
        candidates: &[Candidate],
        all: bool,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let query = self.request.query;
        let least = query.at_least.unwrap_or(f32::NEG_INFINITY);
        let past_threshold = candidates.last().is_some_and(|last| last.similarity < least);
        let mut found: Vec<Match<'g>> = Vec::with_capacity(self.wanted.min(candidates.len()));
        let mut subjects = HashMap::new();
        let mut floor = None;
        for &candidate in candidates {
            if candidate.similarity < least {
                break;
            }
            if Some(candidate.slot) == self.request.without {
                continue;
            }
            // Past the last one wanted, only its ties matter: they go by face id.
            if floor.is_some_and(|floor| candidate.similarity < floor) {
                break;
            }
            if query.by_subject {
                let attributes = &self.gallery.0.segment.attributes;
                let place = self.gallery.0.segment.place(candidate.slot);
                let subject = attributes.text(column::SUBJECT, place)?;
                match subject.map(|subject| subjects.entry(subject)) {
                    None => {}
                    Some(Entry::Vacant(new)) => {
                        new.insert(found.len());
                    }
                    Some(Entry::Occupied(place)) => {
                        let best = &mut found[*place.get()];
                        let again = Match::new(self.gallery, candidate);
                        if again.similarity == best.similarity && again.face_id < best.face_id {
                            *best = again;
                        }
                        continue;
                    }
                }
            }
            found.push(Match::new(self.gallery, candidate));
            if found.len() == self.wanted {
                floor = Some(candidate.similarity);
            }
        }
        let open = query.by_subject || self.wanted == usize::MAX;
        if open && found.len() < self.wanted && !all && !past_threshold {
            return Ok(None);
        }
        found.sort_unstable_by(|a, b| {
            b.similarity.total_cmp(&a.similarity).then(a.face_id.cmp(&b.face_id))
        });
        found.truncate(self.wanted);
        Ok(Some(found))
    }
}

/// The same error for every probe of a pass that failed.
fn all_failed<'g>(probes: usize, error: &SearchError) -> Vec<Result<Matches<'g>, SearchError>> {
    let again = |_| match error {
        SearchError::DeadlinePassed => Err(SearchError::DeadlinePassed),
        _ => Err(SearchError::Cancelled),
    };
    (0..probes).map(again).collect()
}
