//! What a search writes while it runs, kept from one search to the next.
//!
//! After the first few searches nothing here allocates. Sizes follow the width of the beam or, where
//! every face above a threshold is asked for, the number of those; never the number of faces: a byte
//! a face would be a gigabyte a search at a billion. What a threshold or a wide beam made very large is
//! not kept.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use super::rerank::Reranked;
use super::scan::Sift;
use super::share::Promising;
use super::walk::Steps;
use crate::codes::CodedProbe;
use crate::gallery::format::NONE;

/// A face and its similarity with the probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) similarity: f32,
    pub(crate) slot: u32,
}

impl Candidate {
    /// The order of candidates: by similarity, then by slot, so that it is total.
    pub(crate) fn by_similarity(a: &Self, b: &Self) -> Ordering {
        b.similarity.total_cmp(&a.similarity).then(a.slot.cmp(&b.slot))
    }

    /// Whether it comes before another: by similarity, then by slot, so that the order is total.
    #[inline]
    fn before(&self, other: &Self) -> bool {
        self.similarity > other.similarity
            || (self.similarity == other.similarity && self.slot < other.slot)
    }
}

/// Up to this width the best are kept in order; beyond it, moving them costs more than a heap.
const SORTED: usize = 1024;

/// The best candidates so far, and which of them were looked behind.
///
/// A sorted array beats a heap at the widths that matter: one binary search a newcomer and one short
/// move for all that come together, and the best that is left is found by a cursor. Wide beams are
/// two heaps.
#[derive(Debug, Default)]
pub(crate) struct Beam {
    entries: Vec<Candidate>,
    expanded: Vec<bool>,
    width: usize,
    cursor: usize,
    /// Of a wide beam, the best so far with the worst of them on top.
    best: BinaryHeap<BestFirst>,
    /// Of a wide beam, those not yet looked behind, with the best of them on top.
    ahead: BinaryHeap<Reverse<BestFirst>>,
}

/// A candidate that is the greater the later it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BestFirst(Candidate);

impl Eq for BestFirst {}

impl Ord for BestFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        Candidate::by_similarity(&self.0, &other.0)
    }
}

impl PartialOrd for BestFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Beam {
    /// Candidates that the longest of its lists has room for.
    pub(super) fn room(&self) -> usize {
        self.entries.capacity().max(self.best.capacity()).max(self.ahead.capacity())
    }

    /// Empties it for `width` candidates.
    pub(crate) fn reset(&mut self, width: usize) {
        self.entries.clear();
        self.expanded.clear();
        self.best.clear();
        self.ahead.clear();
        self.width = width;
        self.cursor = 0;
    }

    fn is_wide(&self) -> bool {
        self.width > SORTED
    }

    fn last(&self) -> Option<&Candidate> {
        if self.is_wide() { self.best.peek().map(|last| &last.0) } else { self.entries.last() }
    }

