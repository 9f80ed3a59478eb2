//! The final say: the vectors of the candidates that the codes' known error cannot decide.

use super::coded::Coded;
use super::scratch::{Beam, Candidate};
use super::similarity::{AHEAD, Exact};

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
    coded: &Coded<'_>,
    exact: &Exact<'_>,
    wanted: usize,
    at_least: f32,
    confidence: f32,
    reranked: &mut Reranked,
) -> u64 {
    let Reranked { best, found } = reranked;
    best.reset(wanted);
    found.clear();
    let mut read = 0;
    for candidate in candidates.iter().take(AHEAD) {
        exact.fetch(candidate.slot);
    }
    for (at, candidate) in candidates.iter().enumerate() {
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
    read
}
