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
    let largest = |i: usize, faces: f64| {
        let below = ((i as f64 + 0.5) / probes as f64).powf(1.0 / faces);
        (-(1.0 - below).ln() / FALL) as f32
    };
    let strangers = |i: usize| Strangers {
        all: vec![largest(i, faces as f64)],
        tenth: vec![largest(i, faces as f64 / 10.0)],
        hundredth: vec![largest(i, faces as f64 / 100.0)],
    };
    Calibration {
        faces,
        dims: 2,
        model: None,
        carried: false,
        earlier: None,
        unlabelled: 0.0,
        beyond: 0.0,
        strangers: (0..probes).map(strangers).collect(),
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
    copies.strangers[..100].iter_mut().for_each(|group| group.all = vec![1.0]);
    assert_eq!(copies.threshold(0.01, 1000), None);
    assert!(copies.threshold(0.09, 1000).is_some());
    for faces in [500, 1001, 100_000] {
        assert_eq!(copies.threshold(0.01, faces), None, "{faces}");
    }
    assert_eq!(calibration(100, 1000).threshold(0.1, 1000), None);
    // Nothing is said of another size where too few people were seen.
    let few_seen = Calibration { beyond: 0.1, ..calibration(3000, 1000) };
    assert!(few_seen.threshold(0.1, 1000).is_some() && few_seen.threshold(0.1, 2000).is_none());
    assert!(few_seen.at(0.5, 999).is_none() && calibration(3000, 1000).at(0.5, 999).is_some());
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
    fn any_similarities_do_no_harm(values in proptest::collection::vec(-1.0..1.0_f32, 0..900)) {
        let one = |at: usize| vec![values[at % values.len()]];
        let strangers = (0..values.len())
            .map(|at| Strangers { all: one(at), tenth: one(at * 7), hundredth: one(at * 3) })
            .collect();
        let any = Calibration { strangers, mates: values, ..calibration(0, 10) };
        for faces in [1, 10, 20, 1_000_000] {
            let mut last = -1.0;
            for fpir in [0.1, 0.01, 0.001] {
                let Some(threshold) = any.threshold(fpir, faces) else { continue };
                prop_assert!((last..=1.0).contains(&threshold.similarity));
                last = threshold.similarity;
                // The rate grows, and no more than the gallery does.
                let own = any.at(last, 10).unwrap().fpir;
                let (there, times) = (any.at(last, faces).unwrap().fpir, faces as f64 / 10.0);
                let (least, most) = (own.min(own * times), own.max(own * times));
                prop_assert!((least - 1e-12..=most + 1e-12).contains(&there), "{there} {own}");
            }
        }
    }
}
