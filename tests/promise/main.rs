//! A gallery keeps the hit rate it promises, by plans that were measured when it was built.

#![cfg(feature = "synth")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changed;

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use lookalike::evaluate::{Exact, Mates, Setting, Truth, measure};
use lookalike::ingest::{Embeddings, Manifest};
use lookalike::search::{Basis, Plan, Promise};
use lookalike::synth::{Profile, Synth};
use lookalike::{Build, Builder, Cancel, Embedding, Error, Gallery, Query, SearchError, Silent};

const FACES: u64 = 6000;
const PROBES: u64 = 400;

/// A gallery large enough to be measured, and probes it has never seen.
struct Measured {
    folder: tempfile::TempDir,
    gallery: Gallery,
    probes: Vec<Embedding>,
    subjects: Vec<Option<String>>,
}

fn made(isolated: bool, builder: Builder, labelled: bool) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("s");
    let (probes, seed) = (PROBES, 7);
    let synth = Synth { isolated, probes, seed, ..Synth::new(Profile::FaceNet512, FACES) };
    synth.write(&input, None, &Silent, &Cancel::new()).unwrap();
    let place = folder.path().join("g");
    let mut build = Build::new(&place, input.join("embeddings.npy")).builder(builder);
    if labelled {
        build = build.manifest(input.join("manifest.csv"));
    }
    build.run(&Silent, &Cancel::new()).unwrap();
    let file = Embeddings::open(&input.join("probes.npy"), None).unwrap();
    let mut values = vec![0.0; file.dims()];
    let probes = (0..file.rows())
        .map(|row| {
            file.read(row, &mut values).unwrap();
            Embedding::new(values.clone()).unwrap()
        })
        .collect();
    let lines = Manifest::open(&input.join("probes.csv")).unwrap();
    let subjects = lines.iter().unwrap().map(|line| line.unwrap().subject).collect();
    Measured { gallery: Gallery::open(&place).unwrap(), folder, probes, subjects }
}

/// People with one photo mostly, with a graph.
fn isolated() -> &'static Measured {
    static MADE: OnceLock<Measured> = OnceLock::new();
    MADE.get_or_init(|| made(true, Builder::Own, true))
}

fn promise(gallery: &Gallery) -> &Promise {
    gallery.catalogue().promise.as_ref().unwrap()
}

fn ids(gallery: &Gallery, probe: &Embedding, query: &Query) -> Vec<u64> {
    let found = gallery.search(probe, query).unwrap();
    found.iter().map(|face| face.face_id.0).collect()
}

fn hit_rate(measured: &Measured, setting: Setting, k: usize) -> f64 {
    hit_rate_with(measured, setting, k, 1)
}

/// With more threads than one, probes are answered as a batch.
fn hit_rate_with(measured: &Measured, setting: Setting, k: usize, threads: usize) -> f64 {
    let Measured { gallery, probes, subjects, .. } = measured;
    let query = Query::new().top(k);
    let exact = Exact::of(gallery, probes, k, &query, &Silent).unwrap();
    let mates = Mates::of(gallery, subjects, &exact).unwrap();
    let truth = Truth::new(exact).mates(mates);
    let found = measure(gallery, probes, &truth, &setting.apply(query), threads).unwrap();
    found.hit_rate.unwrap()
}

#[test]
fn fresh_probes_find_what_was_promised() {
    for k in [1, 10, 100] {
        for rate in [0.9, 0.99] {
            let kept = hit_rate(isolated(), Setting::HitRate(rate), k);
            // 200 mated probes say this much and no more.
            assert!(kept >= rate - 0.02, "k {k}: {kept} for {rate}");
        }
    }
}

