//! A calibrated threshold answers with strangers as often as it says.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{Place, Random, embedding};
use lookalike::calibration::{CalibrateError, calibrate};
use lookalike::gallery::verify;
use lookalike::{Cancel, Error, Gallery, Query, Silent};

const DIMS: usize = 16;

/// People with two photos each, alike; a manifest that names them where it is to.
fn gallery(people: usize, named: bool) -> (Place, Gallery) {
    let mut random = Random(77);
    let mut rows = Vec::new();
    let mut manifest = "subject,source\n".to_owned();
    for person in 0..people {
        let first = random.vector(DIMS);
        let noise = random.vector(DIMS);
        rows.push(first.iter().zip(&noise).map(|(a, b)| a + 0.2 * b).collect());
        rows.push(first);
        let subject = if named { format!("s{person}") } else { String::new() };
        manifest.push_str(&format!("{subject},a\n{subject},b\n"));
    }
    let place = Place::of(&rows).manifest(&manifest);
    let gallery = place.built();
    (place, gallery)
}

/// The part of people who are not in the gallery that are answered with somebody.
fn false_positives(gallery: &Gallery, similarity: f32, probes: usize) -> f64 {
    let mut random = Random(78);
    let probes: Vec<_> = (0..probes).map(|_| embedding(&random.vector(DIMS))).collect();
    let query = Query::new().top(1).at_least(similarity).exhaustive();
    let answers = gallery.search_batch(&probes, &query).unwrap();
    let found = answers.into_iter().filter(|answer| !answer.as_ref().unwrap().is_empty()).count();
    found as f64 / probes.len() as f64
}

#[test]
fn strangers_come_as_often_as_the_calibration_says() {
    let (_place, gallery) = gallery(1500, true);
    let calibration = calibrate(&gallery, &Silent, &Cancel::new()).unwrap();
    assert_eq!((calibration.faces, calibration.probes()), (3000, 3000));
    assert!((750..1500).contains(&calibration.strangers.len()));
    assert_eq!(calibration.mates.len(), 1500);
    assert_eq!((calibration.unlabelled, calibration.dims), (0.0, DIMS));
    for fpir in [0.1, 0.01] {
        let threshold = calibration.threshold(fpir, 3000).unwrap();
        let (low, high) = calibration.interval(threshold.similarity, 3000).unwrap();
        let had = false_positives(&gallery, threshold.similarity, 10_000);
        // Ten thousand probes leave an interval of their own.
        let margin = 2.0 * (fpir / 10_000.0_f64).sqrt();
        assert!((low - margin..high + margin).contains(&had), "{fpir}: {had} not in {low}-{high}");
        // Some seven events are all that a rate of 0.01 has here.
        assert!(high < low * if fpir < 0.1 { 6.0 } else { 3.0 }, "{low}-{high}");
    }
    // Equal galleries have equal calibrations.
    assert_eq!(calibrate(&gallery, &Silent, &Cancel::new()).unwrap(), calibration);
}

#[test]
fn without_subjects_mates_count_as_strangers() {
    let (_place, unnamed) = gallery(400, false);
    let (_other, named) = gallery(400, true);
    let folder = unnamed.clone();
    let [unnamed, named] =
        [unnamed, named].map(|gallery| calibrate(&gallery, &Silent, &Cancel::new()).unwrap());
    assert!(unnamed.unlabelled == 1.0 && unnamed.mates.is_empty() && unnamed.probes() == 800);
    let at = |calibration: &lookalike::calibration::Calibration| {
        calibration.threshold(0.1, 800).unwrap().similarity
    };
    assert!(at(&unnamed) > at(&named));
    // How far off it is, no interval tells, and no search takes it unasked.
    assert!(unnamed.interval(0.5, 800).is_none() && named.interval(0.5, 800).is_some());
    let path = folder.path().to_str().unwrap();
    let (_, table, _) = lookalike(&["calibrate", path]);
    assert!(table.contains("lookalike cluster") && !table.contains("own\n"), "{table}");
    assert!(lookalike(&["search", path, "--face", "1"]).1.starts_with("no threshold"));
}

