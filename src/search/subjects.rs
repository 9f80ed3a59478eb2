//! Subjects: the people that the faces found belong to.
//!
//! In comes a request for subjects; out go the best of them, each with its best faces. Faces have one
//! order, by similarity and then by id, so that the first faces give the first subjects. Where these
//! are too few, as one of them may have ten thousand photos, all faces of those found are left out
//! and the others searched, by a plan that keeps the hit rate as if nobody else were there. Once the
//! subjects are known, all faces of each are looked at for its best.
//!
//! A template may be more alike than each of its faces, so several times as many subjects are found by
//! their faces as are wanted; an exhaustive search makes the template of every one (`everyone`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::filtered::Filtered;
use super::matches::{Basis, Match, Matches};
use super::promise::MOST_PROMISED;
use super::query::{Plan, Query, Request};
use super::searcher::Searcher;
use super::selection::Selection;
use super::template::{self, Fuser};
use super::{PROBES_A_SCAN, SearchError};
use crate::gallery::attributes::column;
use crate::{Embedding, Gallery};

/// By how much more faces are searched for where leaving out those found was not enough.
const MORE: usize = 4;
/// The same of an exhaustive search, where a pass costs more than what it keeps.
const MORE_OF_ALL: usize = 16;
/// Faces a subject, for as many as are expected to be among the first.
const FACES_EACH: usize = 2;
/// Codes are not worth asking where of so many faces one is wanted.
const WORTH_CODES: u64 = 40;
/// Subjects found by their faces for each that is wanted by its template, and at least.
const BY_TEMPLATE: (usize, usize) = (4, 40);

/// What a subject is scored by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectScore {
    /// The similarity of its best face.
    #[default]
    Best,
    /// The similarity of its template: the mean of its normalised embeddings that pass the filters,
    /// weighted by their [`norm`](crate::gallery::Face::norm). A threshold then is for it, and not
    /// for faces. Subjects with equal templates are in order of their first face id.
    Template,
}

impl Query {
    /// Answers with the best face of each subject; a face without a subject stands for itself.
    /// [`top`](Self::top) then is how many subjects.
    #[must_use]
    pub fn group_by_subject(mut self) -> Self {
        self.by_subject = true;
        self
    }

    /// Of each subject the best this many faces, at least 1; only where grouped by subject.
    #[must_use]
    pub fn per_subject(mut self, faces: usize) -> Self {
        self.per_subject = Some(faces);
        self
    }

    /// Scores subjects by this; only where grouped by subject.
    #[must_use]
    pub fn subject_score(mut self, score: SubjectScore) -> Self {
        self.score = score;
        self
    }

    pub(super) fn check_grouping(&self) -> Result<(), SearchError> {
        if self.per_subject == Some(0) {
            return Err(SearchError::PerSubjectZero);
        }
        let told = self.per_subject.is_some() || self.score != SubjectScore::Best;
        if told && !self.by_subject { Err(SearchError::NotGrouped) } else { Ok(()) }
    }

    /// How many faces of each subject to return.
    pub(super) fn each(&self) -> usize {
        self.per_subject.unwrap_or(1)
    }
}

impl<'g> Matches<'g> {
    /// The faces of each subject, the best subject first; each face by itself where the query did not
    /// group by subject.
    pub fn groups(&self) -> impl Iterator<Item = &[Match<'g>]> {
        self.found.chunk_by(|a, b| a.rank.is_some() && a.rank == b.rank)
    }
}

/// A subject found, or a face without one.
pub(super) struct Group<'g> {
    pub(super) subject: Option<&'g str>,
    /// Its best faces so far, best first.
    pub(super) faces: Vec<Match<'g>>,
    /// The slots of all its faces that may be answers; empty until needed.
    pub(super) slots: Vec<u32>,
}

/// A request for subjects on a gallery.
pub(super) struct Subjects<'g, 'q> {
    pub(super) gallery: &'g Gallery,
    pub(super) request: &'q Request<'q>,
    /// Subjects to find by their faces.
    sought: usize,
    /// Whether every face is scored by its vector.
    pub(super) exhaustive: bool,
    /// How it begins, and what the answers will be worth.
    pub(super) plan: Plan,
    pub(super) basis: Basis,
}

