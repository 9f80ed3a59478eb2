//! The scan: sketches first, then codes, for every face or for the most promising share of them.
//!
//! A sketch is 16 bytes a face, so a pass over all of them is quick. Only the faces that the sketch
//! cannot rule out have their code read; what is found is the best by the codes' estimates, for
//! the vectors to decide. How sure "rule out" is, is a number of standard deviations, the
//! confidence: the error of sketch and code is known (Gao & Long, "RaBitQ", 2024).
//!
//! Several probes share each stretch of faces, so that it is read from memory once.

use std::iter;
use std::ops::Range;

use super::SearchError;
use super::coded::Coded;
use super::scratch::Candidate;
use super::selection::Selection;
use super::stop::Stop;
use super::walk::{Scored, Scores};
use crate::gallery::codes::BLOCK_FACES;
use crate::kernels::sketches::{BLOCK_BYTES, Sought};

/// Faces of the first stretch, which nothing is known for yet.
const FIRST_STRETCH: u32 = 32 * BLOCK_FACES;
/// Faces of a stretch: 128 KiB of sketches, so that they, and those of the next, stay in the
/// second-level cache while the probes take turns.
const STRETCH: u32 = 128 * BLOCK_FACES;

/// Codes of a stretch that are fetched ahead: more would drive each other out of the caches.
const MOST_FETCHED: usize = 512;
/// Candidates gathered at least before the worse of them go.
const LEAST_KEPT: usize = 64;

/// Which of what a scan sees is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sieve {
    /// The best this many by estimate.
    pub(super) keep: usize,
    /// Only what may be at least this similar.
    pub(super) at_least: f32,
    /// Standard deviations of a sketch's error that are allowed for; below 0, what seems barely as
    /// good as the last of the best is left out.
    pub(super) confidence: f32,
    /// Standard deviations of error that are allowed for where a threshold or the vectors are to
    /// decide.
    pub(super) sure: f32,
}

/// What a scan writes to.
#[derive(Debug, Default)]
pub(crate) struct Sift {
    slots: Vec<u32>,
    /// Of the stretch before: their codes are on the way from memory while sketches are scored.
    fetched: Vec<u32>,
    scored: Scored,
    /// The best so far, in no order, and some that have yet to be compared with them.
    kept: Vec<Candidate>,
    /// What an earlier scan of some of the faces kept.
    earlier: Vec<Candidate>,
    /// The estimate of the last of the best, as far as they were compared.
    floor: f32,
    pub(super) counts: Sifted,
}

/// What a scan read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sifted {
    pub(super) sketches: u64,
    pub(super) codes: u64,
}

impl Sift {
    /// Candidates that the longer of its lists has room for.
    pub(super) fn room(&self) -> usize {
        self.kept.capacity().max(self.earlier.capacity())
    }

    /// Empties it for a scan that need not keep what is estimated below `floor`.
    pub(super) fn reset(&mut self, floor: f32) {
        self.fetched.clear();
        self.kept.clear();
        self.earlier.clear();
        self.floor = floor;
        self.counts = Sifted::default();
    }

    /// Empties it for a scan after a walk, which found `seen`, best first: those stay, and the last
    /// that is kept of them is a floor.
    pub(super) fn reset_after(&mut self, seen: &[Candidate], keep: usize) {
        let seen = &seen[..seen.len().min(keep)];
        let floor = seen.last().filter(|_| seen.len() == keep);
        self.reset(floor.map_or(f32::NEG_INFINITY, |last| last.similarity));
        self.earlier.extend_from_slice(seen);
    }

    /// Readies it for a scan that sees again what this one saw. The last of what is kept is a floor
    /// for all there is; what passed while there was a lower one stays.
    pub(super) fn see_again(&mut self, keep: usize) {
        self.drop_worse(keep);
        std::mem::swap(&mut self.kept, &mut self.earlier);
        self.kept.clear();
    }

    /// Readies it for the sketches of a stretch.
    fn seek<'a>(&'a mut self, coded: &Coded<'a>, sieve: &Sieve) -> Sought<'a> {
        let (probe, scale) = (coded.probe(), &coded.view().scale);
        let error = probe.sketch_error(scale);
        let floor = self.floor - sieve.confidence * error;
        let floor = floor.max(sieve.at_least - sieve.sure * error);
        // A cast takes what is below every score to 0, and what is no number too.
        let floor = probe.sketch_score(floor, scale).ceil() as u16;
        self.slots.clear();
        Sought { tables: probe.tables(), floor, slots: &mut self.slots }
    }

