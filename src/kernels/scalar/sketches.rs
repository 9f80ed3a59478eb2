//! The reference kernels of sketches.

use super::super::sketches::{BLOCK_FACES, Block, Sought, Tables};

fn scores(block: &Block, tables: &Tables) -> [u16; BLOCK_FACES] {
    let mut scores = [0_u16; BLOCK_FACES];
    let (bytes, tables) = (block.as_chunks::<BLOCK_FACES>().0, tables.as_chunks::<16>().0);
    for (bytes, tables) in bytes.as_chunks::<2>().0.iter().zip(tables.as_chunks::<4>().0) {
        for (face, score) in scores.iter_mut().enumerate() {
            let (a, b) = (usize::from(bytes[0][face]), usize::from(bytes[1][face]));
            let four = [tables[0][a & 15], tables[1][a >> 4], tables[2][b & 15], tables[3][b >> 4]];
            *score = score.wrapping_add(u16::from(four.into_iter().fold(0, u8::wrapping_add)));
        }
    }
    scores
}

pub(in super::super) fn scan(
    [blocks, _]: [&[Block]; 2],
    first_slot: u32,
    probes: &mut [Sought<'_>],
) {
    for Sought { tables, floor, slots } in probes {
        let mut first = first_slot;
        for block in blocks {
            for (face, score) in (0..).zip(scores(block, tables)) {
                if score >= *floor {
                    slots.push(first.wrapping_add(face));
                }
            }
            first = first.wrapping_add(BLOCK_FACES as u32);
        }
    }
}
