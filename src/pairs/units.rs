//! The work in units: some faces of one cell, and the runs of faces they are compared with.
//!
//! A unit's faces lie side by side, so what promises pairs for one mostly does for the others, and
//! each run of sketches and codes is read into the caches once for all of them.

use std::ops::Range;

use rayon::prelude::*;

use super::compare::{Alike, Faces, Looking, Scratch};
use super::{Cancel, Error, Reach, heed};
use crate::cells::ProbeLevels;

/// Faces of a unit, at most.
const FACES: u32 = 256;
/// Faces of a run, at most.
const STRETCH: u32 = 4096;
/// Comparisons between which pairs are handed on. All of them may be pairs, which take up to 60 bytes
/// each on their way.
const ROUND: usize = 8 << 20;
/// Runs that a thread takes at a time.
const RUNS: usize = 8;
/// Faces that are readied together, and centroids of a tile: 128 KiB at 512 dimensions, which stay in
/// the second-level cache while the faces take turns.
const READIED: usize = 16;
const TILE: usize = 256;

/// Faces of one cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    cell: u32,
    /// Where the cell ends.
    end: u32,
    pub(super) slots: Range<u32>,
}

/// All units of a gallery, in order.
pub(super) struct Units<'a, 'g> {
    faces: &'a Faces<'g>,
    cell: u32,
    from: u32,
}

impl<'a, 'g> Units<'a, 'g> {
    pub(super) fn of(faces: &'a Faces<'g>) -> Self {
        Self { faces, cell: 0, from: 0 }
    }
}

impl Iterator for Units<'_, '_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        while (self.cell as usize) < self.faces.cells.len() {
            let cell = self.faces.cells.slots(self.cell);
            // Never back, so that starts that make no sense still come to an end.
            let from = self.from.max(cell.start);
            if from < cell.end {
                let to = from.saturating_add(FACES).min(cell.end);
                self.from = to;
                return Some(Unit { cell: self.cell, end: cell.end, slots: from..to });
            }
            self.cell += 1;
        }
        None
    }
}

/// Faces that lie together, and who of the unit is compared with them.
struct Run {
    slots: Range<u32>,
    who: Range<usize>,
}

/// Runs of a stretch of faces.
fn stretches(slots: Range<u32>, who: Range<usize>) -> impl Iterator<Item = Run> {
    slots.clone().step_by(STRETCH as usize).map(move |from| Run {
        slots: from..from.saturating_add(STRETCH).min(slots.end),
        who: who.clone(),
    })
}

impl Unit {
    /// Hands `take` the pairs of the unit's faces with those behind them, some at a time; it is to
    /// empty what it is given.
    pub(super) fn run<E: From<Error>>(
        &self,
        faces: &Faces<'_>,
        reach: &Reach,
        at_least: f32,
        mut take: impl FnMut(&mut Vec<Alike>) -> Result<(), E>,
        cancel: &Cancel,
    ) -> Result<(), E> {
        let heed = || heed(cancel).map_err(Error::from);
        heed()?;
        let sieve = reach.sieve(at_least);
        let (looking, visits) = self.ready(faces, reach);
        let (runs, who) = self.runs(faces, reach, looking.len(), visits);
        let compare = |runs: &[Run]| {
            let (mut scratch, mut found) = (Scratch::default(), Vec::new());
            for run in runs {
                let few: Vec<&Looking<'_>> =
                    who[run.who.clone()].iter().map(|&at| &looking[at as usize]).collect();
                faces.compare(&few, &run.slots, (sieve, at_least), &mut scratch, &mut found);
            }
            found
        };
        let mut rest = runs.as_slice();
        while !rest.is_empty() {
            heed()?;
            let mut comparisons = 0;
            let end = rest.iter().position(|run| {
                comparisons += run.who.len() * run.slots.len();
                comparisons >= ROUND
            });
            let (round, after) = rest.split_at(end.map_or(rest.len(), |last| last + 1));
            rest = after;
            let each = (round.len() / (4 * rayon::current_num_threads())).clamp(1, RUNS);
            let found: Vec<Vec<Alike>> = round.par_chunks(each).map(compare).collect();
            let mut found = found.concat();
            if !found.is_empty() {
                take(&mut found)?;
            }
        }
        Ok(())
    }

    /// The unit's faces, and for each the cells behind its own that promise enough.
    fn ready<'g>(&self, faces: &Faces<'g>, reach: &Reach) -> (Vec<Looking<'g>>, Vec<Vec<u32>>) {
        let slots: Vec<u32> = self.slots.clone().collect();
        let ready = |slots: &[u32]| {
            if *reach == Reach::Exhaustive {
                return slots.iter().map(|&slot| (faces.plain(slot), Vec::new())).collect();
            }
            let looking: Vec<_> = slots.iter().map(|&slot| faces.looking(slot)).collect();
            let visits = match reach.promise() {
                Some(promise) => self.visits(faces, &looking, promise),
                None => vec![Vec::new(); looking.len()],
            };
            looking.into_iter().zip(visits).collect::<Vec<_>>()
        };
        slots.par_chunks(READIED).flat_map_iter(ready).unzip()
    }

    fn visits(&self, faces: &Faces<'_>, looking: &[Looking<'_>], promise: f32) -> Vec<Vec<u32>> {
        let mut probes: Vec<(ProbeLevels, Vec<u32>)> =
            looking.iter().map(|face| (ProbeLevels::of(face.coded.turned()), Vec::new())).collect();
        let mut sums = Vec::new();
        let cells = faces.cells.len();
        for from in (self.cell as usize + 1..cells).step_by(TILE) {
            for (probe, visits) in &mut probes {
                let tile = from..(from + TILE).min(cells);
                let take = |cell: usize, found| {
                    if found >= promise {
                        visits.push(cell as u32);
                    }
                };
                faces.cells.promises(faces.kernels, probe, tile, &mut sums, take);
            }
        }
        probes.into_iter().map(|(_, visits)| visits).collect()
    }

    /// The runs that the unit's faces are compared with, and who with each: the rest of their own
    /// cell, and the cells visited or all faces behind.
    fn runs(
        &self,
        faces: &Faces<'_>,
        reach: &Reach,
        looking: usize,
        visits: Vec<Vec<u32>>,
    ) -> (Vec<Run>, Vec<u16>) {
        let mut who: Vec<u16> = (0..looking as u16).collect();
        let behind = if reach.promise().is_none() { faces.count } else { self.end };
        let mut runs: Vec<Run> = stretches(self.slots.start..behind, 0..looking).collect();
        let numbered = (0..).zip(visits);
        let mut visits: Vec<(u32, u16)> = numbered
            .flat_map(|(at, cells)| cells.into_iter().map(move |cell| (cell, at)))
            .collect();
        visits.sort_unstable();
        for visit in visits.chunk_by(|(cell, _), (next, _)| cell == next) {
            let from = who.len();
            who.extend(visit.iter().map(|(_, at)| at));
            let cell = visit.first().map_or(u32::MAX, |(cell, _)| *cell);
            runs.extend(stretches(faces.cells.slots(cell), from..who.len()));
        }
        (runs, who)
    }
}
