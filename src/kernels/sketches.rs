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

/// More than the greatest score, whatever the tables hold: eight sums of 8 bits.
pub(super) const BEYOND_SCORES: u16 = 2048;

/// Faces 64 a block.
pub(super) type Block = [u8; BLOCK_BYTES];
/// Entry of value v of group g at 16 g + v.
pub(super) type Tables = [u8; TABLE_BYTES];
/// The scan of one instruction set.
///
/// The second blocks are those to fetch while the first are scored.
pub(super) type SketchScan = unsafe fn([&[Block]; 2], u32, &mut [Sought<'_>]);

/// A probe whose faces are sought.
#[derive(Debug)]
pub struct Sought<'a> {
    /// What each value of each group adds to a face's score.
    pub tables: &'a [u8; TABLE_BYTES],
    /// The least score that passes.
    pub floor: u16,
    /// Gets the slots of the faces that pass.
    pub slots: &'a mut Vec<u32>,
}

impl Kernels {
    /// Appends, for each probe, the slot of each face that scores its floor or more, in the order of
    /// the slots. The first face of the first block is `first_slot`. Probes are taken
    /// two at a time, which share what is done to the sketches alone.
    ///
    /// `next` are the blocks that are scanned after these, none where that is not known. They change
    /// no result: while a block is scored, one of them is asked for from memory, where the
    /// instruction set can.
    ///
    /// A block that is not whole is left out. Places that pad the last block are scored like any
    /// face: slots beyond the last face are for the caller to drop. A list grows as it fills, by at
    /// least a block at a time, and not at all once its capacity suffices.
    #[inline]
    pub fn sketch_scan(
        &self,
        blocks: &[u8],
        first_slot: u32,
        probes: &mut [Sought<'_>],
        next: &[u8],
    ) {
        let blocks = [blocks, next].map(|bytes| bytes.as_chunks().0);
        // SAFETY: a `Kernels` exists only after its instruction sets were detected.
        unsafe { (self.sketch_scan)(blocks, first_slot, probes) }
    }
}
