//! Whether galleries keep the hit rates they promise: 20 galleries, fresh probes.
//!
//! Galleries of three profiles and both kinds, with and without labels, with and without a graph,
//! 20,000 to 1,000,000 faces, each of its own seed. Each is asked for hit rates of 0.95, 0.99 and
//! 0.999 at k 10 with probes it has never seen, half of which would be non-mated and are left out;
//! mates within the exact top 10 count, by f32 similarity to every face. Printed for each rate: the
//! share of them found, its 95 % interval (mates of one probe are not independent), and the plans
//! that answered.
//!
//! `cargo bench --bench promise`; results are kept, so that a run that was interrupted goes on.
//! PROBES changes the number of probes, ONLY is a part of the names to run.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::panic)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Instant;

use lookalike::synth::Profile;
use lookalike::{Build, Builder, Cancel, Embedding, Gallery, Query, Silent};
use rayon::prelude::*;

mod common;
use common::{Data, mates_in_top, print_machine, setting, subjects};

const K: usize = 10;
const RATES: [f64; 3] = [0.95, 0.99, 0.999];
/// Probes answered exactly at a time.
const BATCH: usize = 512;

struct Case {
    profile: Profile,
    isolated: bool,
    faces: u64,
    seed: u64,
    labelled: bool,
    graph: bool,
}

fn cases() -> Vec<Case> {
    let profiles = [Profile::ArcFace512, Profile::FaceNet512, Profile::Dlib128];
    let mut cases = Vec::new();
    let mut seed = 100;
    let mut add = |profile, isolated, faces, labelled, graph| {
        seed += 1;
        cases.push(Case { profile, isolated, faces, seed, labelled, graph });
    };
    for isolated in [true, false] {
        for profile in profiles {
            add(profile, isolated, 20_000, true, true);
            add(profile, isolated, 30_000, false, true);
        }
        add(profiles[0], isolated, 100_000, true, true);
        add(profiles[1 + usize::from(isolated)], isolated, 300_000, true, false);
        add(profiles[0], isolated, 300_000, false, false);
        add(profiles[0], isolated, 1_000_000, true, false);
    }
    cases
}

impl Case {
    fn name(&self) -> String {
        let Self { profile, faces, .. } = self;
        let kind = if self.isolated { "isolated" } else { "clustered" };
        let labels = if self.labelled { "labelled" } else { "unlabelled" };
        let graph = if self.graph { "graph" } else { "no graph" };
        format!("{profile} {kind} {faces} {labels}, {graph}")
    }
}

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let probes = setting("PROBES", if quick { 40 } else { 12_000 }) as u64;
    let only = std::env::var("ONLY").unwrap_or_default();
    print_machine();
    println!("k {K}, {probes} probes a gallery, of which the mated half is searched for");
    for case in cases() {
        if !case.name().contains(&only) {
            continue;
        }
        if quick {
            let small = Case { faces: 6000, graph: false, ..case };
            println!("{}", run(&small, probes));
            return;
        }
        let kept =
            common::cache().join(format!("promise-{}-{probes}-{}", case.name(), common::commit()));
        let lines = fs::read_to_string(&kept).unwrap_or_else(|_| {
            let lines = run(&case, probes);
            fs::write(&kept, &lines).expect("the result kept");
            lines
        });
        println!("{lines}");
    }
}

