//! Searches for all faces above a threshold, and searches with filters.
//!
//! One clustered gallery of `FACES` synthetic faces, among its people one with a twentieth of all
//! photos and twenty with a thousandth each (but with `CROWD=0`), built as a user would build it.
//! Each face has a `part`, a number drawn at random, so that `part < n` lets a chosen share of the
//! faces pass.
//!
//! - **Ranges**: every face at or above `AT_LEAST`, by what the gallery promises at a hit rate of
//!   0.99, for probes of people with 1, about 10, about 100, a thousandth and a twentieth of all
//!   photos; beside it scoring every face by its vector.
//! - **Filters**: the ten nearest of 50, 20, 5, 0.5 and 0.005 % of the faces, the same.
//!
//! Hit rates count the mates among what scoring every face finds. Times are medians over the probes
//! of the median of `ROUNDS` rounds, on one thread.
//!
//! `cargo bench --bench select`. FACES, PROFILE, ISOLATED and CROWD (1 or 0), SEED, AT_LEAST,
//! PROBES and ROUNDS change what is run. The gallery is kept.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lookalike::synth::{Profile, Synth};
use lookalike::{Build, Cancel, Embedding, Filter, Gallery, Query, Silent};

mod common;
use common::{cache, listed, mates_in_top, median, print_machine, read, setting, subjects};

const K: usize = 10;
const RATE: f64 = 0.99;
/// Probes a line at most, and how many of them are also timed exhaustively.
const EACH: usize = 100;
const TIMED: usize = 5;
/// `part` is below this.
const PARTS: u64 = 20_000;

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 6000 } else { 1_000_000 }) as u64;
    let probes = setting("PROBES", if quick { 40 } else { 4000 }) as u64;
    let rounds = setting("ROUNDS", if quick { 1 } else { 5 });
    let profile = listed::<Profile>("PROFILE", "arcface-512")[0];
    let (isolated, crowd) = (setting("ISOLATED", 0) == 1, setting("CROWD", 1) == 1);
    let at_least = listed::<f32>("AT_LEAST", "0.45")[0];
    print_machine();
    let kind = if isolated { "isolated" } else { "clustered" };
    let seed = setting("SEED", 11) as u64;
    println!("{profile} {kind} {faces}, seed {seed}, hit rate {RATE}, medians of {rounds} rounds");
    let people = if crowd { "crowd" } else { "no-crowd" };
    println!("{people}");
    let folder = cache().join(format!("select-{profile}-{kind}-{faces}-{probes}-{seed}-{people}"));
    let mut synth = Synth { isolated, probes, seed, ..Synth::new(profile, faces) };
    if crowd {
        synth.subject_sizes = vec![faces / 1000; 20];
        synth.subject_sizes.push(faces / 20);
    }
    let gallery = gallery(&folder, &synth);
    let bench = Bench::new(&gallery, &folder, rounds);
    bench.ranges(at_least);
    bench.filters();
}

/// The gallery, built where it is not there yet.
fn gallery(folder: &Path, synth: &Synth) -> Gallery {
    let place = folder.join("gallery");
    if !place.exists() {
        let _ = fs::remove_dir_all(folder);
        synth.write(folder, None, &Silent, &Cancel::new()).expect("a synthetic gallery");
        let manifest = with_parts(folder, synth.seed);
        let begun = Instant::now();
        Build::new(&place, folder.join("embeddings.npy"))
            .manifest(manifest)
            .run(&Silent, &Cancel::new())
            .expect("a gallery");
        println!("built in {:.0} s", begun.elapsed().as_secs_f64());
    }
    Gallery::open_resident(place).expect("the gallery")
}

/// The manifest with another column, `part`.
fn with_parts(folder: &Path, seed: u64) -> PathBuf {
    let (from, to) = (folder.join("manifest.csv"), folder.join("with-parts.csv"));
    let lines = BufReader::new(fs::File::open(from).expect("a manifest")).lines();
    let mut out = BufWriter::new(fs::File::create(&to).expect("a file"));
    // A linear congruential generator (Knuth's MMIX) is random enough to draw a part with.
    let mut state = seed;
    for (at, line) in lines.enumerate() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = (state >> 33) % PARTS;
        let cell = if at == 0 { "part".to_owned() } else { part.to_string() };
        writeln!(out, "{},{cell}", line.expect("a line")).expect("written");
    }
    out.flush().expect("written");
    to
}

struct Bench<'a> {
    gallery: &'a Gallery,
    probes: Vec<Embedding>,
    probed: Vec<Option<String>>,
    rows: Vec<Option<String>>,
    /// Photos a subject.
    photos: BTreeMap<String, usize>,
    rounds: usize,
}

