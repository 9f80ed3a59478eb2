//! Comparing some faces with a run of others: by sketch, by code, by vector.

use std::borrow::Cow;
use std::ops::Range;

use crate::cells::Cells;
use crate::codes::CodedProbe;
use crate::gallery::GalleryError;
use crate::gallery::attributes::column;
use crate::gallery::codes::{BLOCK_FACES, CodesView};
use crate::gallery::segment::{Segment, Vectors};
use crate::kernels::Kernels;
use crate::kernels::sketches::{BLOCK_BYTES, Sought};
use crate::search::walk::{Scored, Scores};
use crate::search::{Coded, Exact};

/// The faces of a gallery as pairs are looked for.
#[derive(Clone, Copy)]
pub(super) struct Faces<'g> {
    segment: &'g Segment,
    pub(super) count: u32,
    pub(super) cells: Cells<'g>,
    pub(super) kernels: Kernels,
    codes: CodesView<'g>,
    vectors: Vectors<'g>,
    dims: usize,
}

/// A face that looks for others.
pub(super) struct Looking<'g> {
    pub(super) slot: u32,
    /// The first slot it looks at: the next one, as each pair is to be found once, or all of them.
    pub(super) from: u32,
    pub(super) vector: Cow<'g, [f32]>,
    pub(super) coded: CodedProbe,
}

/// Whom sketches and codes let pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sieve {
    /// The similarity of pairs.
    pub(super) at_least: f32,
    /// Standard deviations of a sketch's error that are allowed for.
    pub(super) sketch: f32,
    /// Standard deviations of a code's.
    pub(super) code: f32,
}

/// Two slots, the lower one first, and how alike their faces are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Alike {
    pub(super) slots: [u32; 2],
    pub(super) similarity: f32,
}

/// What a comparison writes to.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    slots: [Vec<u32>; 2],
    scored: Scored,
    likely: Vec<u32>,
}

impl<'g> Faces<'g> {
    pub(super) fn new(segment: &'g Segment) -> Result<Self, GalleryError> {
        let codes = segment.codes.view(segment.faces())?;
        Ok(Self {
            segment,
            count: segment.faces(),
            cells: segment.codes.cells()?,
            kernels: Kernels::best(),
            codes,
            vectors: segment.vectors(),
            dims: codes.space.dims(),
        })
    }

    /// The face in a slot, ready to look for others.
    pub(super) fn looking(&self, slot: u32) -> Looking<'g> {
        let mut face = self.plain(slot);
        face.coded.set(self.codes.space, &self.kernels, &face.vector, self.codes.shape);
        face
    }

    /// Whether two faces are of two subjects; not where either has none.
    pub(super) fn are_of_two(&self, slots: [u32; 2]) -> bool {
        let subject = |slot| {
            let place = self.segment.place(slot);
            self.segment.attributes.text(column::SUBJECT, place).ok().flatten()
        };
        let [one, other] = slots.map(subject);
        one.is_some() && other.is_some() && one != other
    }

    /// The face in a slot, ready to look for others by its vector alone.
    pub(super) fn plain(&self, slot: u32) -> Looking<'g> {
        let vector = self.vectors.vector(slot, self.dims);
        Looking { slot, from: slot.saturating_add(1), vector, coded: CodedProbe::default() }
    }

    /// How alike a face is to others, by their vectors.
    fn exact<'a>(&'a self, face: &'a Looking<'_>) -> Exact<'a> {
        Exact::new(&face.vector, self.vectors)
    }

    /// Appends the pairs of each of `looking` with the faces of `slots` that it looks at; without a
    /// sieve by the vectors alone.
    pub(super) fn compare(
        &self,
        looking: &[&Looking<'_>],
        slots: &Range<u32>,
        (sieve, at_least): (Option<Sieve>, f32),
        scratch: &mut Scratch,
        found: &mut Vec<Alike>,
    ) {
        let Some(sieve) = sieve else {
            for face in looking {
                let exact = self.exact(face);
                for slot in slots.start.max(face.from)..slots.end {
                    meet(face.slot, slot, &exact, at_least, found);
                }
            }
            return;
        };
        let blocks = slots.start / BLOCK_FACES..slots.end.div_ceil(BLOCK_FACES);
        let bytes = blocks.start as usize * BLOCK_BYTES..blocks.end as usize * BLOCK_BYTES;
        let sketches = self.codes.sketches.get(bytes).unwrap_or_default();
        let first = blocks.start * BLOCK_FACES;
        // Two at a time: the kernel does to the sketches once what both need.
        for few in looking.chunks(2) {
            let [one, other] = &mut scratch.slots;
            match few {
                [face] => {
                    let mut sought = [self.seek(face, sieve, one)];
                    self.kernels.sketch_scan(sketches, first, &mut sought, &[]);
                }
                [face, second] => {
                    let mut sought = [self.seek(face, sieve, one), self.seek(second, sieve, other)];
                    self.kernels.sketch_scan(sketches, first, &mut sought, &[]);
                }
                _ => {}
            }
            for (face, which) in few.iter().zip(0..) {
                self.sift(face, slots, sieve, which, scratch, found);
            }
        }
    }

    fn seek<'a>(&self, face: &'a Looking<'_>, sieve: Sieve, slots: &'a mut Vec<u32>) -> Sought<'a> {
        let scale = &self.codes.scale;
        let floor = sieve.at_least - sieve.sketch * face.coded.sketch_error(scale);
        // A cast takes what is below every score to 0, and what is no number too.
        let floor = face.coded.sketch_score(floor, scale).ceil() as u16;
        slots.clear();
        Sought { tables: face.coded.tables(), floor, slots }
    }

    /// Takes those that passed by their sketches through codes and vectors.
    fn sift(
        &self,
        face: &Looking<'_>,
        range: &Range<u32>,
        sieve: Sieve,
        which: usize,
        scratch: &mut Scratch,
        found: &mut Vec<Alike>,
    ) {
        let Scratch { slots, scored, likely } = scratch;
        let from = range.start.max(face.from);
        // The last block is padded, and the first and last may reach beyond the run.
        let passed = &slots[which];
        let begin = passed.partition_point(|&slot| slot < from);
        let end = passed.partition_point(|&slot| slot < range.end);
        let passed = passed.get(begin..end).unwrap_or_default();
        if passed.is_empty() {
            return;
        }
        let coded = Coded::new(&face.coded, self.codes);
        coded.score(passed, scored);
        likely.clear();
        for (&slot, &estimate) in passed.iter().zip(&scored.similarities) {
            // Said so that a damaged code, whose error is no number, rules nobody out.
            let ruled_out = estimate < sieve.at_least
                && estimate + sieve.code * coded.error(slot) < sieve.at_least;
            if !ruled_out {
                likely.push(slot);
            }
        }
        let exact = self.exact(face);
        likely.iter().take(Exact::AHEAD).for_each(|&slot| exact.fetch(slot));
        for (at, &slot) in likely.iter().enumerate() {
            if let Some(&later) = likely.get(at + Exact::AHEAD) {
                exact.fetch(later);
            }
            meet(face.slot, slot, &exact, sieve.at_least, found);
        }
    }
}

#[inline]
fn meet(one: u32, other: u32, exact: &Exact<'_>, at_least: f32, found: &mut Vec<Alike>) {
    let similarity = exact.similarity(other);
    if similarity >= at_least {
        found.push(Alike { slots: [one, other], similarity });
    }
}
