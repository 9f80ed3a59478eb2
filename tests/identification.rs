//! What `evaluate` says of the sample is what NumPy and scikit-learn say: `tests/reference/evaluate.py`
//! computed the figures that are in the file beside it.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::{lookalike, sample, write_npy};
use lookalike::ingest::{Embeddings, Line, Manifest};
use serde_json::Value;

/// How far two generators' intervals may lie apart.
const DRAWN: f64 = 0.02;
/// A threshold is a number of single precision, the reference's is not.
const SINGLE: f64 = 1e-6;

fn reference(case: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/evaluate.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    all[case].clone()
}

/// Runs the command in a folder; what it printed.
fn done(folder: &Path, line: &str) -> String {
    let place = |word: &str| match word.strip_prefix('@') {
        Some(name) => folder.join(name).to_str().unwrap().to_owned(),
        None => word.to_owned(),
    };
    let ran = lookalike(line.split_whitespace().map(place));
    assert_eq!(ran.status, 0, "{line}: {}", ran.err);
    ran.out
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn rows(name: &str) -> Vec<Vec<f32>> {
    let file = Embeddings::open(&sample(name), None).unwrap();
    let read = |row| {
        let mut values = vec![0.0; file.dims()];
        file.read(row, &mut values).unwrap();
        values
    };
    (0..file.rows()).map(read).collect()
}

/// The sample, as gallery `g`, `probes.npy` and `probes.csv`.
fn whole() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["embeddings.npy", "manifest.csv", "probes.npy", "probes.csv"] {
        fs::copy(sample(name), at.join(name)).unwrap();
    }
    done(at, "build @g --embeddings @embeddings.npy --manifest @manifest.csv --threads 1");
    folder
}

/// The same of the reference's second case: of 60 people every other photo is enrolled, all other
/// photos are probes.
fn split() -> tempfile::TempDir {
    let manifest = Manifest::open(&sample("manifest.csv")).unwrap();
    let lines: Vec<Line> = manifest.iter().unwrap().map(Result::unwrap).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut enrolled, mut subjects) = (Vec::new(), "subject\n".to_owned());
    let (mut probes, mut known) = (Vec::new(), "source,subject\n".to_owned());
    for (line, values) in lines.into_iter().zip(rows("embeddings.npy")) {
        let subject = line.subject.unwrap();
        let nth = seen.entry(subject.clone()).or_default();
        if subject.as_str() < "subject-060" && nth.is_multiple_of(2) {
            enrolled.push(values);
            subjects += &format!("{subject}\n");
        } else {
            probes.push(values);
            known += &format!("{},{subject}\n", line.source.unwrap());
        }
        *nth += 1;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_npy(&at.join("embeddings.npy"), &enrolled);
    write_npy(&at.join("probes.npy"), &probes);
    fs::write(at.join("manifest.csv"), subjects).unwrap();
    fs::write(at.join("probes.csv"), known).unwrap();
    done(at, "build @g --embeddings @embeddings.npy --manifest @manifest.csv --threads 1");
    folder
}

const EVALUATE: &str = "evaluate @g --probes @probes.npy --truth @probes.csv --format json";

fn near(got: &Value, expected: &Value, by: f64, what: &str) {
    let (a, b) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((a - b).abs() <= by, "{what}: {a}, expected {b}");
}

/// Counts to the last, shares as exactly as they can be, intervals as near as chance allows.
fn hold_estimate(got: &Value, expected: &Value, what: &str) {
    for field in ["count", "of"] {
        assert_eq!(got[field], expected[field], "{what}, {field}: {got}");
    }
    near(&got["value"], &expected["value"], 1e-12, what);
    let value = got["value"].as_f64().unwrap();
    let (low, high) = (got["low"].as_f64().unwrap(), got["high"].as_f64().unwrap());
    assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{what}: {got}");
    if expected["interval"].is_array() && value > 0.0 && value < 1.0 {
        near(&got["low"], &expected["interval"][0], DRAWN, what);
        near(&got["high"], &expected["interval"][1], DRAWN, what);
    }
}

