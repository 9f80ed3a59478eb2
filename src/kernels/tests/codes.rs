//! Kernels of codes: the scalar ones against the sum as the layout tells it, the others against the
//! scalar ones, to the bit.

use proptest::prelude::*;

use super::super::codes::{Bits, CHUNK_BYTES, NO_DISTANCE, NO_SUM};
use super::super::{CodeRows, Isa, Kernels};
use super::available;

fn scalar() -> Kernels {
    Kernels::of(Isa::Scalar).expect("scalar kernels are everywhere")
}

/// The level of a dimension, straight from the table of the layout.
fn level(bits: Bits, code: &[u8], dim: usize) -> i64 {
    let (chunk, at) = (dim / bits.chunk_dims(), dim % bits.chunk_dims());
    let chunk = &code[chunk * CHUNK_BYTES..][..CHUNK_BYTES];
    i64::from(match bits {
        Bits::One => chunk[at / 8] >> (at % 8) & 1,
        Bits::Two => chunk[at % 64] >> (2 * (at / 64)) & 3,
        Bits::Four => chunk[at % 64] >> (4 * (at / 64)) & 15,
        Bits::Eight => chunk[at],
    })
}

fn told(bits: Bits, code: &[u8], probe: &[i8]) -> i64 {
    probe.iter().enumerate().map(|(dim, &v)| level(bits, code, dim) * i64::from(v)).sum()
}

/// Bytes of a stated seed, one in three of them extreme.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    (0..len)
        .map(|_| match next() % 6 {
            0 => 0,
            1 => u8::MAX,
            _ => (next() & 255) as u8,
        })
        .collect()
}

fn probe_of(dims: usize, seed: u64) -> Vec<i8> {
    let extreme = |byte| match byte {
        0 => -127,
        255 => 127,
        _ => (byte as i8).max(-127),
    };
    noise(dims, seed).into_iter().map(extreme).collect()
}

fn check(bits: Bits, chunks: usize, stride_extra: usize, count: usize, slots: &[u32], seed: u64) {
    let code_bytes = chunks * CHUNK_BYTES;
    let stride = code_bytes + stride_extra;
    // Off its alignment by one, and the last row without what follows its code.
    let bytes = noise(1 + count * stride, seed);
    let bytes = &bytes[1..];
    let bytes = &bytes[..bytes.len().saturating_sub(stride_extra)];
    let rows = CodeRows::new(bytes, stride, code_bytes);
    assert_eq!(rows.count(), count);
    let probe = probe_of(chunks * bits.chunk_dims(), seed ^ 1);
    let signs = noise(code_bytes, seed ^ 2);
    let code = |row: usize| &bytes[row * stride..][..code_bytes];

    let every: Vec<i32> =
        (0..count).map(|row| scalar().levels_dot(bits, code(row), &probe)).collect();
    for (row, &sum) in every.iter().enumerate() {
        assert_eq!(i64::from(sum), told(bits, code(row), &probe));
    }
    let listed: Vec<i32> =
        slots.iter().map(|&slot| every.get(slot as usize).copied().unwrap_or(NO_SUM)).collect();
    let differing: Vec<u32> = (0..count)
        .map(|row| code(row).iter().zip(&signs).map(|(a, b)| (a ^ b).count_ones()).sum())
        .collect();
    for kernels in available() {
        let isa = kernels.isa();
        for (row, &sum) in every.iter().enumerate() {
            assert_eq!(kernels.levels_dot(bits, code(row), &probe), sum, "{isa:?} {bits:?}");
        }
        let mut sums = vec![7; 3];
        kernels.levels_dot_rows(bits, rows, slots, &probe, &mut sums);
        assert_eq!(sums, listed, "{isa:?} {bits:?}");
        let mut distances = vec![7; 3];
        for (from, to) in [(0, u32::MAX), (1, 4), (count as u32, u32::MAX), (5, 2)] {
            let end = (to as usize).min(count);
            let range = (from as usize).min(end)..end;
            kernels.levels_dot_range(bits, rows, from..to, &probe, &mut sums);
            assert_eq!(sums, every[range.clone()], "{isa:?} {bits:?}");
            kernels.hamming_rows(rows, from..to, &signs, &mut distances);
            assert_eq!(distances, differing[range], "{isa:?}");
        }
    }
}

