//! Spaces of samples of every kind, and what is learned from galleries shaped like real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::BufReader;
use std::path::Path;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::basis::gaussian;
use super::learn::{Learned, learn_among};
use super::*;
use crate::codes::{CodedProbe, Shape, decode, encode, factors};
use crate::synth::{Profile, Synth};
use crate::{Cancel, Silent};

/// Unit vectors of random directions.
fn directions(n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rows = gaussian(n * dims, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
    normalise(&mut rows, dims);
    rows
}

fn normalise(rows: &mut [f32], dims: usize) {
    for row in rows.chunks_exact_mut(dims) {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter_mut().for_each(|v| *v /= length);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// How far products of coordinates may be from products of centred embeddings.
fn assert_products_hold(space: &Space, rows: &[f32], tolerance: f64) {
    let turned = space.project_many(rows);
    let mean = space.mean();
    let centred: Vec<Vec<f32>> = rows
        .chunks_exact(space.dims())
        .map(|row| row.iter().zip(mean).map(|(x, m)| x - m).collect())
        .collect();
    for (x, z) in centred.iter().zip(turned.chunks_exact(space.coded())) {
        for (y, w) in centred.iter().zip(turned.chunks_exact(space.coded())) {
            assert!((dot(x, y) - dot(z, w)).abs() < tolerance, "{} {}", dot(x, y), dot(z, w));
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let space = |dims, coded, mean: usize, matrix: usize| {
        Space::from_parts(dims, coded, vec![0.0; mean], vec![f16::ZERO; matrix])
    };
    assert!(space(3, 64, 3, 192).is_some());
    for (dims, coded, mean, matrix) in
        [(0, 64, 0, 0), (3, 64, 2, 192), (3, 64, 3, 191), (3, usize::MAX, 3, 192)]
    {
        assert!(space(dims, coded, mean, matrix).is_none());
    }
    assert!(Space::from_parts(1, 1, vec![f32::NAN], vec![f16::ZERO]).is_none());
    assert!(Space::from_parts(1, 1, vec![0.0], vec![f16::INFINITY]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_sample_has_a_space(
        n in 0_usize..30, dims in 1_usize..150, kind in 0..4, seed: u64, wide: bool,
    ) {
        let mut rows = directions(n, dims, seed);
        match kind {
            // All the same.
            1 => rows = rows.iter().take(dims).copied().cycle().take(n * dims).collect(),
            // In a plane.
            2 => rows.chunks_exact_mut(dims).for_each(|row| {
                row[0] += 1e-3;
                row.iter_mut().skip(2).for_each(|v| *v = 0.0);
            }),
            // Near each other.
            3 => rows.chunks_exact_mut(dims).for_each(|row| row[0] += 30.0),
            _ => {}
        }
        normalise(&mut rows, dims);
        let learned = learn(&rows, dims, if wide { 128 } else { 64 }, seed).unwrap();
        let space = &learned.space;
        prop_assert_eq!(space.dims(), dims);
        prop_assert_eq!(space.coded(), learned.shape.dims());
        prop_assert!(learned.carrying <= dims);
        prop_assert!(space.matrix().iter().all(|v| v.is_finite()));
        let others = directions(5, dims, !seed);
        if space.coded() >= dims {
            assert_products_hold(space, &others, 1e-3);
        }
        let kernels = Kernels::best();
        let many = space.project_many(&others);
        let mut one = vec![1.0; 3];
        for (x, z) in others.chunks_exact(dims).zip(many.chunks_exact(space.coded())) {
            space.project(&kernels, x, &mut one);
            prop_assert_eq!(one.len(), z.len());
            prop_assert!(one.iter().zip(z).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}

#[test]
fn long_and_degenerate_samples_have_a_space() {
    for (n, dims) in [(0, 1500), (3, 1500), (40, 700)] {
        let rows = directions(n, dims, 5);
        let learned = learn(&rows, dims, 64, 1).unwrap();
        assert_eq!(learned.space.dims(), dims);
        assert!(learned.space.matrix().iter().all(|v| v.is_finite()));
    }
    assert!(learn(&[], 0, 64, 1).is_none());
    assert!(learn(&[], 4, 65, 1).is_none());
}

#[test]
fn a_space_does_not_depend_on_threads_but_on_the_seed() {
    let rows = directions(300, 96, 5);
    let learned = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| learn(&rows, 96, 64, seed)).unwrap()
    };
    let (one, three) = (learned(1, 7), learned(3, 7));
    assert_eq!(one.space.matrix(), three.space.matrix());
    assert_eq!((one.shape, one.sketch), (three.shape, three.sketch));
    assert_ne!(one.space.matrix(), learned(1, 8).space.matrix());
}

#[test]
fn similarities_spread_as_those_of_random_directions_do() {
    let learned = learn(&directions(2000, 96, 3), 96, 64, 1).unwrap();
    let expected = 1.0 / 96_f64.sqrt();
    assert!((learned.similarity_spread / expected - 1.0).abs() < 0.05, "{learned:?}");
}

#[test]
fn a_sample_in_few_dimensions_loses_nothing() {
    // Ten dimensions of 200: eight bits of the leading 64 hold them all.
    let mut rows = directions(400, 200, 9);
    rows.chunks_exact_mut(200).for_each(|row| row.iter_mut().skip(10).for_each(|v| *v = 0.0));
    normalise(&mut rows, 200);
    let learned = learn(&rows, 200, 64, 1).unwrap();
    assert_eq!(learned.shape, Shape::new(8, 64).unwrap());
    assert_eq!(learned.carrying, 10);
    assert_products_hold(&learned.space, &rows[..200 * 20], 1e-3);
}

/// Embeddings of a synthetic gallery and of probes that have mates there, unit vectors.
fn gallery(profile: Profile, faces: u64) -> (Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let synth = Synth { probes: 60, seed: 3, ..Synth::new(profile, faces) };
    synth.write(folder.path(), None, &Silent, &Cancel::new()).unwrap();
    let read = |name: &str| {
        let mut rows = npy(&folder.path().join(name));
        normalise(&mut rows, profile.dims());
        rows
    };
    let mut probes = read("probes.npy");
    probes.truncate(probes.len() / 2);
    (read("embeddings.npy"), probes)
}

fn npy(path: &Path) -> Vec<f32> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    npyz::NpyFile::new(file).unwrap().into_vec().unwrap()
}

/// What a shape is off by on probes that learning has not seen.
struct Fresh {
    anybody: f64,
    nearest: f64,
    /// Shares of estimates within 1, 2 and 3 of their standard deviations.
    within: [f64; 3],
}

/// Measures with `probes` against all faces, and against the nearest, as a rule a mate.
fn fresh(learned: &Learned, faces: &[f32], probes: &[f32]) -> Fresh {
    let (space, shape, kernels) = (&learned.space, learned.shape, Kernels::best());
    let coded: Vec<_> = space
        .project_many(faces)
        .chunks_exact(shape.dims())
        .zip(faces.chunks_exact(space.dims()))
        .map(|(z, x)| {
            let mut row = vec![0; shape.row_bytes()];
            encode(z, space.bias(&kernels, x), shape, &mut row);
            let mut levels = vec![0; shape.dims()];
            decode(&row, shape, &mut levels);
            (levels, factors(&row, shape))
        })
        .collect();
    let mut probe = CodedProbe::default();
    let (mut all, mut near, mut within) = (Vec::new(), Vec::new(), [0.0; 3]);
    for q in probes.chunks_exact(space.dims()) {
        probe.set(space, &kernels, q, shape);
        let mut pairs: Vec<(f32, f64)> = faces
            .chunks_exact(space.dims())
            .zip(&coded)
            .map(|(x, (levels, factors))| {
                let levels = levels.iter().zip(probe.levels());
                let sum = levels.map(|(&v, &q)| i32::from(v) * i32::from(q)).sum();
                let estimate = probe.estimate(sum, *factors);
                let exact = kernels.dot(q, x);
                let off = estimate.similarity - exact;
                for (k, within) in (1..).zip(&mut within) {
                    *within += f64::from(u8::from(off.abs() <= k as f32 * estimate.error));
                }
                (exact, f64::from(off))
            })
            .collect();
        all.extend(pairs.iter().map(|pair| pair.1));
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.push(pairs[0].1);
    }
    let root = |offs: &[f64]| (offs.iter().map(|v| v * v).sum::<f64>() / offs.len() as f64).sqrt();
    let count = all.len() as f64;
    Fresh { anybody: root(&all), nearest: root(&near), within: within.map(|w| w / count) }
}

/// Asserts that `bits` a dimension are chosen for a profile, rightly so on fresh probes, and that
/// estimates keep to their errors as a Gaussian would.
fn assert_chosen(profile: Profile, bits: u32) {
    let dims = profile.dims();
    let (faces, probes) = gallery(profile, 2000);
    let learned = learn(&faces, dims, 64, 1).unwrap();
    assert_eq!(learned.shape, Shape::new(bits, 64).unwrap(), "{:?}", learned.errors);
    let chosen = fresh(&learned, &faces, &probes);
    let both = |f: &Fresh| (f.anybody * f.anybody + f.nearest * f.nearest).sqrt();
    for error in learned.errors.iter().filter(|error| error.shape != learned.shape) {
        let other = learn_among(&faces, dims, &[error.shape], 1).unwrap();
        let other = fresh(&other, &faces, &probes);
        assert!(both(&chosen) < 1.05 * both(&other), "{:?}", error.shape);
        let measured = error.anybody / other.anybody;
        assert!((0.8..1.25).contains(&measured), "{:?}: {measured}", error.shape);
    }
    let [one, two, three] = chosen.within;
    assert!((0.64..0.80).contains(&one), "{one}");
    assert!((0.94..0.985).contains(&two), "{two}");
    assert!(three > 0.995, "{three}");
}

#[test]
fn arcface_gets_one_bit_of_every_dimension() {
    assert_chosen(Profile::ArcFace512, 1);
}

#[test]
fn facenet_gets_eight_bits_of_those_that_matter() {
    assert_chosen(Profile::FaceNet512, 8);
}

#[test]
fn dlib_gets_four_bits_of_every_dimension() {
    assert_chosen(Profile::Dlib128, 4);
}
