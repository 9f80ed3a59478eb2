//! Carrying out a search by a plan.

use std::ops;
use std::time::Instant;

use super::coded::Coded;
use super::matches::{Basis, Counters, Match, Matches};
use super::query::{Plan, Request};
use super::range::{Range, grow};
use super::rerank::{Reranked, rerank};
use super::scan::{Sieve, Sift, Sifted, scan};
use super::scratch::{Beam, Candidate, Scratch};
use super::selection::Selection;
use super::share::Promising;
use super::similarity::Exact;
use super::walk::{Enough, Steps, Trace, Walk, walk};
use super::{Gallery, SearchError};
use crate::cells::Cells;
use crate::codes::CodedProbe;
use crate::gallery::codes::CodesView;
use crate::gallery::graph::GraphView;
use crate::kernels::Kernels;

/// Standard deviations of a code's error that a walk's rerank allows for.
const WALK_CONFIDENCE: f32 = 3.0;
/// The same after a walk with a margin, which is about the faces wanted alone: on a clustered million
/// with codes of 128 bytes and a beam of 384, a walk that allows for 3 reads 40 % more vectors for
/// 0.0003 of recall.
const MARGIN_CONFIDENCE: f32 = 2.5;
/// Margin of a walk for each doubling of its beam beyond one of two faces, in standard deviations of
/// the similarities of two faces. Chosen on a clustered million, where it reads 15 % fewer codes at a
/// beam of 64 and 40 % fewer at 512, at equal recall.
const MARGIN: f64 = 0.2;
/// Faces whose neighbours are looked at after a scan: photos of one person are linked, so whoever
/// was found leads to the others.
const HOPS_AFTER_SCAN: u64 = 16;

/// A probe, as codes and as vectors are compared with it.
pub(super) struct Asked<'a> {
    pub(super) coded: Coded<'a>,
    pub(super) exact: Exact<'a>,
}

/// A request on a gallery, ready for probes.
pub(super) struct Searcher<'g, 'q> {
    pub(super) gallery: &'g Gallery,
    pub(super) request: &'q Request<'q>,
    pub(super) codes: CodesView<'g>,
    pub(super) cells: Cells<'g>,
    pub(super) graph: Option<GraphView<'g>>,
    pub(super) faces: usize,
    /// Those that pass the filters, where there are some.
    pub(super) selection: Option<&'q Selection>,
    pub(super) passing: usize,
    pub(super) wanted: usize,
    /// How many were asked for where the plan was measured: a walk is carried out as it was there.
    pub(super) measured: usize,
    pub(super) plan: Plan,
    pub(super) basis: Basis,
    /// What the plan takes, about, where it is known.
    pub(super) microseconds: f64,
}

impl<'g, 'q> Searcher<'g, 'q> {
    pub(super) fn new(gallery: &'g Gallery, request: &'q Request<'q>) -> Result<Self, SearchError> {
        Self::of(gallery, request, request.selection.as_deref(), request.query.wanted())
    }

    /// Whatever the filters of a request, all faces are searched for so many.
    pub(super) fn among_all(
        gallery: &'g Gallery,
        request: &'q Request<'q>,
        wanted: usize,
    ) -> Result<Self, SearchError> {
        Self::of(gallery, request, None, wanted)
    }

