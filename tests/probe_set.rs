//! Several probes of one person, fused into one answer.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::sync::LazyLock;

use common::{Place, Random, embedding, lookalike, write_npy};
use lookalike::search::Fusion;
use lookalike::{Embedding, Error, FaceId, Gallery, Query, SearchError};
use proptest::prelude::*;
use serde_json::Value;

const DIMS: usize = 16;
const FACES: u64 = 500;

struct Known {
    gallery: Gallery,
    rows: Vec<Vec<f32>>,
    place: Place,
}

/// People with five photos each, two copies of a face among them.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut random = Random(401);
    let mut rows: Vec<Vec<f32>> = Vec::new();
    for _ in 0..FACES / 5 {
        let person = random.vector(DIMS);
        rows.extend((0..5).map(|_| random.near(&person, 0.5)));
    }
    rows[6] = rows[5].clone();
    let lines: String = (0..FACES).map(|face| format!("s{}\n", face / 5)).collect();
    let place = Place::of(&rows).manifest(&format!("subject\n{lines}"));
    Known { gallery: place.built(), rows, place }
});

/// The best similarity of each face with any of the probes.
fn best(gallery: &Gallery, probes: &[Embedding], face: u64) -> f32 {
    let each = probes.iter().map(|probe| gallery.similarity(probe, FaceId(face)).unwrap());
    each.fold(-1.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn fused_answers_are_those_of_brute_force(
        seed in 0_u64..1000, count in 1_usize..6, k in 1_usize..30, least in -0.2_f32..0.9,
    ) {
        let Known { gallery, rows, .. } = &*KNOWN;
        let mut random = Random(seed);
        let person = random.below(FACES as usize / 5) * 5;
        let probes: Vec<Embedding> =
            (0..count).map(|at| embedding(&random.near(&rows[person + at % 5], 0.6))).collect();
        let query = Query::new().top(k).at_least(least);
        let found = gallery.search_set(&probes, &query, Fusion::Best).unwrap();
        let mut expected: Vec<(f32, u64)> =
            (0..FACES).map(|face| (best(gallery, &probes, face), face)).collect();
        expected.retain(|face| face.0 >= least);
        expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        expected.truncate(k);
        let shown = |found: &lookalike::Matches<'_>| -> Vec<(f32, u64)> {
            found.iter().map(|face| (face.similarity, face.face_id.0)).collect()
        };
        prop_assert_eq!(shown(&found), expected.clone());
        let all = gallery.search_set(&probes, &Query::new().at_least(least), Fusion::Best).unwrap();
        let count_all =
            (0..FACES).filter(|&face| best(gallery, &probes, face) >= least).count();
        prop_assert_eq!(all.len(), count_all);

        // Subjects: each with its best faces by any probe.
        let query = query.group_by_subject().per_subject(3);
        let found = gallery.search_set(&probes, &query, Fusion::Best).unwrap();
        let mut people: HashMap<u64, Vec<(f32, u64)>> = HashMap::new();
        for face in 0..FACES {
            let similarity = best(gallery, &probes, face);
            if similarity >= least {
                people.entry(face / 5).or_default().push((similarity, face));
            }
        }
        let mut people: Vec<Vec<(f32, u64)>> = people.into_values().collect();
        for faces in &mut people {
            faces.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            faces.truncate(3);
        }
        people.sort_by(|a, b| b[0].0.total_cmp(&a[0].0).then(a[0].1.cmp(&b[0].1)));
        people.truncate(k);
        prop_assert_eq!(shown(&found), people.concat());
        prop_assert_eq!(found.groups().count(), people.len());

        // By ranks: 1 / (60 + rank) among the hundred nearest of each probe.
        let mut scores: HashMap<u64, f64> = HashMap::new();
        for probe in &probes {
            let nearest = gallery.search(probe, &Query::new().top(100)).unwrap();
            for (face, rank) in nearest.iter().zip(1_u32..) {
                *scores.entry(face.face_id.0).or_default() += 1.0 / (60.0 + f64::from(rank));
            }
        }
        let mut ranked: Vec<(f64, f32, u64)> = scores
            .into_iter()
            .map(|(face, score)| (score, best(gallery, &probes, face), face))
            .collect();
        ranked.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2))
        });
        let expected: Vec<(f32, u64)> = ranked.iter().map(|one| (one.1, one.2)).take(k).collect();
        let query = Query::new().top(k);
        let found = gallery.search_set(&probes, &query, Fusion::ReciprocalRank).unwrap();
        prop_assert_eq!(shown(&found), expected);

        // The mean of unit vectors is one probe like another.
        let sum = |at: usize| probes.iter().map(|probe| probe.values()[at]).sum::<f32>();
        let mean = embedding(&(0..DIMS).map(sum).collect::<Vec<_>>());
        let found = gallery.search_set(&probes, &query, Fusion::Mean).unwrap();
        let expected = gallery.search(&mean, &query).unwrap();
        for (a, b) in found.iter().zip(&expected) {
            prop_assert!((a.similarity - b.similarity).abs() < 1e-5);
        }
        prop_assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn templates_are_fused_too() {
    let Known { gallery, rows, .. } = &*KNOWN;
    let probes = [embedding(&rows[40]), embedding(&rows[43])];
    let query = Query::new()
        .group_by_subject()
        .subject_score(lookalike::search::SubjectScore::Template)
        .top(5);
    let found = gallery.search_set(&probes, &query, Fusion::Best).unwrap();
    assert_eq!((found.len(), found[0].face_id.0 / 5), (5, 8));
    for face in &found {
        let subject = face.face().unwrap().subject.unwrap();
        let each = probes.iter().map(|p| gallery.similarity_with_template(p, &subject).unwrap());
        assert_eq!(face.subject_similarity, Some(each.fold(-1.0, f32::max)));
    }
}

