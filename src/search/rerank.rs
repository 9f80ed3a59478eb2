//! The final say: the vectors of the candidates that the codes' known error cannot decide.
//!
//! Where they have to come from disk they are asked for together, so that the disk can read many at
//! a time: first about as many as are wanted, then those that these leave undecided.

use std::collections::VecDeque;
use std::time::Instant;

use super::scratch::{Beam, Candidate};
use super::searcher::Asked;
use super::stop::Stop;
use super::{Exact, SearchError};

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
    /// Which of the candidates have their vectors on the way, by rank.
    coming: VecDeque<usize>,
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
    let Reranked { best, found, coming, from_disk } = reranked;
    // Where all are wanted nobody is kept out by others.
    best.reset(if wanted == usize::MAX { 0 } else { wanted });
    found.clear();
    coming.clear();
    // Said so that a damaged code, whose estimate is no number, rules nobody out.
    let ruled_out = |candidate: &Candidate, floor: f32| {
        candidate.similarity < floor
            && candidate.similarity + confidence * coded.error(candidate.slot) < floor
    };
    let (begun, mut read, mut next) = (Instant::now(), 0, 0);
    let (mut from, mut to) = (0, wanted.clamp(FIRST_LOOK, BETWEEN_LOOKS).min(candidates.len()));
    while from < to {
        stop.check()?;
        if *from_disk {
            let floor = best.floor().max(at_least);
            for candidate in candidates[from..to].iter().filter(|one| !ruled_out(one, floor)) {
                exact.read_ahead(candidate.slot..candidate.slot.saturating_add(1));
            }
        }
        loop {
            let floor = best.floor().max(at_least);
            // A vector that is not needed would be waited for all the same.
            while coming.len() <= Exact::AHEAD
                && next < to.saturating_add(FIRST_LOOK)
                && let Some(later) = candidates.get(next)
            {
                if !ruled_out(later, floor) {
                    exact.fetch(later.slot);
                    coming.push_back(next);
                }
                next += 1;
            }
            let Some(at) = coming.front().copied().filter(|&at| at < to) else { break };
            coming.pop_front();
            let candidate = candidates[at];
            if ruled_out(&candidate, floor) {
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
        // By all looks so far: what a single one took, of few vectors, says little.
        *from_disk = exact.is_from_disk(read, to as u64, begun.elapsed());
        (from, to) = (to, to.saturating_add(BETWEEN_LOOKS).min(candidates.len()));
    }
    found.sort_unstable_by(Candidate::by_similarity);
    Ok(read)
}

#[cfg(all(test, feature = "build"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codes::{self, CodedProbe, Shape, SketchScale};
    use crate::gallery::codes::CodesView;
    use crate::gallery::segment::Vectors;
    use crate::kernels::Kernels;
    use crate::search::coded::Coded;
    use crate::search::similarity::Exact;
    use crate::search::walk::{Scored, Scores};
    use crate::space::Space;
    use half::f16;

    const DIMS: usize = 512;
    const FACES: u32 = 20;
    const DAMAGED: usize = 7;

    /// A space that turns nothing and has no mean.
    fn plain_space() -> Space {
        let matrix = (0..DIMS * DIMS).map(|at| f16::from_f32((at % (DIMS + 1) == 0).into()));
        Space::from_parts(DIMS, DIMS, vec![0.0; DIMS], matrix.collect()).unwrap()
    }

    #[test]
    fn whatever_is_fetched_the_best_are_those_of_reading_one_by_one() {
        // Two looks and more, and then some.
        const MANY: u32 = 2 * BETWEEN_LOOKS as u32 + 100;
        let space = plain_space();
        let shape = Shape::new(1, 64).unwrap();
        let mut seed = 1_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut unit = || {
            let values: Vec<f32> = (0..DIMS).map(|_| random()).collect();
            let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
            values.into_iter().map(|v| v / length).collect::<Vec<f32>>()
        };
        let probe = unit();
        let vectors: Vec<f32> = (0..MANY).flat_map(|_| unit()).collect();
        let mut rows = vec![0; MANY as usize * shape.row_bytes()];
        for (vector, row) in
            vectors.chunks_exact(DIMS).zip(rows.chunks_exact_mut(shape.row_bytes()))
        {
            codes::encode(vector, 0.0, shape, row);
        }
        let scale = SketchScale::default();
        let view =
            CodesView { faces: MANY, shape, scale, space: &space, rows: &rows, sketches: &[] };
        let mut coded = CodedProbe::default();
        coded.set(&space, &Kernels::best(), &probe, shape);
        let exact = Exact::new(&probe, Vectors::F32(&vectors));
        let asked = Asked { coded: Coded::new(&coded, view), exact };
        let mut scored = Scored::default();
        let slots: Vec<u32> = (0..MANY).collect();
        asked.coded.score(&slots, &mut scored);
        let estimated = slots.iter().zip(&scored.similarities);
        let mut candidates: Vec<Candidate> =
            estimated.map(|(&slot, &similarity)| Candidate { similarity, slot }).collect();
        candidates.sort_unstable_by(Candidate::by_similarity);
        for (wanted, confidence) in [(0, 2.0), (1, 0.0), (10, 2.5), (500, 1.0), (9999, 3.0)] {
            let (mut best, mut read) = (Beam::default(), 0);
            best.reset(wanted);
            for candidate in &candidates {
                let may_be = candidate.similarity + confidence * asked.coded.error(candidate.slot);
                if candidate.similarity >= best.floor() || may_be >= best.floor() {
                    read += 1;
                    let similarity = exact.similarity(candidate.slot);
                    if similarity >= best.floor() {
                        best.insert(Candidate { similarity, slot: candidate.slot });
                    }
                }
            }
            let (mut reranked, stop) = (Reranked::default(), Stop::default());
            let took = rerank(&candidates, &asked, wanted, -1.0, confidence, &stop, &mut reranked);
            assert_eq!(took.unwrap(), read, "{wanted}");
            let found = &reranked.found[..wanted.min(MANY as usize)];
            assert_eq!(found, best.candidates(), "{wanted}");
        }
    }

    #[test]
    fn a_damaged_code_rules_nobody_out() {
        let space = plain_space();
        let shape = Shape::new(1, 64).unwrap();
        // Alike in all but one dimension; the damaged one is the probe itself.
        let vector = |face: usize| -> Vec<f32> {
            let value = |dim| if dim == face && face != DAMAGED { -1.0 } else { 1.0 };
            (0..DIMS).map(|dim| value(dim) / (DIMS as f32).sqrt()).collect()
        };
        let vectors: Vec<f32> = (0..FACES as usize).flat_map(vector).collect();
        let mut rows = vec![0; FACES as usize * shape.row_bytes()];
        for (face, row) in rows.chunks_exact_mut(shape.row_bytes()).enumerate() {
            codes::encode(&vector(face), 0.0, shape, row);
            if face == DAMAGED {
                row[shape.bytes()..].fill(0xff);
            }
        }
        let view = CodesView {
            faces: FACES,
            shape,
            scale: SketchScale::default(),
            space: &space,
            rows: &rows,
            sketches: &[],
        };
        let (probe, mut coded) = (vector(DAMAGED), CodedProbe::default());
        coded.set(&space, &Kernels::best(), &probe, shape);
        let asked = Asked {
            coded: Coded::new(&coded, view),
            exact: Exact::new(&probe, Vectors::F32(&vectors)),
        };
        assert!(asked.coded.error(DAMAGED as u32).is_nan());
        let estimate =
            |slot| if slot == DAMAGED as u32 { f32::NEG_INFINITY } else { 1.0 - slot as f32 };
        let candidates: Vec<Candidate> =
            (0..FACES).map(|slot| Candidate { similarity: estimate(slot), slot }).collect();
        for confidence in [0.0, 3.0, f32::INFINITY] {
            let mut reranked = Reranked::default();
            let stop = Stop::default();
            rerank(&candidates, &asked, 1, -1.0, confidence, &stop, &mut reranked).unwrap();
            assert_eq!(reranked.found[0].slot, DAMAGED as u32, "confidence {confidence}");
        }
    }
}