    fn of(
        gallery: &'g Gallery,
        request: &'q Request<'q>,
        selection: Option<&'q Selection>,
        wanted: usize,
    ) -> Result<Self, SearchError> {
        let segment = &gallery.0.segment;
        let faces = segment.faces() as usize;
        let mut searcher = Self {
            gallery,
            request,
            codes: segment.codes.view(segment.faces())?,
            cells: segment.codes.cells()?,
            graph: segment.graph.as_ref().map(|graph| graph.view()),
            faces,
            selection,
            passing: selection.map_or(faces, |found| found.count() as usize),
            wanted,
            measured: wanted,
            plan: Plan::Exhaustive,
            basis: Basis::Complete,
            microseconds: f64::INFINITY,
        };
        searcher.choose();
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
                                    let Scratch { sift, steps, .. } = &mut *scratch;
                                    let keep = self.sieve(plan).keep;
                                    sift.reset_after(self.kept(steps).candidates(), keep);
                                    counters.plan = plan;
                                    self.scan_alone(plan, &exact, scratch, &mut counters)?
                                }
                            }
                        }
                        _ => {
                            scratch.sift.reset(f32::NEG_INFINITY);
                            self.scan_alone(plan, &exact, scratch, &mut counters)?
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
            Some(found) => self.matches(found, self.basis, counters),
            None => self.exhaustive(&exact, counters)?,
        };
        matches.counters.elapsed = begun.elapsed();
        Ok(matches)
    }

    pub(super) fn matches(
        &self,
        found: Vec<Match<'g>>,
        basis: Basis,
        counters: Counters,
    ) -> Matches<'g> {
        let threshold = self.request.query.at_least;
        let without = self.request.without;
        Matches { found, basis, threshold, faces: self.faces as u64, without, counters }
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
        let selection = self.selection;
        let selected = selection.map(|found| (found, keep));
        let width = self.width(keep);
        counters.plan = Plan::Walk { beam: width };
        let enough = self.enough(width);
        let ask = Walk { selection: selected, enough, ..Walk::of(self.slack(width)) };
        let Scratch { probe, steps, reranked, .. } = scratch;
        let asked = Asked { coded: Coded::new(probe, self.codes), exact: *exact };
        self.take_walk(graph, ask, &asked.coded, steps, counters)?;
        if let Some(range) = self.range(width) {
            steps.reached.clear();
            steps.reached.extend_from_slice(steps.beam.candidates());
            return self.decide_range(graph, range, &asked, steps, reranked, counters);
        }
        let candidates = self.kept(steps).candidates();
        let all = enough.is_none() && candidates.len() < keep;
        let is_measured = enough.is_some() && self.request.query.at_least.is_none();
        let confidence = if is_measured { MARGIN_CONFIDENCE } else { WALK_CONFIDENCE };
        let answer = self.decide(candidates, all, &asked, confidence, reranked, counters)?;
        Ok(answer.filter(|found| selection.is_none() || !self.is_short(found.len())))
    }

    /// What a walk found, of those that pass the filters.
    fn kept<'s>(&self, steps: &'s mut Steps) -> &'s mut Beam {
        if self.selection.is_some() { &mut steps.passing } else { &mut steps.beam }
    }

    /// When a walk as wide as this may end before its beam does. Never where every face above a
    /// threshold is asked for or only some faces pass, nor with a beam as wide as the gallery, which
    /// finds every face.
    fn enough(&self, width: usize) -> Option<Enough> {
        let spread = self.gallery.catalogue().codes.similarity_spread;
        let margin = MARGIN * spread * (width as f64 / 2.0).log2();
        let applies = self.selection.is_none() && self.wanted != usize::MAX && width < self.faces;
        let wanted = self.keep(1).min(width);
        (applies && width > 1 && spread > 0.0).then_some(Enough { wanted, margin: margin as f32 })
    }

    fn scan_alone(
        &self,
        plan: Plan,
        exact: &Exact<'_>,
        scratch: &mut Scratch,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let Scratch { probe, sift, steps, promising, reranked } = scratch;
        let coded = Coded::new(probe, self.codes);
        let sieve = self.sieve(plan);
        let stretches = self.stretches(plan, probe, promising, counters);
        let stop = &self.request.query.stop;
        scan(&mut [(coded, sift)], &sieve, stretches, self.seen(), stop)?;
        let asked = Asked { coded, exact: *exact };
        let answer = self.decide_scan(&sieve, sift, &asked, steps, reranked, counters)?;
        let partial = matches!(plan, Plan::Scan { share, .. } if share < 1.0);
        Ok(answer.filter(|found| !partial || !self.is_short(found.len())))
    }

    /// The faces a scan looks at: runs of slots, the most promising first.
    fn stretches<'s>(
        &self,
        plan: Plan,
        probe: &CodedProbe,
        promising: &'s mut Promising,
        counters: &mut Counters,
    ) -> &'s [ops::Range<u32>] {
        let share = if let Plan::Scan { share, .. } = plan { share } else { 1.0 };
        if share >= 1.0 {
            promising.whole(&self.cells, probe.turned(), self.faces as u32);
            self.count_cells(promising.ranked, counters);
            return promising.stretches();
        }
        // Enough that as many as are wanted should pass.
        let answer = self.width(self.keep(1));
        let wanted = ((share * self.faces as f64).ceil() as usize).max(answer);
        promising.choose(&self.cells, probe.turned(), wanted.min(self.faces) as u32);
        self.count_cells(promising.ranked, counters);
        promising.stretches()
    }

    pub(super) fn count_cells(&self, ranked: u64, counters: &mut Counters) {
        counters.cells_ranked += ranked;
        counters.bytes_read += ranked * self.cells.centroid_bytes();
    }

    /// Whether looking at some of the faces gave fewer answers than there are in all of them. Fewer
    /// than were asked for with a threshold are as many as those hold.
    fn is_short(&self, found: usize) -> bool {
        self.request.query.at_least.is_none()
            && found < self.wanted.min(self.passing.saturating_sub(self.itself()))
    }

    pub(super) fn decide_scan(
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
        let confidence = sieve.sure;
        if let (Some(graph), Some(range)) = (&self.graph, self.range(candidates.len()))
            && sketches < self.faces as u64
        {
            steps.reached.clear();
            steps.reached.extend_from_slice(candidates);
            return self.decide_range(graph, range, asked, steps, reranked, counters);
        }
        let (Some(graph), false) = (&self.graph, all) else {
            return self.decide(candidates, all, asked, confidence, reranked, counters);
        };
        let selection = self.selection.map(|found| (found, sieve.keep));
        let ask =
            Walk { from: candidates, hops: HOPS_AFTER_SCAN, selection, ..Walk::of(sieve.keep) };
        self.take_walk(graph, ask, &asked.coded, steps, counters)?;
        self.decide(self.kept(steps).candidates(), all, asked, confidence, reranked, counters)
    }

    /// Turns what was reached, and what its links lead to, into all the matches there are.
    fn decide_range(
        &self,
        graph: &GraphView<'_>,
        range: Range,
        asked: &Asked<'_>,
        steps: &mut Steps,
        reranked: &mut Reranked,
        counters: &mut Counters,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let (mut trace, stop) = (Trace::default(), &self.request.query.stop);
        let grown = grow(graph, &asked.coded, range, stop, steps, &mut trace)?;
        self.count_steps(graph, trace, counters);
        if !grown {
            return Ok(None);
        }
        self.decide(&steps.reached, true, asked, WALK_CONFIDENCE, reranked, counters)
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
        self.count_steps(graph, trace, counters);
        Ok(())
    }

    fn count_steps(&self, graph: &GraphView<'_>, trace: Trace, counters: &mut Counters) {
        counters.hops += trace.hops;
        counters.codes_read += trace.scored;
        counters.bytes_read += trace.hops * graph.degree as u64 * 4
            + trace.scored * self.codes.shape.row_bytes() as u64;
    }

    /// The one face that is found and left out: that which is searched for, where it is enrolled.
    pub(super) fn itself(&self) -> usize {
        usize::from(self.request.without.is_some())
    }

    /// The faces that are looked at, where not all are.
    pub(super) fn seen(&self) -> Option<&'q Selection> {
        self.selection.or(self.request.shown.as_deref())
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
        // As many as where the plan was measured: the best of fewer would rule out more.
        let wanted = self.measured.saturating_add(self.itself());
        let least = query.at_least.unwrap_or(f32::NEG_INFINITY);
        // Where every face is a candidate, no estimate need decide.
        let confidence = if candidates.len() >= self.passing { f32::INFINITY } else { confidence };
        let Asked { coded, exact } = asked;
        let stop = &query.stop;
        let read = rerank(candidates, asked, wanted, least, confidence, stop, reranked)?;
        counters.vectors_read += read;
        counters.bytes_read += read * exact.vector_bytes();
        let past_threshold = candidates
            .last()
            .is_some_and(|last| last.similarity + confidence * coded.error(last.slot) < least);
        self.finish(&reranked.found, all || past_threshold)
    }
}

/// The same error for every probe of a pass that failed.
pub(super) fn all_failed<'g>(
    probes: usize,
    error: &SearchError,
) -> Vec<Result<Matches<'g>, SearchError>> {
    let again = |_| match error {
        SearchError::DeadlinePassed => Err(SearchError::DeadlinePassed),
        _ => Err(SearchError::Cancelled),
    };
    (0..probes).map(again).collect()
}
