//! What the planner makes of a promise that was changed by hand.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lookalike::search::Plan;
use lookalike::{FaceId, Gallery, Query};

use super::{FACES, Measured, ids, isolated, promise};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of the gallery whose promise was changed by hand.
fn with_promise(change: impl Fn(&mut serde_json::Value)) -> (tempfile::TempDir, Gallery) {
    let copy = tempfile::tempdir().unwrap();
    let from = isolated().folder.path().join("g");
    copy_folder(&from, copy.path());
    let json = fs::read_to_string(copy.path().join("gallery.json")).unwrap();
    let mut catalogue = serde_json::from_str(&json).unwrap();
    change(&mut catalogue);
    let json = serde_json::to_string(&catalogue).unwrap();
    let sum = format!("{}  gallery.json\n", blake3::hash(json.as_bytes()).to_hex());
    fs::write(copy.path().join("gallery.json"), json).unwrap();
    fs::write(copy.path().join("gallery.json.b3"), sum).unwrap();
    let gallery = Gallery::open(copy.path()).unwrap();
    (copy, gallery)
}

/// The plans of each ladder become a scan of all faces and a walk that read so many vectors.
fn at_the_price_of(scan: f64, walk: f64) -> (tempfile::TempDir, Gallery) {
    let reads = |vectors: f64| serde_json::json!({"hops": 0.0, "cells": 0.0, "sketches": 0.0, "codes": 0.0, "vectors": vectors});
    let rung = |plan: serde_json::Value, vectors: f64| {
        serde_json::json!({"plan": plan, "hit_rate": 1.0, "at_least": 0.999,
            "mated": reads(vectors), "non_mated": reads(vectors)})
    };
    let scan = rung(
        serde_json::json!({"way": "scan", "share": 1.0, "keep": 1000, "confidence": 4.0}),
        scan,
    );
    let walk = rung(serde_json::json!({"way": "walk", "beam": 400}), walk);
    with_promise(|catalogue| {
        for part in ["ladders", "ranges"] {
            for ladder in catalogue["promise"][part].as_array_mut().unwrap() {
                let mut rungs = vec![scan.clone(), walk.clone()];
                rungs.sort_by(|a, b| {
                    let vectors =
                        |rung: &serde_json::Value| rung["mated"]["vectors"].as_f64().unwrap();
                    vectors(a).total_cmp(&vectors(b))
                });
                ladder["rungs"] = rungs.into();
            }
        }
    })
}

/// Neighbour lists that all probes together read.
fn hops(gallery: &Gallery, query: &Query) -> u64 {
    let probes = isolated().probes.iter();
    probes.map(|probe| gallery.search(probe, query).unwrap().counters.hops).sum()
}

#[test]
fn a_walk_is_carried_out_as_it_was_measured() {
    let (_copy, gallery) = at_the_price_of(1000.0, 100.0);
    let [five, ten, eleven, hundred] =
        [5, 10, 11, 100].map(|k| hops(&gallery, &Query::new().top(k)));
    assert_eq!(five, ten);
    assert_eq!(eleven, hundred);
    assert!(ten < hundred, "{ten} {hundred}");
    let vectors = |k| {
        let answers =
            isolated().probes.iter().map(|probe| gallery.search(probe, &Query::new().top(k)));
        answers.map(|answer| answer.unwrap().counters.vectors_read).sum::<u64>()
    };
    assert_eq!(vectors(2), vectors(10));
}

/// A copy of the gallery that says something else of how similarities spread, or nothing.
fn with_spread(spread: Option<f64>) -> (tempfile::TempDir, Gallery) {
    with_promise(|catalogue| {
        let codes = catalogue["codes"].as_object_mut().unwrap();
        codes.remove("similarity_spread").unwrap();
        codes.extend(spread.map(|spread| ("similarity_spread".to_owned(), spread.into())));
    })
}

#[test]
fn walks_end_where_nobody_ahead_is_near_enough() {
    let Measured { gallery, probes, .. } = isolated();
    let (_copy, plain) = with_spread(None);
    let walk = Query::new().top(10).beam(64);
    let (ended, whole) = (hops(gallery, &walk), hops(&plain, &walk));
    assert!(ended < whole, "{ended} {whole}");
    // Neither where only some pass, nor for all above a threshold, does a walk end early.
    let filter: lookalike::Filter = "captured_on >= '2010-01-01'".parse().unwrap();
    for query in [walk.filter(filter), Query::new().at_least(0.3).beam(64)] {
        assert_eq!(hops(gallery, &query), hops(&plain, &query), "{query:?}");
    }
    // As many are found whatever the file says, and all by a beam as wide as the gallery.
    for spread in [0.0, -1.0, 1e-300, 1e300] {
        let (_copy, gallery) = with_spread(Some(spread));
        for probe in &probes[..20] {
            for (k, beam) in [(1, 1), (1, 2), (10, 10), (10, 11), (10, 400), (100, 2000)] {
                let found = ids(&gallery, probe, &Query::new().top(k).beam(beam));
                assert_eq!(found.len(), k, "{spread} {beam}");
            }
            let all = Query::new().top(10).beam(FACES as usize);
            let exact = Query::new().top(10).exhaustive();
            assert_eq!(ids(&gallery, probe, &all), ids(&gallery, probe, &exact), "{spread}");
        }
        let like = gallery.search_face(FaceId(17), &Query::new().top(10).beam(10)).unwrap();
        assert_eq!(like.len(), 10, "{spread}");
    }
}

#[test]
fn with_a_filter_the_price_decides_between_scan_vectors_and_the_nearest_of_all() {
    // Most pass, and more than are answered exactly.
    let filter: lookalike::Filter = "captured_on >= '2016-01-01'".parse().unwrap();
    let at_least = promise(&isolated().gallery).ranges[2].at_least;
    let scan = Plan::Scan { share: 1.0, keep: 1000, confidence: 4.0 };
    let walk = Plan::Walk { beam: 400 };
    for (prices, plain, filtered) in [
        ((100.0, 1000.0), scan, scan),
        ((1000.0, 100.0), walk, walk),
        ((100_000.0, 100.0), walk, walk),
        // Scoring those that pass takes less than any plan.
        ((100_000.0, 50_000.0), walk, Plan::Exhaustive),
    ] {
        let (_folder, gallery) = at_the_price_of(prices.0, prices.1);
        for query in [Query::new().top(10), Query::new().at_least(at_least)] {
            assert_eq!(gallery.plan(&query).unwrap().0, plain);
            let query = query.filter(filter.clone());
            assert_eq!(gallery.plan(&query).unwrap().0, filtered, "{prices:?}");
            let (mut found, mut all) = (0, 0);
            for probe in &isolated().probes[..50] {
                let answer = gallery.search(probe, &query).unwrap();
                let exact = gallery.search(probe, &query.clone().exhaustive()).unwrap();
                assert_eq!(answer.counters.passing, exact.counters.passing);
                let ids: HashSet<_> = exact.iter().map(|face| face.face_id).collect();
                found += answer.iter().filter(|face| ids.contains(&face.face_id)).count();
                all += exact.len();
            }
            assert!(all > 0 && found as f64 >= 0.9 * all as f64, "{found} of {all}");
        }
        // So many that not enough of the nearest 100 would pass.
        let many = Query::new().top(95).filter(filter.clone());
        assert_ne!(gallery.plan(&many).unwrap().0, walk, "{prices:?}");
    }
}
