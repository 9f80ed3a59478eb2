//! Filters that let many pass.
//!
//! A walk that keeps only faces that pass may lose its way among those that do not, and no hit rate
//! was measured with anybody's filter. But hit rates were measured without one, for the nearest 100
//! faces and for all above a threshold: those of them that pass are the nearest that pass, as long
//! as they are as many as are wanted. Where they are too few, as with a filter that leaves out just
//! those who are alike, the search begins anew among those that pass.

use super::matches::{Basis, Matches};
use super::plan::FEW;
use super::promise::MOST_PROMISED;
use super::query::{Plan, Request};
use super::searcher::Searcher;
use super::{Gallery, SearchError};

/// Standard deviations by which those that are likely to pass must be more than are wanted.
const LIKELY: f64 = 3.0;

/// A request for faces, ready for probes.
pub(super) struct Filtered<'g, 'q> {
    /// Among all faces, where those that pass are likely among the nearest.
    nearest: Option<Searcher<'g, 'q>>,
    /// Among those that pass.
    pub(super) passing: Searcher<'g, 'q>,
}

impl<'g, 'q> Filtered<'g, 'q> {
    pub(super) fn new(gallery: &'g Gallery, request: &'q Request<'q>) -> Result<Self, SearchError> {
        let passing = Searcher::new(gallery, request)?;
        let nearest = match passing.wanted {
            _ if passing.selection.is_none() || passing.passing <= FEW => None,
            usize::MAX => Some(Searcher::among_all(gallery, request, usize::MAX)?),
            wanted if is_likely(wanted, passing.passing, passing.faces) => {
                Some(Searcher::among_all(gallery, request, MOST_PROMISED)?)
            }
            _ => None,
        };
        let is_worth = |all: &Searcher<'_, '_>| {
            matches!(all.basis, Basis::Planned { .. }) && all.microseconds < passing.microseconds
        };
        Ok(Self { nearest: nearest.filter(is_worth), passing })
    }

    fn first(&self) -> &Searcher<'g, 'q> {
        self.nearest.as_ref().unwrap_or(&self.passing)
    }

    /// How it begins.
    pub(super) fn plan(&self) -> Plan {
        self.first().plan
    }

    /// What answers are worth.
    pub(super) fn basis(&self) -> Basis {
        self.first().basis
    }

    /// Whether probes look at different faces, so that there is nothing to share between them.
    pub(super) fn is_apart(&self) -> bool {
        self.nearest.is_some() || self.passing.is_apart()
    }

    /// Answers one probe.
    pub(super) fn search(&self, probe: &[f32]) -> Result<Matches<'g>, SearchError> {
        let (Some(nearest), Some(selection)) = (&self.nearest, self.passing.selection) else {
            return self.passing.search(probe);
        };
        let mut matches = nearest.search(probe)?;
        matches.counters.passing = self.passing.passing as u64;
        // Fewer than were asked for are all that reach the threshold.
        let all = matches.found.len() < nearest.wanted;
        matches.found.retain(|face| selection.contains(face.slot()));
        if all || matches.found.len() >= self.passing.wanted {
            matches.found.truncate(self.passing.wanted);
            return Ok(matches);
        }
        let mut counters = matches.counters;
        matches = self.passing.search(probe)?;
        counters.add(&matches.counters);
        matches.counters = counters;
        Ok(matches)
    }
}

/// Whether of the nearest faces that plans were measured for, so many are likely to pass.
fn is_likely(wanted: usize, passing: usize, faces: usize) -> bool {
    let share = passing as f64 / faces.max(1) as f64;
    let (most, wanted) = (MOST_PROMISED as f64, wanted as f64);
    most * share - LIKELY * (most * share * (1.0 - share)).sqrt() >= wanted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_the_nearest_enough_must_be_likely_to_pass() {
        assert!(is_likely(10, 500, 1000) && is_likely(1, 120, 1000) && is_likely(100, 7, 7));
        assert!(!is_likely(10, 200, 1000) && !is_likely(1, 50, 1000) && !is_likely(100, 999, 1000));
        assert!(!is_likely(1, 0, 0));
    }

    /// Both ways of answering, whatever they cost, on a gallery of faces that are numbered by an
    /// attribute.
    #[cfg(feature = "build")]
    #[test]
    fn those_of_the_nearest_that_pass_are_the_answer_or_the_search_begins_anew() {
        use crate::{Build, Cancel, Embedding, Query, Silent};
        use std::fmt::Write;

        let folder = tempfile::tempdir().unwrap();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/embeddings.npy");
        let manifest = folder.path().join("m.csv");
        let mut text = "number\n".to_owned();
        (0..553).for_each(|number| writeln!(text, "{number}").unwrap());
        std::fs::write(&manifest, text).unwrap();
        let place = folder.path().join("g");
        Build::new(&place, sample).manifest(&manifest).run(&Silent, &Cancel::new()).unwrap();
        let gallery = Gallery::open(&place).unwrap();
        let (mut met, mut anew) = (0, 0);
        for number in (0..553).step_by(7) {
            let probe: Embedding = gallery.embedding(crate::FaceId(number)).unwrap();
            let nearest = gallery.search(&probe, &Query::new().top(100).exhaustive()).unwrap();
            let left_out = |count: usize| {
                let numbers: Vec<String> =
                    nearest.iter().take(count).map(|face| face.face_id.to_string()).collect();
                format!("not number in ({})", numbers.join(", "))
            };
            let walk = Query::new().plan(Plan::Walk { beam: 553 });
            for (text, query) in [
                (left_out(20), walk.clone().top(50)),
                (left_out(60), walk.clone().top(50)),
                (left_out(60), walk.clone().top(50).at_least(nearest[80].similarity)),
                (left_out(60), walk.clone().at_least(nearest[80].similarity)),
            ] {
                let query = query.filter(text.parse().unwrap());
                let exact = Query { plan: None, ..query.clone() }.exhaustive();
                let exact = gallery.search(&probe, &exact).unwrap();
                let request = gallery.request(&query, None).unwrap();
                let all = query.wanted().max(MOST_PROMISED);
                let both = Filtered {
                    nearest: Some(Searcher::among_all(&gallery, &request, all).unwrap()),
                    passing: Searcher::new(&gallery, &request).unwrap(),
                };
                let answer = both.search(probe.values()).unwrap();
                let ids = |answer: &Matches<'_>| -> Vec<u64> {
                    answer.iter().map(|face| face.face_id.0).collect()
                };
                assert_eq!(ids(&answer), ids(&exact), "{number} {query:?}");
                assert_eq!(answer.counters.passing, exact.counters.passing);
                let once = both.passing.search(probe.values()).unwrap();
                if answer.counters.hops > once.counters.hops {
                    anew += 1;
                } else {
                    met += 1;
                }
            }
        }
        assert!(met > 100 && anew > 70, "{met} {anew}");
    }
}
