//! Clusters of a gallery: people, with what must and must not be one person kept always, in a form
//! that a build takes.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use common::{Place, Random, lookalike, run, sample};
use lookalike::cluster::{ClusterError, Clustering, read_not_same};
use lookalike::pairs::{Format, PairsError};
use lookalike::synth::{Profile, Synth};
use lookalike::{Build, Builder, Cancel, Error, FaceId, Gallery, Silent};
use proptest::prelude::*;
use serde_json::Value;

const DIMS: usize = 16;

fn people(gallery: &Gallery, clustering: &Clustering) -> BTreeMap<u64, u64> {
    let clusters = clustering.run(gallery, &Silent, &Cancel::new()).unwrap();
    let ids: Vec<FaceId> = gallery.faces().map(|face| face.unwrap().face_id).collect();
    let people: BTreeMap<u64, u64> =
        ids.iter().map(|&id| (id.0, clusters.person(gallery, id).unwrap().0)).collect();
    // A person is named by the first of the faces.
    for (face, person) in &people {
        assert!(person <= face && people[person] == *person);
    }
    let count = people.values().collect::<BTreeSet<_>>().len();
    assert_eq!(clusters.count(), count as u64);
    people
}

/// The mean similarity of the faces of two clusters.
fn mean(gallery: &Gallery, one: &[u64], other: &[u64]) -> f32 {
    let mut sum = 0.0;
    for &a in one {
        let embedding = gallery.embedding(FaceId(a)).unwrap();
        for &b in other {
            sum += gallery.similarity(&embedding, FaceId(b)).unwrap();
        }
    }
    sum / (one.len() * other.len()) as f32
}

fn built(rows: &[Vec<f32>], manifest: &str) -> (Place, Gallery) {
    let place = Place::of(rows).manifest(manifest);
    run(&place.build().builder(Builder::None)).unwrap();
    let gallery = place.open();
    (place, gallery)
}

#[test]
fn nobody_is_chained_to_somebody_else() {
    // A fan of photos in which each is like the next, and the first not at all like the last.
    let fan = |at: f32| {
        let (sine, cosine) = (at * 0.3).sin_cos();
        [&[cosine, sine][..], &[0.0; DIMS - 2]].concat()
    };
    let rows: Vec<Vec<f32>> = (0..8).map(|at| fan(at as f32)).collect();
    let (_place, gallery) = built(&rows, "number\n0\n1\n2\n3\n4\n5\n6\n7\n");
    let people = people(&gallery, &Clustering::new(0.8));
    assert!(people[&0] != people[&7], "{people:?}");
    let mut clusters: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    people.iter().for_each(|(&face, &person)| clusters.entry(person).or_default().push(face));
    assert!(clusters.len() < 8);
    let clusters: Vec<&Vec<u64>> = clusters.values().collect();
    for (at, one) in clusters.iter().enumerate() {
        for other in &clusters[at + 1..] {
            assert!(mean(&gallery, one, other) < 0.8, "{clusters:?}");
        }
    }
}

/// Average linkage without any of its shortcuts.
fn reference(gallery: &Gallery, faces: usize, at_least: f32) -> BTreeMap<u64, u64> {
    let mut clusters: Vec<Vec<u64>> = (0..faces as u64).map(|face| vec![face]).collect();
    loop {
        let mut best = (at_least, None);
        for one in 0..clusters.len() {
            for other in one + 1..clusters.len() {
                let similarity = mean(gallery, &clusters[one], &clusters[other]);
                if similarity >= best.0 {
                    best = (similarity, Some((one, other)));
                }
            }
        }
        let Some((one, other)) = best.1 else { break };
        let gone = clusters.remove(other);
        clusters[one].extend(gone);
    }
    let person = |cluster: &Vec<u64>| *cluster.iter().min().unwrap();
    clusters.iter().flat_map(|c| c.iter().map(|&face| (face, person(c)))).collect()
}

#[test]
fn the_two_most_alike_become_one_first() {
    for (seed, faces) in [(1, 40), (2, 60)] {
        let mut random = Random(seed);
        let mut rows = Vec::new();
        while rows.len() < faces {
            let person = random.vector(DIMS);
            // Some have so many photos that the sum of their vectors is kept.
            let photos = if rows.is_empty() { 12 } else { 1 + random.below(5) };
            (0..photos).for_each(|_| rows.push(random.near(&person, 0.9)));
        }
        rows.truncate(faces);
        let (_place, gallery) = built(&rows, &format!("number\n{}", "1\n".repeat(faces)));
        for at_least in [0.3, 0.5, 0.7] {
            let found = people(&gallery, &Clustering::new(at_least));
            assert_eq!(found, reference(&gallery, faces, at_least), "{seed} {at_least}");
        }
    }
}

