//! Every kernel against the scalar one, at every length and alignment that could differ.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)]

use half::f16;
use proptest::prelude::*;

use super::{Isa, Kernels};

mod codes;
mod panels;
mod sketches;

/// The instruction sets to test; a missing one is said, or an error where it is required by the
/// environment variable `LOOKALIKE_REQUIRE_ISA` (a name of [`Isa`]).
fn available() -> Vec<Kernels> {
    let required = std::env::var("LOOKALIKE_REQUIRE_ISA").unwrap_or_default();
    let mut found = Vec::new();
    for isa in Isa::ALL {
        match Kernels::of(isa) {
            Some(kernels) => found.push(kernels),
            None if required == isa.name() => panic!("{required} is required and missing"),
            None => eprintln!("skipped: this processor has no {}", isa.name()),
        }
    }
    found
}

/// Rounding of a sum of products: proportional to the sum of their magnitudes.
fn tolerance(a: &[f32], b: &[f32]) -> f32 {
    let magnitude: f32 = a.iter().zip(b).map(|(x, y)| (x * y).abs()).sum();
    magnitude * 1e-5 + 1e-30
}

fn check(a: &[f32], b: &[f32]) {
    let halves: Vec<f16> = b.iter().map(|&v| f16::from_f32(v)).collect();
    let rounded: Vec<f32> = halves.iter().map(|v| v.to_f32()).collect();
    for kernels in available() {
        for shift in 0..a.len().min(5) {
            let (x, y) = (&a[shift..], &b[shift..]);
            let expected = super::scalar::dot(x, y);
            let got = kernels.dot(x, y);
            assert!(
                (got - expected).abs() <= tolerance(x, y),
                "{:?}: {got} {expected}",
                kernels.isa
            );
            let (h, r) = (&halves[shift..], &rounded[shift..]);
            let expected = super::scalar::dot(x, r);
            let got = kernels.dot_f16(x, h);
            assert!(
                (got - expected).abs() <= tolerance(x, r),
                "{:?}: {got} {expected}",
                kernels.isa
            );
        }
    }
}

#[test]
fn every_length() {
    for dims in 0..=130 {
        let a: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.73).cos()).collect();
        check(&a, &b);
    }
}

#[test]
fn several_at_once_are_the_same_bits() {
    for kernels in available() {
        for dims in 0..=200 {
            let vector = |of: usize| -> Vec<f32> {
                (0..dims).map(|i| ((i * (of + 3)) as f32 * 0.37).sin()).collect()
            };
            let vectors: [Vec<f32>; 5] = std::array::from_fn(vector);
            let [a, b, x, y, z] = vectors.each_ref().map(Vec::as_slice);
            let one_by_one = [a, b].map(|a| [x, y, z].map(|x| kernels.dot(a, x).to_bits()));
            let together = kernels.dots([a, b], [x, y, z]);
            assert_eq!(together.map(|row| row.map(f32::to_bits)), one_by_one);
            let longer = [x, &vec![1.0; dims + 7], z];
            assert_eq!(kernels.dots([a, b], longer)[1][2].to_bits(), one_by_one[1][2]);
        }
    }
}

#[test]
fn not_a_number_stays_not_a_number() {
    for kernels in available() {
        let mut b = vec![0.5; 67];
        b[66] = f32::NAN;
        assert!(kernels.dot(&[0.1; 67], &b).is_nan());
    }
}

#[test]
fn the_widest_set_is_chosen() {
    let best = Kernels::best().isa();
    assert_eq!(Some(best), available().last().map(Kernels::isa));
}

proptest! {
    #[test]
    fn any_values(pairs in prop::collection::vec((-2.0_f32..2.0, -2.0_f32..2.0), 0..1100)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        check(&a, &b);
    }
}
