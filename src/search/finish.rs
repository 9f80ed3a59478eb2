//! From candidates by exact similarity to an answer: thresholds, ties.

use super::SearchError;
use super::matches::Match;
use super::scratch::Candidate;
use super::searcher::Searcher;

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
            found.push(Match::new(self.gallery, candidate));
            if found.len() == self.wanted {
                floor = Some(candidate.similarity);
            }
        }
        if self.wanted == usize::MAX && !all {
            return Ok(None);
        }
        found.sort_unstable_by(|a, b| {
            b.similarity.total_cmp(&a.similarity).then(a.face_id.cmp(&b.face_id))
        });
        found.truncate(self.wanted);
        Ok(Some(found))
    }
}