fn hold(got: &Value, expected: &Value, what: &str) {
    for field in ["mated", "non_mated"] {
        assert_eq!(got[field], expected[field], "{what}, {field}");
    }
    assert_eq!(got["resamples"], 1000);
    for field in ["recall", "hit_rate"] {
        hold_estimate(&got[field], &expected[field], &format!("{what}, {field}"));
    }
    let list = |of: &Value, field: &str| of[field].as_array().unwrap().clone();
    let (ranks, expected_ranks) = (list(got, "cmc"), list(expected, "cmc"));
    assert_eq!(ranks.len(), expected_ranks.len(), "{what}");
    for (got, expected) in ranks.iter().zip(&expected_ranks) {
        assert_eq!(got["rank"], expected["rank"]);
        hold_estimate(got, expected, &format!("{what}, rank {}", got["rank"]));
    }
    let (points, expected_points) = (list(got, "open_set"), list(expected, "open_set"));
    assert_eq!(points.len(), expected_points.len(), "{what}");
    for (got, expected) in points.iter().zip(&expected_points) {
        let what = format!("{what}, FPIR {}", expected["asked_fpir"]);
        assert_eq!(got["asked_fpir"], expected["asked_fpir"], "{what}");
        assert_eq!(got["people_needed"], expected["people_needed"], "{what}");
        if expected["threshold"].is_null() {
            let nothing = ["threshold", "fpir", "fnir"].iter().all(|field| got[field].is_null());
            assert!(nothing, "{what}: {got}");
            continue;
        }
        near(&got["threshold"], &expected["threshold"], SINGLE, &what);
        hold_estimate(&got["fpir"], &expected["fpir"], &format!("{what}, fpir"));
        hold_estimate(&got["fnir"], &expected["fnir"], &format!("{what}, fnir"));
    }
}

#[test]
fn the_sample_is_as_the_reference_says() {
    let folder = whole();
    let reference = reference("sample");
    for line in lines(&done(folder.path(), &format!("{EVALUATE} --hit-rate 1 --exhaustive"))) {
        let what = line["setting"].to_string();
        hold(&line["identification"], &reference["all"], &what);
        hold(&line["exhaustive"], &reference["all"], &what);
        for (field, value) in [
            ("recall", &reference["all"]["recall"]["value"]),
            ("hit_rate", &reference["all"]["hit_rate"]["value"]),
            ("rank1", &reference["all"]["cmc"][0]["value"]),
        ] {
            near(&line[field], value, 1e-12, field);
        }
        assert!(line.get("groups").is_none() && line.get("by").is_none());
    }
}

#[test]
fn photos_of_few_people_and_their_groups_are_as_the_reference_says() {
    let folder = split();
    let reference = reference("split");
    let line = &lines(&done(folder.path(), &format!("{EVALUATE} --exhaustive --by source")))[0];
    hold(&line["identification"], &reference["all"], "all");
    assert_eq!(line["by"], "source");
    let groups = line["groups"].as_array().unwrap();
    assert_eq!(groups.len(), reference["groups"].as_object().unwrap().len());
    for group in groups {
        let value = group["value"].as_str().unwrap();
        hold(&group["identification"], &reference["groups"][value], value);
    }
    // Equal input gives equal figures, down to the intervals.
    let again = &lines(&done(folder.path(), &format!("{EVALUATE} --exhaustive --by source")))[0];
    for field in ["identification", "exhaustive", "groups"] {
        assert_eq!(line[field], again[field]);
    }
}

/// What a narrow walk misses is counted from its own answers, by the reference's exact ones.
#[test]
fn a_search_that_misses_is_judged_by_what_it_returned() {
    let folder = split();
    let at = folder.path();
    let top = &reference("split")["top"];
    let known = Manifest::open(&at.join("probes.csv")).unwrap();
    let subjects = known.iter().unwrap().map(|line| line.unwrap().subject.unwrap());
    let owners = Manifest::open(&at.join("manifest.csv")).unwrap();
    let owners: Vec<String> =
        owners.iter().unwrap().map(|line| line.unwrap().subject.unwrap()).collect();
    let answers = lines(&done(at, "search @g --probes @probes.npy -k 10 --beam 1 --format json"));
    let (mut recalled, mut hits, mut mates, mut first) = (0, 0, 0, 0);
    for ((answer, exact), subject) in answers.iter().zip(top.as_array().unwrap()).zip(subjects) {
        let found: Vec<u64> = answer["matches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|face| face["face_id"].as_u64().unwrap())
            .collect();
        let exact: Vec<u64> =
            exact.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        let is_mate = |id: &&u64| owners[**id as usize] == subject;
        recalled += exact.iter().filter(|id| found.contains(id)).count();
        mates += exact.iter().filter(is_mate).count();
        hits += exact.iter().filter(is_mate).filter(|id| found.contains(id)).count();
        first += found.iter().take(1).filter(is_mate).count();
    }
    let line = &lines(&done(at, &format!("{EVALUATE} --beams 1")))[0]["identification"];
    assert_eq!(line["recall"]["count"], recalled);
    assert_eq!(
        (&line["hit_rate"]["count"], &line["hit_rate"]["of"]),
        (&hits.into(), &mates.into())
    );
    assert_eq!(line["cmc"][0]["count"], first);
    assert!(recalled < 10 * answers.len(), "the walk misses nothing: the test shows nothing");
}