#[test]
fn ladders_climb_in_hit_rate_and_in_cost() {
    let promise = promise(&isolated().gallery);
    assert!(!promise.estimated && promise.made_up < promise.mated && promise.non_mated > 0);
    assert_eq!(promise.ladders.iter().map(|ladder| ladder.k).collect::<Vec<_>>(), [1, 10, 100]);
    for ladder in &promise.ladders {
        assert!(ladder.mates > 0 && !ladder.rungs.is_empty());
        assert!(ladder.rungs.is_sorted_by_key(|rung| rung.microseconds(FACES)));
        let (mut best, mut best_scan) = (-1.0, -1.0);
        for rung in &ladder.rungs {
            let scans = rung.plan.is_whole_scan() && rung.at_least > best_scan;
            assert!(rung.at_least > best || scans, "{rung:?} is worth nothing");
            best = rung.at_least.max(best);
            if scans {
                best_scan = rung.at_least;
            }
        }
        for rung in &ladder.rungs {
            assert!((0.0..=1.0).contains(&rung.hit_rate) && rung.at_least <= rung.hit_rate);
        }
    }
}

#[test]
fn the_cheapest_plan_that_holds_is_taken() {
    let Measured { gallery, probes, .. } = isolated();
    let ladder = &promise(gallery).ladders[1];
    let first = ladder.rungs.iter().find(|rung| rung.at_least >= 0.95).unwrap();
    let found = gallery.search(&probes[0], &Query::new().top(10).hit_rate(0.95)).unwrap();
    let same = match (found.counters.plan, first.plan) {
        // A walk that was sure needs no scan, and says so.
        (Plan::Walk { .. }, Plan::WalkThenScan { .. }) => true,
        (taken, planned) => taken == planned,
    };
    assert!(same, "{:?} for {:?}", found.counters.plan, first.plan);
    // Between two promised numbers of faces, the larger one's plan is taken.
    let five = gallery.search(&probes[0], &Query::new().top(5).hit_rate(0.95)).unwrap();
    assert_eq!(five.counters.plan, found.counters.plan);
}

#[test]
fn what_no_plan_promises_is_answered_exactly() {
    let Measured { gallery, probes, .. } = isolated();
    for query in [Query::new().hit_rate(1.0), Query::new().hit_rate(0.999_999)] {
        let found = gallery.search(&probes[0], &query).unwrap();
        assert_eq!(found.counters.plan, Plan::Exhaustive);
        let exact = ids(gallery, &probes[0], &Query::new().exhaustive());
        assert_eq!(ids(gallery, &probes[0], &query), exact);
    }
    for rate in [0.0, -0.5, 1.01, f64::NAN] {
        let refused = gallery.search(&probes[0], &Query::new().hit_rate(rate));
        assert!(matches!(refused, Err(Error::Search(SearchError::HitRate(_)))), "{rate}");
        let refused = gallery.search(&probes[0], &Query::new().share(rate));
        assert!(matches!(refused, Err(Error::Search(SearchError::Share(_)))), "{rate}");
    }
}

/// The share of the mates at or above a threshold that a search for all of them finds, and how many
/// those are.
fn range_hit_rate(measured: &Measured, query: &Query) -> (f64, usize) {
    let Measured { gallery, probes, subjects, .. } = measured;
    let (mut hits, mut mates) = (0, 0);
    for (probe, subject) in probes.iter().zip(subjects) {
        let found: HashSet<u64> = ids(gallery, probe, query).into_iter().collect();
        let exact = gallery.search(probe, &query.clone().exhaustive()).unwrap();
        for face in exact.iter().filter(|_| subject.is_some()) {
            if face.face().unwrap().subject == *subject {
                mates += 1;
                hits += usize::from(found.contains(&face.face_id.0));
            }
        }
    }
    assert!(mates >= 10, "{mates} say nothing");
    (hits as f64 / mates as f64, mates)
}

