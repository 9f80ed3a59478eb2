//! The final say: the vectors of the candidates that the codes' known error cannot decide.

use super::SearchError;
use super::scratch::{Beam, Candidate};
use super::searcher::Asked;
use super::similarity::AHEAD;
use super::stop::Stop;

/// Candidates between looks at the clock and the cancel flag.
const BETWEEN_LOOKS: usize = 1024;

/// What a rerank writes to.
#[derive(Debug, Default)]
pub(crate) struct Reranked {
    /// The best so far, as many as are wanted: what others have to reach.
    best: Beam,
    /// All that was as good as the last of the best when it was read: ties are for ids to decide.
    pub(super) found: Vec<Candidate>,
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
    let (Asked { coded, exact }, Reranked { best, found }) = (asked, reranked);
    best.reset(wanted);
    found.clear();
    let mut read = 0;
    for candidate in candidates.iter().take(AHEAD) {
        exact.fetch(candidate.slot);
    }
    for (at, candidate) in candidates.iter().enumerate() {
        if at.is_multiple_of(BETWEEN_LOOKS) {
            stop.check()?;
        }
        if let Some(later) = candidates.get(at + AHEAD) {
            exact.fetch(later.slot);
        }
        let floor = best.floor().max(at_least);
        if candidate.similarity < floor
            && candidate.similarity + confidence * coded.error(candidate.slot) < floor
        {
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
    found.sort_unstable_by(Candidate::by_similarity);
    Ok(read)
}
