//! The whole lookup loop: synthetic galleries of every profile and both kinds, asked for hit rates.
//!
//! Every gallery is built as a user would build it and asked by its own plans for each of `RATES`,
//! one probe at a time on one thread and in batches of 64 on all; medians of `ROUNDS` rounds after a
//! warm-up, the rates taking turns. Truth is the exhaustive search. A probe of nobody has no mate to
//! miss, so its speed stands beside.
//!
//! `cargo bench --bench lookup` takes 100,000 and 1,000,000 faces; with `-- --large` 10,000,000 as
//! well, of 128 dimensions alone. FACES, PROFILES, KINDS, PROBES, ROUNDS and RATES change what is
//! run. Galleries are kept, so that a second run begins at once.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::HashSet;
use std::time::Instant;

use lookalike::synth::Profile;
use lookalike::{Gallery, Matches, Query};

mod common;
use common::{Data, listed, mates_in_top, median, print_machine, setting, subjects};

const K: usize = 10;
const BATCH: usize = 64;
/// One probe in so many goes ahead of each measurement.
const WARM_UP: usize = 8;
/// More faces than this are taken of 128 dimensions alone.
const WIDE: u64 = 1_000_000;

fn main() {
    let flag = |name: &str| std::env::args().any(|argument| argument == name);
    let quick = !flag("--bench");
    let sizes = match (quick, flag("--large")) {
        (true, _) => "2000",
        (false, false) => "100000,1000000",
        (false, true) => "100000,1000000,10000000",
    };
    let probes = setting("PROBES", if quick { 20 } else { 2000 }) as u64;
    let rounds = setting("ROUNDS", if quick { 1 } else { 5 });
    let profiles = if quick { "dlib-128" } else { "arcface-512,facenet-512,dlib-128" };
    print_machine();
    println!("k {K}, medians of {rounds} rounds, {probes} probes, half mated");
    for faces in listed::<u64>("FACES", sizes) {
        for profile in listed::<Profile>("PROFILES", profiles) {
            for kind in listed::<String>("KINDS", "isolated,clustered") {
                if faces > WIDE && profile != Profile::Dlib128 {
                    continue;
                }
                measure(&Data::new(profile, faces, kind == "isolated", probes, 1), rounds);
            }
        }
    }
}

fn measure(data: &Data, rounds: usize) {
    println!("\n{}", data.name);
    let place = data.gallery();
    let gallery = Gallery::open_resident(place).expect("the gallery");
    let probed = subjects(&data.folder.join("probes.csv"));
    let rows = subjects(&data.folder.join("manifest.csv"));
    let exhaustive = Query::new().top(K).exhaustive();
    let truth: Vec<Matches<'_>> = data
        .probes
        .chunks(512)
        .flat_map(|probes| gallery.search_batch(probes, &exhaustive).expect("answers"))
        .map(|answer| answer.expect("an answer"))
        .collect();
    let floors: Vec<f32> =
        truth.iter().map(|top| top.last().map_or(1.0, |last| last.similarity)).collect();
    let wanted: Vec<HashSet<u64>> =
        truth.iter().zip(&probed).map(|(top, subject)| mates_in_top(top, subject, &rows)).collect();
    let mates: usize = wanted.iter().map(HashSet::len).sum();
    let mated = probed.iter().take_while(|subject| subject.is_some()).count();
    let rates = listed::<f64>("RATES", "0.9,0.95,0.98,0.99");
    let mut lines: Vec<Line> = rates.iter().map(|&rate| Line::new(rate)).collect();
    for round in 0..=rounds {
        for line in &mut lines {
            let query = Query::new().top(K).hit_rate(line.rate);
            let search = |probe| gallery.search(probe, &query).expect("an answer");
            data.probes.iter().step_by(WARM_UP).for_each(|probe| drop(search(probe)));
            if round == 0 {
                let answers: Vec<Matches<'_>> = data.probes.iter().map(search).collect();
                line.judge(&answers, &floors, &wanted);
                continue;
            }
            let (with, without) = data.probes.split_at(mated);
            for (column, probes) in line.speeds.iter_mut().zip([with, without]) {
                let begun = Instant::now();
                probes.iter().for_each(|probe| drop(search(probe)));
                column.push(probes.len() as f64 / begun.elapsed().as_secs_f64());
            }
            let begun = Instant::now();
            for probes in data.probes.chunks(BATCH) {
                drop(gallery.search_batch(probes, &query).expect("answers"));
            }
            line.speeds[2].push(data.probes.len() as f64 / begun.elapsed().as_secs_f64());
        }
    }
    println!("{mates} mates within the exact top {K}");
    println!(
        "asked   hit rate  recall@{K}      mated  non-mated    batches   (probes a second)    \
         codes  vectors      KiB   (read a probe)   plan of most"
    );
    for line in lines {
        let [mated, others, batches] = line.speeds.map(|mut speeds| median(&mut speeds));
        println!(
            "{:<6} {:>9.4} {:>10.4} {mated:>10.0} {others:>10.0} {batches:>10.0} {:>29.0} {:>8.1} \
             {:>8.0}   {:>14}   {}",
            line.rate,
            line.hit_rate,
            line.recall,
            line.codes,
            line.vectors,
            line.kibibytes,
            "",
            line.plan
        );
    }
}

/// What a hit rate that is asked for gives and takes.
struct Line {
    rate: f64,
    hit_rate: f64,
    recall: f64,
    codes: f64,
    vectors: f64,
    kibibytes: f64,
    plan: String,
    /// Probes a second of each round: mated, of nobody, all in batches.
    speeds: [Vec<f64>; 3],
}

impl Line {
    fn new(rate: f64) -> Self {
        Self {
            rate,
            hit_rate: 0.0,
            recall: 0.0,
            codes: 0.0,
            vectors: 0.0,
            kibibytes: 0.0,
            plan: String::new(),
            speeds: Default::default(),
        }
    }

    fn judge(&mut self, answers: &[Matches<'_>], floors: &[f32], wanted: &[HashSet<u64>]) {
        let (mut hits, mut right) = (0, 0);
        for ((answer, floor), wanted) in answers.iter().zip(floors).zip(wanted) {
            hits += answer.iter().filter(|found| wanted.contains(&found.face_id.0)).count();
            right += answer.iter().filter(|found| found.similarity >= floor - 1e-6).count();
            let counters = &answer.counters;
            self.codes += counters.codes_read as f64;
            self.vectors += counters.vectors_read as f64;
            self.kibibytes += counters.bytes_read as f64 / 1024.0;
        }
        let (mates, probes) = (wanted.iter().map(HashSet::len).sum::<usize>(), answers.len());
        self.hit_rate = hits as f64 / mates.max(1) as f64;
        self.recall = right as f64 / (probes * K) as f64;
        for sum in [&mut self.codes, &mut self.vectors, &mut self.kibibytes] {
            *sum /= probes as f64;
        }
        self.plan = answers.first().map_or_else(String::new, |a| format!("{:?}", a.counters.plan));
    }
}
