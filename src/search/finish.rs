//! From candidates by exact similarity to an answer: thresholds, subjects, ties.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::SearchError;
use super::query::Match;
use super::scratch::Candidate;
use super::searcher::Searcher;
use crate::gallery::attributes::column;

impl<'g> Searcher<'g, '_> {
    /// Turns candidates, best first, into an answer; `None` where more candidates are needed.
    /// `all` says that there are no more than these at or above the threshold.
    pub(super) fn finish(
        &self,
        candidates: &[Candidate],
        all: bool,
    ) -> Result<Option<Vec<Match<'g>>>, SearchError> {
        let query = self.request.query;
        let least = query.at_least.unwrap_or(f32::NEG_INFINITY);
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
        if open && found.len() < self.wanted && !all {
            return Ok(None);
        }
        found.sort_unstable_by(|a, b| {
            b.similarity.total_cmp(&a.similarity).then(a.face_id.cmp(&b.face_id))
        });
        found.truncate(self.wanted);
        Ok(Some(found))
    }
}