impl<'g, 'q> Subjects<'g, 'q> {
    pub(super) fn new(gallery: &'g Gallery, request: &'q Request<'q>) -> Result<Self, SearchError> {
        let query = request.query;
        let wanted = query.wanted();
        let sought = match query.score {
            SubjectScore::Best => wanted,
            SubjectScore::Template => wanted.saturating_mul(BY_TEMPLATE.0).max(BY_TEMPLATE.1),
        };
        let (plan, basis) = (Plan::Exhaustive, Basis::Complete);
        let mut subjects = Self { gallery, request, sought, exhaustive: false, plan, basis };
        let mut first = subjects.first();
        // As many as that are not found quicker by codes.
        let many = sought > MOST_PROMISED && sought != usize::MAX;
        let passing = request.selection.as_deref().map_or(gallery.len(), |s| s.count().into());
        let told = query.beam.is_some() || query.share.is_some() || query.plan.is_some();
        let all = many && !told && subjects.faces(0) as u64 >= passing / WORTH_CODES;
        first.exhaustive |= all;
        let request = Request { query: &first, ..request.clone() };
        let first = Filtered::new(gallery, &request)?;
        (subjects.plan, subjects.basis) = (first.plan(), first.basis());
        subjects.exhaustive = subjects.plan == Plan::Exhaustive;
        if query.score == SubjectScore::Template {
            // By their faces, not all are found that their templates would.
            let all = subjects.takes_everyone();
            subjects.basis = if all { Basis::Complete } else { Basis::Unmeasured };
        }
        Ok(subjects)
    }