    /// Asks for the codes of the faces that passed by their sketches, and scores those before.
    fn take_passing(
        &mut self,
        coded: &Coded<'_>,
        sieve: &Sieve,
        faces: &Range<u32>,
        selection: Option<&Selection>,
    ) {
        // The last block is padded; and a block may reach beyond the stretch.
        self.slots.truncate(self.slots.partition_point(|&slot| slot < faces.end));
        self.slots.drain(..self.slots.partition_point(|&slot| slot < faces.start));
        if let Some(selection) = selection {
            self.slots.retain(|slot| selection.contains(*slot));
        }
        self.counts.sketches += u64::from(faces.end - faces.start);
        self.counts.codes += self.slots.len() as u64;
        self.slots.iter().take(MOST_FETCHED).for_each(|&slot| coded.prefetch(slot));
        self.score_fetched(coded, sieve);
        std::mem::swap(&mut self.slots, &mut self.fetched);
        if self.floor == f32::NEG_INFINITY && sieve.at_least == f32::NEG_INFINITY {
            // Every face passes until there is a floor: none is worth waiting for one.
            self.score_fetched(coded, sieve);
        }
    }

    /// Scores by their codes the faces that were fetched.
    fn score_fetched(&mut self, coded: &Coded<'_>, sieve: &Sieve) {
        coded.score(&self.fetched, &mut self.scored);
        for at in 0..self.fetched.len() {
            let (slot, similarity) = (self.fetched[at], self.scored.similarities[at]);
            let likely = sieve.at_least == f32::NEG_INFINITY
                || similarity + sieve.sure * coded.error(slot) >= sieve.at_least;
            if similarity >= self.floor && likely {
                self.take(Candidate { similarity, slot }, sieve.keep);
            }
        }
        self.fetched.clear();
    }

    /// Takes a candidate; once there are twice as many as are kept, the worse half goes.
    #[inline]
    fn take(&mut self, candidate: Candidate, keep: usize) {
        self.kept.push(candidate);
        if self.kept.len() >= keep.saturating_mul(2).max(LEAST_KEPT) {
            self.drop_worse(keep);
        }
    }

    #[cold]
    fn drop_worse(&mut self, keep: usize) {
        if self.kept.len() <= keep {
            return;
        }
        let (_, last, _) = self.kept.select_nth_unstable_by(keep - 1, Candidate::by_similarity);
        self.floor = last.similarity;
        self.kept.truncate(keep);
    }

    /// The candidates, best first.
    pub(super) fn candidates(&mut self, sieve: &Sieve) -> &[Candidate] {
        self.drop_worse(sieve.keep);
        self.kept.append(&mut self.earlier);
        self.kept.sort_unstable_by(Candidate::by_similarity);
        self.kept.dedup_by_key(|candidate| candidate.slot);
        self.kept.truncate(sieve.keep);
        &self.kept
    }
}

