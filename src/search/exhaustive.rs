//! Answers by scoring every face: for one probe, and for several in one pass.

use std::time::Instant;

use super::SearchError;
use super::exact::{Keep, score_all};
use super::matches::{Basis, Counters, Matches};
use super::query::Plan;
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
        let mut probe = [(*exact, self.keeper())];
        score_all(&mut probe, selection, stop)?;
        self.count_all(&mut counters, exact);
        if let Some(similarity) = probe[0].1.tied() {
            probe[0].1 = Keep::AtLeast(similarity, Vec::new());
            score_all(&mut probe, selection, stop)?;
            self.count_all(&mut counters, exact);
        }
        let [(_, kept)] = probe;
        self.all_scored(kept, counters)
    }

    pub(super) fn exhaustive_together(
        &self,
        probes: &[&[f32]],
    ) -> Vec<Result<Matches<'g>, SearchError>> {
        let begun = Instant::now();
        let vectors = self.gallery.0.segment.vectors();
        let mut kept: Vec<_> =
            probes.iter().map(|probe| (Exact::new(probe, vectors), self.keeper())).collect();
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
            self.all_scored(kept, counters)
        };
        kept.into_iter().map(finish).collect()
    }

    fn count_all(&self, counters: &mut Counters, exact: &Exact<'_>) {
        counters.vectors_read += self.passing as u64;
        counters.bytes_read += self.passing as u64 * exact.vector_bytes();
    }

    /// The answer where every face was scored, and ties at the end are known.
    fn all_scored(&self, kept: Keep, counters: Counters) -> Result<Matches<'g>, SearchError> {
        let found = self.finish(&kept.into_candidates(), true)?.unwrap_or_default();
        Ok(self.matches(found, Basis::Complete, counters))
    }

    fn keeper(&self) -> Keep {
        match self.request.query.at_least {
            Some(least) if self.wanted == usize::MAX => Keep::AtLeast(least, Vec::new()),
            _ => Keep::best(self.first_keep()),
        }
    }
}
