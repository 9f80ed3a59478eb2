//! Which of the faces near a face it is linked to.
//!
//! The nearest come first, and one that is nearer to a face already chosen than to the face itself
//! is left to that one: walks pass through it. This is the relative neighbourhood rule of HNSW's
//! algorithm 4, relaxed a second time as in DiskANN's robust prune (Subramanya et al., 2019) where
//! places are left. A copy of a chosen face is as near to it as can be, so copies never fill a list.

use crate::gallery::segment::Vectors;
use crate::search::{Candidate, Exact};

/// A candidate is covered by a chosen face that is so many times nearer to it than the face whose
/// list this is. The second round fills the places that the first left.
const ROUNDS: [f32; 2] = [1.0, 1.4];

/// What choosing writes to, kept from one face to the next.
#[derive(Debug, Default)]
pub(super) struct Choosing {
    options: Vec<Choice>,
    pub(super) chosen: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Choice {
    candidate: Candidate,
    /// By how much the best of the chosen compared with so far is nearer than the face itself.
    covered: f32,
    /// How many of the chosen it was compared with.
    compared: usize,
}

/// Leaves in `choosing.chosen` at most `degree` of the candidates, which come best first, by exact
/// similarity, each once. `slot` gives the slot of a candidate's place.
pub(super) fn choose(
    candidates: &[Candidate],
    degree: usize,
    (vectors, dims): (Vectors<'_>, usize),
    slot: impl Fn(u32) -> u32,
    choosing: &mut Choosing,
) {
    let Choosing { options, chosen } = choosing;
    chosen.clear();
    options.clear();
    let no_distance = no_distance(vectors);
    let open = |&candidate| Choice { candidate, covered: 0.0, compared: 0 };
    options.extend(candidates.iter().map(open));
    for round in ROUNDS {
        options.retain_mut(|option| {
            if chosen.len() == degree {
                return false;
            }
            let distance = 1.0 - option.candidate.similarity;
            let vector = vectors.vector(slot(option.candidate.slot), dims);
            let exact = Exact::new(&vector, vectors);
            while option.covered < round && option.compared < chosen.len() {
                let other = chosen[option.compared];
                let between = (1.0 - exact.similarity(slot(other.slot))).max(0.0);
                // A copy of it covers it whatever the round.
                let covered =
                    if between > no_distance { distance / between } else { f32::INFINITY };
                option.covered = option.covered.max(covered);
                option.compared += 1;
            }
            if option.covered >= round {
                return true;
            }
            chosen.push(option.candidate);
            false
        });
    }
    chosen.sort_unstable_by(Candidate::by_similarity);
}

/// What the cosine of a vector with itself differs from 1 by rounding; values in half precision were
/// of unit length before they were rounded.
fn no_distance(vectors: Vectors<'_>) -> f32 {
    match vectors {
        Vectors::F32(_) => 1e-6,
        Vectors::F16(_) => 5e-4,
    }
}