    /// The similarity that a newcomer must beat.
    #[inline]
    pub(crate) fn floor(&self) -> f32 {
        match self.last() {
            Some(last) if self.is_full() => last.similarity,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Whether a newcomer takes the place of another.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let held = if self.is_wide() { self.best.len() } else { self.entries.len() };
        held >= self.width
    }

    /// Takes a candidate that is good enough; ties with the last go by slot.
    #[inline]
    pub(crate) fn insert(&mut self, candidate: Candidate) {
        self.merge(&[candidate]);
    }

    /// [`insert`](Self::insert) of several, which come best first: those already there are moved but
    /// once.
    pub(crate) fn merge(&mut self, new: &[Candidate]) {
        if self.is_wide() {
            return new.iter().for_each(|&candidate| self.insert_wide(candidate));
        }
        let (held, Some(&any)) = (self.entries.len(), new.first()) else { return };
        self.entries.resize(held + new.len(), any);
        self.expanded.resize(held + new.len(), false);
        // Between the places of two newcomers all move by as many as come before them.
        let mut end = held;
        for (before, &candidate) in new.iter().enumerate().rev() {
            let at = self.entries[..end].partition_point(|entry| entry.before(&candidate));
            self.entries.copy_within(at..end, at + before + 1);
            self.expanded.copy_within(at..end, at + before + 1);
            self.entries[at + before] = candidate;
            self.expanded[at + before] = false;
            end = at;
        }
        self.cursor = self.cursor.min(end);
        self.entries.truncate(self.width);
        self.expanded.truncate(self.width);
    }

    fn insert_wide(&mut self, candidate: Candidate) {
        let new = BestFirst(candidate);
        if self.best.len() < self.width {
            self.best.push(new);
        } else if let Some(mut last) = self.best.peek_mut() {
            if *last <= new {
                return;
            }
            *last = new;
        }
        self.ahead.push(Reverse(new));
    }

    /// The best candidate not yet looked behind, which now counts as looked behind; none that is less
    /// similar than `least`.
    #[inline]
    pub(crate) fn next_of(&mut self, least: f32) -> Option<Candidate> {
        let reaches = |next: &Candidate| next.similarity >= least;
        if self.is_wide() {
            let next = self.peek_wide().filter(reaches)?;
            self.ahead.pop();
            return Some(next);
        }
        while *self.expanded.get(self.cursor)? {
            self.cursor += 1;
        }
        let next = self.entries.get(self.cursor).copied().filter(reaches)?;
        self.expanded[self.cursor] = true;
        Some(next)
    }

    /// Those that [`next_of`](Self::next_of) would give next, were nothing inserted meanwhile and
    /// whatever the least; of a wide beam the first alone.
    #[inline]
    pub(crate) fn ahead(&self) -> impl Iterator<Item = Candidate> {
        let wide = if self.is_wide() { self.peek_wide() } else { None };
        let from = if self.is_wide() { self.entries.len() } else { self.cursor };
        let entries = self.entries.iter().zip(&self.expanded).skip(from);
        wide.into_iter().chain(entries.filter(|(_, expanded)| !**expanded).map(|(next, _)| *next))
    }

    fn peek_wide(&self) -> Option<Candidate> {
        // Whatever fell out of the best since it was put ahead is worse than the last of them.
        let (next, last) = (self.ahead.peek()?.0, self.best.peek()?);
        (next <= *last).then_some(next.0)
    }

    /// The candidates, best first.
    pub(crate) fn candidates(&mut self) -> &[Candidate] {
        if self.is_wide() {
            self.entries.clear();
            self.entries.extend(self.best.iter().map(|found| found.0));
            self.entries.sort_unstable_by(Candidate::by_similarity);
        }
        &self.entries
    }
}

/// The slots a walk has seen: a hash set sized by how many those are.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    table: Vec<u32>,
    /// Only the first `1 << bits` places are in use, so that a narrow walk after a wide one clears
    /// no more than it needs.
    bits: u32,
    used: usize,
}

impl Visited {
    /// Slots that its table has places for.
    pub(super) fn room(&self) -> usize {
        self.table.len()
    }

    /// Empties it for about `expected` slots.
    pub(crate) fn reset(&mut self, expected: usize) {
        self.bits = (expected.max(32) * 2).next_power_of_two().trailing_zeros();
        let size = 1 << self.bits;
        if self.table.len() < size {
            self.table.resize(size, NONE);
        }
        self.table[..size].fill(NONE);
        self.used = 0;
    }

    /// Adds a slot; whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let mask = (1_usize << self.bits) - 1;
        let mut at = self.place(slot);
        loop {
            let found = self.table[at];
            if found == NONE {
                break;
            }
            if found == slot {
                return false;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = slot;
        self.used += 1;
        if self.used * 4 > (mask + 1) * 3 {
            self.grow();
        }
        true
    }

    /// Where a slot is looked for first (Knuth's multiplicative hash).
    #[inline]
    fn place(&self, slot: u32) -> usize {
        (u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.bits)) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let slots: Vec<u32> =
            self.table[..1 << self.bits].iter().copied().filter(|&slot| slot != NONE).collect();
        self.reset(1 << self.bits);
        for slot in slots {
            self.insert(slot);
        }
    }
}

/// Everything one search writes to.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The probe in the gallery's space.
    pub(super) probe: CodedProbe,
    pub(super) steps: Steps,
    pub(super) sift: Sift,
    /// The runs of slots to scan.
    pub(super) promising: Promising,
    pub(super) reranked: Reranked,
}

