//! Small galleries whose answers are known by hand, and galleries whose answers have to agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{Build, Builder, Cancel, Embedding, Error, Gallery, Silent, VectorType};

/// A gallery of faces, each with its subject.
fn gallery(
    faces: &[(&[f32], &str)],
    describe: impl FnOnce(Build) -> Build,
) -> (tempfile::TempDir, Gallery) {
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut lines) = (String::new(), "subject,nth\n".to_owned());
    for (nth, (values, subject)) in faces.iter().enumerate() {
        writeln!(rows, "{values:?}").unwrap();
        writeln!(lines, "{subject},{nth}").unwrap();
    }
    let (embeddings, manifest) = (folder.path().join("e.jsonl"), folder.path().join("m.csv"));
    std::fs::write(&embeddings, rows).unwrap();
    std::fs::write(&manifest, lines).unwrap();
    let place = folder.path().join("people.gallery");
    let build = Build::new(&place, embeddings).manifest(manifest).threads(1);
    describe(build).run(&Silent, &Cancel::new()).unwrap();
    let gallery = Gallery::open(place).unwrap();
    (folder, gallery)
}

fn plain(faces: &[(&[f32], &str)]) -> (tempfile::TempDir, Gallery) {
    gallery(faces, |build| build.builder(Builder::None))
}

fn probe(values: &[f32]) -> Embedding {
    Embedding::new(values.to_vec()).unwrap()
}

fn exact(gallery: &Gallery, probes: &[Embedding], k: usize, query: &Query) -> Exact {
    Exact::of(gallery, probes, k, query, &Silent).unwrap()
}

/// Four faces, ever less like `[1, 0]`.
const FOUR: [(&[f32], &str); 4] =
    [(&[1.0, 0.0], "ann"), (&[1.0, 0.5], "bob"), (&[1.0, 1.0], "ann"), (&[0.0, 1.0], "ann")];

fn ids(exact: &Exact) -> Vec<Vec<u64>> {
    exact.faces().map(|faces| faces.iter().map(|face| face.0).collect()).collect()
}

#[test]
fn hits_are_of_the_mates_among_the_exact_top() {
    let (_folder, gallery) = plain(&FOUR);
    let probes = [probe(&[1.0, 0.0]), probe(&[0.0, 1.0]), probe(&[1.0, 0.1])];
    let subjects = [Some("ann".to_owned()), None, Some("eve".to_owned())];
    let exact = exact(&gallery, &probes, 3, &Query::new());
    assert_eq!(ids(&exact), [[0, 1, 2], [3, 2, 1], [0, 1, 2]]);
    let mates = Mates::of(&gallery, &subjects, &exact).unwrap();
    // The third probe names somebody who is not enrolled.
    assert_eq!((mates.mated(), mates.strangers()), (1, 1));
    let in_top: Vec<u64> =
        mates.probes()[0].as_ref().unwrap().in_top.iter().map(|face| face.0).collect();
    // Face 3 is a mate too, but not among the exact top 3.
    assert_eq!(in_top, [0, 2]);
    let truth = Truth::new(exact).mates(mates);
    let measured = measure(&gallery, &probes, &truth, &Query::new(), 1).unwrap();
    assert_eq!((measured.recall, measured.hit_rate), (Some(1.0), Some(1.0)));
    assert_eq!((measured.mated, measured.rank1), (Some(1), Some(1.0)));
    assert!(measured.mated_qps.is_some() && measured.non_mated_qps.is_some());
    assert_eq!(measured.vectors_read, 4.0);
    assert!((3..=5).contains(&measured.runs) && measured.p50_us <= measured.p99_us);
}

#[test]
fn fewer_faces_than_k_are_all_there_is_to_find() {
    let (_folder, gallery) = plain(&FOUR);
    let probes = [probe(&[1.0, 0.2])];
    let searched = exact(&gallery, &probes, 10, &Query::new());
    let listed = Exact::listed(&gallery, &probes, 10, 4, &[0, 1, 2, 3]).unwrap();
    for exact in [searched, listed] {
        assert_eq!(exact.faces().map(<[_]>::len).collect::<Vec<_>>(), [4]);
        let measured = measure(&gallery, &probes, &Truth::new(exact), &Query::new(), 1).unwrap();
        assert_eq!((measured.recall, measured.k, measured.mated), (Some(1.0), 10, None));
    }
}

#[test]
fn a_tie_may_stand_for_the_face_listed() {
    let twins: [(&[f32], &str); 3] =
        [(&[1.0, 0.0], "ann"), (&[1.0, 0.0], "bob"), (&[0.0, 1.0], "eve")];
    for vectors in [VectorType::F32, VectorType::F16] {
        let (_folder, gallery) =
            gallery(&twins, |build| build.builder(Builder::None).vectors(vectors));
        let probes = [probe(&[1.0, 0.0])];
        for listed in [0, 1] {
            let exact = Exact::listed(&gallery, &probes, 1, 1, &[listed]).unwrap();
            let measured =
                measure(&gallery, &probes, &Truth::new(exact), &Query::new(), 1).unwrap();
            assert_eq!(measured.recall, Some(1.0));
        }
    }
}