#[test]
fn what_cannot_be_calibrated_says_why() {
    let (_place, gallery) = gallery(20, true);
    let error = calibrate(&gallery, &Silent, &Cancel::new()).unwrap_err();
    assert!(
        matches!(error, Error::Calibrate(CalibrateError::TooFew { probes: 40, .. })),
        "{error}"
    );
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(calibrate(&gallery, &Silent, &cancel).is_err());
}

fn lookalike(arguments: &[&str]) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_lookalike");
    let ran = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn a_calibrated_gallery_answers_strangers_with_nobody() {
    let (place, gallery) = gallery(400, true);
    let path = gallery.path().to_str().unwrap().to_owned();
    let stranger = place.path("stranger.jsonl");
    // As far from everybody as anybody can be: the mean of nobody's photos.
    std::fs::write(&stranger, format!("{:?}\n", vec![1.0; DIMS])).unwrap();
    let probe = stranger.to_str().unwrap();
    let search = |more: &[&str]| lookalike(&[&["search", &path, "--probes", probe], more].concat());
    let (status, _, told) = search(&["--fpir", "0.01"]);
    assert_eq!(status, 1);
    assert!(told.contains("is not calibrated") && told.contains("lookalike calibrate"), "{told}");
    assert!(search(&[]).1.starts_with("no threshold"));

    let (status, table, told) = lookalike(&["calibrate", &path]);
    assert_eq!(status, 0, "{told}");
    for text in ["800 probes", "0.0100", "this gallery's own", "Mates missed"] {
        assert!(table.contains(text), "{table}");
    }
    let (_, own, _) = search(&[]);
    assert!(own.starts_with("at most 10 matches at similarity >= "), "{own}");
    assert!(own.contains("FPIR 0.01"), "{own}");
    assert!(own.contains("this gallery's own") && own.contains("no face"), "{own}");
    // Where no head is printed, it is said beside.
    for format in ["json", "csv"] {
        let (_, _, told) = search(&["--format", format]);
        assert!(told.contains("FPIR 0.01, this gallery's own"), "{told}");
        assert_eq!(search(&["--format", format, "--min-similarity", "0.5"]).2, "");
    }
    let filtered = search(&["--where", "source = a"]).1;
    assert!(filtered.contains("FPIR 0.01 of the whole gallery, this gallery's own"), "{filtered}");
    assert!(search(&["--fpir", "0.005"]).1.contains("FPIR 0.005)"));
    let (status, _, told) = search(&["--fpir", "0.001"]);
    assert!(status == 1 && told.contains("800 probes"), "{told}");
    assert!(search(&["--min-similarity", "-1", "-k", "1"]).1.starts_with("at most 1 match"));
    for wrong in
        [&["--fpir", "0"][..], &["--fpir", "1"], &["--fpir", "0.1", "--min-similarity", "0"]]
    {
        assert_eq!(search(wrong).0, 2);
    }
    let (_, shown, _) = lookalike(&["show", &path]);
    assert!(shown.contains("thresholds") && shown.contains("800 probes"), "{shown}");
    let (_, shown, _) = lookalike(&["show", &path, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["calibration"]["thresholds"].as_array().unwrap().len(), 2);
    assert!(verify(&path, &Silent).unwrap().faults.is_empty());

    let kept = gallery.path().join("calibration.json");
    let text = std::fs::read_to_string(&kept).unwrap().replacen("0.", "1.", 1);
    std::fs::write(&kept, text).unwrap();
    assert_eq!(verify(&path, &Silent).unwrap().faults.len(), 1);
    let (status, _, told) = search(&[]);
    assert!(status == 1 && told.contains("calibration.json is damaged"), "{told}");
    // Who says how alike needs no calibration.
    assert_eq!(search(&["--min-similarity", "0.5"]).0, 0);
}

#[test]
fn a_gallery_that_is_replaced_is_calibrated_again() {
    let (_place, gallery) = gallery(400, true);
    let path = gallery.path().to_str().unwrap().to_owned();
    assert_eq!(lookalike(&["calibrate", &path]).0, 0);
    let before = gallery.calibration().unwrap().unwrap();
    let (larger, _) = self::gallery(900, true);
    let [faces, manifest] =
        ["faces.npy", "faces.csv"].map(|name| larger.path(name).to_str().unwrap().to_owned());
    let build = |replace: &[&str]| {
        let args = ["build", &path, "--embeddings", &faces, "--manifest", &manifest];
        lookalike(&[&args[..], replace].concat())
    };
    let mut replaced = before;
    for round in 0..2 {
        let own = replaced.threshold(0.01, replaced.faces).unwrap().similarity;
        assert_eq!(build(&["--replace"]).0, 0);
        let grown = Gallery::open(&path).unwrap();
        assert_eq!(grown.len(), 1800);
        assert!(verify(grown.path(), &Silent).unwrap().faults.is_empty());
        let again = grown.calibration().unwrap().unwrap();
        let afresh = calibrate(&grown, &Silent, &Cancel::new()).unwrap();
        assert_eq!((again.faces, &again.strangers), (1800, &afresh.strangers));
        let earlier = again.earlier.unwrap();
        assert_eq!((earlier.faces, earlier.similarity), (replaced.faces, Some(own)));
        let (_, json, _) = lookalike(&["show", &path, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let now = json["calibration"]["since_grown"]["fpir"].as_f64().unwrap();
        let (_, shown, _) = lookalike(&["show", &path]);
        if round == 0 {
            // Among more strangers a threshold must be higher for the same rate.
            assert!((0.011..0.04).contains(&now), "{now}");
            assert!(again.threshold(0.01, 1800).unwrap().similarity > own);
            assert!(shown.contains("when it had 800 faces"), "{shown}");
        } else {
            assert!((0.009..0.011).contains(&now), "{now}");
        }
        replaced = again;
    }
    // Too few faces to say anything of: what is known of more is carried over.
    let (few, _) = self::gallery(50, true);
    let [faces_of_few, manifest_of_few] =
        ["faces.npy", "faces.csv"].map(|name| few.path(name).to_str().unwrap().to_owned());
    let args = ["build", &path, "--embeddings", &faces_of_few, "--manifest", &manifest_of_few];
    let (status, _, told) = lookalike(&[&args[..], &["--replace"]].concat());
    assert!(status == 0 && told.contains("at least 400 faces"), "{told}");
    let (_, shown, _) = lookalike(&["show", &path]);
    assert!(shown.contains("carried over from 1,800 faces"), "{shown}");
    let (_, found, _) = lookalike(&["search", &path, "--face", "1"]);
    assert!(found.contains("carried from 1,800 faces"), "{found}");
    assert!(Gallery::open(&path).unwrap().calibration().unwrap().unwrap().carried);
    // Another model's means nothing here, and neither does one that cannot be read; but that there is
    // one says what is wanted.
    for damage in [false, true] {
        if damage {
            std::fs::write(std::path::Path::new(&path).join("calibration.json"), "{").unwrap();
        }
        assert_eq!(build(&["--replace", "--model", "a"]).0, 0);
        let found = Gallery::open(&path).unwrap().calibration().unwrap().unwrap();
        assert_eq!((found.faces, found.carried, found.earlier), (1800, false, None));
    }
    let (status, _, told) = lookalike(&[&args[..], &["--replace", "--model", "b"]].concat());
    assert!(status == 0 && !told.contains("carried over"), "{told}");
    assert_eq!(Gallery::open(&path).unwrap().calibration().unwrap(), None);
    assert_eq!(build(&["--replace"]).0, 0);
    assert_eq!(lookalike(&["calibrate", &path]).0, 0);
    assert!(!lookalike(&["show", &path]).1.contains("when it had"));
}

#[test]
fn of_people_with_too_many_photos_nothing_is_said_of_other_sizes() {
    let mut random = Random(5);
    let mut rows = Vec::new();
    let mut manifest = "subject\n".to_owned();
    for person in 0..20 {
        let face = random.vector(DIMS);
        for _ in 0..300 {
            rows.push(random.near(&face, 0.2));
            manifest.push_str(&format!("s{person}\n"));
        }
    }
    let place = Place::of(&rows).manifest(&manifest);
    let gallery = place.built();
    let calibration = calibrate(&gallery, &Silent, &Cancel::new()).unwrap();
    // The nearest thousand are of three or four people, and most draws want a later one.
    assert!(calibration.beyond > 0.3, "{}", calibration.beyond);
    assert!(calibration.threshold(0.1, 6000).is_some());
    assert_eq!(calibration.threshold(0.1, 12_000), None);
}
