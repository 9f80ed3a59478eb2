//! Several probes of one person, as one answer.
//!
//! In come the probes of a set; out go the faces (or subjects) most like all of them together. Each
//! probe's own answer is exact or keeps its hit rate, and the fused one is made of these, or of one
//! search for the probes' mean.

use std::collections::HashMap;

use super::matches::{Match, Matches};
use super::query::Query;
use super::scratch::Candidate;
use super::similarity::Exact;
use super::subjects::{Group, Subjects, by_similarity, flattened};
use super::{Request, SearchError};
use crate::{Embedding, Error, Gallery};

/// Of Cormack, Clarke & Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
/// learning methods" (2009).
const RANK_OFFSET: f64 = 60.0;
/// How many of each probe's nearest have a rank, at least.
const RANKED: usize = 100;

/// How the probes of a set become one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fusion {
    /// One search, for the mean of the normalised probes; similarities are with that mean. What is
    /// particular to one photo is evened out, and a threshold is answered with strangers about as
    /// often as for a single probe, which is why it is the default.
    #[default]
    Mean,
    /// A face is as similar as to the probe that it is most similar to. With every further probe a
    /// threshold is answered with strangers more often.
    Best,
    /// By the sum, over the probes, of 1 / (60 + rank) among the nearest of each: 100, or as many as
    /// are asked for if those are more (Cormack, Clarke & Büttcher 2009). The similarities shown are
    /// those of [`Best`](Self::Best), and are not in order.
    ReciprocalRank,
}

/// A face or subject of several answers.
struct Fused<'g> {
    /// What it is ordered by.
    score: f64,
    similarity: f32,
    group: Group<'g>,
}

impl Gallery {
    /// The faces (or subjects) most like several probes of one person together.
    ///
    /// ```
    /// use lookalike::search::Fusion;
    /// use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("people.gallery");
    /// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    /// # Build::new(&place, format!("{sample}/embeddings.npy"))
    /// #     .manifest(format!("{sample}/manifest.csv"))
    /// #     .run(&Silent, &Cancel::new())?;
    /// let gallery = Gallery::open(&place)?;
    /// let probes = [gallery.embedding(FaceId(12))?, gallery.embedding(FaceId(17))?];
    /// let found = gallery.search_set(&probes, &Query::new().top(3), Fusion::Mean)?;
    /// assert_eq!(found[0].face()?.subject, gallery.face(FaceId(17))?.subject);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search), and when there is no probe, or their mean has no direction.
    pub fn search_set(
        &self,
        probes: &[Embedding],
        query: &Query,
        fusion: Fusion,
    ) -> Result<Matches<'_>, Error> {
        Ok(self.search_together(probes, query, fusion)?)
    }

    fn search_together(
        &self,
        probes: &[Embedding],
        query: &Query,
        fusion: Fusion,
    ) -> Result<Matches<'_>, SearchError> {
        probes.iter().try_for_each(|probe| self.check_probe(probe))?;
        match (probes, fusion) {
            ([], _) => Err(SearchError::NoProbe),
            ([one], _) => self.search_one(one, query),
            (_, Fusion::Mean) => self.search_one(&mean(probes)?, query),
            (_, Fusion::Best | Fusion::ReciprocalRank) => {
                let mut each = query.clone();
                if fusion == Fusion::ReciprocalRank && query.wanted() != usize::MAX {
                    each = each.top(query.wanted().max(RANKED));
                }
                let answers = self.search_all(probes, &each, None)?;
                let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
                self.fuse(probes, query, fusion, answers)
            }
        }
    }

    /// Makes one answer of those to each probe.
    fn fuse<'g>(
        &'g self,
        probes: &[Embedding],
        query: &Query,
        fusion: Fusion,
        answers: Vec<Matches<'g>>,
    ) -> Result<Matches<'g>, SearchError> {
        let request = self.request(query, None)?;
        let subjects = Subjects::new(self, &request)?;
        let mut fused: Vec<Fused<'g>> = Vec::new();
        let mut faces_known = HashMap::new();
        let mut subjects_known = HashMap::new();
        for answer in &answers {
            for (group, rank) in answer.groups().zip(1_u32..) {
                let Some(best) = group.first() else { continue };
                let subject = if query.by_subject { subjects.subject(best)? } else { None };
                let new = fused.len();
                let at = match subject {
                    Some(subject) => *subjects_known.entry(subject).or_insert(new),
                    None => *faces_known.entry(best.face_id).or_insert(new),
                };
                let similarity = best.subject_similarity.unwrap_or(best.similarity);
                if at == new {
                    let (faces, slots) = (Vec::new(), Vec::new());
                    let group = Group { subject, faces, slots };
                    fused.push(Fused { score: 0.0, similarity, group });
                }
                let one = &mut fused[at];
                one.similarity = one.similarity.max(similarity);
                one.group.faces.extend_from_slice(group);
                if fusion == Fusion::ReciprocalRank {
                    one.score += 1.0 / (RANK_OFFSET + f64::from(rank));
                }
            }
        }
        for one in &mut fused {
            if fusion == Fusion::Best {
                one.score = f64::from(one.similarity);
            }
            // A face may be in several answers.
            one.group.faces.sort_unstable_by_key(|face| face.face_id);
            one.group.faces.dedup_by_key(|face| face.face_id);
        }
        let mut answers = answers.into_iter();
        let mut answer = answers.next().ok_or(SearchError::NoProbe)?;
        answers.for_each(|other| {
            answer.counters.add(&other.counters);
            answer.basis = answer.basis.worse(other.basis);
        });
        sort(&mut fused);
        fused.truncate(query.wanted());
        let mut shown = Vec::with_capacity(fused.len());
        for mut one in fused {
            query.stop.check()?;
            subjects.find_slots(&mut one.group)?;
            subjects.count(one.group.slots.len() * probes.len(), &mut answer.counters);
            let by_template = one.group.faces.iter().any(|face| face.subject_similarity.is_some());
            one.group.faces = best_of_all(self, probes, &request, &one.group);
            if by_template {
                for face in &mut one.group.faces {
                    face.subject_similarity = Some(one.similarity);
                }
            } else if let Some(best) = one.group.faces.first() {
                // A plan may have missed it for the probe that it is most similar to.
                one.similarity = best.similarity;
                if fusion == Fusion::Best {
                    one.score = f64::from(one.similarity);
                }
            }
            shown.push(one);
        }
        sort(&mut shown);
        answer.found = flattened(shown.into_iter().map(|one| one.group).collect());
        if !query.by_subject {
            answer.found.iter_mut().for_each(|face| face.rank = None);
        }
        Ok(answer)
    }
}