#[test]
fn synthetic_people_are_found() {
    let place = Place::new();
    let folder = place.path("synth");
    let synth = Synth { seed: 7, probes: 10, ..Synth::new(Profile::ArcFace512, 2000) };
    synth.write(&folder, None, &Silent, &Cancel::new()).unwrap();
    run(&Build::new(place.gallery(), folder.join("embeddings.npy"))
        .manifest(folder.join("manifest.csv"))
        .builder(Builder::None))
    .unwrap();
    let gallery = place.open();
    let clusters = Clustering::new(0.35).run(&gallery, &Silent, &Cancel::new()).unwrap();
    let found = clusters.agreement(&gallery).unwrap().unwrap();
    assert_eq!(found.labelled, 2000);
    assert!(found.bcubed.f >= 0.95 && found.pairwise.unwrap().precision > 0.9, "{found:?}");
}

#[test]
fn bursts_of_one_person_are_one_person() {
    // Each photo has more of its own burst beside it than are kept of its nearest.
    let mut random = Random(5);
    let person = random.vector(DIMS);
    let bursts = [random.near(&person, 0.7), random.near(&person, 0.7)];
    let rows: Vec<Vec<f32>> = (0..80).map(|at| random.near(&bursts[at % 2], 0.02)).collect();
    let lines: String = (0..80).map(|row| format!("{row}\n")).collect();
    let (_place, gallery) = built(&rows, &format!("number\n{lines}"));
    let split: Vec<Vec<u64>> = (0..2).map(|burst| (burst..80).step_by(2).collect()).collect();
    let alike = mean(&gallery, &split[0], &split[1]);
    let people = people(&gallery, &Clustering::new(alike - 0.05));
    assert!(people.values().all(|&person| person == 0), "{alike} {people:?}");
}

#[test]
fn clusters_are_a_manifest_that_a_build_takes() {
    let place = Place::new();
    let build = |to: &str, manifest: &std::path::Path| {
        let path = place.path(to);
        let args = ["build", path.to_str().unwrap(), "--embeddings"];
        let embeddings = sample("embeddings.npy");
        let more = [embeddings.to_str().unwrap(), "--manifest", manifest.to_str().unwrap()];
        let none = ["--builder", "none"].map(str::to_owned);
        let all = [&args.map(str::to_owned)[..], &more.map(str::to_owned), &none].concat();
        let ran = lookalike(all);
        assert_eq!(ran.status, 0, "{}", ran.err);
        Gallery::open(path).unwrap()
    };
    let gallery = build("first.gallery", &sample("manifest.csv"));
    let path = gallery.path().to_str().unwrap().to_owned();
    let clustering = Clustering::new(0.94);
    let people = people(&gallery, &clustering);
    for name in ["people.csv", "people.parquet"] {
        let out = place.path(name);
        let args = ["cluster", &path, "--min-similarity", "0.94", "--out", out.to_str().unwrap()];
        let ran = lookalike(args);
        assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.err);
        assert!(ran.err.contains("pairwise") && ran.err.contains("BCubed"), "{}", ran.err);
        let again = build(&format!("{name}.gallery"), &out);
        assert_eq!(again.len(), gallery.len());
        for (face, before) in again.faces().zip(gallery.faces()) {
            let (face, before) = (face.unwrap(), before.unwrap());
            let person = format!("person-{}", people[&face.face_id.0]);
            assert_eq!(face.subject, Some(person));
            assert_eq!((face.image, face.source), (before.image, before.source));
            assert_eq!((face.bounds, face.key), (before.bounds, before.key));
        }
    }
    let printed = lookalike(["cluster", &path, "--min-similarity", "0.94"]);
    assert_eq!(printed.out, fs::read_to_string(place.path("people.csv")).unwrap());
    let out = place.path("other.csv");
    let json = ["--json", "--out", out.to_str().unwrap()];
    let ran = lookalike([&["cluster", &path, "--min-similarity", "0.94"][..], &json].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let summary: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(summary["faces"], gallery.len());
    assert_eq!(
        summary["people"].as_u64().unwrap(),
        people.values().collect::<BTreeSet<_>>().len() as u64
    );
    // The sample's people are told apart well.
    assert!(summary["agreement"]["bcubed"]["f"].as_f64().unwrap() > 0.9, "{summary}");
    assert_eq!(summary["pairs_found_by"]["way"], "exhaustive");
}

