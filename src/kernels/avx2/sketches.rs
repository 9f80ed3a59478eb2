//! Kernels of sketches for AVX2: 32 faces a register.

use std::arch::x86_64::*;

use super::super::prefetch;
use super::super::sketches::{BEYOND_SCORES, Block, Sought, Tables};

#[target_feature(enable = "avx2")]
pub(in super::super) fn scan(
    [blocks, next]: [&[Block]; 2],
    first_slot: u32,
    probes: &mut [Sought<'_>],
) {
    let mut next = next.iter();
    for Sought { tables, floor, slots } in probes {
        // The comparison is of signed numbers.
        let below = _mm256_set1_epi16((*floor).min(BEYOND_SCORES).cast_signed() - 1);
        let mut first = first_slot;
        for block in blocks {
            next.next().into_iter().for_each(|block| prefetch(block));
            for half in 0..2 {
                let passing =
                    score(block, tables, half).map(|scores| _mm256_cmpgt_epi16(scores, below));
                // Packing goes by halves of registers; the permutation puts them in order.
                let packed = _mm256_packs_epi16(passing[0], passing[1]);
                let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
                let mut passing = _mm256_movemask_epi8(packed).cast_unsigned();
                while passing != 0 {
                    slots.push(first.wrapping_add(passing.trailing_zeros()));
                    passing &= passing - 1;
                }
                first = first.wrapping_add(32);
            }
        }
    }
}

/// The scores of the first or the last 32 faces, sixteen of 16 bits a register.
#[inline]
#[target_feature(enable = "avx2")]
fn score(block: &Block, tables: &Tables, half: usize) -> [__m256i; 2] {
    let low = _mm256_set1_epi8(15);
    // 16-bit sums of pairs of faces as they lie, and of their upper faces alone.
    let (mut both, mut upper) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let (bytes, tables) = (block.as_chunks::<32>().0, tables.as_chunks::<16>().0);
    for (bytes, tables) in bytes.as_chunks::<4>().0.iter().zip(tables.as_chunks::<4>().0) {
        let pair = |bytes: &[u8; 32], even: &[u8; 16], odd: &[u8; 16]| {
            // SAFETY: arrays of 32 and of 16 bytes.
            let (bytes, even, odd) = unsafe {
                (
                    _mm256_loadu_si256(bytes.as_ptr().cast()),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(even.as_ptr().cast())),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(odd.as_ptr().cast())),
                )
            };
            let a = _mm256_and_si256(bytes, low);
            let b = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low);
            _mm256_add_epi8(_mm256_shuffle_epi8(even, a), _mm256_shuffle_epi8(odd, b))
        };
        let four = _mm256_add_epi8(
            pair(&bytes[half], &tables[0], &tables[1]),
            pair(&bytes[2 + half], &tables[2], &tables[3]),
        );
        both = _mm256_add_epi16(both, four);
        upper = _mm256_add_epi16(upper, _mm256_srli_epi16::<8>(four));
    }
    // What the upper faces added to the sums as they lie, taken off again.
    let lower = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(upper));
    // Faces 0..8 and 16..24, then 8..16 and 24..32.
    let (a, b) = (_mm256_unpacklo_epi16(lower, upper), _mm256_unpackhi_epi16(lower, upper));
    [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
}