#[test]
fn a_set_without_a_meaning_is_refused() {
    let Known { gallery, rows, .. } = &*KNOWN;
    let error = gallery.search_set(&[], &Query::new(), Fusion::Mean).unwrap_err();
    assert!(matches!(error, Error::Search(SearchError::NoProbe)), "{error}");
    let opposite: Vec<f32> = rows[0].iter().map(|value| -value).collect();
    let probes = [embedding(&rows[0]), embedding(&opposite)];
    let error = gallery.search_set(&probes, &Query::new(), Fusion::Mean).unwrap_err();
    assert!(matches!(error, Error::Search(SearchError::NoMean)), "{error}");
    assert_eq!(gallery.search_set(&probes, &Query::new(), Fusion::Best).unwrap().len(), 10);
    let probes = [embedding(&rows[0]), embedding(&[1.0; 3])];
    for fusion in [Fusion::Mean, Fusion::Best, Fusion::ReciprocalRank] {
        let error = gallery.search_set(&probes, &Query::new(), fusion).unwrap_err();
        assert!(matches!(error, Error::Search(SearchError::Dims { .. })), "{error}");
    }
}

/// Probes 0, 2, 4 are of one set, 1 of another with 5, and 3 stands alone; 4 and 5 are damaged.
fn command() -> (Place, Vec<String>) {
    let Known { rows, place, .. } = &*KNOWN;
    let mut probes: Vec<Vec<f32>> =
        [100, 205, 101, 310, 102, 206].iter().map(|&row: &usize| rows[row].clone()).collect();
    probes[4][3] = f32::NAN;
    probes[5] = vec![0.0; DIMS];
    let own = Place::new();
    write_npy(&own.path("probes.npy"), &probes);
    let manifest = "case,image\nann,a.jpg\nbob,b.jpg\nann,c.jpg\n,d.jpg\nann,e.jpg\nbob,f.jpg\n";
    std::fs::write(own.path("probes.csv"), manifest).unwrap();
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let args = [
        "search".to_owned(),
        text(place.gallery()),
        "--probes".to_owned(),
        text(own.path("probes.npy")),
        "--probe-manifest".to_owned(),
        text(own.path("probes.csv")),
    ];
    (own, args.into())
}

#[test]
fn the_command_answers_each_set_once() {
    let (place, args) = command();
    let ask =
        |more: &[&str]| lookalike(args.iter().map(String::as_str).chain(more.iter().copied()));
    for fuse in ["mean", "best", "reciprocal-rank"] {
        let more = ["--probe-set", "case", "--fuse", fuse, "-k", "3", "--format", "json"];
        let ran = ask(&more);
        assert_eq!(ran.status, 1, "{}", ran.err);
        let lines: Vec<Value> =
            ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<u64> = lines.iter().map(|line| line["probe"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [3, 4, 0, 5, 1], "{}", ran.out);
        assert!(lines[0].get("set").is_none() && lines[0]["matches"][0]["face_id"] == 310);
        assert!(lines[1]["error"].as_str().unwrap().contains("NaN"), "{}", lines[1]);
        assert_eq!((&lines[2]["set"], &lines[2]["probes"]), (&"ann".into(), &[0, 2].into()));
        assert_eq!(lines[2]["matches"][0]["subject"], "s20");
        assert_eq!(lines[2]["matches"].as_array().unwrap().len(), 3);
        assert!(lines[3]["error"].as_str().unwrap().contains("zero"), "{}", lines[3]);
        assert_eq!((&lines[4]["set"], &lines[4]["probes"]), (&"bob".into(), &[1].into()));
    }
    let sheet = place.path("sheet.html");
    let more = ["--probe-set", "case", "--group-by", "subject", "--explain", "--html"];
    let ran = ask(&[&more[..], &[sheet.to_str().unwrap()]].concat());
    assert!(ran.out.contains("ann  probes 0, 2"), "{}", ran.out);
    assert!(ran.out.contains("plan: "), "{}", ran.out);
    let html = std::fs::read_to_string(sheet).unwrap();
    assert!(html.contains("fused of 2 probes"));
    let ran = ask(&["--probe-set", "case", "--format", "csv"]);
    assert!(ran.out.lines().next().unwrap().ends_with(",error,set"), "{}", ran.out);
    assert!(ran.out.lines().any(|line| line.starts_with("0,1,") && line.ends_with(",ann")));
}

#[test]
fn what_makes_no_sets_is_wrong_usage() {
    let (_place, args) = command();
    let ask =
        |more: &[&str]| lookalike(args.iter().map(String::as_str).chain(more.iter().copied()));
    let ran = ask(&["--probe-set", "person"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("case, image"), "{}", ran.err);
    let ran = ask(&["--fuse", "best"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("--probe-set"), "{}", ran.err);
    let known = KNOWN.place.gallery();
    let ran = lookalike(["search", known.to_str().unwrap(), "--face", "1", "--probe-set", "case"]);
    assert_eq!(ran.status, 2, "{}", ran.out);
}
