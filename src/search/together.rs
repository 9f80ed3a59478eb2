//! Several probes that share one scan of all faces.

use std::time::Instant;

use super::SearchError;
use super::coded::Coded;
use super::matches::{Counters, Matches};
use super::query::Plan;
use super::rerank::Reranked;
use super::scan::{Sift, scan};
use super::searcher::{Asked, Searcher, all_failed};
use super::share::Promising;
use super::similarity::Exact;
use super::walk::Steps;
use crate::codes::CodedProbe;
use crate::gallery::codes::CodesView;
use crate::kernels::Kernels;

impl<'g> Searcher<'g, '_> {
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
        let mut ranked = Vec::with_capacity(probes.len());
        let scanned = self.scan_all_for(&coded, &mut sifts, &mut ranked);
        if let Err(error) = scanned {
            return all_failed(probes.len(), &error);
        }
        let sieve = self.sieve(self.plan);
        let elapsed = begun.elapsed() / probes.len().max(1) as u32;
        let vectors = self.gallery.0.segment.vectors();
        let (mut steps, mut reranked) = (Steps::default(), Reranked::default());
        let mut answer = |probe: &[f32], coded: &CodedProbe, sift: &mut Sift, ranked: u64| {
            let begun = Instant::now();
            let (exact, coded) = (Exact::new(probe, vectors), Coded::new(coded, self.codes));
            let asked = Asked { coded, exact };
            let mut counters = Counters { passing: self.passing as u64, ..Counters::default() };
            counters.plan = self.plan;
            self.count_cells(ranked, &mut counters);
            let answer =
                self.decide_scan(&sieve, sift, &asked, &mut steps, &mut reranked, &mut counters)?;
            let mut matches = match answer {
                Some(found) => self.matches(found, self.basis, counters),
                None => self.search(probe)?,
            };
            matches.counters.elapsed = elapsed + begun.elapsed();
            Ok(matches)
        };
        let each = probes.iter().zip(&coded).zip(&mut sifts).zip(ranked);
        each.map(|(((probe, coded), sift), ranked)| answer(probe, coded, sift, ranked)).collect()
    }

    /// Scans every face for several probes; `ranked` gets the centroids that each was compared with.
    fn scan_all_for(
        &self,
        coded: &[CodedProbe],
        sifts: &mut [Sift],
        ranked: &mut Vec<u64>,
    ) -> Result<(), SearchError> {
        let (sieve, faces) = (self.sieve(self.plan), self.faces as u32);
        let (selection, stop) = (self.seen(), &self.request.query.stop);
        let mut promising = Promising::default();
        let mut pairs = Vec::with_capacity(coded.len());
        for (probe, sift) in coded.iter().zip(sifts) {
            // Each looks where it promises most to itself, so that little of the rest need be read
            // when all go through it together.
            sift.reset(f32::NEG_INFINITY);
            promising.first(&self.cells, probe.turned(), faces);
            ranked.push(promising.ranked);
            let coded = Coded::new(probe, self.codes);
            scan(&mut [(coded, &mut *sift)], &sieve, promising.stretches(), selection, stop)?;
            sift.see_again(sieve.keep);
            pairs.push((coded, sift));
        }
        scan(&mut pairs, &sieve, std::slice::from_ref(&(0..faces)), selection, stop)
    }
}
