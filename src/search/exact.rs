//! Exhaustive search: every face, or every face that passes, in storage order.
//!
//! The oracle of all other searches, by the same kernels. Several probes share each block of
//! faces, so that a block is read from memory once and from the cache thereafter. Blocks that have
//! to come from disk are asked for a few megabytes ahead, so that the disk reads in long runs.

use std::time::Instant;

use super::SearchError;
use super::scratch::{Beam, Candidate};
use super::selection::Selection;
use super::similarity::Exact;
use super::stop::Stop;

/// Faces scored for two probes, three at a time, before the next two have their turn: 252 KiB at 512
/// dimensions, so that a block stays in the second-level cache.
const BLOCK: usize = 126;
/// Bytes that are asked for together where vectors come from disk.
const READ_AHEAD: u64 = 8 << 20;

const PAGE: u64 = 4096;

/// What to keep of what a scan sees.
pub(crate) enum Keep {
    /// The best few, and the similarity of the last one that had to make room.
    Best(Beam, f32),
    /// Everything at or above a similarity, in slot order.
    AtLeast(f32, Vec<Candidate>),
}

impl Keep {
    pub(crate) fn best(width: usize) -> Self {
        let mut beam = Beam::default();
        beam.reset(width);
        Self::Best(beam, f32::NAN)
    }

    #[inline]
    fn meet(&mut self, candidate: Candidate) {
        match self {
            Self::Best(beam, made_room) => {
                let floor = beam.floor();
                if candidate.similarity >= floor {
                    if beam.is_full() {
                        *made_room = floor;
                    }
                    beam.insert(candidate);
                }
            }
            Self::AtLeast(least, found) => {
                if candidate.similarity >= *least {
                    found.push(candidate);
                }
            }
        }
    }

    /// The similarity of the last face kept, where another of the same had to make room: which of
    /// them are answers is for their ids to say, so all of them are needed.
    pub(crate) fn tied(&self) -> Option<f32> {
        match self {
            Self::Best(beam, made_room) => Some(beam.floor()).filter(|floor| floor == made_room),
            Self::AtLeast(..) => None,
        }
    }

    /// What was kept, best first.
    pub(crate) fn into_candidates(self) -> Vec<Candidate> {
        match self {
            Self::Best(mut beam, _) => beam.candidates().to_vec(),
            Self::AtLeast(_, mut found) => {
                found.sort_unstable_by(|a, b| {
                    b.similarity.total_cmp(&a.similarity).then(a.slot.cmp(&b.slot))
                });
                found
            }
        }
    }
}

/// Scores every face (that passes, with a selection) for every probe.
pub(super) fn score_all(
    probes: &mut [(Exact<'_>, Keep)],
    selection: Option<&Selection>,
    stop: &Stop,
) -> Result<(), SearchError> {
    let faces = probes.first().map_or(0, |(scores, _)| scores.faces());
    match selection {
        Some(selection) => score(probes, selection.iter(), stop),
        None => score(probes, 0..faces, stop),
    }
}

fn score(
    probes: &mut [(Exact<'_>, Keep)],
    mut slots: impl Iterator<Item = u32> + Clone,
    stop: &Stop,
) -> Result<(), SearchError> {
    let mut block: Vec<u32> = Vec::with_capacity(BLOCK);
    let (mut asked_for, mut from_disk) = (0, false);
    loop {
        stop.check()?;
        let measured = asked_for == 0;
        if let Some((scores, _)) = probes.first().filter(|_| from_disk && measured) {
            // Where few pass, each lies on a page of its own.
            let ahead = (READ_AHEAD / scores.vector_bytes().max(PAGE)) as usize;
            block.clear();
            block.extend(slots.clone().take(ahead.max(BLOCK)));
            for run in block.chunk_by(|slot, next| slot + 1 == *next) {
                scores.read_ahead(run[0]..run[run.len() - 1] + 1);
            }
            asked_for = block.len();
        }
        block.clear();
        block.extend(slots.by_ref().take(BLOCK));
        if block.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        for (at, pair) in probes.chunks_mut(2).enumerate() {
            meet_all(pair, &block);
            // The first probes wait for the disk, the others have what they read.
            if at == 0 && measured {
                let vectors = block.len() as u64;
                from_disk = pair[0].0.is_from_disk(vectors, vectors, begun.elapsed());
            }
        }
        asked_for = asked_for.saturating_sub(block.len());
    }
}

/// Scores some faces for one probe or two: what is read of them for one serves the other.
fn meet_all(probes: &mut [(Exact<'_>, Keep)], slots: &[u32]) {
    let mut rest = slots;
    if let [(one, kept), (other, others)] = &mut *probes {
        let (threes, left) = slots.as_chunks::<3>();
        for &three in threes {
            let found = Exact::similarities([one, other], three);
            for (keep, similarities) in [&mut *kept, &mut *others].into_iter().zip(found) {
                for (similarity, slot) in similarities.into_iter().zip(three) {
                    keep.meet(Candidate { similarity, slot });
                }
            }
        }
        rest = left;
    }
    for (scores, keep) in probes {
        for &slot in rest {
            keep.meet(Candidate { similarity: scores.similarity(slot), slot });
        }
    }
}
