//! Rows of codes in memory, and the loop over some of them that all code kernels share.

use std::ops::Range;

/// How many rows ahead of the sums a scattered list is fetched into the caches.
const AHEAD: usize = 12;

/// Codes in rows of one size: row r begins at r * stride, and its first bytes are its code.
///
/// Always holds: a row below `count` lies wholly within `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct CodeRows<'a> {
    bytes: &'a [u8],
    stride: usize,
    code_bytes: usize,
    count: usize,
}

impl<'a> CodeRows<'a> {
    /// Rows every `stride` bytes, of which the first `code_bytes` are the code. A last row that
    /// lacks some of its code is none, and neither are rows of no stride.
    pub fn new(bytes: &'a [u8], stride: usize, code_bytes: usize) -> Self {
        let count = match bytes.len().checked_sub(code_bytes) {
            Some(last) if stride > 0 => last / stride + 1,
            _ => 0,
        };
        Self { bytes, stride, code_bytes, count }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of a code.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// The rows of a range that exist.
    pub(super) fn clamp(&self, range: Range<u32>) -> Range<usize> {
        let end = (range.end as usize).min(self.count);
        (range.start as usize).min(end)..end
    }

    /// Where the code of a row begins; for a row that does not exist, that of the last row.
    ///
    /// The pointer is good for reading `code_bytes` bytes, as long as there is a row at all.
    #[inline(always)]
    fn code(&self, row: usize) -> *const u8 {
        let row = row.min(self.count.wrapping_sub(1));
        // The product is at most the length of `bytes`, as `row < count`.
        self.bytes.as_ptr().wrapping_add(row.wrapping_mul(self.stride))
    }

    #[inline(always)]
    fn prefetch(&self, row: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let code = self.code(row);
            let mut at = 0;
            while at < self.stride {
                // SAFETY: a prefetch reads nothing that the program can see and never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(code.wrapping_add(at).cast()) };
                at += 64;
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = row;
    }
}

/// Which rows, in which order.
pub(super) trait Places {
    /// Whether the rows lie apart, so that the processor cannot foresee them.
    const SCATTERED: bool;

    fn count(&self) -> usize;

    /// The row at a place of the list; needs `at < count()`.
    fn row(&self, at: usize) -> usize;
}

impl Places for &[u32] {
    const SCATTERED: bool = true;

    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn row(&self, at: usize) -> usize {
        self[at] as usize
    }
}

impl Places for Range<usize> {
    const SCATTERED: bool = false;

    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn row(&self, at: usize) -> usize {
        self.start.wrapping_add(at)
    }
}

/// Fills `out` with the value of each row of a list, `missing` for rows that do not exist.
///
/// `four` and `one` are given pointers good for reading a code. Inlined always, so that they are
/// compiled for the instruction set of the caller.
#[inline(always)]
pub(super) fn each<T: Copy>(
    rows: CodeRows<'_>,
    places: impl Places,
    missing: T,
    out: &mut Vec<T>,
    four: impl Fn([*const u8; 4]) -> [T; 4],
    one: impl Fn(*const u8) -> T,
) {
    let count = places.count();
    out.clear();
    out.resize(count, missing);
    if rows.count == 0 {
        return;
    }
    prefetch(rows, &places, 0..AHEAD);
    let (fours, rest) = out.as_chunks_mut::<4>();
    let mut at = 0;
    for values in fours {
        prefetch(rows, &places, at + AHEAD..at + AHEAD + 4);
        let row = [places.row(at), places.row(at + 1), places.row(at + 2), places.row(at + 3)];
        *values = four(row.map(|row| rows.code(row)));
        for (value, row) in values.iter_mut().zip(row) {
            if row >= rows.count {
                *value = missing;
            }
        }
        at += 4;
    }
    for (value, at) in rest.iter_mut().zip(at..) {
        let row = places.row(at);
        if row < rows.count {
            *value = one(rows.code(row));
        }
    }
}

#[inline(always)]
fn prefetch<P: Places>(rows: CodeRows<'_>, places: &P, range: Range<usize>) {
    if P::SCATTERED {
        for at in range.start..range.end.min(places.count()) {
            rows.prefetch(places.row(at));
        }
    }
}