impl<'a> Bench<'a> {
    fn new(gallery: &'a Gallery, folder: &Path, rounds: usize) -> Self {
        let rows = subjects(&folder.join("manifest.csv"));
        let mut photos = BTreeMap::new();
        for subject in rows.iter().flatten() {
            *photos.entry(subject.clone()).or_default() += 1;
        }
        let probes = read(&folder.join("probes.npy"));
        let probed = subjects(&folder.join("probes.csv"));
        Self { gallery, probes, probed, rows, photos, rounds }
    }

    /// Probes of people with so many photos.
    fn of_people(&self, least: usize, most: usize) -> Vec<usize> {
        let photos = |subject: &Option<String>| {
            subject.as_ref().and_then(|subject| self.photos.get(subject)).copied()
        };
        let fits = |at: &usize| {
            photos(&self.probed[*at]).is_some_and(|photos| (least..=most).contains(&photos))
        };
        (0..self.probes.len()).filter(fits).take(EACH).collect()
    }

    fn ranges(&self, at_least: f32) {
        let faces = self.rows.len();
        println!("\nall at or above {at_least}");
        head("photos");
        let (thousandth, twentieth) = (faces / 1000, faces / 20);
        let sizes = [(1, 1), (8, 12), (80, 125), (thousandth, thousandth), (twentieth, twentieth)];
        let query = Query::new().at_least(at_least).hit_rate(RATE);
        for (least, most) in sizes {
            let name = if least == most { least.to_string() } else { format!("{least}-{most}") };
            self.line(&name, &self.of_people(least, most), &query);
        }
        let nobody = (0..self.probes.len()).filter(|&at| self.probed[at].is_none());
        self.line("nobody", &nobody.take(EACH).collect::<Vec<_>>(), &query);
    }

    fn filters(&self) {
        println!("\nthe {K} nearest of those that pass");
        head("pass, %");
        let mated = (0..self.probes.len()).filter(|&at| self.probed[at].is_some());
        let mated: Vec<usize> = mated.take(3 * EACH).collect();
        for part in [PARTS / 2, PARTS / 5, PARTS / 20, PARTS / 200, 1] {
            let filter: Filter = format!("part < {part}").parse().expect("a filter");
            let query = Query::new().top(K).hit_rate(RATE).filter(filter);
            let share = format!("{}", part as f64 * 100.0 / PARTS as f64);
            self.line(&share, &mated, &query);
        }
    }

    /// Prints how a query does with some of the probes.
    fn line(&self, name: &str, probes: &[usize], query: &Query) {
        let exhaustive = query.clone().exhaustive();
        let (mut hits, mut mates, mut found_all, mut vectors) = (0, 0, 0, 0);
        let (mut times, mut exhaustive_times) = (Vec::new(), Vec::new());
        let mut plan = None;
        let asked: Vec<Embedding> = probes.iter().map(|&at| self.probes[at].clone()).collect();
        let exact = self.gallery.search_batch(&asked, &exhaustive).expect("answers");
        for ((nth, &at), exact) in probes.iter().enumerate().zip(exact) {
            let (probe, exact) = (&self.probes[at], exact.expect("an answer"));
            let wanted = mates_in_top(&exact, &self.probed[at], &self.rows);
            let answer = self.gallery.search(probe, query).expect("an answer");
            let found: HashSet<u64> = answer.iter().map(|face| face.face_id.0).collect();
            hits += wanted.intersection(&found).count();
            mates += wanted.len();
            found_all += answer.len();
            vectors += answer.counters.vectors_read;
            plan.get_or_insert(answer.counters.plan);
            times.push(self.microseconds(probe, query));
            if nth < TIMED {
                exhaustive_times.push(self.microseconds(probe, &exhaustive));
            }
        }
        let Some(plan) = plan else { return println!("{name:>8}  no probe") };
        let (ours, theirs) = (median(&mut times), median(&mut exhaustive_times));
        println!(
            "{name:>8} {:>7} {mates:>9} {:>9.4} {:>9.1} {:>9.1} {ours:>10.0} {theirs:>13.0} {:>7.1}  {plan:?}",
            probes.len(),
            hits as f64 / mates.max(1) as f64,
            found_all as f64 / probes.len() as f64,
            vectors as f64 / probes.len() as f64,
            theirs / ours
        );
    }

    fn microseconds(&self, probe: &Embedding, query: &Query) -> f64 {
        let time = |_| {
            let begun = Instant::now();
            drop(self.gallery.search(probe, query).expect("an answer"));
            begun.elapsed().as_secs_f64() * 1e6
        };
        median(&mut (0..self.rounds).map(time).collect::<Vec<_>>())
    }
}

fn head(first: &str) {
    println!(
        "{first:>8} {:>7} {:>9} {:>9} {:>9} {:>9} {:>10} {:>13} {:>7}  first plan",
        "probes", "mates", "hit rate", "found", "vectors", "us", "exhaustive us", "ratio"
    );
}
