//! Faces are stored in another order than they came in, and nobody notices: whatever is asked for by
//! id, key, subject, image, attribute or likeness is that of a naive look through the input.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{HashMap, HashSet};
use std::fs;

use common::{Place, Random, embedding, exact, run, sample};
use hnsw_rs::anndists::dist::DistCosine;
use hnsw_rs::prelude::Hnsw;
use lookalike::gallery::verify;
use lookalike::graph::GraphParams;
use lookalike::{Build, Cancel, FaceId, Gallery, Query, Silent, VectorType};

const FACES: usize = 3000;
const DIMS: usize = 32;
/// Photos of a person.
const PHOTOS: usize = 4;
/// Faces with a photo to look at.
const PICTURED: usize = 12;

/// The input, and the gallery of it.
struct Known {
    place: Place,
    rows: Vec<Vec<f32>>,
    gallery: Gallery,
}

fn subject(id: usize) -> String {
    format!("s{}", id % (FACES / PHOTOS))
}

fn source(id: usize) -> String {
    format!("archive-{}", id % 7)
}

/// People of a few photos each, far apart in the input; the manifest names them back to front, and
/// one row in a hundred is no embedding.
fn known(vectors: VectorType) -> Known {
    let mut random = Random(201);
    let people = random.vectors(FACES / PHOTOS, DIMS);
    let mut rows: Vec<Vec<f32>> =
        (0..FACES).map(|id| random.near(&people[id % people.len()], 0.4)).collect();
    rows.iter_mut().step_by(100).for_each(|row| *row = vec![0.0; DIMS]);
    let mut text = "row,subject,source,key,age,image\n".to_owned();
    for id in (0..FACES).rev() {
        let image = if id < PICTURED { format!("{:05}.jpg", id / 2) } else { String::new() };
        let (subject, source, age) = (subject(id), source(id), id % 90);
        text.push_str(&format!("{id},{subject},{source},k{id},{age},{image}\n"));
    }
    let place = Place::of(&rows).manifest(&text);
    let build = place.build().images(sample("images")).vectors(vectors);
    run(&build.graph(GraphParams::new(8, 40, 0).unwrap())).unwrap();
    let gallery = place.open();
    Known { place, rows, gallery }
}

impl Known {
    fn ids(&self) -> Vec<usize> {
        (0..FACES).filter(|id| id % 100 != 0).collect()
    }

    /// The faces that pass, most alike first.
    fn ranked(&self, probe: &[f32], passes: impl Fn(usize) -> bool) -> Vec<(usize, f64)> {
        let mut rows = self.rows.clone();
        // A row that is no embedding has no similarity either.
        rows.iter_mut().step_by(100).for_each(|row| row[0] = 1.0);
        let truth = exact(&rows, probe);
        let ids = self.ids().into_iter().filter(|&id| passes(id));
        let mut ranked: Vec<(usize, f64)> = ids.map(|id| (id, truth[id])).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }

    /// Whether an answer is the first of these, but for what rounding swaps.
    fn agrees(&self, probe: &[f32], query: &Query, expected: &[(usize, f64)]) {
        let probe = embedding(probe);
        let batch = self.gallery.search_batch(std::slice::from_ref(&probe), query).unwrap();
        let batch = batch.into_iter().next().unwrap().unwrap();
        for found in [self.gallery.search(&probe, query).unwrap(), batch] {
            same(&found, expected, query);
        }
    }
}