#[test]
fn filters_hold_for_the_truth_as_well() {
    let (_folder, gallery) = plain(&FOUR);
    let probes = [probe(&[1.0, 0.0])];
    let query = Query::new().filter("subject = ann".parse().unwrap());
    let filtered = exact(&gallery, &probes, 2, &query);
    assert_eq!(ids(&filtered), [[0, 2]]);
    let measured = measure(&gallery, &probes, &Truth::new(filtered), &query, 1).unwrap();
    assert_eq!((measured.recall, measured.k), (Some(1.0), 2));
    let whole = Truth::new(exact(&gallery, &probes, 2, &Query::new()));
    let error = measure(&gallery, &probes, &whole, &query, 1).unwrap_err();
    assert!(matches!(error, Error::Evaluate(EvaluateError::OtherQuery)), "{error}");
    let nobody = Query::new().filter("subject = eve".parse().unwrap());
    let nothing = Truth::new(exact(&gallery, &probes, 2, &nobody));
    assert_eq!(measure(&gallery, &probes, &nothing, &nobody, 1).unwrap().recall, None);
}

#[test]
fn lists_that_cannot_be_the_truth_are_refused() {
    let (_folder, gallery) = plain(&FOUR);
    let probes = [probe(&[1.0, 0.0])];
    let refused = |k, columns, ids: &[i64]| -> String {
        Exact::listed(&gallery, &probes, k, columns, ids).unwrap_err().to_string()
    };
    assert!(refused(3, 2, &[0, 1]).contains("lists 2 faces a probe where k is 3"));
    assert!(refused(2, 2, &[0, -1]).contains("-1"));
    assert!(refused(2, 2, &[0, 0]).contains("twice"));
    assert!(refused(2, 2, &[3, 0]).contains("less similar"));
    assert!(refused(2, 3, &[0, 8, 9]).contains("1 are in this gallery"));
    assert!(refused(1, 1, &[0, 1]).contains("about 2 probes and there are 1"));
    assert!(refused(0, 1, &[0]).contains("at least 1"));
    // A face that was rejected makes way for the next one.
    let exact = Exact::listed(&gallery, &probes, 2, 3, &[0, 9, 1]).unwrap();
    assert_eq!(ids(&exact), [[0, 1]]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let (_folder, gallery) = plain(&FOUR);
    let probes = [probe(&[1.0, 0.0])];
    let truth = Truth::new(exact(&gallery, &probes, 1, &Query::new()));
    let error = measure(&gallery, &[], &truth, &Query::new(), 1).unwrap_err();
    assert!(matches!(error, Error::Evaluate(EvaluateError::NoProbes)));
    let two = [probe(&[1.0, 0.0]), probe(&[1.0, 0.0])];
    let error = measure(&gallery, &two, &truth, &Query::new(), 1).unwrap_err();
    assert!(error.to_string().contains("about 1 probes and there are 2"), "{error}");
    let beam = Setting::Beam(4).apply(Query::new());
    let error = measure(&gallery, &probes, &truth, &beam, 1).unwrap_err();
    assert!(error.to_string().contains("without a graph"), "{error}");
    let cancel = Cancel::new();
    cancel.cancel();
    for threads in [1, 2] {
        let query = Query::new().cancel(cancel.clone());
        let error = measure(&gallery, &probes, &truth, &query, threads).unwrap_err();
        assert!(error.to_string().contains("cancelled"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn exhaustive_search_finds_all_and_a_beam_no_more(
        values in prop::collection::vec(prop::collection::vec(-9_i8..9, 4), 20..80),
        half in any::<bool>(),
        k in 1_usize..12,
        threads in 1_usize..3,
    ) {
        let rows: Vec<Vec<f32>> = values.iter()
            .map(|row| row.iter().map(|&v| f32::from(v)).collect())
            .filter(|row: &Vec<f32>| row.iter().any(|&v| v != 0.0))
            .collect();
        let people = ["ann", "bob", "eve"];
        let faces: Vec<(&[f32], &str)> =
            rows.iter().enumerate().map(|(i, row)| (row.as_slice(), people[i % 3])).collect();
        let vectors = if half { VectorType::F16 } else { VectorType::F32 };
        let (_folder, gallery) = gallery(&faces, |build| build.vectors(vectors));
        let probes: Vec<Embedding> = rows.iter().step_by(3).map(|row| probe(row)).collect();
        let subjects: Vec<Option<String>> = (0..probes.len())
            .map(|i| people.get(i % 4).map(|&name| name.to_owned()))
            .collect();
        let exact = exact(&gallery, &probes, k, &Query::new());
        let mates = Mates::of(&gallery, &subjects, &exact).unwrap();
        let truth = Truth::new(exact).mates(mates);
        for setting in [Setting::Exhaustive, Setting::Default, Setting::Beam(1)] {
            let query = setting.apply(Query::new());
            let measured = measure(&gallery, &probes, &truth, &query, threads).unwrap();
            let (recall, hits) = (measured.recall.unwrap(), measured.hit_rate.unwrap_or(1.0));
            prop_assert!((0.0..=1.0).contains(&recall) && (0.0..=1.0).contains(&hits));
            if setting == Setting::Exhaustive {
                prop_assert_eq!((recall, hits), (1.0, 1.0));
            }
        }
    }
}
