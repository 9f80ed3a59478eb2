//! The final say: the vectors of the candidates that the codes' known error cannot decide.

use super::coded::Coded;
use super::scratch::{Beam, Candidate};
use super::similarity::{AHEAD, Exact};

/// Puts the best candidates by exact similarity into `found`, which was reset; returns how many
/// vectors it took.
///
/// `candidates` come best first by estimate. One whose estimate stays below the last of `found` (or
/// below `at_least`) even with `confidence` standard deviations of its error added is passed over.
pub(super) fn rerank(
    candidates: &[Candidate],
    coded: &Coded<'_>,
    exact: &Exact<'_>,
    at_least: f32,
    confidence: f32,
    found: &mut Beam,
) -> u64 {
    let mut read = 0;
    for candidate in candidates.iter().take(AHEAD) {
        exact.fetch(candidate.slot);
    }
    for (at, candidate) in candidates.iter().enumerate() {
        if let Some(later) = candidates.get(at + AHEAD) {
            exact.fetch(later.slot);
        }
        let floor = found.floor().max(at_least);
        if candidate.similarity < floor
            && candidate.similarity + confidence * coded.error(candidate.slot) < floor
        {
            continue;
        }
        read += 1;
        let similarity = exact.similarity(candidate.slot);
        if similarity >= found.floor() {
            found.insert(Candidate { similarity, slot: candidate.slot });
        }
    }
    read
}