#[test]
fn widths() {
    for bits in Bits::ALL {
        assert_eq!(Bits::of(bits.bits()), Some(bits));
        assert_eq!(bits.levels(), 1 << bits.bits());
        assert_eq!(bits.chunk_dims() * bits.bits() as usize, 8 * CHUNK_BYTES);
    }
    assert_eq!(Bits::of(3), None);
}

#[test]
fn extremes_neither_saturate_nor_wrap() {
    for kernels in available() {
        for (bits, chunks) in Bits::ALL.into_iter().zip([1, 2, 3, 4]) {
            let dims = chunks * bits.chunk_dims();
            let code = vec![u8::MAX; chunks * CHUNK_BYTES];
            for value in [-128, -127, 127_i8] {
                let sum = kernels.levels_dot(bits, &code, &vec![value; dims]);
                assert_eq!(sum, (bits.levels() as i32 - 1) * i32::from(value) * dims as i32);
            }
        }
    }
}

#[test]
fn what_does_not_fit_gives_no_sum() {
    let bytes = vec![1; 720];
    for kernels in available() {
        let rows = CodeRows::new(&bytes, 72, 64);
        let (mut sums, mut distances) = (vec![], vec![]);
        for bits in Bits::ALL {
            for dims in [0, 1, bits.chunk_dims() - 1, 2 * bits.chunk_dims()] {
                let probe = vec![1; dims];
                assert_eq!(kernels.levels_dot(bits, &bytes[..64], &probe), NO_SUM);
                kernels.levels_dot_rows(bits, rows, &[0, 99, 1], &probe, &mut sums);
                assert_eq!(sums, [NO_SUM; 3]);
                kernels.levels_dot_range(bits, rows, 8..99, &probe, &mut sums);
                assert_eq!(sums, [NO_SUM; 2]);
            }
            assert_eq!(kernels.levels_dot(bits, &bytes[..63], &vec![1; bits.chunk_dims()]), NO_SUM);
            assert_eq!(kernels.levels_dot(bits, &[], &[]), 0);
        }
        kernels.hamming_rows(rows, 0..2, &[0; 63], &mut distances);
        assert_eq!(distances, [NO_DISTANCE; 2]);
    }
}

#[test]
fn rows_that_do_not_exist() {
    assert_eq!(CodeRows::new(&[0; 64], 0, 64).count(), 0);
    assert_eq!(CodeRows::new(&[0; 63], 72, 64).count(), 0);
    assert_eq!(CodeRows::new(&[0; 64], 72, 64).count(), 1);
    assert_eq!(CodeRows::new(&[0; 135], 72, 64).count(), 1);
    assert_eq!(CodeRows::new(&[0; 136], usize::MAX, 64).count(), 1);
    assert_eq!(CodeRows::new(&[0; 136], 72, usize::MAX).count(), 0);
    let mut sums = vec![1];
    for kernels in available() {
        let none = CodeRows::new(&[], 72, 64);
        kernels.levels_dot_rows(Bits::One, none, &[0, 1, 2, 3, u32::MAX], &[1; 512], &mut sums);
        assert_eq!(sums, [NO_SUM; 5]);
        kernels.levels_dot_rows(Bits::One, none, &[], &[1; 512], &mut sums);
        assert!(sums.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_rows(
        bits in prop::sample::select(Bits::ALL.to_vec()),
        chunks in prop::sample::select(vec![1_usize, 2, 4]),
        stride_extra in prop::sample::select(vec![0_usize, 8, 13]),
        count in 1_usize..12,
        slots in prop::collection::vec(prop_oneof![0_u32..14, Just(u32::MAX)], 0..40),
        seed: u64,
    ) {
        check(bits, chunks, stride_extra, count, &slots, seed);
    }
}