fn run(case: &Case, probes: u64) -> String {
    let data = Data::new(case.profile, case.faces, case.isolated, probes, case.seed);
    let place = data.folder.join("gallery");
    let _ = fs::remove_dir_all(&place);
    let (gallery, seconds) = gallery(case, &data, &place);
    let (faces, probed) =
        (subjects(&data.folder.join("manifest.csv")), subjects(&data.folder.join("probes.csv")));
    let mated = probed.iter().take_while(|subject| subject.is_some()).count();
    let probes = &data.probes[..mated];
    let wanted = wanted(&gallery, probes, &probed, &faces);
    let mates: usize = wanted.iter().map(HashSet::len).sum();
    let mut text = format!("{}: built in {seconds:.0} s, {mates} mates", case.name());
    for rate in RATES {
        let query = Query::new().top(K).hit_rate(rate);
        let answers: Vec<(usize, String)> = probes
            .par_iter()
            .zip(&wanted)
            .map(|(probe, wanted)| {
                let found = gallery.search(probe, &query).expect("an answer");
                let hits = found.iter().filter(|face| wanted.contains(&face.face_id.0)).count();
                (hits, format!("{:?}", found.counters.plan))
            })
            .collect();
        let mut ways = BTreeMap::new();
        answers.iter().for_each(|(_, way)| *ways.entry(way).or_insert(0_usize) += 1);
        let hits: Vec<usize> = answers.iter().map(|answer| answer.0).collect();
        let (found, margin) = share(&hits, &wanted, &probed);
        let (together, _) =
            share(&hits_of_batches(&gallery, probes, &query, &wanted), &wanted, &probed);
        text += &format!("\n  {rate:<5} {found:.4} +- {margin:.4}, in batches {together:.4}  ");
        let total = answers.len() as f64;
        let ways = ways.iter().map(|(way, n)| format!("{:.0} % {way}", 100.0 * *n as f64 / total));
        text += &ways.collect::<Vec<_>>().join(", ");
    }
    drop(gallery);
    // Twenty of them and their input would fill a disk.
    fs::remove_dir_all(&data.folder).expect("removed");
    text
}

fn gallery(case: &Case, data: &Data, place: &Path) -> (Gallery, f64) {
    let mut build = Build::new(place, data.folder.join("embeddings.npy")).builder(if case.graph {
        Builder::Own
    } else {
        Builder::None
    });
    if case.labelled {
        build = build.manifest(data.folder.join("manifest.csv"));
    }
    let begun = Instant::now();
    build.run(&Silent, &Cancel::new()).expect("a gallery");
    let seconds = begun.elapsed().as_secs_f64();
    (Gallery::open(place).expect("the gallery"), seconds)
}

/// Face ids of the mates within the exact top.
fn wanted(
    gallery: &Gallery,
    probes: &[Embedding],
    probed: &[Option<String>],
    faces: &[Option<String>],
) -> Vec<HashSet<u64>> {
    let query = Query::new().top(K).exhaustive();
    let mut wanted = Vec::with_capacity(probes.len());
    for (probes, probed) in probes.chunks(BATCH).zip(probed.chunks(BATCH)) {
        let answers = gallery.search_batch(probes, &query).expect("answers");
        wanted.extend(
            answers
                .into_iter()
                .zip(probed)
                .map(|(answer, subject)| mates_in_top(&answer.expect("an answer"), subject, faces)),
        );
    }
    wanted
}

/// Mates that each probe finds when it is one of a batch.
fn hits_of_batches(
    gallery: &Gallery,
    probes: &[Embedding],
    query: &Query,
    wanted: &[HashSet<u64>],
) -> Vec<usize> {
    let mut hits = Vec::with_capacity(probes.len());
    for (probes, wanted) in probes.chunks(BATCH).zip(wanted.chunks(BATCH)) {
        let answers = gallery.search_batch(probes, query).expect("answers");
        hits.extend(answers.into_iter().zip(wanted).map(|(answer, wanted)| {
            let answer = answer.expect("an answer");
            answer.iter().filter(|face| wanted.contains(&face.face_id.0)).count()
        }));
    }
    hits
}

/// The share of wanted mates that were hit, and half of its 95 % interval: the probes of one
/// subject, who look for the same mates, count as one draw.
fn share(hits: &[usize], wanted: &[HashSet<u64>], subjects: &[Option<String>]) -> (f64, f64) {
    let mut counts: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for ((hits, wanted), subject) in hits.iter().zip(wanted).zip(subjects) {
        let count = counts.entry(subject).or_default();
        *count = (count.0 + hits, count.1 + wanted.len());
    }
    let hits: usize = counts.values().map(|count| count.0).sum();
    let of: usize = counts.values().map(|count| count.1).sum();
    let rate = hits as f64 / of.max(1) as f64;
    let square = |&(hits, of): &(usize, usize)| (hits as f64 - rate * of as f64).powi(2);
    let error = counts.values().map(square).sum::<f64>().sqrt() / of.max(1) as f64;
    (rate, 1.96 * error)
}
