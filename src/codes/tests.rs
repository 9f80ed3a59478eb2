//! Codes against the formulas they are made by.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use half::f16;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::kernels::Kernels;
use crate::space::Space;

const SIZES: [usize; 4] = [64, 128, 192, 256];

fn gaussian(count: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

fn unit(dims: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let mut v = gaussian(dims, rng);
    let length = dot(&v, &v).sqrt() as f32;
    v.iter_mut().for_each(|v| *v /= length);
    v
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// A space that leaves everything as it is.
fn identity(dims: usize) -> Space {
    let matrix = (0..dims * dims).map(|i| f16::from(u8::from(i / dims == i % dims))).collect();
    Space::from_parts(dims, dims, vec![0.0; dims], matrix).unwrap()
}

fn row(z: &[f32], bias: f32, shape: Shape) -> Vec<u8> {
    let mut row = vec![0xaa; shape.row_bytes()];
    encode(z, bias, shape, &mut row);
    row
}

fn levels(row: &[u8], shape: Shape) -> Vec<u8> {
    let mut levels = vec![0; shape.dims()];
    decode(row, shape, &mut levels);
    levels
}

fn sum(levels: &[u8], probe: &[i8]) -> i32 {
    levels.iter().zip(probe).map(|(&v, &q)| i32::from(v) * i32::from(q)).sum()
}

fn shapes() -> impl Strategy<Value = Shape> {
    (prop::sample::select(&Shape::BITS[..]), prop::sample::select(&SIZES[..]))
        .prop_map(|(bits, bytes)| Shape::new(bits, bytes).unwrap())
}

#[test]
fn shapes_fill_their_bytes() {
    for bytes in SIZES {
        for (bits, dims) in [(1, bytes * 8), (2, bytes * 4), (4, bytes * 2), (8, bytes)] {
            let shape = Shape::new(bits, bytes).unwrap();
            assert_eq!((shape.bits(), shape.dims(), shape.bytes()), (bits, dims, bytes));
            assert_eq!(shape.row_bytes(), bytes + 8);
            assert!(dims <= MAX_CODED);
        }
    }
    for (bits, bytes) in [(0, 64), (3, 64), (16, 64), (1, 0), (1, 96), (1, 320)] {
        assert_eq!(Shape::new(bits, bytes), None);
    }
}

/// Which bits of a code hold the level of a dimension: (byte, lowest bit).
fn place(dim: usize, bits: usize) -> (usize, usize) {
    let (chunk, dim) = (dim / (512 / bits), dim % (512 / bits));
    let (byte, bit) = if bits == 1 { (dim / 8, dim % 8) } else { (dim % 64, dim / 64 * bits) };
    (64 * chunk + byte, bit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_are_laid_out_as_stated(shape in shapes(), seed: u64) {
        let z = unit(shape.dims(), &mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let row = row(&z, 0.01, shape);
        let levels = levels(&row, shape);
        let (mut u, mut code) = (Vec::new(), vec![0; shape.bytes()]);
        for (dim, (&level, &z)) in levels.iter().zip(&z).enumerate() {
            u.push(2.0 * f32::from(level) - shape.top() as f32);
            // Levels have the sign of what they stand for, unless that is all but zero.
            prop_assert!(u[dim] * z > 0.0 || z.abs() < 1e-4);
            let (byte, bit) = place(dim, shape.bits() as usize);
            code[byte] |= level << bit;
        }
        prop_assert_eq!(&code[..], &row[..shape.bytes()]);

        let factors = factors(&row, shape);
        let (zz, zu, uu) = (dot(&z, &z), dot(&z, &u), dot(&u, &u));
        let tangent = zz * uu / (zu * zu) - 1.0;
        let error = (zz * tangent / (shape.dims() - 1) as f64).sqrt();
        prop_assert!((f64::from(factors.scale) / (zz / zu) - 1.0).abs() < 1e-5);
        prop_assert!((factors.bias - 0.01).abs() < 1e-5);
        let rounded_up = f64::from(factors.error) / error;
        prop_assert!((0.9999..1.002).contains(&rounded_up), "{}", rounded_up);
    }

    /// No level moved by one gives a code much nearer to the face: the grid is as good as it gets.
    #[test]
    fn levels_point_where_the_face_does(seed: u64, bits in prop::sample::select(vec![2_u32, 4])) {
        let shape = Shape::new(bits, 64).unwrap();
        let z = unit(shape.dims(), &mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let levels = levels(&row(&z, 0.0, shape), shape);
        let number = |level: i32| (2 * level - shape.top()) as f32;
        let u: Vec<f32> = levels.iter().map(|&v| number(v.into())).collect();
        let cosine = |zu: f64, uu: f64| zu / uu.sqrt();
        let (zu, uu) = (dot(&z, &u), dot(&u, &u));
        for (&z, &level) in z.iter().zip(&levels) {
            for moved in [i32::from(level) - 1, i32::from(level) + 1] {
                if (0..=shape.top()).contains(&moved) {
                    let (from, to) = (f64::from(number(level.into())), f64::from(number(moved)));
                    let moved = cosine(zu + f64::from(z) * (to - from), uu + to * to - from * from);
                    prop_assert!(moved < cosine(zu, uu) * 1.0005);
                }
            }
        }
    }

    #[test]
    fn estimates_are_unbiased_and_keep_to_their_error(
        bits in prop::sample::select(&Shape::BITS[..]), alike in 0.0_f32..0.95, seed: u64,
    ) {
        let shape = Shape::new(bits, 64).unwrap();
        let (space, kernels) = (identity(shape.dims()), Kernels::best());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut probe = CodedProbe::default();
        let (count, mut mean, mut within) = (200, 0.0, [0; 4]);
        for _ in 0..count {
            let q = unit(shape.dims(), &mut rng);
            let other = unit(shape.dims(), &mut rng);
            let apart = (1.0 - alike * alike).sqrt();
            let z: Vec<f32> = q.iter().zip(&other).map(|(q, o)| alike * q + apart * o).collect();
            probe.set(&space, &kernels, &q, shape);
            let row = row(&z, 0.0, shape);
            let found = probe.estimate(sum(&levels(&row, shape), probe.levels()), factors(&row, shape));
            let off = (f64::from(found.similarity) - dot(&q, &z)) / f64::from(found.error);
            mean += off / f64::from(count);
            for (k, within) in (1..).zip(&mut within) {
                *within += i32::from(off.abs() <= f64::from(k));
            }
        }
        // Five standard deviations of the mean of 200 draws.
        prop_assert!(mean.abs() < 0.36, "{}", mean);
        // A Gaussian has 137, 191 and 199.5 of 200; alike pairs stay nearer.
        prop_assert!(within[0] >= 105 && within[1] >= 176, "{:?}", within);
        prop_assert!(within[2] >= 194 && within[3] >= 199, "{:?}", within);
    }

    #[test]
    fn anything_has_a_code(
        shape in shapes(),
        z in prop::collection::vec(prop::num::f32::ANY, 0..300),
        bias in prop::num::f32::ANY,
    ) {
        let row = row(&z, bias, shape);
        let factors = factors(&row, shape);
        prop_assert!(factors.scale.is_finite() && factors.error >= 0.0);
        sketch(&z, shape);
        prop_assert_eq!(super::factors(&row[..shape.bytes() + 7], shape), Factors::default());
    }

    #[test]
    fn sketches_score_as_they_stand_for(shape in shapes(), seed: u64) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (z, q) = (unit(shape.dims(), &mut rng), unit(shape.dims(), &mut rng));
        let stands = stands_for(&z, shape);
        let tables = super::sketch::Tables::of(&q);
        prop_assert!(tables.entries.iter().all(|&entry| entry <= 63));
        let groups = sketch(&z, shape).into_iter().flat_map(|byte| [byte & 15, byte >> 4]);
        let score: u32 = (0..).zip(groups).map(|(g, nibble)| {
            u32::from(tables.entries[16 * g + usize::from(nibble)])
        }).sum();
        let found = score as f32 * tables.step + tables.offset;
        // Every entry is rounded by half a step at most.
        prop_assert!((f64::from(found) - dot(&q, &stands)).abs() < f64::from(16.1 * tables.step));
    }
}

/// The numbers a sketch stands for, by the definition.
fn stands_for(z: &[f32], shape: Shape) -> Vec<f32> {
    if shape.dims() >= 128 {
        return z.iter().take(128).map(|&v| if v >= 0.0 { 1.0 } else { -1.0 }).collect();
    }
    let deviation = (dot(z, z) / shape.dims() as f64).sqrt() as f32;
    let level =
        |v: &f32| (if v.abs() < 0.9816 * deviation { 0.4528 } else { 1.510_f32 }).copysign(*v);
    z.iter().map(level).collect()
}

#[test]
fn sketch_similarities_are_unbiased_over_a_gallery() {
    for (bits, kernels) in [(8, Kernels::best()), (4, Kernels::best()), (2, Kernels::best())] {
        let shape = Shape::new(bits, 64).unwrap();
        let (space, mut rng) = (identity(shape.dims()), Xoshiro256PlusPlus::seed_from_u64(5));
        let faces: Vec<Vec<f32>> = (0..300).map(|_| unit(shape.dims(), &mut rng)).collect();
        let biases: Vec<f32> = gaussian(300, &mut rng).iter().map(|b| 0.03 + 0.01 * b).collect();
        let scale = SketchScale::learn(&faces.concat(), &biases, shape);
        assert!((scale.bias - 0.03).abs() < 0.003 && (scale.spread - 0.01).abs() < 0.002);
        let mut probe = CodedProbe::default();
        let (mut count, mut mean, mut square) = (0.0, 0.0, 0.0);
        for _ in 0..30 {
            let q = unit(shape.dims(), &mut rng);
            probe.set(&space, &kernels, &q, shape);
            for (z, bias) in faces.iter().zip(&biases) {
                let groups = sketch(z, shape).into_iter().flat_map(|byte| [byte & 15, byte >> 4]);
                let entry = |(g, nibble): (usize, u8)| probe.tables()[16 * g + usize::from(nibble)];
                let score = groups.enumerate().map(|group| u16::from(entry(group))).sum();
                let found = probe.sketch_similarity(score, &scale);
                assert!((probe.sketch_score(found, &scale) - f32::from(score)).abs() < 0.1);
                let exact = dot(&q, z) + f64::from(*bias);
                let off = (f64::from(found) - exact) / f64::from(probe.sketch_error(&scale));
                (count, mean, square) = (count + 1.0, mean + off, square + off * off);
            }
        }
        assert!((mean / count).abs() < 0.1, "{bits}: {}", mean / count);
        assert!(((square / count).sqrt() - 1.0).abs() < 0.15, "{bits}: {}", square / count);
    }
}

#[test]
fn half_precision_is_read_as_it_is_written() {
    for half in (0..=u16::MAX).map(f16::from_bits) {
        assert_eq!(to_f32(half.to_bits()).to_bits(), half.to_f32().to_bits(), "{half}");
    }
}

#[test]
fn the_mean_itself_has_a_code() {
    let kernels = Kernels::best();
    for bits in Shape::BITS {
        let shape = Shape::new(bits, 64).unwrap();
        let dims = shape.dims();
        let zero = vec![0.0; dims];
        let row = row(&zero, 0.25, shape);
        let found = factors(&row, shape);
        assert_eq!(found, Factors { scale: 0.0, bias: 0.25, error: 0.0 });
        // A probe at the mean is as similar to everybody as they are to the mean.
        let mean = unit(dims, &mut Xoshiro256PlusPlus::seed_from_u64(1));
        let space =
            Space::from_parts(dims, dims, mean.clone(), vec![f16::ZERO; dims * dims]).unwrap();
        let mut probe = CodedProbe::default();
        probe.set(&space, &kernels, &mean, shape);
        let estimate = probe.estimate(sum(&levels(&row, shape), probe.levels()), found);
        assert!((estimate.similarity - 1.25).abs() < 1e-5 && estimate.error < 1e-3);
        assert!(probe.tables().iter().all(|&entry| entry == 0));
        let scale = SketchScale::learn(&zero, &[0.25], shape);
        assert!((probe.sketch_similarity(0, &scale) - 1.25).abs() < 1e-5);
    }
}

#[test]
fn blocks_hold_the_same_byte_of_all_faces_together() {
    let sketches: Vec<[u8; 16]> =
        (0..40).map(|face| std::array::from_fn(|j| face * 4 + j as u8)).collect();
    let block = block(&sketches);
    for (j, bytes) in block.chunks_exact(64).enumerate() {
        for (face, &byte) in bytes.iter().enumerate() {
            assert_eq!(byte, sketches.get(face).map_or(0, |sketch| sketch[j]));
        }
    }
}

#[test]
fn a_used_probe_is_as_good_as_new() {
    let kernels = Kernels::best();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut used = CodedProbe::default();
    for bits in Shape::BITS {
        let shape = Shape::new(bits, 64).unwrap();
        let (space, q) = (identity(shape.dims()), unit(shape.dims(), &mut rng));
        used.set(&space, &kernels, &q, shape);
        let mut new = CodedProbe::default();
        new.set(&space, &kernels, &q, shape);
        assert_eq!((used.levels(), used.tables()), (new.levels(), new.tables()));
        assert_eq!(used.length(), new.length());
        assert!((used.length() - 1.0).abs() < 1e-5 && used.base() == 0.0);
    }
}
