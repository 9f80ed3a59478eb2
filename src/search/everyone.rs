//! The template of every subject, for searches that may miss none.
//!
//! In come probes; out go the best subjects of each by their templates. One pass over the list of
//! subjects serves all probes, one over the faces without a subject follows. Memory holds one
//! subject's slots and the best so far.

use std::time::Instant;

use super::SearchError;
use super::matches::{Basis, Counters, Matches};
use super::query::Plan;
use super::scratch::Candidate;
use super::similarity::Exact;
use super::subjects::{Group, Subjects, flattened};
use super::template::{self, Fuser};
use crate::gallery::attributes::column;
use crate::gallery::segment::Lookup;

/// Faces between looks at the clock and the cancel flag.
const BETWEEN_LOOKS: u32 = 256;
/// Subjects gathered at least before the worse of them go.
const LEAST_KEPT: usize = 64;

/// A subject by its template.
#[derive(Clone, Copy, Debug)]
struct Scored {
    similarity: f32,
    /// The lowest of its faces' ids, and that face's slot.
    first: (u64, u32),
}

/// The best subjects for one probe.
struct Best<'a> {
    probe: &'a [f32],
    wanted: usize,
    least: f32,
    kept: Vec<Scored>,
}

impl Best<'_> {
    fn meet(&mut self, similarity: f32, first: (u64, u32)) {
        if similarity < self.least {
            return;
        }
        self.kept.push(Scored { similarity, first });
        if self.kept.len() >= self.wanted.saturating_mul(2).max(LEAST_KEPT) {
            self.drop_worse();
        }
    }

    fn drop_worse(&mut self) {
        self.kept.sort_unstable_by(|a, b| {
            b.similarity.total_cmp(&a.similarity).then(a.first.cmp(&b.first))
        });
        self.kept.truncate(self.wanted);
        if let Some(last) = self.kept.get(self.wanted.saturating_sub(1)) {
            self.least = last.similarity;
        }
    }
}

impl<'g> Subjects<'g, '_> {
    /// The answers to probes that fit, in their order.
    pub(super) fn everyone(&self, probes: &[&[f32]]) -> Result<Vec<Matches<'g>>, SearchError> {
        let begun = Instant::now();
        let query = self.request.query;
        let least = query.at_least.unwrap_or(f32::NEG_INFINITY);
        let best = |&probe| Best { probe, wanted: query.wanted(), least, kept: Vec::new() };
        let mut best: Vec<Best<'_>> = probes.iter().map(best).collect();
        let mut counters = Counters { plan: Plan::Exhaustive, ..Counters::default() };
        let faces = self.gallery.len();
        let selection = self.request.selection.as_deref();
        counters.passing = selection.map_or(faces, |found| u64::from(found.count()));
        self.score_subjects(&mut best, &mut counters)?;
        self.score_faces_of_nobody(&mut best, &mut counters)?;
        let elapsed = begun.elapsed() / probes.len().max(1) as u32;
        best.into_iter()
            .map(|mut best| {
                let begun = Instant::now();
                let mut counters = counters;
                best.drop_worse();
                let found = self.with_faces(&best, &mut counters)?;
                counters.elapsed = elapsed + begun.elapsed();
                let (basis, faces) = (Basis::Complete, self.gallery.len());
                let (threshold, without) = (self.request.query.at_least, self.request.without);
                Ok(Matches { found, basis, threshold, faces, without, counters })
            })
            .collect()
    }

    /// Goes through the subjects, one after the other.
    fn score_subjects(
        &self,
        best: &mut [Best<'_>],
        counters: &mut Counters,
    ) -> Result<(), SearchError> {
        let segment = &self.gallery.0.segment;
        let (hashes, places) = segment.listed(Lookup::Subject);
        let (mut fuser, mut from) = (Fuser::default(), 0);
        let (mut left, mut slots) = (Vec::new(), Vec::new());
        while let Some(hash) = hashes.get(from) {
            self.request.query.stop.check()?;
            let run = hashes[from..].iter().take_while(|other| *other == hash).count();
            left.clear();
            left.extend_from_slice(places.get(from..from + run).unwrap_or_default());
            from += run;
            // Two subjects may have the same hash.
            while let Some(&place) = left.first() {
                let subject = segment.attributes.text(column::SUBJECT, place)?;
                let (mut others, mut fault) = (Vec::new(), None);
                slots.clear();
                for &place in &left {
                    match segment.attributes.text(column::SUBJECT, place) {
                        Ok(text) if text == subject => slots.push(segment.slot(place)),
                        Ok(_) => others.push(place),
                        Err(error) => fault = Some(error),
                    }
                }
                if let Some(error) = fault {
                    return Err(error.into());
                }
                std::mem::swap(&mut left, &mut others);
                slots.retain(|&slot| self.may_be_answer(slot));
                let id = |&slot: &u32| (segment.face_id(segment.place(slot)), slot);
                let Some(first) = slots.iter().map(id).min() else { continue };
                let template = fuser.fuse(segment, &slots)?;
                for best in &mut *best {
                    best.meet(template::similarity(best.probe, template), first);
                }
                self.count(slots.len(), counters);
            }
        }
        Ok(())
    }

    /// Goes through the faces that stand for themselves.
    fn score_faces_of_nobody(
        &self,
        best: &mut [Best<'_>],
        counters: &mut Counters,
    ) -> Result<(), SearchError> {
        let segment = &self.gallery.0.segment;
        if segment.listed(Lookup::Subject).0.len() == segment.faces() as usize {
            return Ok(());
        }
        let vectors = segment.vectors();
        for slot in 0..segment.faces() {
            if slot % BETWEEN_LOOKS == 0 {
                self.request.query.stop.check()?;
            }
            let place = segment.place(slot);
            if !self.may_be_answer(slot)
                || segment.attributes.text(column::SUBJECT, place)?.is_some()
            {
                continue;
            }
            let first = (segment.face_id(place), slot);
            for best in &mut *best {
                let similarity = Exact::new(best.probe, vectors).similarity(slot);
                best.meet(similarity.max(-1.0), first);
            }
            self.count(1, counters);
        }
        Ok(())
    }

    /// Counts vectors that were read.
    pub(super) fn count(&self, vectors: usize, counters: &mut Counters) {
        let bytes = match self.gallery.catalogue().vectors {
            crate::VectorType::F16 => 2,
            _ => 4,
        };
        counters.vectors_read += vectors as u64;
        counters.bytes_read += (vectors * self.gallery.dims() * bytes) as u64;
    }

    /// The best subjects with their best faces.
    fn with_faces(
        &self,
        best: &Best<'_>,
        counters: &mut Counters,
    ) -> Result<Vec<super::Match<'g>>, SearchError> {
        let segment = &self.gallery.0.segment;
        let exact = Exact::new(best.probe, segment.vectors());
        let mut groups = Vec::with_capacity(best.kept.len());
        for scored in &best.kept {
            self.request.query.stop.check()?;
            let place = segment.place(scored.first.1);
            let subject = segment.attributes.text(column::SUBJECT, place)?;
            let score = |slot| Candidate { similarity: exact.similarity(slot), slot };
            let mut face = super::Match::new(self.gallery, score(scored.first.1));
            face.subject_similarity = Some(scored.similarity);
            let mut group = Group { subject, faces: vec![face], slots: Vec::new() };
            self.find_slots(&mut group)?;
            self.count(group.slots.len(), counters);
            let mut found = group.slots.iter().map(|&slot| score(slot)).collect();
            self.keep_best(&mut group, &mut found);
            group.slots = Vec::new();
            groups.push(group);
        }
        Ok(flattened(groups))
    }
}