/// Candidates that any list of a scratch at rest has room for at most: 8 MiB of them.
const MOST_KEPT: usize = 1 << 20;

impl Scratch {
    /// Candidates that the longest of its lists has room for.
    fn room(&self) -> usize {
        let Self { steps, sift, reranked, .. } = self;
        [sift.room(), steps.room(), reranked.found.capacity()].into_iter().max().unwrap_or(0)
    }
}

/// Scratches at rest; a search takes one and puts it back.
#[derive(Debug, Default)]
pub(crate) struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    /// Lends a scratch for the time of `work`.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let mut scratch = self.lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        if scratch.room() <= MOST_KEPT {
            self.lock().push(scratch);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        // A panic elsewhere leaves the list whole: it is only ever pushed to and popped from.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn visited_is_a_set(slots in prop::collection::vec(0_u32..5000, 0..3000), size in 0_usize..64) {
            let mut visited = Visited::default();
            for _ in 0..2 {
                visited.reset(size);
                let mut model = HashSet::new();
                for &slot in &slots {
                    prop_assert_eq!(visited.insert(slot), model.insert(slot));
                }
            }
        }

        #[test]
        fn a_beam_keeps_the_best_in_order(
            similarities in prop::collection::vec(-4_i8..4, 0..200), narrow in 1_usize..40,
        ) {
            in_order(&similarities, narrow)?;
        }

        #[test]
        fn so_does_a_wide_one(similarities in prop::collection::vec(-99_i8..99, 0..3000)) {
            in_order(&similarities, SORTED + 1)?;
        }
    }

    proptest! {
        #[test]
        fn merging_keeps_the_best_and_whom_was_looked_behind(
            batches in prop::collection::vec(prop::collection::vec(-20_i8..20, 0..40), 0..20),
            width in 1_usize..60,
        ) {
            let mut beam = Beam::default();
            beam.reset(width);
            let (mut all, mut behind) = (Vec::new(), Vec::new());
            for batch in &batches {
                let first = all.len() as u32;
                let new = batch.iter().zip(first..);
                let new = new.map(|(&s, slot)| Candidate { similarity: f32::from(s), slot });
                let mut new: Vec<Candidate> = new.collect();
                all.extend_from_slice(&new);
                new.sort_by(Candidate::by_similarity);
                beam.merge(&new);
                behind.extend(beam.next_of(f32::NEG_INFINITY));
            }
            all.sort_by(Candidate::by_similarity);
            all.truncate(width);
            prop_assert_eq!(beam.candidates(), &all[..]);
            all.retain(|candidate| !behind.contains(candidate));
            let rest: Vec<Candidate> =
                std::iter::from_fn(|| beam.next_of(f32::NEG_INFINITY)).collect();
            prop_assert_eq!(rest, all);
        }
    }

    fn in_order(similarities: &[i8], width: usize) -> Result<(), TestCaseError> {
        let mut beam = Beam::default();
        beam.reset(width);
        let all: Vec<Candidate> = similarities
            .iter()
            .enumerate()
            .map(|(slot, &s)| Candidate { similarity: f32::from(s), slot: slot as u32 })
            .collect();
        for &candidate in &all {
            if candidate.similarity >= beam.floor() {
                beam.insert(candidate);
            }
        }
        let mut best = all;
        best.sort_by(Candidate::by_similarity);
        best.truncate(width);
        prop_assert_eq!(beam.candidates(), &best[..]);
        for (at, &expected) in best.iter().enumerate() {
            let ahead: Vec<Candidate> = beam.ahead().take(3).collect();
            let known = if beam.is_wide() { 1 } else { 3 };
            prop_assert_eq!(&ahead[..], &best[at..best.len().min(at + known)]);
            prop_assert_eq!(beam.next_of(expected.similarity + 1.0), None);
            prop_assert_eq!(beam.next_of(expected.similarity), Some(expected));
        }
        prop_assert_eq!(beam.next_of(f32::NEG_INFINITY), None);
        Ok(())
    }
}
