//! The reference kernels of sketches.

use super::super::sketches::{BLOCK_FACES, Block, Found, HISTOGRAM_CELLS, Scores, Tables, count};

pub(in super::super) fn scores(block: &Block, tables: &Tables, scores: &mut Scores) {
    *scores = [0; BLOCK_FACES];
    let (bytes, tables) = (block.as_chunks::<BLOCK_FACES>().0, tables.as_chunks::<16>().0);
    for (bytes, tables) in bytes.as_chunks::<2>().0.iter().zip(tables.as_chunks::<4>().0) {
        for (face, score) in scores.iter_mut().enumerate() {
            let (a, b) = (usize::from(bytes[0][face]), usize::from(bytes[1][face]));
            let four = [tables[0][a & 15], tables[1][a >> 4], tables[2][b & 15], tables[3][b >> 4]];
            *score = score.wrapping_add(u16::from(four.into_iter().fold(0, u8::wrapping_add)));
        }
    }
}

pub(in super::super) fn scan(
    blocks: &[Block],
    tables: &Tables,
    floor: u16,
    first_slot: u32,
    found: Found<'_>,
) {
    let mut block_scores = [0; BLOCK_FACES];
    let mut first = first_slot;
    for block in blocks {
        scores(block, tables, &mut block_scores);
        for (face, &score) in block_scores.iter().enumerate() {
            if score >= floor {
                found.slots.push(first.wrapping_add(face as u32));
                found.scores.push(score);
            }
        }
        first = first.wrapping_add(BLOCK_FACES as u32);
    }
}

pub(in super::super) fn histogram(
    blocks: &[Block],
    tables: &Tables,
    histogram: &mut [u32; HISTOGRAM_CELLS],
) {
    let mut block_scores = [0; BLOCK_FACES];
    for block in blocks {
        scores(block, tables, &mut block_scores);
        count(&block_scores, histogram);
    }
}