#[test]
fn all_above_a_threshold_are_found_as_promised() {
    let Measured { gallery, probes, .. } = isolated();
    let ranges = &promise(gallery).ranges;
    assert!(ranges.len() == 5 && ranges.is_sorted_by_key(|range| range.at_least), "{ranges:?}");
    assert!(ranges.iter().all(|range| range.mates > 0 && !range.rungs.is_empty()));
    // At what was measured, between, and above all of it.
    let mut thresholds: Vec<f32> = ranges.iter().map(|range| range.at_least).collect();
    thresholds.extend(ranges.windows(2).map(|two| two[0].at_least.midpoint(two[1].at_least)));
    thresholds.push(ranges[4].at_least + 0.02);
    for at_least in thresholds {
        for rate in [0.9, 0.95, 0.99] {
            let query = Query::new().at_least(at_least).hit_rate(rate);
            let rung = promise(gallery).range(at_least, rate, false, FACES);
            let planned = rung.map_or(Plan::Exhaustive, |rung| rung.plan);
            assert_eq!(gallery.search(&probes[0], &query).unwrap().counters.plan, planned);
            let (kept, mates) = range_hit_rate(isolated(), &query);
            let chance = 3.0 * (rate * (1.0 - rate) / mates as f64).sqrt();
            assert!(kept >= rate - chance, "{kept} of {mates} for {rate} at {at_least}");
        }
    }
}

#[test]
fn below_every_measured_threshold_nothing_is_promised_and_hardly_anything_missed() {
    let Measured { gallery, probes, .. } = isolated();
    let lowest = promise(gallery).ranges[0].at_least;
    let query = Query::new().at_least(lowest - 0.05);
    assert_eq!(gallery.search(&probes[0], &query).unwrap().basis, Basis::Unmeasured);
    assert!(range_hit_rate(isolated(), &query).0 >= 0.995);
}

#[test]
fn links_lead_from_one_mate_to_the_others() {
    let made = made(false, Builder::Own, true);
    let range = &promise(&made.gallery).ranges[1];
    // Many have more mates than the beam is wide.
    for beam in [1, 16] {
        let query = Query::new().at_least(range.at_least).beam(beam);
        let (kept, _) = range_hit_rate(&made, &query);
        assert!(kept >= 0.95, "{kept} with a beam of {beam}");
    }
}

#[test]
fn an_answer_says_what_it_is_worth() {
    let Measured { gallery, probes, .. } = isolated();
    let worth = |query: Query| {
        let found = gallery.search(&probes[0], &query).unwrap();
        assert_eq!((found.faces, found.threshold), (gallery.len(), None));
        assert_eq!(gallery.plan(&query).unwrap().1, found.basis);
        found.basis
    };
    assert_eq!(worth(Query::new().exhaustive()), Basis::Complete);
    assert_eq!(worth(Query::new().hit_rate(1.0)), Basis::Complete);
    assert_eq!(worth(Query::new().hit_rate(0.95)), Basis::Planned { hit_rate: 0.95 });
    assert_eq!(worth(Query::new().top(5).hit_rate(0.9)), Basis::Planned { hit_rate: 0.9 });
    assert_eq!(worth(Query::new().top(101)), Basis::Unmeasured);
    assert_eq!(worth(Query::new().share(0.5)), Basis::Unmeasured);
    assert_eq!(worth(Query::new().beam(50)), Basis::Unmeasured);
    let threshold = gallery.search(&probes[0], &Query::new().at_least(0.9)).unwrap().threshold;
    assert_eq!(threshold, Some(0.9));
}

#[test]
fn batches_answer_as_single_searches_do() {
    let Measured { gallery, probes, .. } = isolated();
    // What is kept while scanning depends on who was seen first; what is found surely does not.
    for query in
        [Query::new().share(1.0), Query::new().share(0.2).top(3), Query::new().hit_rate(1.0)]
    {
        let batch = gallery.search_batch(&probes[..40], &query).unwrap();
        for (probe, answer) in probes.iter().zip(batch) {
            let together: Vec<u64> = answer.unwrap().iter().map(|face| face.face_id.0).collect();
            assert_eq!(together, ids(gallery, probe, &query));
        }
    }
}

#[test]
fn a_gallery_without_a_graph_promises_scans() {
    let made = made(false, Builder::None, true);
    let rungs = promise(&made.gallery).ladders.iter().flat_map(|ladder| &ladder.rungs);
    assert!(rungs.clone().count() > 0);
    assert!(rungs.clone().all(|rung| matches!(rung.plan, Plan::Scan { .. })));
    assert!(hit_rate(&made, Setting::HitRate(0.95), 10) >= 0.93);
    // Scans of everything are what a batch shares: it must find no less for that.
    let scan = rungs.clone().find(|rung| rung.plan.is_whole_scan() && rung.at_least > 0.8);
    let least = scan.unwrap().at_least;
    assert!(hit_rate_with(&made, Setting::HitRate(least), 10, 2) >= least - 0.02);
}

