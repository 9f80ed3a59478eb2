#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;

use super::*;

/// How fast strangers as alike as that become rare.
const FALL: f64 = 20.0;

/// The part of searches among so many strangers, each at or above t with probability exp(-20 t),
/// that meet one.
fn truth(similarity: f32, faces: f64) -> f64 {
    let one = (-FALL * f64::from(similarity)).exp();
    -(faces * (-one).ln_1p()).exp_m1()
}

/// What such searches find, as evenly as can be.
fn calibration(probes: usize, faces: u64) -> Calibration {
    let largest = |i: usize| {
        let below = ((i as f64 + 0.5) / probes as f64).powf(1.0 / faces as f64);
        (-(1.0 - below).ln() / FALL) as f32
    };
    Calibration {
        faces,
        dims: 2,
        model: None,
        unlabelled: 0.0,
        strangers: (0..probes).map(|i| vec![largest(i)]).collect(),
        mates: (0..100).map(|i| i as f32 / 100.0).collect(),
    }
}

#[test]
fn a_threshold_has_the_rate_that_was_asked_for() {
    let calibration = calibration(10_000, 1000);
    for fpir in [0.1, 0.001] {
        let threshold = calibration.threshold(fpir, 1000).unwrap();
        assert!((threshold.fpir / fpir - 1.0).abs() < 0.05, "{threshold:?}");
        let truth = truth(threshold.similarity, 1e3);
        assert!((truth / fpir - 1.0).abs() < 0.1, "{fpir}: {truth}");
        assert_eq!(threshold.fnmr, Some(f64::from((threshold.similarity * 100.0).ceil()) / 100.0));
        let (low, high) = calibration.interval(threshold.similarity, 1000).unwrap();
        assert!(low < threshold.fpir && threshold.fpir < high, "{low} {high}");
        // With a tenth of the probes less is known.
        let few = self::calibration(1000, 1000);
        let (lower, higher) = few.interval(threshold.similarity, 1000).unwrap();
        assert!(higher - lower > high - low);
    }
}

#[test]
fn a_larger_gallery_takes_a_higher_threshold() {
    let calibration = calibration(10_000, 1000);
    for fpir in [0.1, 0.01] {
        let threshold = calibration.threshold(fpir, 30_000).unwrap();
        let truth = truth(threshold.similarity, 3e4);
        assert!((0.7..1.4).contains(&(truth / fpir)), "{fpir}: {truth}");
    }
    let own = calibration.threshold(0.01, 1000).unwrap();
    let grown = calibration.at(own.similarity, 2000).unwrap();
    assert!((grown.fpir / 0.02 - 1.0).abs() < 0.05, "{grown:?}");
}

#[test]
fn what_cannot_be_said_is_not_said() {
    let enough = calibration(1000, 1000);
    for fpir in [0.0, 1.0, -0.1, f64::NAN] {
        assert_eq!(enough.threshold(fpir, 1000), None);
    }
    assert_eq!(enough.threshold(0.1, 0), None);
    assert_eq!(enough.at(f32::NAN, 1000), None);
    // One probe in thirty has a copy of a stranger: no threshold keeps those out.
    let mut copies = calibration(3000, 1000);
    copies.strangers[..100].fill(vec![1.0]);
    assert_eq!(copies.threshold(0.01, 1000), None);
    assert!(copies.threshold(0.09, 1000).is_some());
    assert_eq!(calibration(100, 1000).threshold(0.1, 1000), None);
    assert_eq!(calibration(0, 0).interval(0.5, 10), None);
}

#[test]
fn it_is_kept_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path()).unwrap().is_none());
    let calibration = calibration(500, 1000);
    calibration.store(folder.path()).unwrap();
    assert_eq!(read(folder.path()).unwrap(), Some(calibration));
    let path = folder.path().join(FILE_NAME);
    let text = fs::read_to_string(&path).unwrap();
    for damaged in [&text[..text.len() / 2], "", "{}", &text.replacen("0.9", "0.8", 1)] {
        fs::write(&path, damaged).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(FILE_NAME) && error.contains("damaged"), "{error}");
    }
}

proptest! {
    #[test]
    fn a_rate_comes_back_from_another_size(
        rate in 1e-6..0.999_f64,
        from in 1..1_000_000_u64,
        to in 1..1_000_000_u64,
    ) {
        let there = at_size(rate, from, to).unwrap();
        prop_assert!((0.0..=1.0).contains(&there));
        prop_assert!(to < from || there >= rate * (1.0 - 1e-9));
        // Where it is next to certain, digits are lost.
        if there < 1.0 - 1e-6 {
            prop_assert!((at_size(there, to, from).unwrap() / rate - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn any_similarities_do_no_harm(values in proptest::collection::vec(-1.0..1.0_f32, 0..900)) {
        let strangers = values.iter().map(|&value| vec![value]).collect();
        let any = Calibration { strangers, mates: values, ..calibration(0, 10) };
        if let Some(threshold) = any.threshold(0.01, 10) {
            prop_assert!((-1.0..=1.0).contains(&threshold.similarity));
        }
    }
}
