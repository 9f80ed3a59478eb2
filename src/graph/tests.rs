//! What holds of every graph of the own builder, whatever the faces.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::gallery::format::NONE;
use crate::graph::{Graph, GraphParams, own};
use crate::synth::{Profile, Synth};
use crate::{Build, Cancel, Gallery, Silent, VectorType};

const DIMS: usize = 24;

/// A folder with a gallery of these rows.
fn gallery(rows: &[Vec<f32>], params: GraphParams, threads: usize) -> (tempfile::TempDir, Gallery) {
    gallery_in(rows, params, threads, VectorType::F32)
}

fn gallery_in(
    rows: &[Vec<f32>],
    params: GraphParams,
    threads: usize,
    vectors: VectorType,
) -> (tempfile::TempDir, Gallery) {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = rows.iter().map(|row| format!("{row:?}\n")).collect();
    let input = folder.path().join("faces.jsonl");
    std::fs::write(&input, lines.concat()).unwrap();
    // Three photos a person, so that some can be held out.
    let subjects = (0..rows.len()).map(|row| format!("person-{}\n", row / 3));
    let manifest = folder.path().join("faces.csv");
    std::fs::write(&manifest, "subject\n".to_owned() + &subjects.collect::<String>()).unwrap();
    let place = folder.path().join("gallery");
    let build = Build::new(&place, input).manifest(manifest).vectors(vectors);
    build.graph(params).threads(threads).run(&Silent, &Cancel::new()).unwrap();
    let gallery = Gallery::open(&place).unwrap();
    (folder, gallery)
}

fn rows(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count).map(|_| (0..DIMS).map(|_| random.random_range(-1.0..1.0)).collect()).collect()
}

fn params() -> GraphParams {
    GraphParams::new(8, 64, 3).unwrap()
}

/// Each face's list on layer 0.
fn lists(gallery: &Gallery) -> Vec<Vec<u32>> {
    let graph = gallery.0.segment.graph.as_ref().unwrap().view();
    (0..gallery.len() as u32).map(|slot| graph.neighbours(slot).to_vec()).collect()
}

fn in_degrees(lists: &[Vec<u32>]) -> Vec<usize> {
    let mut into = vec![0; lists.len()];
    lists.iter().flatten().for_each(|&to| into[to as usize] += 1);
    into
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lists_are_sound(count in 1_usize..300, copies in 0_usize..100, seed in 0_u64..99) {
        let mut rows = rows(count, seed);
        // Copies, and copies that differ by rounding.
        for at in 0..copies {
            let mut copy = rows[at % count.min(3)].clone();
            copy[0] += (at % 2) as f32 * 1e-7;
            rows.push(copy);
        }
        let (_folder, gallery) = gallery(&rows, params(), 2);
        let graph = gallery.0.segment.graph.as_ref().unwrap().view();
        for (slot, list) in lists(&gallery).iter().enumerate() {
            prop_assert!(list.len() <= 16);
            prop_assert_eq!(list.iter().collect::<HashSet<_>>().len(), list.len());
            prop_assert!(list.iter().all(|&to| to as usize != slot && (to as usize) < rows.len()));
            let raw = graph.neighbours_raw(slot as u32);
            prop_assert!(raw[list.len()..].iter().all(|&to| to == NONE));
        }
        let info = gallery.catalogue().graph.as_ref().unwrap();
        prop_assert_eq!(info.unreachable_after, 0);
        for layer in graph.upper {
            let places = layer.end - layer.start;
            for place in layer.clone() {
                let list = graph.upper_neighbours(place);
                prop_assert!(list.iter().all(|&to| (to as usize) < places));
            }
            prop_assert_eq!(graph.slots[layer.start], graph.entry);
        }
    }
}

#[test]
fn one_seed_gives_one_graph_whatever_the_threads() {
    // More than are answered exactly, so that some are held out and linked last.
    let rows = rows(6000, 5);
    let of = |threads, seed| {
        let params = GraphParams::new(8, 64, seed).unwrap();
        lists(&gallery(&rows, params, threads).1)
    };
    assert_eq!(of(1, 3), of(2, 3));
    assert_eq!(of(2, 3), of(7, 3));
    assert_ne!(of(2, 3), of(2, 4));
}

#[test]
fn copies_do_not_fill_lists_and_are_linked_to() {
    for vectors in [VectorType::F32, VectorType::F16] {
        copies_are_few(vectors);
    }
}

fn copies_are_few(vectors: VectorType) {
    let mut rows = rows(1500, 6);
    let first = rows[0].clone();
    rows.extend(vec![first; 1062]);
    let (_folder, gallery) = gallery_in(&rows, params(), 2, vectors);
    let copy: Vec<bool> = (0..gallery.len() as u32)
        .map(|slot| {
            let vector = gallery.0.segment.vector(slot).into_owned();
            let probe = gallery.embedding(crate::FaceId(0)).unwrap();
            vector.iter().zip(probe.values()).map(|(a, b)| a * b).sum::<f32>() > 0.999
        })
        .collect();
    assert!(copy.iter().filter(|&&copy| copy).count() >= 1062);
    let lists = lists(&gallery);
    let among = |list: &Vec<u32>| list.iter().filter(|&&to| copy[to as usize]).count();
    let of_copies: Vec<usize> =
        lists.iter().zip(&copy).filter(|(_, copy)| **copy).map(|(list, _)| among(list)).collect();
    let mean = of_copies.iter().sum::<usize>() as f64 / of_copies.len() as f64;
    assert!(mean <= 4.0, "{mean} of a copy's links go to copies");
    assert!(in_degrees(&lists).iter().all(|&links| links >= 1));
}

#[test]
fn few_have_hardly_any_links_into_them_and_nobody_none() {
    let folder = tempfile::tempdir().unwrap();
    let synth = Synth { isolated: false, probes: 10, ..Synth::new(Profile::Dlib128, 6000) };
    synth.write(folder.path(), None, &Silent, &Cancel::new()).unwrap();
    let place = folder.path().join("gallery");
    Build::new(&place, folder.path().join("embeddings.npy")).run(&Silent, &Cancel::new()).unwrap();
    let into = in_degrees(&lists(&Gallery::open(&place).unwrap()));
    assert!(into.iter().all(|&links| links >= 4), "{:?}", into.iter().min());
}

#[test]
fn who_is_linked_last_is_not_there_before() {
    let (_folder, gallery) = gallery(&rows(2000, 8), params(), 2);
    let segment = &gallery.0.segment;
    let codes = segment.codes.view(segment.faces()).unwrap();
    let last: HashSet<u32> = (0..2000).filter(|slot| slot % 10 == 3).collect();
    let mut paused = false;
    let pause = |graph: Graph| {
        paused = true;
        assert!(!last.contains(&graph.entry));
        assert!(graph.slots.iter().all(|slot| !last.contains(slot)));
        for slot in 0..2000 {
            let list = graph.view().neighbours(slot);
            assert!(list.iter().all(|to| !last.contains(to)));
            assert_eq!(list.is_empty(), last.contains(&slot));
        }
        Ok::<(), ()>(())
    };
    let vectors = (segment.vectors(), DIMS);
    let (silent, cancel) = (Silent, Cancel::new());
    let built = own::build(vectors, codes, &params(), &last, pause, &silent, &cancel);
    let graph = built.unwrap().unwrap();
    assert!(paused);
    assert!((0..2000).all(|slot| !graph.view().neighbours(slot).is_empty()));

    cancel.cancel();
    let built =
        own::build(vectors, codes, &params(), &last, |_| Ok::<(), ()>(()), &silent, &cancel);
    assert_eq!(built, Ok(None));
}
