//! Choosing how to carry out a search, and carrying it out.
//!
//! A walk reads about as many vectors as its beam is wide times half the graph's degree, more
//! where few faces pass the filters; scoring all that pass reads exactly those. Whichever reads
//! less is the plan: a small gallery or a narrow filter is answered exactly. Where a walk leaves
//! the question open (too few subjects, or a threshold below all it found), it is widened, and
//! scored exhaustively once that costs no more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::exact::{Keep, scan};
use super::query::{Counters, Match, Matches, Plan, Request};
use super::scratch::Candidate;
use super::walk::{Scores, Walk, walk};
use super::{Gallery, SearchError};
use crate::gallery::attributes::column;
use crate::gallery::graph::GraphView;

/// Beam of a walk where the query names none.
const DEFAULT_BEAM: usize = 128;
/// By how much a walk that left the question open is widened.
const WIDEN: usize = 4;
/// A walk's vectors are scattered; a scan's lie side by side and cost about this much less.
const SCATTER: f64 = 3.0;

/// A request on a gallery, ready for probes.
pub(super) struct Searcher<'g, 'q> {
    gallery: &'g Gallery,
    request: &'q Request<'q>,
    graph: Option<GraphView<'g>>,
    faces: usize,
    passing: usize,
    wanted: usize,
}

impl<'g, 'q> Searcher<'g, 'q> {
    pub(super) fn new(gallery: &'g Gallery, request: &'q Request<'q>) -> Result<Self, SearchError> {
        let segment = &gallery.0.segment;
        let faces = segment.faces() as usize;
        Ok(Self {
            gallery,
            request,
            graph: segment.graph.as_ref().map(|graph| graph.view()),
            faces,
            passing: request.selection.as_ref().map_or(faces, |found| found.count() as usize),
            wanted: request.query.wanted(),
        })
    }

    /// Whether every probe is answered by scoring all faces that pass.
    pub(super) fn scans_all(&self) -> bool {
        self.first_beam().is_none()
    }

    /// The beam to begin with, or `None` where scoring all that pass is the plan.
    fn first_beam(&self) -> Option<usize> {
        let query = self.request.query;
        let graph = self.graph.as_ref()?;
        if query.exhaustive {
            return None;
        }
        let keep = self.keep(query.beam.unwrap_or(DEFAULT_BEAM));
        // A beam that was asked for is walked in any gallery, but never where fewer pass a filter
        // than it would read: the scan of those is exact and cheaper.
        let free_choice = query.beam.is_none() || self.request.selection.is_some();
        (!free_choice || self.walk_costs_less(graph, keep)).then_some(keep)
    }

    /// Candidates to keep for a beam of this width: no fewer than are wanted.
    fn keep(&self, beam: usize) -> usize {
        let wanted = if self.wanted == usize::MAX { 0 } else { self.wanted };
        let itself = usize::from(self.request.without.is_some());
        beam.max(wanted.saturating_add(itself)).min(self.faces.max(1))
    }

    fn walk_costs_less(&self, graph: &GraphView<'_>, keep: usize) -> bool {
        let reads = self.width(keep) as f64 * graph.degree as f64 / 2.0;
        reads * SCATTER < self.passing as f64
    }

    /// The beam it takes to keep this many that pass.
    fn width(&self, keep: usize) -> usize {
        let share = self.passing.max(1) as f64 / self.faces.max(1) as f64;
        ((keep as f64 / share) as usize).clamp(keep, self.faces.max(keep))
    }

    /// Answers one probe.
    pub(super) fn search(&self, scores: &impl Scores) -> Result<Matches<'g>, SearchError> {
        let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
        let (Some(mut keep), Some(graph)) = (self.first_beam(), &self.graph) else {
            return self.exhaustive(scores, counters);
        };
        loop {
            let found = self.gallery.0.scratch.with(|scratch| {
                let width = self.width(keep);
                let selection = self.request.selection.as_deref();
                let ask = Walk { width, selection: selection.map(|found| (found, keep)) };
                counters.plan = Plan::Walk { beam: width };
                let stop = &self.request.query.stop;
                walk(graph, scores, ask, stop, scratch, &mut counters)?;
                let beam = if selection.is_some() { &scratch.passing } else { &scratch.beam };
                self.finish(beam.candidates(), beam.candidates().len() < keep)
            })?;
            if let Some(found) = found {
                return Ok(Matches { found, counters });
            }
            keep = keep.saturating_mul(WIDEN);
            if !self.walk_costs_less(graph, keep) {
                return self.exhaustive(scores, counters);
            }
        }
    }

    fn exhaustive(
        &self,
        scores: &impl Scores,
        mut counters: Counters,
    ) -> Result<Matches<'g>, SearchError> {
        counters.plan = Plan::Exhaustive;
        let mut keep = self.first_keep();
        loop {
            let mut probe = [(scores, self.keeper(keep))];
            scan(&mut probe, self.request.selection.as_deref(), &self.request.query.stop)?;
            counters.vectors_read += self.passing as u64;
            if let Some(similarity) = probe[0].1.tied() {
                probe[0].1 = Keep::AtLeast(similarity, Vec::new());
                scan(&mut probe, self.request.selection.as_deref(), &self.request.query.stop)?;
                counters.vectors_read += self.passing as u64;
            }
            let [(_, kept)] = probe;
            let candidates = kept.into_candidates();
            if let Some(found) = self.finish(&candidates, self.saw_all(keep, candidates.len()))? {
                return Ok(Matches { found, counters });
            }
            keep = keep.saturating_mul(WIDEN * WIDEN);
        }
    }

    /// Answers several probes by one pass over the faces; those it leaves open get their own.
    pub(super) fn scan<S: Scores>(
        &self,
        probes: impl Iterator<Item = S>,
    ) -> Vec<Result<Matches<'g>, SearchError>> {
        let begun = std::time::Instant::now();
        let keep = self.first_keep();
        let mut probes: Vec<_> = probes.map(|scores| (scores, self.keeper(keep))).collect();
        let (selection, stop) = (self.request.selection.as_deref(), &self.request.query.stop);
        if let Err(error) = scan(&mut probes, selection, stop) {
            let again = || match error {
                SearchError::DeadlinePassed => SearchError::DeadlinePassed,
                _ => SearchError::Cancelled,
            };
            return probes.iter().map(|_| Err(again())).collect();
        }
        let elapsed = begun.elapsed() / probes.len().max(1) as u32;
        let finish = |(scores, kept): (S, Keep)| {
            let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
            counters.vectors_read = self.passing as u64;
            counters.elapsed = elapsed;
            if kept.tied().is_some() {
                return self.exhaustive(&scores, counters);
            }
            let candidates = kept.into_candidates();
            match self.finish(&candidates, self.saw_all(keep, candidates.len()))? {
                Some(found) => Ok(Matches { found, counters }),
                None => self.exhaustive(&scores, counters),
            }
        };
        probes.into_iter().map(finish).collect()
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
                let subject = attributes.text(column::SUBJECT, candidate.slot)?;
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
