//! The most promising share of the faces.
//!
//! In come the gallery's cells, a probe in the coordinates of the codes, and how many faces to look
//! at; out go runs of slots that hold at least as many, those of the most promising cell first.
//! Always: at least one cell (where there is one), and no face twice.

use std::ops::Range;

use crate::cells::{Cells, Ranking};
use crate::kernels::Kernels;

/// Cells ranked beyond those that cells of mean size would take, in parts of those: sizes differ,
/// and ranking again costs more than ranking a few too many.
const SLACK: usize = 4;
/// One part in this many of all faces is looked at first; with fewer cells there is no choice.
const FIRST_PART: usize = 32;

/// What choosing writes to, kept from one search to the next.
#[derive(Debug, Default)]
pub(crate) struct Promising {
    ranking: Ranking,
    stretches: Vec<Range<u32>>,
    /// The promising ones in order of slot.
    chosen: Vec<Range<u32>>,
    /// Centroids scored for the last choice.
    pub(super) ranked: u64,
}

impl Promising {
    /// The runs of slots chosen last.
    pub(super) fn stretches(&self) -> &[Range<u32>] {
        &self.stretches
    }

    /// Chooses every slot of `faces`, those of the most promising cells first: whoever is found
    /// there tells how alike the others have to be.
    pub(super) fn whole(&mut self, cells: &Cells<'_>, probe: &[f32], faces: u32) {
        self.first(cells, probe, faces);
        self.chosen.clear();
        self.chosen.extend(self.stretches.iter().cloned());
        self.chosen.sort_unstable_by_key(|slots| slots.start);
        let mut from = 0;
        for slots in &self.chosen {
            if from < slots.start {
                self.stretches.push(from..slots.start);
            }
            from = from.max(slots.end);
        }
        if from < faces {
            self.stretches.push(from..faces);
        }
    }

    /// Chooses the part of `faces` that tells most about how alike the others have to be; nothing
    /// where there are too few cells to choose from.
    pub(super) fn first(&mut self, cells: &Cells<'_>, probe: &[f32], faces: u32) {
        self.ranked = 0;
        self.stretches.clear();
        if cells.len() >= FIRST_PART {
            self.choose(cells, probe, faces / FIRST_PART as u32);
        }
    }

    /// Chooses the cells most promising for `probe`, as many as it takes to hold `wanted` faces.
    pub(super) fn choose(&mut self, cells: &Cells<'_>, probe: &[f32], wanted: u32) {
        let faces = cells.starts().last().copied().unwrap_or(0).max(1);
        let mean = (u64::from(wanted) * cells.len() as u64).div_ceil(u64::from(faces)) as usize;
        let mut count = mean + mean / SLACK + 1;
        self.ranked = 0;
        loop {
            let best = cells.rank(Kernels::best(), probe, count, &mut self.ranking);
            self.stretches.clear();
            let mut held = 0_u32;
            for &cell in best {
                let slots = cells.slots(cell);
                held = held.saturating_add(slots.end - slots.start);
                self.stretches.push(slots);
                if held >= wanted {
                    break;
                }
            }
            self.ranked += self.ranking.scored() as u64;
            if held >= wanted || count >= cells.len() {
                return;
            }
            count = count.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cells::{Levels, round};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_cells_that_hold_enough_and_no_more(
            sizes in prop::collection::vec(0_u32..40, 1..60),
            angles in prop::collection::vec(-3_f32..3.0, 60), wanted in 0_u32..2000,
        ) {
            let mut starts = vec![0];
            starts.extend(sizes.iter().scan(0, |sum, size| { *sum += size; Some(*sum) }));
            let centroids: Vec<f32> =
                angles[..sizes.len()].iter().flat_map(|a| [a.cos(), a.sin()]).collect();
            let (levels, steps) = round(&centroids, 2);
            let centroids = Levels { levels: &levels, steps: &steps };
            let cells = Cells::new(2, centroids, &starts).unwrap();
            let mut promising = Promising::default();
            promising.choose(&cells, &[1.0, 0.0], wanted);
            let chosen = promising.stretches().to_vec();
            let held = |chosen: &[Range<u32>]| chosen.iter().map(|s| s.end - s.start).sum::<u32>();
            prop_assert!(!chosen.is_empty());
            prop_assert!(held(&chosen) >= wanted.min(*starts.last().unwrap()));
            prop_assert!(chosen.len() == 1 || held(&chosen[..chosen.len() - 1]) < wanted);
            let mut ranking = Ranking::default();
            let best = cells.rank(Kernels::best(), &[1.0, 0.0], sizes.len(), &mut ranking);
            let expected: Vec<_> = best.iter().map(|&c| cells.slots(c)).take(chosen.len()).collect();
            prop_assert_eq!(chosen, expected);
        }
    }

    #[test]
    fn the_whole_holds_every_slot_once() {
        let centroids: Vec<f32> = (0..100).map(|i| i as f32 - 50.0).collect();
        let (levels, steps) = round(&centroids, 1);
        let starts: Vec<u32> = (0..=100).map(|i| i * 7).collect();
        let centroids = Levels { levels: &levels, steps: &steps };
        let cells = Cells::new(1, centroids, &starts).unwrap();
        let mut promising = Promising::default();
        promising.whole(&cells, &[1.0], 700);
        assert_eq!(promising.stretches()[0], 693..700);
        let mut slots: Vec<u32> = promising.stretches().iter().cloned().flatten().collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..700).collect::<Vec<_>>());
        let two = Levels { levels: &levels[..2 * 64], steps: &steps[..2] };
        promising.whole(&Cells::new(1, two, &starts[..3]).unwrap(), &[1.0], 14);
        assert_eq!(promising.stretches(), std::slice::from_ref(&(0..14)));
    }

    #[test]
    fn starts_that_make_no_sense_end_the_choice() {
        let (levels, steps) = round(&[1.0; 3], 1);
        let centroids = Levels { levels: &levels, steps: &steps };
        let cells = Cells::new(1, centroids, &[9, 4, u32::MAX, 2]).unwrap();
        let mut promising = Promising::default();
        promising.choose(&cells, &[1.0], u32::MAX);
        assert!(promising.stretches().iter().all(|slots| slots.end <= 2));
    }
}