fn same(found: &[lookalike::Match<'_>], expected: &[(usize, f64)], query: &Query) {
    assert_eq!(found.len(), expected.len(), "{query:?}");
    let truth: HashMap<u64, f64> = expected.iter().map(|&(id, s)| (id as u64, s)).collect();
    for (found, (_, similarity)) in found.iter().zip(expected) {
        assert!((f64::from(found.similarity) - similarity).abs() < 1e-5, "{query:?}");
        let own = truth.get(&found.face_id.0).copied().unwrap_or(*similarity);
        assert!((f64::from(found.similarity) - own).abs() < 1e-5);
        assert_eq!(found.face().unwrap().face_id, found.face_id);
    }
}

fn ways() -> [Query; 4] {
    [
        Query::new(),
        Query::new().exhaustive(),
        Query::new().beam(FACES),
        // The codes of these are nearly exact.
        Query::new().share(1.0),
    ]
}

#[test]
fn what_is_stored_cell_by_cell_is_found_as_it_came() {
    let known = known(VectorType::F32);
    let gallery = &known.gallery;
    assert!(gallery.catalogue().cells.count >= 5);
    let stored = fs::read(known.place.gallery().join("segments/0001/vectors.bin")).unwrap();
    let first = embedding(&known.rows[FACES - 1]);
    let first: Vec<u8> = first.values().iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_ne!(stored[4096..4096 + first.len()], first, "in the order of the manifest");

    let mut random = Random(202);
    for round in 0..6 {
        let near = known.rows[round * 37 + 1].clone();
        let probe = random.near(&near, 0.3);
        let all = known.ranked(&probe, |_| true);
        let from = known.ranked(&probe, |id| source(id) == "archive-3" && id % 90 < 45);
        let mut seen = HashSet::new();
        let people: Vec<_> =
            all.iter().copied().filter(|&(id, _)| seen.insert(subject(id))).take(12).collect();
        let least = ((all[20].1 + all[21].1) / 2.0) as f32;
        for query in ways() {
            known.agrees(&probe, &query.clone().top(25), &all[..25]);
            known.agrees(&probe, &query.clone().at_least(least), &all[..21]);
            let filtered = query
                .clone()
                .filter("source = archive-3".parse().unwrap())
                .filter("age < 45".parse().unwrap());
            known.agrees(&probe, &filtered.clone().top(15), &from[..15]);
            known.agrees(&probe, &filtered.at_least(-1.0), &from);
            known.agrees(&probe, &query.group_by_subject().top(12), &people);
        }
    }
}

#[test]
fn a_face_is_the_same_by_every_name() {
    let known = known(VectorType::F16);
    let gallery = &known.gallery;
    let ids = known.ids();
    let listed: Vec<u64> = gallery.faces().map(|face| face.unwrap().face_id.0).collect();
    assert_eq!(listed, ids.iter().map(|&id| id as u64).collect::<Vec<_>>());
    let probe = embedding(&known.rows[5]);
    for &id in ids.iter().step_by(13).chain(&ids[..2 * PICTURED]) {
        let (face_id, row) = (FaceId(id as u64), embedding(&known.rows[id]));
        let face = gallery.face(face_id).unwrap();
        assert_eq!(gallery.face_by_key(&format!("k{id}")).unwrap(), face);
        assert_eq!(face.subject.as_deref(), Some(subject(id).as_str()));
        assert_eq!(face.source.as_deref(), Some(source(id).as_str()));
        let own = gallery.embedding(face_id).unwrap();
        let off = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(off(own.values(), row.values()));
        let truth: f32 = probe.values().iter().zip(row.values()).map(|(a, b)| a * b).sum();
        assert!((gallery.similarity(&probe, face_id).unwrap() - truth).abs() < 1e-3);

        let mates = gallery.faces_of_subject(&subject(id)).unwrap();
        let expected: Vec<FaceId> = ids
            .iter()
            .filter(|&&other| other % (FACES / PHOTOS) == id % (FACES / PHOTOS))
            .map(|&other| FaceId(other as u64))
            .collect();
        assert_eq!(mates, expected);
        let best = gallery.similarity_with_subject(&probe, &subject(id)).unwrap();
        let of = |&mate: &FaceId| gallery.similarity(&probe, mate).unwrap();
        assert_eq!(best.similarity, mates.iter().map(of).fold(-1.0, f32::max));

        for query in ways() {
            let found = gallery.search_face(face_id, &query.top(FACES)).unwrap();
            assert_eq!(found.len(), ids.len() - 1);
            assert!(found.iter().all(|other| other.face_id != face_id));
        }
    }
    for id in 1..2 * PICTURED {
        let (face, jpeg) =
            (gallery.face(FaceId(id as u64)).unwrap(), gallery.thumbnail(FaceId(id as u64)));
        assert_eq!(jpeg.unwrap().is_some(), id < PICTURED);
        if let Some(hash) = &face.image_hash {
            let photo = fs::read(sample("images").join(&face.image)).unwrap();
            assert_eq!(*hash, *blake3::hash(&photo).as_bytes());
            assert!(gallery.faces_of_image(hash).unwrap().contains(&face.face_id));
        }
    }
    let found = gallery.search(&embedding(&known.rows[3]), &Query::new().top(1)).unwrap();
    assert_eq!(found[0].face_id, FaceId(3));
    assert_eq!(found[0].thumbnail().unwrap(), gallery.thumbnail(FaceId(3)).unwrap());
    assert_eq!(found[0].face().unwrap().image, "00001.jpg");
}

#[test]
fn a_share_of_the_faces_holds_most_mates() {
    let known = known(VectorType::F32);
    let gallery = &known.gallery;
    let mut random = Random(203);
    let (mut mates, mut hits, mut read) = (0, 0, 0);
    let probes: Vec<_> = (1..90).map(|id| embedding(&random.near(&known.rows[id], 0.2))).collect();
    let part = Query::new().top(PHOTOS).share(0.4);
    let batch = gallery.search_batch(&probes, &part).unwrap();
    for (probe, together) in probes.iter().zip(batch) {
        let all = gallery.search(probe, &Query::new().top(PHOTOS).exhaustive()).unwrap();
        let found = gallery.search(probe, &part).unwrap();
        let ids = |found: &lookalike::Matches<'_>| -> HashSet<FaceId> {
            found.iter().map(|one| one.face_id).collect()
        };
        assert_eq!(ids(&found), ids(&together.unwrap()));
        assert_eq!(found.len(), PHOTOS);
        mates += all.len();
        hits += ids(&found).intersection(&ids(&all)).count();
        let counters = found.counters;
        read += counters.sketches_read;
        assert_eq!(counters.cells_ranked, u64::from(gallery.catalogue().cells.count));
        // At least the share, at most a cell more.
        let share = (0.4 * gallery.len() as f64).ceil() as u64;
        let largest = u64::from(gallery.catalogue().cells.largest);
        assert!((share..share + largest).contains(&counters.sketches_read));
        assert!(counters.bytes_read >= counters.cells_ranked * 64 * 2);
    }
    assert!(hits * 100 >= mates * 90, "{hits} of {mates}");
    assert!(read < 89 * gallery.len() * 3 / 4);
}

