//! A search returns exactly what was asked for: so many faces, from such a similarity, in an order
//! that does not depend on how it was carried out; and what cannot be answered is an error.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Place, Random, embedding, exact, ids, run};
use lookalike::search::{Plan, Reason};
use lookalike::{
    Builder, Cancel, Error, FaceId, Gallery, GalleryError, Query, SearchError, VectorType,
};
use proptest::prelude::*;

const DIMS: usize = 16;

/// A query for each way to carry out the same search exactly.
fn exact_ways(faces: usize) -> [Query; 3] {
    [Query::new(), Query::new().exhaustive(), Query::new().beam(faces)]
}

fn made(count: usize, seed: u64) -> (Place, Vec<Vec<f32>>, Gallery) {
    let rows = Random(seed).vectors(count, DIMS);
    let place = Place::of(&rows);
    let gallery = place.built();
    (place, rows, gallery)
}

fn refused(result: Result<lookalike::Matches<'_>, Error>) -> SearchError {
    match result {
        Err(Error::Search(error)) => error,
        Err(other) => panic!("another error: {other}"),
        Ok(found) => panic!("an answer of {} faces", found.len()),
    }
}

#[test]
fn the_nearest_faces_are_those_of_a_comparison_with_every_face() {
    let (_place, rows, gallery) = made(300, 1);
    let mut random = Random(2);
    for k in [1, 7, 299, 300, 305, usize::MAX] {
        let probe = random.vector(DIMS);
        let truth = exact(&rows, &probe);
        for query in exact_ways(300) {
            let found = gallery.search(&embedding(&probe), &query.top(k)).unwrap();
            assert_eq!(found.len(), k.min(300));
            for pair in found.windows(2) {
                assert!(pair[0].similarity >= pair[1].similarity);
            }
            let mut kept = vec![false; 300];
            for one in &found {
                let id = one.face_id.0 as usize;
                assert!(!std::mem::replace(&mut kept[id], true), "face {id} twice");
                assert!((f64::from(one.similarity) - truth[id]).abs() < 1e-6);
            }
            let last = f64::from(found.last().unwrap().similarity);
            let better = (0..300).find(|&id| !kept[id] && truth[id] > last + 1e-6);
            assert_eq!(better, None, "k {k}");
        }
    }
}

#[test]
fn ten_faces_unless_told_otherwise() {
    let (_place, rows, gallery) = made(40, 3);
    assert_eq!(ids(&gallery, &rows[0], &Query::new()).len(), 10);
    assert_eq!(ids(&gallery, &rows[0], &Query::new().at_least(-1.0)).len(), 40);
    assert_eq!(ids(&gallery, &rows[0], &Query::new().at_least(-1.0).top(3)).len(), 3);
}

#[test]
fn a_face_at_the_threshold_matches() {
    let (_place, rows, gallery) = made(200, 4);
    let probe = embedding(&rows[11]);
    let ranked = gallery.search(&probe, &Query::new().top(20).exhaustive()).unwrap();
    for rank in [0, 4, 19] {
        let at = ranked[rank].similarity;
        for query in exact_ways(200) {
            let found = gallery.search(&probe, &query.clone().at_least(at)).unwrap();
            assert_eq!(found.len(), rank + 1, "at {at}");
            if at < 1.0 {
                let above = gallery.search(&probe, &query.at_least(at.next_up())).unwrap();
                assert_eq!(above.len(), rank, "just above {at}");
            }
        }
    }
}

#[test]
fn a_threshold_alone_returns_every_face_at_or_above_it() {
    let (_place, rows, gallery) = made(300, 5);
    for (i, threshold) in [-1.0, -0.4, 0.0, 0.2, 0.5, 0.99, 1.0].into_iter().enumerate() {
        let truth = exact(&rows, &rows[i]);
        for query in exact_ways(300) {
            let found = ids(&gallery, &rows[i], &query.at_least(threshold));
            for (id, similarity) in truth.iter().enumerate() {
                // Rounding decides what lies on the threshold itself.
                if (similarity - f64::from(threshold)).abs() > 1e-6 {
                    let expected = *similarity > f64::from(threshold);
                    assert_eq!(found.contains(&(id as u64)), expected, "{similarity}");
                }
            }
        }
    }
}

