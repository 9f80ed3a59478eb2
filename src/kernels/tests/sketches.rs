//! Kernels of sketches: the scalar ones against the sum as the layout tells it, the others against
//! the scalar ones.

use proptest::prelude::*;

use super::super::sketches::{BLOCK_BYTES, BLOCK_FACES, HISTOGRAM_CELLS, MAX_ENTRY, TABLE_BYTES};
use super::super::{Isa, Kernels};
use super::available;

fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut state = seed;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (state >> 40) as u8
    })
}

/// The score of a face, straight from the table of the layout.
fn told(block: &[u8], tables: &[u8; TABLE_BYTES], face: usize) -> u16 {
    let group = |g: usize| block[64 * (g / 2) + face] >> (4 * (g % 2)) & 15;
    (0..32).map(|g| u16::from(tables[16 * g + usize::from(group(g))])).sum()
}

fn check(blocks: &[u8], tables: &[u8; TABLE_BYTES], floor: u16, first_slot: u32) {
    let scalar = Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere");
    let whole = blocks.as_chunks::<BLOCK_BYTES>().0;
    let mut all = Vec::new();
    for block in whole {
        let mut scores = [7; BLOCK_FACES];
        scalar.sketch_scores(block, tables, &mut scores);
        all.extend(scores);
    }
    let passing: Vec<(u32, u16)> = (0..)
        .zip(&all)
        .filter(|&(_, &score)| score >= floor)
        .map(|(face, &score)| (first_slot.wrapping_add(face), score))
        .collect();
    let mut counts = vec![1_u32; HISTOGRAM_CELLS];
    all.iter().for_each(|&score| counts[usize::from(score)] += 1);
    for kernels in available() {
        let isa = kernels.isa();
        for (block, expected) in whole.iter().zip(all.as_chunks::<BLOCK_FACES>().0) {
            let mut scores = [7; BLOCK_FACES];
            kernels.sketch_scores(block, tables, &mut scores);
            assert_eq!(&scores, expected, "{isa:?}");
        }
        let (mut slots, mut scores) = (vec![4], vec![5]);
        kernels.sketch_scan(blocks, tables, floor, first_slot, &mut slots, &mut scores);
        assert_eq!((slots.remove(0), scores.remove(0)), (4, 5));
        let found: Vec<(u32, u16)> = slots.into_iter().zip(scores).collect();
        assert_eq!(found, passing, "{isa:?}");
        let mut histogram = [1; HISTOGRAM_CELLS];
        kernels.sketch_histogram(blocks, tables, &mut histogram);
        assert_eq!(histogram[..], counts, "{isa:?}");
    }
}

#[test]
fn scores_are_as_told() {
    let scalar = Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere");
    for seed in 0..20 {
        let block = bytes::<BLOCK_BYTES>(seed);
        let tables = bytes::<TABLE_BYTES>(seed + 100).map(|entry| entry % (MAX_ENTRY + 1));
        let mut scores = [0; BLOCK_FACES];
        scalar.sketch_scores(&block, &tables, &mut scores);
        for (face, &score) in scores.iter().enumerate() {
            assert_eq!(score, told(&block, &tables, face));
        }
    }
}

#[test]
fn extreme_tables_and_floors() {
    let blocks = bytes::<{ 3 * BLOCK_BYTES + 100 }>(3);
    for entry in [0, 1, MAX_ENTRY, 64, 255] {
        for floor in [0, 1, 32, 2016, 2017, 2047, 2048, 32_767, 32_768, u16::MAX] {
            check(&blocks, &[entry; TABLE_BYTES], floor, u32::MAX - 70);
        }
    }
    check(&[], &[1; TABLE_BYTES], 0, 0);
    check(&[9; BLOCK_BYTES - 1], &[1; TABLE_BYTES], 0, 0);
}

#[test]
fn lists_of_unlike_capacity() {
    let tables = bytes::<TABLE_BYTES>(1).map(|entry| entry % 64);
    let blocks = bytes::<{ 4 * BLOCK_BYTES }>(2);
    for kernels in available() {
        for (slots, scores) in [(0, 1000), (1000, 0), (31, 33), (256, 256)] {
            let (mut slots, mut scores) = (Vec::with_capacity(slots), Vec::with_capacity(scores));
            kernels.sketch_scan(&blocks, &tables, 0, 0, &mut slots, &mut scores);
            assert!(slots.iter().copied().eq(0..256) && scores.len() == 256);
        }
    }
}

proptest! {
    #[test]
    fn any_blocks(
        blocks in prop::collection::vec(any::<u8>(), 0..4 * BLOCK_BYTES),
        seed: u64,
        entries in prop::sample::select(vec![16_u16, 64, 256]),
        floor in 0_u16..1800,
        first_slot: u32,
    ) {
        let tables = bytes::<TABLE_BYTES>(seed).map(|entry| (u16::from(entry) % entries) as u8);
        check(&blocks, &tables, floor, first_slot);
    }
}
