//! The final say: the vectors of the candidates that the codes' known error cannot decide.
//!
//! Where they have to come from disk they are asked for together, so that the disk can read many at
//! a time: first about as many as are wanted, then those that these leave undecided.

use std::time::Instant;

use super::SearchError;
use super::scratch::{Beam, Candidate};
use super::searcher::Asked;
use super::similarity::AHEAD;
use super::stop::Stop;

/// Candidates between looks at the clock and the cancel flag; so many are asked for together.
const BETWEEN_LOOKS: usize = 1024;
/// Candidates of the first look at least.
const FIRST_LOOK: usize = 16;

/// What a rerank writes to.
#[derive(Debug, Default)]
pub(crate) struct Reranked {
    /// The best so far, as many as are wanted: what others have to reach.
    best: Beam,
    /// All that was as good as the last of the best when it was read: ties are for ids to decide.
    pub(super) found: Vec<Candidate>,
    /// Whether the last vectors came from disk; then the next probably do.
    from_disk: bool,
}

/// Leaves the best candidates by exact similarity in `reranked`, best first, as many as are `wanted`
/// or more; returns how many vectors it took.
///
/// `candidates` come best first by estimate. One whose estimate stays below the last one wanted (or
/// below `at_least`) even with `confidence` standard deviations of its error added is passed over.
pub(super) fn rerank(
    candidates: &[Candidate],
    asked: &Asked<'_>,
    wanted: usize,
    at_least: f32,
    confidence: f32,
    stop: &Stop,
    reranked: &mut Reranked,
) -> Result<u64, SearchError> {
    let Asked { coded, exact } = asked;
    let Reranked { best, found, from_disk } = reranked;
    best.reset(wanted);
    found.clear();
    // Said so that a damaged code, whose estimate is no number, rules nobody out.
    let ruled_out = |candidate: &Candidate, floor: f32| {
        candidate.similarity < floor
            && candidate.similarity + confidence * coded.error(candidate.slot) < floor
    };
    let mut read = 0;
    for candidate in candidates.iter().take(AHEAD) {
        exact.fetch(candidate.slot);
    }
    let (mut from, mut to) = (0, wanted.clamp(FIRST_LOOK, BETWEEN_LOOKS).min(candidates.len()));
    while from < to {
        stop.check()?;
        if *from_disk {
            let floor = best.floor().max(at_least);
            for candidate in candidates[from..to].iter().filter(|one| !ruled_out(one, floor)) {
                exact.read_ahead(candidate.slot..candidate.slot.saturating_add(1));
            }
        }
        let (begun, read_before) = (Instant::now(), read);
        for at in from..to {
            if let Some(later) = candidates.get(at + AHEAD) {
                exact.fetch(later.slot);
            }
            let candidate = candidates[at];
            if ruled_out(&candidate, best.floor().max(at_least)) {
                continue;
            }
            read += 1;
            let similarity = exact.similarity(candidate.slot);
            if similarity >= best.floor() {
                let exact = Candidate { similarity, slot: candidate.slot };
                best.insert(exact);
                found.push(exact);
            }
        }
        let looked_at = (to - from) as u64;
        *from_disk = exact.is_from_disk(read - read_before, looked_at, begun.elapsed());
        (from, to) = (to, to.saturating_add(BETWEEN_LOOKS).min(candidates.len()));
    }
    found.sort_unstable_by(Candidate::by_similarity);
    Ok(read)
}