/// The best first; ties by similarity, then by face id.
fn sort(fused: &mut [Fused<'_>]) {
    let first = |one: &Fused<'_>| one.group.faces.first().map(|face| face.face_id);
    fused.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(b.similarity.total_cmp(&a.similarity)).then(first(a).cmp(&first(b)))
    });
}

/// The best faces of a group, each by the probe that it is most similar to.
fn best_of_all<'g>(
    gallery: &'g Gallery,
    probes: &[Embedding],
    request: &Request<'_>,
    group: &Group<'g>,
) -> Vec<Match<'g>> {
    let query = request.query;
    let vectors = gallery.0.segment.vectors();
    let mut faces: Vec<Match<'g>> = Vec::with_capacity(group.slots.len());
    for &slot in &group.slots {
        let similarities =
            probes.iter().map(|probe| Exact::new(probe.values(), vectors).similarity(slot));
        let similarity = similarities.fold(f32::NEG_INFINITY, f32::max);
        faces.push(Match::new(gallery, Candidate { similarity, slot }));
    }
    faces.sort_unstable_by(by_similarity);
    let by_template = group.faces.iter().any(|face| face.subject_similarity.is_some());
    if let (Some(least), false) = (query.at_least, by_template) {
        faces.retain(|face| face.similarity >= least);
    }
    faces.truncate(query.each());
    faces
}

/// The mean of normalised probes.
fn mean(probes: &[Embedding]) -> Result<Embedding, SearchError> {
    let mut sum = vec![0.0_f64; probes.first().map_or(0, Embedding::dims)];
    for probe in probes {
        for (sum, &value) in sum.iter_mut().zip(probe.values()) {
            *sum += f64::from(value);
        }
    }
    let count = probes.len() as f64;
    let values: Vec<f32> = sum.into_iter().map(|sum| (sum / count) as f32).collect();
    // What rounding leaves has no meaning.
    Embedding::new(values).ok().filter(|mean| mean.norm() > 1e-6).ok_or(SearchError::NoMean)
}