    /// Answers one probe.
    pub(super) fn search(&self, probe: &[f32]) -> Result<Matches<'g>, SearchError> {
        if self.takes_everyone() {
            return self.everyone(&[probe])?.pop().ok_or(SearchError::Cancelled);
        }
        let query = self.first();
        let request = Request { query: &query, ..self.request.clone() };
        let first = Filtered::new(self.gallery, &request)?.search(probe)?;
        self.answer(probe, first)
    }

    /// Answers many probes, on the threads of the current rayon pool.
    pub(super) fn search_all(
        &self,
        probes: &[Embedding],
    ) -> Result<Vec<Result<Matches<'g>, SearchError>>, SearchError> {
        let fits = |probe: &Embedding| self.gallery.check_probe(probe);
        if self.takes_everyone() {
            let each = probes.len().div_ceil(rayon::current_num_threads());
            let few = |few: &[Embedding]| -> Vec<Result<Matches<'g>, SearchError>> {
                let fitting: Vec<&[f32]> =
                    few.iter().filter(|one| fits(one).is_ok()).map(Embedding::values).collect();
                let mut answers = self.everyone(&fitting).unwrap_or_default().into_iter();
                // Where the pass failed, each finds out why by itself.
                let mut answer = |probe: &Embedding| {
                    answers.next().map_or_else(|| self.search(probe.values()), Ok)
                };
                few.iter().map(|probe| fits(probe).and_then(|()| answer(probe))).collect()
            };
            let chunks = probes.par_chunks(each.clamp(1, PROBES_A_SCAN));
            return Ok(chunks.flat_map_iter(few).collect());
        }
        let query = self.first();
        let request = Request { query: &query, ..self.request.clone() };
        let first = self.gallery.search_faces(probes, &request)?;
        let each = probes.par_iter().zip(first);
        Ok(each.map(|(probe, first)| self.answer(probe.values(), first?)).collect())
    }

    /// Whether every subject's template is made: only so is none missed, and with a threshold alone
    /// all are asked for.
    fn takes_everyone(&self) -> bool {
        let all = self.exhaustive || self.request.query.wanted() == usize::MAX;
        self.request.query.score == SubjectScore::Template && all
    }

    /// The faces that are searched for first.
    fn first(&self) -> Query {
        let mut query = self.request.query.clone();
        query.by_subject = false;
        query.per_subject = None;
        query.score = SubjectScore::Best;
        query.filters.clear();
        if self.sought != usize::MAX {
            // Faces below the threshold say that nobody above it is missing.
            query.at_least = None;
            query.top = Some(self.faces(0));
        }
        query.exhaustive |= self.exhaustive;
        query
    }

    /// How many faces to search for, in each round.
    fn faces(&self, round: u32) -> usize {
        let first = match self.sought {
            usize::MAX => usize::MAX,
            ..=MOST_PROMISED => MOST_PROMISED,
            many => many.saturating_mul(FACES_EACH),
        };
        // Leaving out who was found is enough, mostly, and what was measured keeps its promise.
        let (more, before) = if self.exhaustive { (MORE_OF_ALL, 0) } else { (MORE, 1) };
        first.saturating_mul(more.saturating_pow(round.saturating_sub(before)))
    }

    /// From the first faces to subjects with their best.
    fn answer(&self, probe: &[f32], first: Matches<'g>) -> Result<Matches<'g>, SearchError> {
        let begun = Instant::now();
        let query = self.request.query;
        let mut answer = first;
        let before = answer.counters.elapsed;
        let mut groups = self.gather(probe, &mut answer)?;
        if query.score == SubjectScore::Template {
            let mut scored = self.score(probe, groups, &mut answer)?;
            scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            scored.truncate(query.wanted());
            groups = Vec::with_capacity(scored.len());
            for (similarity, _, mut group) in scored {
                for face in &mut group.faces {
                    face.subject_similarity = Some(similarity);
                }
                groups.push(group);
            }
        }
        self.complete(probe, &mut groups, &mut answer.counters)?;
        if query.score == SubjectScore::Best {
            sort_by_best(&mut groups);
        }
        answer.found = flattened(groups);
        answer.threshold = query.at_least;
        if query.score == SubjectScore::Template {
            answer.basis = self.basis;
        }
        answer.counters.elapsed = before + begun.elapsed();
        Ok(answer)
    }

    /// Groups the faces of an answer, and searches on until there are as many subjects as are sought.
    fn gather(
        &self,
        probe: &[f32],
        answer: &mut Matches<'g>,
    ) -> Result<Vec<Group<'g>>, SearchError> {
        let query = self.request.query;
        let by_face = query.score == SubjectScore::Best;
        let least = query.at_least.filter(|_| by_face).unwrap_or(f32::NEG_INFINITY);
        let mut groups: Vec<Group<'g>> = Vec::new();
        let mut known: HashMap<&'g str, usize> = HashMap::new();
        let mut found = std::mem::take(&mut answer.found);
        let mut left: Option<Arc<Selection>> = None;
        let mut left_out = 0;
        for round in 1.. {
            let whole = found.len() < self.faces(round - 1);
            let below = found.last().is_some_and(|last| last.similarity < least);
            for face in found.drain(..) {
                if face.similarity < least {
                    break;
                }
                let subject = self.subject(&face)?;
                if let Some(&at) = subject.and_then(|subject| known.get(subject)) {
                    if groups[at].faces.len() < query.each() {
                        groups[at].faces.push(face);
                    }
                } else if groups.len() < self.sought {
                    subject.map(|subject| known.insert(subject, groups.len()));
                    groups.push(Group { subject, faces: vec![face], slots: Vec::new() });
                }
            }
            if whole || below || groups.len() >= self.sought {
                break;
            }
            let mut others = left.take().unwrap_or_else(|| self.all_who_may_be_answers());
            let remaining = Arc::make_mut(&mut others);
            for group in &mut groups[left_out..] {
                self.find_slots(group)?;
                group.slots.iter().for_each(|&slot| remaining.remove(slot));
            }
            left_out = groups.len();
            if remaining.count() == 0 {
                break;
            }
            found = self.search_others(probe, round, &others, answer)?;
            left = Some(others);
        }
        Ok(groups)
    }

    /// The best faces of those that are left.
    fn search_others(
        &self,
        probe: &[f32],
        round: u32,
        others: &Arc<Selection>,
        answer: &mut Matches<'g>,
    ) -> Result<Vec<Match<'g>>, SearchError> {
        let mut query = self.first().top(self.faces(round));
        // Around the probe lie the faces left out: a walk would stay among them, and so would a scan
        // of a share.
        (query.beam, query.share, query.plan) = (None, None, None);
        query.exhaustive |= self.faces(round) > MOST_PROMISED
            && self.faces(round) as u64 >= u64::from(others.count()) / WORTH_CODES;
        let selection = Some(others.clone());
        let request = Request { query: &query, selection, ..self.request.clone() };
        let matches = Searcher::new(self.gallery, &request)?.search(probe)?;
        answer.counters.add(&matches.counters);
        answer.basis = answer.basis.worse(matches.basis);
        Ok(matches.found)
    }

    fn all_who_may_be_answers(&self) -> Arc<Selection> {
        let Request { selection, shown, .. } = self.request;
        let all = || Arc::new(Selection::all(self.gallery.0.segment.faces()));
        selection.clone().or_else(|| shown.clone()).unwrap_or_else(all)
    }

    pub(super) fn subject(&self, face: &Match<'g>) -> Result<Option<&'g str>, SearchError> {
        Ok(self.gallery.0.segment.attributes.text(column::SUBJECT, face.place())?)
    }

    /// Whether the face in a slot may be an answer.
    pub(super) fn may_be_answer(&self, slot: u32) -> bool {
        let Request { selection, shown, without, .. } = self.request;
        let seen = selection.as_deref().or(shown.as_deref());
        slot < self.gallery.0.segment.faces()
            && Some(slot) != *without
            && seen.is_none_or(|seen| seen.contains(slot))
    }

    /// Finds the slots of a group's faces, where it does not have them.
    pub(super) fn find_slots(&self, group: &mut Group<'g>) -> Result<(), SearchError> {
        if !group.slots.is_empty() {
            return Ok(());
        }
        if let Some(subject) = group.subject {
            let slots = self.gallery.places_of_subject(subject)?.into_iter();
            let slots = slots.map(|place| self.gallery.0.segment.slot(place));
            group.slots.extend(slots.filter(|&slot| self.may_be_answer(slot)));
        }
        // Of nobody known, or of a subject whose list is damaged.
        if group.slots.is_empty() {
            group.slots.extend(group.faces.iter().map(Match::slot));
        }
        Ok(())
    }

    /// A probe's similarity with the template of a subject: of those of its faces that may be answers,
    /// where there are some.
    pub(super) fn similarity_with(
        &self,
        probe: &[f32],
        subject: &str,
    ) -> Result<Option<f32>, SearchError> {
        let segment = &self.gallery.0.segment;
        let places = self.gallery.places_of_subject(subject)?.into_iter();
        let slots = places.map(|place| segment.slot(place));
        let slots: Vec<u32> = slots.filter(|&slot| self.may_be_answer(slot)).collect();
        if slots.is_empty() {
            return Ok(None);
        }
        Ok(Some(template::similarity(probe, Fuser::default().fuse(segment, &slots)?)))
    }

    /// Scores subjects by their templates: each with that similarity, which reaches the threshold, and
    /// its first face id.
    fn score(
        &self,
        probe: &[f32],
        groups: Vec<Group<'g>>,
        answer: &mut Matches<'g>,
    ) -> Result<Vec<(f32, u64, Group<'g>)>, SearchError> {
        let segment = &self.gallery.0.segment;
        let least = self.request.query.at_least.unwrap_or(f32::NEG_INFINITY);
        let mut fuser = Fuser::default();
        let mut scored = Vec::with_capacity(groups.len());
        for mut group in groups {
            self.request.query.stop.check()?;
            self.find_slots(&mut group)?;
            let similarity = template::similarity(probe, fuser.fuse(segment, &group.slots)?);
            self.count(group.slots.len(), &mut answer.counters);
            let id = |&slot| segment.face_id(segment.place(slot));
            let first = group.slots.iter().map(id).min().unwrap_or(u64::MAX);
            if similarity >= least {
                scored.push((similarity, first, group));
            }
        }
        Ok(scored)
    }
}

/// The best subject first, by its best face.
fn sort_by_best(groups: &mut [Group<'_>]) {
    groups.sort_by(|a, b| match (a.faces.first(), b.faces.first()) {
        (Some(a), Some(b)) => by_similarity(a, b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

/// The order of faces.
pub(super) fn by_similarity(a: &Match<'_>, b: &Match<'_>) -> std::cmp::Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.face_id.cmp(&b.face_id))
}

/// The faces of groups in their order, each with the rank of its group.
pub(super) fn flattened<'g>(groups: Vec<Group<'g>>) -> Vec<Match<'g>> {
    let ranked = groups.into_iter().enumerate().flat_map(|(rank, group)| {
        group.faces.into_iter().map(move |mut face| {
            face.rank = Some(rank);
            face
        })
    });
    ranked.collect()
}