#[test]
fn opposite_faces_are_within_the_range_of_similarities() {
    let rows = Random(6).vectors(300, DIMS);
    let gallery = Place::of(&rows);
    let gallery = gallery.built();
    for row in &rows {
        let opposite: Vec<f32> = row.iter().map(|v| -v).collect();
        for query in exact_ways(300) {
            assert_eq!(ids(&gallery, &opposite, &query.at_least(-1.0)).len(), 300);
        }
        let same = gallery.search(&embedding(row), &Query::new().top(1)).unwrap();
        assert!(same[0].similarity <= 1.0 && same[0].similarity > 0.999_999);
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let (_place, rows, gallery) = made(30, 7);
    let probe = embedding(&rows[0]);
    let ask = |query: Query| refused(gallery.search(&probe, &query));
    for threshold in [1.0_f32.next_up(), -1.0_f32.next_up() - 1.0, f32::INFINITY, f32::NAN] {
        assert!(matches!(ask(Query::new().at_least(threshold)), SearchError::Threshold(_)));
    }
    assert!(matches!(ask(Query::new().top(0)), SearchError::TopZero));
    assert!(matches!(ask(Query::new().beam(0)), SearchError::BeamZero));
    for query in [Query::new().top(0), Query::new().beam(0), Query::new().at_least(f32::NAN)] {
        assert!(gallery.search_batch(std::slice::from_ref(&probe), &query).is_err());
        assert!(gallery.search_batch(&[], &query).is_err());
        assert!(gallery.search_face(FaceId(0), &query).is_err());
    }
}

#[test]
fn a_probe_of_another_dimension_is_refused_and_the_others_are_answered() {
    let (_place, rows, gallery) = made(30, 8);
    let other = embedding(&[1.0; DIMS + 1]);
    let error = refused(gallery.search(&other, &Query::new()));
    assert!(matches!(error, SearchError::Dims { expected: 16, got: 17 }));
    assert!(gallery.similarity(&other, FaceId(0)).is_err());
    let probes = [embedding(&rows[3]), other, embedding(&rows[4])];
    for query in [Query::new(), Query::new().beam(30)] {
        let answers = gallery.search_batch(&probes, &query).unwrap();
        let first = |i: usize| answers[i].as_ref().unwrap()[0].face_id.0;
        assert_eq!((first(0), first(2)), (3, 4));
        assert!(matches!(answers[1], Err(SearchError::Dims { .. })));
    }
}

#[test]
fn a_probe_of_another_named_model_is_refused() {
    let rows = Random(9).vectors(20, DIMS);
    let named = Place::of(&rows);
    run(&named.build().model("arcface")).unwrap();
    let (probe, gallery) = (embedding(&rows[0]), named.open());
    assert_eq!(gallery.model(), Some("arcface"));
    let error = refused(gallery.search(&probe, &Query::new().model("facenet")));
    let text = error.to_string();
    assert!(matches!(error, SearchError::Model { .. }));
    assert!(text.contains("facenet") && text.contains("arcface"), "{text}");
    assert!(gallery.search(&probe, &Query::new().model("arcface")).is_ok());
    assert!(gallery.search(&probe, &Query::new()).is_ok());
    let unnamed = Place::of(&rows);
    assert!(unnamed.built().search(&probe, &Query::new().model("facenet")).is_ok());
}

#[test]
fn a_gallery_without_a_graph_answers_exhaustively_and_walks_nowhere() {
    let rows = Random(10).vectors(200, DIMS);
    let place = Place::of(&rows);
    run(&place.build().builder(Builder::None)).unwrap();
    let gallery = place.open();
    let found = gallery.search(&embedding(&rows[7]), &Query::new().top(3)).unwrap();
    assert_eq!((found[0].face_id.0, found.counters.plan), (7, Plan::Exhaustive));
    assert_eq!(found.counters.vectors_read, 200);
    let error = refused(gallery.search(&embedding(&rows[7]), &Query::new().beam(8)));
    assert!(matches!(error, SearchError::NoGraph));
}

#[test]
fn a_beam_that_is_asked_for_is_walked() {
    let (_place, rows, gallery) = made(300, 11);
    let found = gallery.search(&embedding(&rows[7]), &Query::new().top(3).beam(20)).unwrap();
    assert_eq!(found.counters.plan, Plan::Walk { beam: 20 });
    assert!(found.counters.hops > 0 && found.counters.vectors_read <= 2 * 300);
    assert_eq!(found[0].face_id.0, 7);
}

/// Equal embeddings, numbered against the order of the manifest, which decides where they lie.
fn equals_in_reverse() -> Place {
    let mut rows = vec![vec![1.0; DIMS]; 60];
    rows.extend(Random(12).vectors(40, DIMS));
    let lines: String = (0..100).rev().map(|row| format!("{row},s{}\n", row % 7)).collect();
    Place::of(&rows).manifest(&format!("row,subject\n{lines}"))
}

#[test]
fn ties_are_in_order_of_face_id() {
    let place = equals_in_reverse();
    let gallery = place.built();
    let probe = [1.0; DIMS];
    for query in exact_ways(100) {
        for k in [1, 3, 59, 60] {
            let expected: Vec<u64> = (0..k).collect();
            assert_eq!(ids(&gallery, &probe, &query.clone().top(k as usize)), expected);
            let batch = gallery.search_batch(&[embedding(&probe)], &query.clone().top(k as usize));
            let batch = batch.unwrap().remove(0).unwrap();
            assert_eq!(batch.iter().map(|m| m.face_id.0).collect::<Vec<_>>(), expected);
        }
        let all: Vec<u64> = (0..60).collect();
        assert_eq!(ids(&gallery, &probe, &query.clone().at_least(0.999)), all);
        let grouped = query.group_by_subject().top(4);
        assert_eq!(ids(&gallery, &probe, &grouped), [0, 1, 2, 3]);
    }
    let others = gallery.search_face(FaceId(1), &Query::new().top(3)).unwrap();
    assert_eq!(others.iter().map(|m| m.face_id.0).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn half_precision_differs_by_no_more_than_it_says() {
    let (_place, rows, gallery) = made(200, 13);
    let halves = Place::of(&rows);
    run(&halves.build().vectors(VectorType::F16)).unwrap();
    let halves = halves.open();
    for probe in Random(14).vectors(20, DIMS) {
        let probe = embedding(&probe);
        for id in (0..200).map(FaceId) {
            let full = gallery.similarity(&probe, id).unwrap();
            assert!((halves.similarity(&probe, id).unwrap() - full).abs() < 0.0005);
        }
        let walk = halves.search(&probe, &Query::new().top(200).beam(200)).unwrap();
        let scan = halves.search(&probe, &Query::new().top(200).exhaustive()).unwrap();
        for (a, b) in walk.iter().zip(&scan) {
            assert_eq!((a.face_id, a.similarity), (b.face_id, b.similarity));
        }
    }
    assert_eq!(ids(&halves, &rows[3], &Query::new().top(1)), [3]);
}

#[test]
fn a_search_by_face_leaves_that_face_out_and_no_other() {
    let mut rows = Random(15).vectors(50, DIMS);
    rows[20] = rows[10].clone();
    let place = Place::of(&rows);
    let gallery = place.built();
    for query in exact_ways(50) {
        let found = gallery.search_face(FaceId(10), &query.clone().top(50)).unwrap();
        assert_eq!(found.len(), 49);
        assert_eq!(found[0].face_id, FaceId(20));
        assert!(found.iter().all(|one| one.face_id != FaceId(10)));
        assert_eq!(gallery.search_face(FaceId(10), &query.clone().top(3)).unwrap().len(), 3);
        assert_eq!(gallery.search_face(FaceId(10), &query.at_least(-1.0)).unwrap().len(), 49);
    }
    let error = gallery.search_face(FaceId(50), &Query::new()).unwrap_err();
    assert!(matches!(error, Error::Gallery(GalleryError::NoSuchFace { .. })), "{error}");
}

#[test]
fn one_to_one_comparisons_agree_with_searches() {
    let rows = Random(16).vectors(90, DIMS);
    let lines: String = (0..90).map(|i| format!("person-{}\n", i % 30)).collect();
    let place = Place::of(&rows).manifest(&format!("subject\n{lines}"));
    let gallery = place.built();
    let probe = embedding(&Random(17).vector(DIMS));
    let all = gallery.search(&probe, &Query::new().top(90)).unwrap();
    for found in &all {
        assert_eq!(gallery.similarity(&probe, found.face_id).unwrap(), found.similarity);
    }
    for person in 0..30 {
        let name = format!("person-{person}");
        let best = gallery.similarity_with_subject(&probe, &name).unwrap();
        let expected = all.iter().find(|m| m.face_id.0 % 30 == person).unwrap();
        assert_eq!((best.face_id, best.similarity), (expected.face_id, expected.similarity));
    }
    let error = gallery.similarity_with_subject(&probe, "nobody").unwrap_err();
    assert!(matches!(error, Error::Search(SearchError::NoSuchSubject(_))));
    let error = gallery.similarity(&probe, FaceId(90)).unwrap_err();
    assert!(matches!(error, Error::Gallery(GalleryError::NoSuchFace { .. })));
}

#[test]
fn a_deadline_that_passed_and_a_raised_flag_end_every_search() {
    let (_place, rows, gallery) = made(300, 18);
    let past = Instant::now();
    let raised = Cancel::new();
    raised.cancel();
    let probe = embedding(&rows[0]);
    for query in
        [Query::new(), Query::new().exhaustive(), Query::new().beam(1), Query::new().beam(300)]
    {
        for query in [query.clone(), query.filter("face_id >= 0".parse().unwrap())] {
            let late = query.clone().deadline(past);
            assert!(matches!(refused(gallery.search(&probe, &late)), SearchError::DeadlinePassed));
            let found = gallery.search_face(FaceId(0), &late);
            assert!(matches!(refused(found), SearchError::DeadlinePassed));
            let stopped = query.clone().cancel(raised.clone());
            assert!(matches!(refused(gallery.search(&probe, &stopped)), SearchError::Cancelled));
            let later = query.deadline(past + Duration::from_secs(3600)).cancel(Cancel::new());
            assert_eq!(gallery.search(&probe, &later).unwrap()[0].face_id.0, 0);
        }
    }
}

#[test]
fn threads_share_one_gallery() {
    let (_place, rows, gallery) = made(200, 19);
    let alone: Vec<Vec<u64>> =
        rows.iter().map(|row| ids(&gallery, row, &Query::new().beam(32))).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let gallery = gallery.clone();
            let (rows, alone) = (&rows, &alone);
            scope.spawn(move || {
                for (row, expected) in rows.iter().zip(alone) {
                    assert_eq!(&ids(&gallery, row, &Query::new().beam(32)), expected);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Small integers make many ties, duplicates and opposites.
    #[test]
    fn every_way_to_search_gives_the_same_answer(
        rows in prop::collection::vec(prop::collection::vec(-2_i8..3, 4), 1..60),
        probes in prop::collection::vec(prop::collection::vec(-2_i8..3, 4), 1..40),
        k in 1_usize..70, threshold in prop::option::of(-1_f32..1.0), half in any::<bool>(),
    ) {
        let floats = |rows: &[Vec<i8>]| -> Vec<Vec<f32>> {
            let zero = |row: &&Vec<i8>| row.iter().any(|&v| v != 0);
            rows.iter().filter(zero).map(|row| row.iter().map(|&v| f32::from(v)).collect()).collect()
        };
        let (rows, probes) = (floats(&rows), floats(&probes));
        prop_assume!(!rows.is_empty());
        let place = Place::of(&rows);
        let vectors = if half { VectorType::F16 } else { VectorType::F32 };
        run(&place.build().vectors(vectors)).unwrap();
        let gallery = place.open();
        let probes: Vec<_> = probes.iter().map(|probe| embedding(probe)).collect();
        let mut answers: Vec<Vec<Vec<(u64, f32)>>> = Vec::new();
        for query in exact_ways(rows.len()) {
            let mut query = query.top(k);
            if let Some(threshold) = threshold {
                query = query.at_least(threshold);
            }
            let pairs = |found: lookalike::Matches<'_>| -> Vec<(u64, f32)> {
                found.iter().map(|one| (one.face_id.0, one.similarity)).collect()
            };
            let one = |probe| pairs(gallery.search(probe, &query).unwrap());
            answers.push(probes.iter().map(one).collect());
            let batch = gallery.search_batch(&probes, &query).unwrap();
            answers.push(batch.into_iter().map(|found| pairs(found.unwrap())).collect());
        }
        let least = threshold.unwrap_or(-1.0);
        let truth: Vec<Vec<(u64, f32)>> = probes.iter().map(|probe| {
            let mut all: Vec<(u64, f32)> = (0..rows.len() as u64)
                .map(|id| (id, gallery.similarity(probe, FaceId(id)).unwrap()))
                .filter(|(_, similarity)| *similarity >= least)
                .collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            all
        }).collect();
        for answer in answers {
            prop_assert_eq!(&answer, &truth);
        }
    }
}

#[test]
fn it_is_said_why_a_face_is_or_is_not_returned() {
    let rows = Random(91).vectors(60, 12);
    let lines: String = (0..60).map(|i| format!("s{},archive-{}\n", i / 3, i % 2)).collect();
    let place = Place::of(&rows).manifest(&format!("subject,source\n{lines}"));
    let gallery = place.built();
    let probe = embedding(&rows[7]);
    let all = gallery.search(&probe, &Query::new().top(60)).unwrap();
    let why = |query: &Query, face: FaceId| {
        let answer = gallery.search(&probe, query).unwrap();
        gallery.explain(&probe, query, &answer, &[face]).unwrap().remove(0)
    };
    for (rank, face) in all.iter().enumerate() {
        let told = why(&Query::new().top(5), face.face_id);
        assert_eq!((told.face_id, told.similarity), (face.face_id, face.similarity));
        let expected = if rank < 5 {
            Reason::Returned { rank: rank + 1 }
        } else {
            Reason::LessSimilar { last: all[4].similarity }
        };
        assert_eq!(told.reason, expected);
    }
    let threshold = all[9].similarity;
    let query = Query::new().at_least(threshold);
    assert_eq!(why(&query, all[9].face_id).reason, Reason::Returned { rank: 10 });
    assert_eq!(why(&query, all[10].face_id).reason, Reason::BelowThreshold { threshold });
    let filters = ["subject != nobody", "source = archive-0"].map(|text| text.parse().unwrap());
    let [first, second]: [lookalike::Filter; 2] = filters;
    let query = Query::new().filter(first).filter(second.clone());
    assert_eq!(why(&query, FaceId(7)).reason, Reason::Filtered { filter: second });
    let query = Query::new().group_by_subject();
    assert_eq!(why(&query, FaceId(8)).reason, Reason::Represented { by: FaceId(7) });
    // An answer that lacks a face it ought to hold.
    let mut answer = gallery.search(&probe, &Query::new().top(5)).unwrap();
    answer.found.remove(1);
    let told = gallery.explain(&probe, &Query::new().top(5), &answer, &[all[1].face_id]).unwrap();
    assert_eq!(told[0].reason, Reason::Missed);
    let query = Query::new();
    assert!(gallery.explain(&probe, &query, &answer, &[FaceId(60)]).is_err());
}
