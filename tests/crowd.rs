//! Galleries that break a plain graph walk: many photos of one person, many equal embeddings, a
//! face far from all others. Every face stays within reach, and no person crowds out the rest.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashSet;

use common::{Place, Random, embedding, ids, run};
use lookalike::graph::GraphParams;
use lookalike::search::Plan;
use lookalike::{Builder, Gallery, Query};

const DIMS: usize = 16;

/// A gallery of these rows, its graph built with little effort so that islands may arise.
fn gallery_of(place: &Place) -> Gallery {
    gallery_by(place, Builder::Own)
}

fn gallery_by(place: &Place, builder: Builder) -> Gallery {
    let graph = GraphParams::new(8, 40, 0).unwrap();
    run(&place.build().builder(builder).graph(graph).replace(true)).unwrap();
    place.open()
}

fn all_in_reach(gallery: &Gallery, probes: &[Vec<f32>]) {
    let graph = gallery.catalogue().graph.as_ref().unwrap();
    assert_eq!(graph.unreachable_after, 0);
    let faces = gallery.len() as usize;
    for probe in probes {
        let query = Query::new().top(faces).beam(faces);
        let matches = gallery.search(&embedding(probe), &query).unwrap();
        assert_eq!(matches.counters.plan, Plan::Walk { beam: faces });
        let found: HashSet<u64> = matches.iter().map(|one| one.face_id.0).collect();
        assert_eq!(found.len(), faces);
    }
}

/// 3,000 photos of one person among 2,000 photos of others, three of each and some of nobody known.
fn crowd() -> (Place, Vec<Vec<f32>>) {
    let mut random = Random(61);
    let person = random.vector(DIMS);
    let mut rows = Vec::new();
    let mut lines = "subject,half\n".to_owned();
    for i in 0..5000 {
        if i % 5 < 3 {
            rows.push(random.near(&person, 0.02));
            lines.push_str("crowd");
        } else {
            rows.push(random.vector(DIMS));
            let number = i / 5 * 2 + i % 5 - 3;
            if number % 10 != 0 {
                lines.push_str(&format!("person-{}", number / 3));
            }
        }
        lines.push_str(if i % 2 == 0 { ",even\n" } else { ",odd\n" });
    }
    (Place::of(&rows).manifest(&lines), rows)
}

#[test]
fn one_person_of_3000_photos_crowds_nobody_out() {
    let (place, rows) = crowd();
    let gallery = gallery_of(&place);
    all_in_reach(&gallery, &[rows[0].clone(), rows[4].clone()]);

    let subject = |id: u64| gallery.face(lookalike::FaceId(id)).unwrap().subject;
    for query in [
        Query::new(),
        Query::new().exhaustive(),
        Query::new().beam(16),
        Query::new().beam(16).filter("half = even".parse().unwrap()),
    ] {
        for k in [1, 2, 10, 100] {
            let found = ids(&gallery, &rows[0], &query.clone().group_by_subject().top(k));
            assert_eq!(found.len(), k);
            let named: Vec<String> = found.iter().filter_map(|&id| subject(id)).collect();
            assert_eq!(named.iter().collect::<HashSet<_>>().len(), named.len(), "{named:?}");
            assert_eq!(named[0], "crowd");
        }
    }

    // Faces of nobody known stand alone: as many groups as there are subjects and such faces.
    let subjects: HashSet<_> = (0..5000).filter_map(subject).collect();
    let alone = (0..5000).filter(|&id| subject(id).is_none()).count();
    assert!(alone >= 200);
    let groups = ids(&gallery, &rows[0], &Query::new().group_by_subject().top(5000));
    assert_eq!(groups.len(), subjects.len() + alone);
    let groups = ids(&gallery, &rows[0], &Query::new().group_by_subject().at_least(-1.0));
    assert_eq!(groups.len(), subjects.len() + alone);

    // The face of a group is its best.
    let probe = embedding(&rows[3]);
    let query = Query::new().group_by_subject().top(200).exhaustive();
    for found in &gallery.search(&probe, &query).unwrap() {
        if let Some(name) = subject(found.face_id.0) {
            let best = gallery.similarity_with_subject(&probe, &name).unwrap();
            assert_eq!(best.similarity, found.similarity);
        }
    }

    // A walk keeps going until enough have passed the filter.
    let query = Query::new().top(10).beam(10).filter("half = odd".parse().unwrap());
    let matches = gallery.search(&probe, &query).unwrap();
    assert!(matches!(matches.counters.plan, Plan::Walk { .. }));
    assert_eq!(matches.len(), 10);
    assert!(matches.iter().all(|found| found.face_id.0 % 2 == 1));
}

#[test]
fn a_thousand_equal_embeddings_hide_nobody() {
    let mut random = Random(62);
    let equal = random.vector(DIMS);
    let mut rows = vec![equal.clone(); 1062];
    rows.extend(random.vectors(600, DIMS));
    let place = Place::of(&rows);
    let gallery = gallery_by(&place, Builder::HnswRs);
    all_in_reach(&gallery, &[equal.clone(), rows[1500].clone()]);
    let gallery = gallery_of(&place);
    all_in_reach(&gallery, &[equal.clone(), rows[1500].clone()]);
    let first: Vec<u64> = (0..1062).collect();
    let query = Query::new().exhaustive().top(1062);
    assert_eq!(ids(&gallery, &equal, &query), first);
    assert_eq!(gallery.catalogue().ingest.enrolled, 1662);
    assert_eq!(gallery.catalogue().ingest.flagged, 1061);
}

#[test]
fn a_face_far_from_all_others_is_found() {
    let mut random = Random(63);
    let centre = vec![1.0; DIMS];
    let mut rows: Vec<_> = (0..800).map(|_| random.near(&centre, 0.3)).collect();
    rows[137] = vec![-1.0; DIMS];
    let place = Place::of(&rows);
    let gallery = gallery_of(&place);
    all_in_reach(&gallery, &[centre, rows[137].clone()]);
}

#[test]
fn equal_embeddings_alone_make_a_gallery() {
    let rows = vec![vec![0.5; DIMS]; 400];
    let place = Place::of(&rows);
    let gallery = gallery_of(&place);
    all_in_reach(&gallery, &rows[..1]);
    assert_eq!(ids(&gallery, &rows[0], &Query::new().top(3).exhaustive()), [0, 1, 2]);
}