/// Scans stretches of faces for every probe; afterwards each [`Sift`], which was reset, holds its
/// candidates.
pub(super) fn scan(
    probes: &mut [(Coded<'_>, &mut Sift)],
    sieve: &Sieve,
    stretches: &[Range<u32>],
    selection: Option<&Selection>,
    stop: &Stop,
) -> Result<(), SearchError> {
    let mut pieces = pieces(stretches).peekable();
    while let Some(faces) = pieces.next() {
        stop.check()?;
        let turns = probes.len().div_ceil(2);
        // Two at a time: the kernel does to the sketches once what both need.
        for (turn, few) in (1..).zip(probes.chunks_mut(2)) {
            // Not sooner, or the others' codes would drive them out of the cache again.
            let next = pieces.peek().filter(|_| turn == turns);
            sift_faces(few, sieve, &faces, next, selection);
        }
    }
    for (coded, sift) in probes.iter_mut() {
        sift.score_fetched(coded, sieve);
    }
    Ok(())
}

/// The stretches in parts that probes take turns at.
fn pieces(stretches: &[Range<u32>]) -> impl Iterator<Item = Range<u32>> {
    let (mut stretches, mut rest) = (stretches.iter(), 0..0);
    let mut length = FIRST_STRETCH;
    iter::from_fn(move || {
        while rest.is_empty() {
            rest = stretches.next()?.clone();
        }
        // Whole blocks, so that a block that two stretches share is all that is read twice.
        let to = (rest.start / BLOCK_FACES * BLOCK_FACES).saturating_add(length).min(rest.end);
        length = STRETCH;
        Some(std::mem::replace(&mut rest.start, to)..to)
    })
}

/// Takes some faces through sketch and code, for one probe or two; the sketches of `next` are
/// fetched meanwhile.
fn sift_faces(
    probes: &mut [(Coded<'_>, &mut Sift)],
    sieve: &Sieve,
    faces: &Range<u32>,
    next: Option<&Range<u32>>,
    selection: Option<&Selection>,
) {
    let first = faces.start / BLOCK_FACES * BLOCK_FACES;
    let Some((coded, _)) = probes.first() else { return };
    let sketches = sketches_of(coded, faces);
    let next = next.map_or(&[][..], |next| sketches_of(coded, next));
    match probes {
        [(coded, sift)] => {
            let probe = sift.seek(coded, sieve);
            coded.kernels().sketch_scan(sketches, first, &mut [probe], next);
        }
        [(coded, sift), (other, other_sift)] => {
            let mut pair = [sift.seek(coded, sieve), other_sift.seek(other, sieve)];
            coded.kernels().sketch_scan(sketches, first, &mut pair, next);
        }
        _ => {}
    }
    for (coded, sift) in probes {
        sift.take_passing(coded, sieve, faces, selection);
    }
}

/// The blocks that hold the sketches of these faces.
fn sketches_of<'a>(coded: &Coded<'a>, faces: &Range<u32>) -> &'a [u8] {
    let block = |at: u32| at as usize * BLOCK_BYTES;
    let bytes = block(faces.start / BLOCK_FACES)..block(faces.end.div_ceil(BLOCK_FACES));
    coded.view().sketches.get(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_stretches_cut_between_blocks() {
        let reversed = Range { start: 9, end: 4 };
        let stretches = [5..7, 9..9, 100..100 + 3 * STRETCH, reversed, 0..5];
        let pieces: Vec<Range<u32>> = pieces(&stretches).collect();
        assert!(pieces.iter().all(|piece| piece.end - piece.start <= STRETCH && !piece.is_empty()));
        let faces = |ranges: &[Range<u32>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
        assert_eq!(faces(&pieces), faces(&stretches));
        let cuts = pieces.iter().filter(|piece| !stretches.iter().any(|s| s.end == piece.end));
        assert!(cuts.clone().all(|piece| piece.end.is_multiple_of(BLOCK_FACES)));
        assert_eq!(cuts.count(), 3);
    }

    #[test]
    fn a_short_piece_comes_first_and_the_last_ends_at_the_last_number() {
        let whole = 0..STRETCH;
        assert_eq!(pieces(std::slice::from_ref(&whole)).next(), Some(0..FIRST_STRETCH));
        let highest = u32::MAX - 70..u32::MAX;
        assert_eq!(pieces(std::slice::from_ref(&highest)).last(), Some(highest));
    }

    #[test]
    fn what_a_walk_found_outlives_a_scan_that_finds_nothing() {
        let found = |slot| Candidate { similarity: 1.0 - slot as f32 / 100.0, slot };
        let seen: Vec<Candidate> = (0..9).map(found).collect();
        let mut sift = Sift::default();
        for (keep, floor) in
            [(4, seen[3].similarity), (9, seen[8].similarity), (10, -f32::INFINITY)]
        {
            let (at_least, confidence) = (f32::NEG_INFINITY, 0.0);
            let sieve = Sieve { keep, at_least, confidence, sure: 0.0 };
            sift.reset_after(&seen, keep);
            assert_eq!(sift.floor, floor);
            // One of them is met again.
            sift.take(seen[2], keep);
            let kept: Vec<u32> = sift.candidates(&sieve).iter().map(|kept| kept.slot).collect();
            assert_eq!(kept, (0..keep.min(9) as u32).collect::<Vec<_>>());
        }
    }
}