#[test]
fn without_subjects_the_promise_is_estimated() {
    let made = made(false, Builder::None, false);
    let promise = promise(&made.gallery);
    assert!(promise.estimated);
    assert_eq!(promise.made_up, promise.mated);
}

#[test]
fn a_small_gallery_needs_no_promise() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample/embeddings.npy");
    let place = folder.path().join("g");
    Build::new(&place, sample).run(&Silent, &Cancel::new()).unwrap();
    let gallery = Gallery::open(&place).unwrap();
    assert_eq!(gallery.catalogue().promise, None);
    let probe = gallery.embedding(lookalike::FaceId(3)).unwrap();
    let found = gallery.search(&probe, &Query::new().hit_rate(0.5)).unwrap();
    assert_eq!(found.counters.plan, Plan::Exhaustive);
}

#[test]
fn measuring_leaves_nothing_behind() {
    let place = isolated().folder.path().join("g");
    let found = lookalike::gallery::verify(&place, &Silent).unwrap();
    assert!(found.faults.is_empty(), "{:?}", found.faults);
}

#[test]
fn a_threshold_leaves_out_no_subject_that_reaches_it() {
    let Measured { gallery, probes, .. } = isolated();
    let (mut found, mut all) = (0, 0);
    for probe in &probes[..60] {
        for query in [
            Query::new().top(30).at_least(0.2).group_by_subject(),
            Query::new().beam(16).at_least(0.2),
        ] {
            let exact: HashSet<u64> =
                ids(gallery, probe, &query.clone().exhaustive()).into_iter().collect();
            let answer = ids(gallery, probe, &query);
            found += answer.iter().filter(|face| exact.contains(face)).count();
            all += exact.len();
        }
    }
    // Too little is widened until the estimates say that nothing is left above the threshold.
    assert!(all > 1000 && found as f64 >= 0.99 * all as f64, "{found} of {all}");
}

#[test]
fn a_threshold_that_a_mate_barely_reaches_leaves_it_in() {
    let Measured { gallery, probes, .. } = isolated();
    for plan in [Plan::Scan { share: 1.0, keep: 104, confidence: -1.0 }, Plan::Walk { beam: 64 }] {
        let query = Query::new().top(10).plan(plan);
        let (mut kept, mut all) = (0, 0);
        for probe in probes {
            let found = gallery.search(probe, &query).unwrap();
            for face in found.iter().take(5) {
                let barely = query.clone().at_least(face.similarity);
                kept += usize::from(ids(gallery, probe, &barely).contains(&face.face_id.0));
                all += 1;
            }
        }
        // Three standard deviations of error leave out one in seven hundred.
        assert!(all == 2000 && kept >= 1990, "{plan:?}: {kept} of {all}");
    }
}

#[test]
fn a_scan_after_a_filtered_walk_goes_on_with_those_that_pass() {
    let Measured { gallery, probes, .. } = isolated();
    // About half of the faces pass, and a few of them.
    for (filter, beam) in [
        ("captured_on >= '2020-01-01'", 32),
        ("captured_on between 2020-01-01 and 2020-01-12", 6000),
    ] {
        let filter: lookalike::Filter = filter.parse().unwrap();
        let query = Query::new().top(10).filter(filter);
        let all = query.clone().top(FACES as usize).exhaustive();
        let passing: HashSet<u64> = ids(gallery, &probes[0], &all).into_iter().collect();
        assert!(passing.len() > 1 && passing.len() < FACES as usize, "{}", passing.len());
        let plan = Plan::WalkThenScan { beam, accept: 2.0, keep: 104, confidence: 1.0 };
        let (mut found, mut wanted) = (0, 0);
        for probe in &probes[..50] {
            for query in [query.clone(), query.clone().at_least(0.1)] {
                let exact = ids(gallery, probe, &query.clone().exhaustive());
                let answer = gallery.search(probe, &query.plan(plan)).unwrap();
                assert!(matches!(answer.counters.plan, Plan::WalkThenScan { .. }));
                assert!(answer.iter().all(|face| passing.contains(&face.face_id.0)));
                found += answer.iter().filter(|face| exact.contains(&face.face_id.0)).count();
                wanted += exact.len();
            }
        }
        assert!(wanted > 50 && found as f64 >= 0.98 * wanted as f64, "{found} of {wanted}");
    }
}

