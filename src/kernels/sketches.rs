//! The first pass of a scan: scores of sketches by table look-up.
//!
//! A sketch is 32 groups of 4 bits, 16 bytes a face, in blocks of 64 faces. Byte 64 j + t of a
//! block belongs to face t: its low half is group 2 j, its high half group 2 j + 1. A table of 16
//! entries a group says what each value of the group adds to the score, so 32 shuffles of a
//! register score 64 faces: product quantisation with tables held in registers, after Quick ADC
//! (André, Kermarrec & Le Scouarnec 2017).
//!
//! Entries are meant to be at most [`MAX_ENTRY`], which makes a score at most 32 * 63 = 2,016. The
//! four entries of groups 4 k to 4 k + 3 are added up in 8 bits: greater entries may wrap there.

use super::Kernels;

/// Faces in a block.
pub const BLOCK_FACES: usize = 64;

/// Bytes of a block: 16 a face.
pub const BLOCK_BYTES: usize = 16 * BLOCK_FACES;

/// Bytes of the tables: 16 entries for each of 32 groups.
pub const TABLE_BYTES: usize = 32 * 16;

/// The greatest entry of a table of which four add up within 8 bits.
pub const MAX_ENTRY: u8 = 63;

/// Cells of a histogram of scores: more than the greatest score, whatever the tables hold.
pub const HISTOGRAM_CELLS: usize = 2048;

/// Faces 64 a block.
pub(super) type Block = [u8; BLOCK_BYTES];
/// Entry of value v of group g at 16 g + v.
pub(super) type Tables = [u8; TABLE_BYTES];
/// Scores of a block, face by face.
pub(super) type Scores = [u16; BLOCK_FACES];

/// Where the faces go that reach the floor: slots and scores stay of one length.
pub(super) struct Found<'a> {
    pub(super) slots: &'a mut Vec<u32>,
    pub(super) scores: &'a mut Vec<u16>,
}

/// The sketch kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct SketchKernels {
    pub(super) scores: unsafe fn(&Block, &Tables, &mut Scores),
    pub(super) scan: unsafe fn(&[Block], &Tables, u16, u32, Found<'_>),
    pub(super) histogram: unsafe fn(&[Block], &Tables, &mut [u32; HISTOGRAM_CELLS]),
}

impl Kernels {
    /// The scores of a block's 64 faces.
    #[inline]
    pub fn sketch_scores(
        &self,
        block: &[u8; BLOCK_BYTES],
        tables: &[u8; TABLE_BYTES],
        scores: &mut [u16; BLOCK_FACES],
    ) {
        // SAFETY: a `Kernels` exists only after its instruction sets were detected.
        unsafe { (self.sketches.scores)(block, tables, scores) }
    }

    /// Appends the slot and the score of each face that scores `floor` or more, in the order of the
    /// slots. The first face of the first block is `first_slot`.
    ///
    /// A block that is not whole is left out. Places that pad the last block are scored like any
    /// face: slots beyond the last face are for the caller to drop. Both lists grow as they fill,
    /// by at least a block at a time, and not at all once their capacity suffices.
    #[inline]
    pub fn sketch_scan(
        &self,
        blocks: &[u8],
        tables: &[u8; TABLE_BYTES],
        floor: u16,
        first_slot: u32,
        slots: &mut Vec<u32>,
        scores: &mut Vec<u16>,
    ) {
        let blocks = blocks.as_chunks().0;
        // SAFETY: as in `sketch_scores`.
        unsafe {
            (self.sketches.scan)(blocks, tables, floor, first_slot, Found { slots, scores });
        }
    }

    /// Counts how many faces have each score, on top of what the histogram holds. A block that is
    /// not whole is left out; places that pad the last block are counted.
    #[inline]
    pub fn sketch_histogram(
        &self,
        blocks: &[u8],
        tables: &[u8; TABLE_BYTES],
        histogram: &mut [u32; HISTOGRAM_CELLS],
    ) {
        // SAFETY: as in `sketch_scores`.
        unsafe { (self.sketches.histogram)(blocks.as_chunks().0, tables, histogram) }
    }
}

/// Counts the scores of one block.
#[inline(always)]
pub(super) fn count(scores: &Scores, histogram: &mut [u32; HISTOGRAM_CELLS]) {
    for &score in scores {
        // Eight sums of 8 bits stay below the number of cells: the remainder changes nothing.
        let cell = &mut histogram[usize::from(score) % HISTOGRAM_CELLS];
        *cell = cell.wrapping_add(1);
    }
}
