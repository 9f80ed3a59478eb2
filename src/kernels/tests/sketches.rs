//! Kernels of sketches: the scalar ones against the sum as the layout tells it, the others against
//! the scalar ones.

use proptest::prelude::*;

use super::super::sketches::{BLOCK_BYTES, BLOCK_FACES, MAX_ENTRY, Sought, TABLE_BYTES};
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

fn found(
    kernels: &Kernels,
    blocks: &[u8],
    tables: &[u8; TABLE_BYTES],
    floor: u16,
    first_slot: u32,
) -> Vec<u32> {
    let mut slots = vec![4];
    let slots_of = &mut slots;
    kernels.sketch_scan(blocks, first_slot, &mut [Sought { tables, floor, slots: slots_of }], &[]);
    assert_eq!(slots.remove(0), 4);
    slots
}

fn check(blocks: &[u8], tables: &[u8; TABLE_BYTES], floor: u16, first_slot: u32) {
    let scalar = Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere");
    let expected = found(&scalar, blocks, tables, floor, first_slot);
    for kernels in available() {
        assert_eq!(found(&kernels, blocks, tables, floor, first_slot), expected, "{kernels:?}");
    }
}

#[test]
fn scores_are_as_told() {
    let scalar = Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere");
    for seed in 0..20 {
        let block = bytes::<BLOCK_BYTES>(seed);
        let tables = bytes::<TABLE_BYTES>(seed + 100).map(|entry| entry % (MAX_ENTRY + 1));
        let scores: Vec<u16> = (0..BLOCK_FACES).map(|face| told(&block, &tables, face)).collect();
        for &floor in &scores {
            let passing = (5..).zip(&scores).filter(|&(_, &score)| score >= floor);
            let passing: Vec<u32> = passing.map(|(slot, _)| slot).collect();
            assert_eq!(found(&scalar, &block, &tables, floor, 5), passing);
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
fn what_is_fetched_meanwhile_makes_no_difference() {
    let tables = bytes::<TABLE_BYTES>(5).map(|entry| entry % 64);
    let noise = bytes::<{ 12 * BLOCK_BYTES }>(4);
    for kernels in available() {
        for (count, probes) in (0..8).zip([0, 1, 2, 3].into_iter().cycle()) {
            let blocks = &noise[..count * BLOCK_BYTES];
            let expected = found(&kernels, blocks, &tables, 1000, 0);
            for fetched in 0..12 {
                let mut slots = vec![Vec::new(); probes];
                let sought =
                    slots.iter_mut().map(|slots| Sought { tables: &tables, floor: 1000, slots });
                let mut sought: Vec<_> = sought.collect();
                kernels.sketch_scan(
                    blocks,
                    0,
                    &mut sought,
                    &noise[..fetched * BLOCK_BYTES + fetched],
                );
                assert!(slots.iter().all(|slots| *slots == expected));
            }
        }
    }
}

#[test]
fn lists_of_unlike_capacity() {
    let tables = bytes::<TABLE_BYTES>(1).map(|entry| entry % 64);
    let blocks = bytes::<{ 4 * BLOCK_BYTES }>(2);
    for kernels in available() {
        for capacity in [0, 31, 33, 256, 1000] {
            let mut slots = Vec::with_capacity(capacity);
            let probe = Sought { tables: &tables, floor: 0, slots: &mut slots };
            kernels.sketch_scan(&blocks, 0, &mut [probe], &[]);
            assert!(slots.iter().copied().eq(0..256));
        }
    }
}

#[test]
fn several_probes_find_what_each_finds_alone() {
    let blocks = bytes::<{ 5 * BLOCK_BYTES }>(8);
    for kernels in available() {
        for count in 0..6 {
            let tables: Vec<_> =
                (0..count).map(|seed| bytes::<TABLE_BYTES>(seed).map(|entry| entry % 64)).collect();
            let floor = |at: usize| 980 + 20 * at as u16;
            let mut slots = vec![Vec::new(); tables.len()];
            let probes = tables.iter().zip(&mut slots).enumerate();
            let mut probes: Vec<_> = probes
                .map(|(at, (tables, slots))| Sought { tables, floor: floor(at), slots })
                .collect();
            kernels.sketch_scan(&blocks, 64, &mut probes, &[]);
            for (at, (tables, slots)) in tables.iter().zip(slots).enumerate() {
                assert_eq!(slots, found(&kernels, &blocks, tables, floor(at), 64));
            }
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