#[test]
fn a_filtered_walk_returns_as_many_as_were_asked_for() {
    let Measured { gallery, probes, .. } = isolated();
    // Nearly all pass: where few do, scoring those is cheaper than a walk.
    let filter: lookalike::Filter = "captured_on >= '2016-01-01'".parse().unwrap();
    let query = Query::new().top(20).filter(filter).beam(1);
    let found: Vec<_> = probes.iter().map(|probe| gallery.search(probe, &query).unwrap()).collect();
    assert!(found.iter().all(|found| found.len() == 20));
    assert!(found.iter().any(|found| matches!(found.counters.plan, Plan::Walk { .. })));
}

#[test]
fn with_a_filter_and_by_subject_fresh_probes_find_what_was_promised() {
    // People with one photo are easily missed, and hardly count among the nearest hundred.
    let made = made(false, Builder::Own, true);
    let Measured { gallery, probes, subjects, .. } = &made;
    let filter: lookalike::Filter = "captured_on >= '2016-01-01'".parse().unwrap();
    for k in [1, 10] {
        for query in [
            Query::new().top(k),
            Query::new().top(k).filter(filter.clone()),
            Query::new().top(k).group_by_subject(),
        ] {
            let mates = |query: &Query| -> Vec<HashSet<u64>> {
                let each = probes.iter().zip(subjects).filter(|(_, subject)| subject.is_some());
                let mates = each.map(|(probe, subject)| {
                    let found = gallery.search(probe, query).unwrap().into_iter();
                    let mates = found.filter(|face| face.face().unwrap().subject == *subject);
                    mates.map(|face| face.face_id.0).collect()
                });
                mates.collect()
            };
            let wanted = mates(&query.clone().exhaustive());
            for rate in [0.95, 0.99] {
                let found = mates(&query.clone().hit_rate(rate));
                let hits = |(found, wanted): (&HashSet<u64>, &HashSet<u64>)| {
                    found.intersection(wanted).count()
                };
                let hits: usize = found.iter().zip(&wanted).map(hits).sum();
                let all: usize = wanted.iter().map(HashSet::len).sum();
                let kept = hits as f64 / all as f64;
                // So few probes say this much and no more.
                let chance = 3.0 * (rate * (1.0 - rate) / all as f64).sqrt();
                assert!(all > 90 && kept >= rate - chance, "{query:?}: {kept} of {all} for {rate}");
            }
        }
    }
}

#[test]
fn what_is_exact_depends_on_no_plan() {
    let Measured { gallery, probes, .. } = isolated();
    let walk = Query::new().plan(Plan::Walk { beam: 1 });
    let of = |query: &Query| Exact::of(gallery, &probes[..50], 10, query, &Silent).unwrap();
    let found = measure(gallery, &probes[..50], &Truth::new(of(&walk)), &walk, 1).unwrap();
    let known = measure(gallery, &probes[..50], &Truth::new(of(&Query::new())), &walk, 1).unwrap();
    assert!(found.recall.unwrap() < 0.999, "{:?}", found.recall);
    assert_eq!(found.recall, known.recall);
}

#[test]
fn in_memory_or_mapped_the_answers_are_the_same() {
    let Measured { gallery, probes, folder, .. } = isolated();
    let resident = Gallery::open_resident(folder.path().join("g")).unwrap();
    for query in [Query::new(), Query::new().beam(20), Query::new().share(1.0)] {
        for probe in &probes[..20] {
            assert_eq!(ids(&resident, probe, &query), ids(gallery, probe, &query));
        }
    }
}
