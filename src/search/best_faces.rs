//! The best faces of a subject, once it is known to be an answer.
//!
//! In comes a subject with the faces by which it was found; out go its best of all. Where it has many
//! faces and the search was not exhaustive, codes say which of them cannot be among the best.

use super::SearchError;
use super::coded::Coded;
use super::matches::{Counters, Match};
use super::rerank::{Reranked, rerank};
use super::scratch::{Candidate, Scratch};
use super::searcher::Asked;
use super::similarity::Exact;
use super::subjects::{Group, SubjectScore, Subjects, by_similarity};
use super::walk::{Scored, Scores};
use crate::codes::CodedProbe;
use crate::gallery::codes::CodesView;
use crate::kernels::Kernels;

/// Faces whose vectors are read without asking their codes: turning a probe for codes takes as long.
const FEW: usize = 64;
/// Standard deviations of a code's error that are allowed for.
const CONFIDENCE: f32 = 3.0;

impl<'g> Subjects<'g, '_> {
    /// Gives each group its best faces.
    pub(super) fn complete(
        &self,
        probe: &[f32],
        groups: &mut [Group<'g>],
        counters: &mut Counters,
    ) -> Result<(), SearchError> {
        let query = self.request.query;
        // All at or above a threshold were found; and an exhaustive search finds the best first.
        let best = query.score == SubjectScore::Best;
        if best && (query.wanted() == usize::MAX || (self.exhaustive && query.each() == 1)) {
            return Ok(());
        }
        let segment = &self.gallery.0.segment;
        let codes = segment.codes.view(segment.faces())?;
        let exact = Exact::new(probe, segment.vectors());
        self.gallery.0.scratch.with(|scratch| {
            let Scratch { probe: turned, reranked, .. } = scratch;
            let mut is_turned = false;
            for group in groups {
                query.stop.check()?;
                self.find_slots(group)?;
                let mut found = if self.exhaustive || group.slots.len() <= FEW {
                    self.count(group.slots.len(), counters);
                    let score = |&slot| Candidate { similarity: exact.similarity(slot), slot };
                    group.slots.iter().map(score).collect()
                } else {
                    if !is_turned {
                        turned.set(codes.space, &Kernels::best(), probe, codes.shape);
                        is_turned = true;
                    }
                    self.among_many(group, turned, &exact, codes, reranked, counters)?
                };
                self.keep_best(group, &mut found);
            }
            Ok(())
        })
    }

    /// The best of a subject's many faces, and some more.
    fn among_many(
        &self,
        group: &Group<'g>,
        turned: &CodedProbe,
        exact: &Exact<'_>,
        codes: CodesView<'_>,
        reranked: &mut Reranked,
        counters: &mut Counters,
    ) -> Result<Vec<Candidate>, SearchError> {
        let query = self.request.query;
        let asked = Asked { coded: Coded::new(turned, codes), exact: *exact };
        let mut scored = Scored::default();
        asked.coded.score(&group.slots, &mut scored);
        let estimates = group.slots.iter().zip(&scored.similarities);
        let mut candidates: Vec<Candidate> =
            estimates.map(|(&slot, &similarity)| Candidate { similarity, slot }).collect();
        candidates.sort_unstable_by(Candidate::by_similarity);
        // One that is no better than what was found already is of no use.
        let found = group.faces.get(query.each() - 1);
        let least = found.map_or(f32::NEG_INFINITY, |last| last.similarity);
        let wanted = query.each().min(candidates.len());
        let read = rerank(&candidates, &asked, wanted, least, CONFIDENCE, &query.stop, reranked)?;
        counters.codes_read += candidates.len() as u64;
        counters.vectors_read += read;
        counters.bytes_read +=
            candidates.len() as u64 * codes.shape.row_bytes() as u64 + read * exact.vector_bytes();
        Ok(std::mem::take(&mut reranked.found))
    }

    /// Leaves a group the best of its faces and these.
    pub(super) fn keep_best(&self, group: &mut Group<'g>, found: &mut Vec<Candidate>) {
        let query = self.request.query;
        let best = query.score == SubjectScore::Best;
        let least = query.at_least.filter(|_| best).unwrap_or(f32::NEG_INFINITY);
        // Ties are for ids to decide, so all of those with the last.
        found.sort_unstable_by(Candidate::by_similarity);
        let last = found.get(query.each() - 1).map_or(f32::NEG_INFINITY, |last| last.similarity);
        found.retain(|one| one.similarity >= last.max(least));
        let subject_similarity = group.faces.first().and_then(|face| face.subject_similarity);
        group.faces.extend(found.iter().map(|&one| {
            let mut face = Match::new(self.gallery, one);
            face.subject_similarity = subject_similarity;
            face
        }));
        group.faces.sort_unstable_by(by_similarity);
        group.faces.dedup_by_key(|face| face.face_id);
        group.faces.truncate(query.each());
    }
}