#[test]
fn a_share_that_holds_too_few_is_widened() {
    let known = known(VectorType::F32);
    let gallery = &known.gallery;
    let probe = embedding(&known.rows[1]);
    let little = Query::new().share(1e-9);
    assert_eq!(gallery.search(&probe, &little.clone().top(1)).unwrap()[0].face_id, FaceId(1));
    for k in [10, 700, 2000, FACES] {
        let faces = k.min(known.ids().len());
        assert_eq!(gallery.search(&probe, &little.clone().top(k)).unwrap().len(), faces);
        let people = k.min(FACES / PHOTOS);
        let grouped = little.clone().group_by_subject().top(k);
        assert_eq!(gallery.search(&probe, &grouped).unwrap().len(), people);
        let some = little.clone().filter("face_id < 40".parse().unwrap()).top(k);
        assert_eq!(gallery.search(&probe, &some).unwrap().len(), k.min(39));
    }
}

#[test]
fn an_index_made_elsewhere_is_taken_over() {
    let rows = Random(204).vectors(2500, DIMS);
    let place = Place::of(&rows);
    let index = Hnsw::<f32, _>::new(16, rows.len(), 16, 100, DistCosine {});
    for (id, row) in rows.iter().enumerate() {
        index.insert_slice((embedding(row).values(), id));
    }
    let build = Build::new(place.gallery(), place.path("faces.npy"));
    build.run_with_index(&index, &Silent, &Cancel::new()).unwrap();
    let faults = verify(place.gallery(), &Silent).unwrap().faults;
    assert!(faults.is_empty(), "{faults:?}");
    let gallery = place.open();
    assert!(gallery.catalogue().cells.count > 1);
    let itself = |id: usize| {
        let found = gallery.search(&embedding(&rows[id]), &Query::new().top(1).beam(16)).unwrap();
        found[0].face_id == FaceId(id as u64)
    };
    let found = (0..rows.len()).filter(|&id| itself(id)).count();
    assert!(found * 100 >= rows.len() * 95, "{found}");
}
