//! Answers by scoring every face: for one probe, and for several in one pass.

use std::time::Instant;

use super::SearchError;
use super::exact::{Keep, score_all};
use super::matches::{Basis, Counters, Matches};
use super::plan::WIDEN;
use super::query::Plan;
use super::scratch::Candidate;
use super::searcher::{Searcher, all_failed};
use super::similarity::Exact;

impl<'g> Searcher<'g, '_> {
    pub(super) fn exhaustive(
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
            if let Some(found) = self.finish(&candidates, self.saw_all(keep, &candidates))? {
                return Ok(self.matches(found, Basis::Complete, counters));
            }
            keep = keep.saturating_mul(WIDEN * WIDEN);
        }
    }

    pub(super) fn exhaustive_together(
        &self,
        probes: &[&[f32]],
    ) -> Vec<Result<Matches<'g>, SearchError>> {
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
            match self.finish(&candidates, self.saw_all(keep, &candidates))? {
                Some(found) => Ok(self.matches(found, Basis::Complete, counters)),
                None => self.exhaustive(&exact, counters),
            }
        };
        kept.into_iter().map(finish).collect()
    }

    fn count_all(&self, counters: &mut Counters, exact: &Exact<'_>) {
        counters.vectors_read += self.passing as u64;
        counters.bytes_read += self.passing as u64 * exact.vector_bytes();
    }

    fn keeper(&self, keep: usize) -> Keep {
        match self.request.query.at_least {
            Some(least) if self.wanted == usize::MAX => Keep::AtLeast(least, Vec::new()),
            _ => Keep::best(keep),
        }
    }

    /// Whether a pass over all faces kept all that there are to keep.
    fn saw_all(&self, keep: usize, kept: &[Candidate]) -> bool {
        let least = self.request.query.at_least.unwrap_or(f32::NEG_INFINITY);
        let past_threshold = kept.last().is_some_and(|last| last.similarity < least);
        self.wanted == usize::MAX || kept.len() < keep || past_threshold
    }
}