/// A face as a manifest names it.
#[derive(Clone, Debug)]
struct Drawn {
    person: usize,
    image: usize,
    /// Which of the boxes of an image, which do not overlap; none without a box.
    place: Option<usize>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let place = prop::option::weighted(0.8, 0_usize..3);
    (0_usize..4, 0_usize..8, place).prop_map(|(person, image, place)| Drawn {
        person,
        image,
        place,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn who_must_and_must_not_be_one_person_is_kept(
        faces in prop::collection::vec(drawn(), 2..30),
        marked in prop::collection::vec((0_usize..30, 0_usize..30), 0..6),
        at_least in -1_f32..1.0,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let centres = random.vectors(4, DIMS);
        let (mut rows, mut text) = (Vec::new(), "image,box_left,box_top,box_right,box_bottom\n".to_owned());
        for Drawn { person, image, place } in &faces {
            rows.push(random.near(&centres[*person], 0.5));
            let bounds = place.map_or(",,,".to_owned(), |at| format!("{},0,{},10", at * 20, at * 20 + 10));
            text.push_str(&format!("{image}.jpg,{bounds}\n"));
        }
        let (_place, gallery) = built(&rows, &text);
        let marked: Vec<(FaceId, FaceId)> = marked
            .into_iter()
            .map(|(one, other)| (one % faces.len(), other % faces.len()))
            .filter(|(one, other)| one != other)
            .map(|(one, other)| (FaceId(one as u64), FaceId(other as u64)))
            .collect();
        let people = people(&gallery, &Clustering::new(at_least).not_same(marked.clone()));
        for (one, other) in &marked {
            prop_assert_ne!(people[&one.0], people[&other.0]);
        }
        let is_marked: BTreeSet<u64> =
            marked.iter().flat_map(|(one, other)| [one.0, other.0]).collect();
        for (one, a) in (0..).zip(&faces) {
            for (other, b) in (0..one).zip(&faces) {
                if a.image != b.image {
                    continue;
                }
                match (a.place, b.place) {
                    // The same box: one face, unless somebody said otherwise of either.
                    (Some(a), Some(b)) if a == b => {
                        let free = !is_marked.contains(&one) && !is_marked.contains(&other);
                        let same = people[&one] == people[&other];
                        let all_free = (0..).zip(&faces).all(|(third, face)| {
                            face.place != Some(a) || !is_marked.contains(&third)
                        });
                        prop_assert!(same || !(free && all_free));
                    }
                    (Some(_), Some(_)) | (None, None) => {
                        prop_assert_ne!(people[&one], people[&other]);
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_photo_enrolled_twice_is_one_person_and_a_group_photo_several() {
    let rows = Random(3).vectors(6, DIMS);
    let text = "image,subject,box_left,box_top,box_right,box_bottom\n\
        twice.jpg,a,0,0,10,10\n\
        twice.jpg,b,0,0,10,12\n\
        group.jpg,c,0,0,10,10\n\
        group.jpg,d,8,0,18,10\n\
        bare.jpg,e,,,,\n\
        bare.jpg,f,,,,\n";
    let mut rows = [&rows[..2], &vec![rows[2].clone(); 2], &rows[4..]].concat();
    // Without boxes, equal embeddings are one face; nothing else of these two is alike.
    rows[5] = rows[4].clone();
    let (_place, gallery) = built(&rows, text);
    let strict = people(&gallery, &Clustering::new(1.0));
    assert_eq!(strict, BTreeMap::from([(0, 0), (1, 0), (2, 2), (3, 3), (4, 4), (5, 4)]));
    let loose = people(&gallery, &Clustering::new(-1.0));
    assert!(loose[&0] == loose[&1] && loose[&2] != loose[&3] && loose[&4] == loose[&5]);
    // What a user says comes first.
    let marked = Clustering::new(-1.0).not_same([(FaceId(0), FaceId(1)), (FaceId(4), FaceId(5))]);
    let marked = people(&gallery, &marked);
    assert!(marked[&0] != marked[&1] && marked[&4] != marked[&5]);
}

#[test]
fn faces_that_are_not_the_same_are_read_by_key_or_id() {
    let rows = vec![vec![1.0; DIMS]; 5];
    let rows: Vec<Vec<f32>> =
        rows.iter().map(|row| Random(row.len() as u64).near(row, 0.1)).collect();
    let (place, gallery) = built(&rows, "key,number\na,1\nb,2\n,3\n1,4\n,5\n");
    let file = place.path("not-same.csv");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        read_not_same(&gallery, &file)
    };
    let pairs = |text: &str| -> Vec<(u64, u64)> {
        read(text).unwrap().into_iter().map(|(one, other)| (one.0, other.0)).collect()
    };
    assert_eq!(pairs("a,b\n"), [(0, 1)]);
    // 1 is the key of face 3.
    assert_eq!(pairs("face_id_1,face_id_2,similarity\n0,1,0.9\n4, 2 ,0.8\n"), [(0, 1), (4, 2)]);
    assert_eq!(pairs("key_1,key_2\na,1\n"), [(0, 3)]);
    assert_eq!(pairs("a,4\n"), [(0, 4)]);
    assert_eq!(pairs(""), []);
    for (text, fault) in [
        ("a\n", "line 1"),
        ("a,b\nc,d\n", "line 2"),
        ("a,9\n", "\"9\""),
        ("9,10\n", "\"9\""),
        ("a,0\n", "twice"),
        ("a,1\n", "key_1,key_2"),
        ("key_1,key_2\na,4\n", "\"4\""),
        ("face_id_1,face_id_2\na,4\n", "\"a\""),
        ("a;b\n", "comma"),
        // No names of columns: a key that was mistyped must not be passed over.
        ("aa,bb\n", "\"aa\""),
    ] {
        let error = read(text).unwrap_err();
        assert!(matches!(error, Error::Cluster(ClusterError::NotSame { .. })), "{text}: {error}");
        assert!(error.to_string().contains(fault), "{text}: {error}");
    }
    let path = gallery.path().to_str().unwrap();
    fs::write(&file, "a,b\n").unwrap();
    let args = ["cluster", path, "--min-similarity", "-1", "--not-same", file.to_str().unwrap()];
    let ran = lookalike(args);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let subjects: HashMap<&str, &str> = ran
        .out
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| (cells[0], cells[2]))
        .collect();
    assert_ne!(subjects["0"], subjects["1"]);
    assert!(!ran.err.contains("BCubed"), "{}", ran.err);
}

#[test]
fn wrong_usage_and_failures_are_told_apart() {
    let (place, gallery) =
        built(&Random(8).vectors(20, DIMS), &format!("number\n{}", "1\n".repeat(20)));
    let path = gallery.path().to_str().unwrap();
    for (args, text) in [
        (&["cluster", path][..], "--min-similarity"),
        (&["cluster", path, "--min-similarity", "3"], "outside [-1, 1]"),
        (&["cluster", path, "--min-similarity", "0", "--json"], "--out"),
        (&["cluster", path, "--min-similarity", "0", "--format", "json"], "csv or parquet"),
        (&["cluster", path, "--min-similarity", "0", "--format", "parquet"], "--out"),
    ] {
        let ran = lookalike(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(text), "{args:?}: {}", ran.err);
    }
    let missing = place.path("missing.csv");
    let args = ["cluster", path, "--min-similarity", "0", "--not-same", missing.to_str().unwrap()];
    let ran = lookalike(args);
    assert!(ran.status == 1 && ran.err.contains("missing.csv"), "{}", ran.err);
    let cancel = Cancel::new();
    cancel.cancel();
    let error = Clustering::new(0.5).run(&gallery, &Silent, &cancel).unwrap_err();
    assert!(matches!(error, Error::Pairs(PairsError::Cancelled)), "{error}");
    let error = Clustering::new(0.5).not_same([(FaceId(1), FaceId(1))]);
    assert!(error.run(&gallery, &Silent, &Cancel::new()).is_err());
    let clusters = Clustering::new(0.5).run(&gallery, &Silent, &Cancel::new()).unwrap();
    assert_eq!(clusters.others, 32);
    let with_little = Clustering::new(0.5).memory(20 * 2000).run(&gallery, &Silent, &Cancel::new());
    assert!((8..32).contains(&with_little.unwrap().others));
    let ran = lookalike(["cluster", path, "--min-similarity", "0.5", "--memory", "1K"]);
    assert!(ran.status == 1 && ran.err.contains("--memory"), "{}", ran.err);
    assert!(clusters.write(&gallery, &place.path("x.json"), Format::Json).is_err());
    assert!(!place.path("x.json").exists());
}
