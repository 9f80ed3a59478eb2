//! How what a probe takes grows with the gallery, and what that foretells for billions of faces.
//!
//! Synthetic galleries of each of `PROFILES` and both `KINDS`, the same but for their number of
//! faces, built as a user would build them. For each way of searching the cheapest setting is sought
//! that gives a hit rate of `RATE` percent to the mated half of `PROBES`: the beam of a walk, the
//! share of a scan, and the gallery's own choice among scans of all faces. What it reads is counted
//! and timed (seconds on a processor), on one thread and in batches of 64 on all, medians of
//! `ROUNDS` rounds.
//!
//! Growth is fitted to the sizes up to a million; what it foretells of larger ones is held against
//! them where they were measured (`-- --large`: 3,000,000 and 10,000,000, of 128 dimensions alone).
//! All that was measured is written to `measured.json` beside the galleries, for `lookalike plan`:
//! it is `src/capacity/measured.json`. Galleries that were measured are not measured again.
//!
//! `cargo bench --bench billion`. FACES, PROFILES, KINDS, PROBES, RATE, ROUNDS and SEED change what
//! is run.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lookalike::capacity::{Asked, Built, Forecast, Measured, Point, Server, Way};
use lookalike::search::{Plan, Reads};
use lookalike::synth::Profile;
use lookalike::{Build, Cancel, Embedding, Gallery, Matches, Query};
use rayon::prelude::*;

mod common;
use common::{
    Clock, Data, cache, commit, listed, mates_in_top, median, print_machine, processor,
    processor_seconds, setting, subjects,
};

const K: usize = 10;
const BATCH: usize = 64;
/// One probe in so many goes ahead of each measurement.
const WARM_UP: usize = 8;
/// Growth is fitted to galleries up to this size, and only to these above 128 dimensions.
const FITTED: u64 = 1_000_000;
/// Rounds end after this: what takes so long varies little.
const LONG: Duration = Duration::from_secs(120);
/// Settings tried are this much apart.
const STEP: f64 = 1.19;
const WIDEST: f64 = 32_768.0;
const NARROWEST: f64 = 16.0;

fn main() {
    let flag = |name: &str| std::env::args().any(|argument| argument == name);
    let quick = !flag("--bench");
    let sizes = match (quick, flag("--large")) {
        (true, _) => "5000,6000",
        (false, false) => "100000,300000,1000000",
        (false, true) => "100000,300000,1000000,3000000,10000000",
    };
    let probes = setting("PROBES", if quick { 40 } else { 2000 }) as u64;
    let rounds = setting("ROUNDS", if quick { 1 } else { 3 });
    let profiles = if quick { "dlib-128" } else { "arcface-512,facenet-512,dlib-128" };
    print_machine();
    println!("k {K}, hit rate {}, {probes} probes, half mated, medians of {rounds}", rate());
    let mut galleries = Vec::new();
    for faces in listed::<u64>("FACES", sizes) {
        for profile in listed::<Profile>("PROFILES", profiles) {
            for kind in listed::<String>("KINDS", "isolated,clustered") {
                if faces > FITTED && profile != Profile::Dlib128 {
                    continue;
                }
                let isolated = kind == "isolated";
                let seed = setting("SEED", 5) as u64;
                let data = Data::new(profile, faces, isolated, probes, seed);
                let built = measured(&data, (profile, isolated, faces), rounds);
                print(&built);
                galleries.push(built);
            }
        }
    }
    let measured = Measured { machine: processor(), k: K, hit_rate: rate(), galleries };
    let place = cache().join("measured.json");
    fs::write(&place, serde_json::to_vec_pretty(&measured).expect("JSON")).expect("written");
    check(&measured);
    foretell(&measured);
}

fn rate() -> f64 {
    setting("RATE", 99) as f64 / 100.0
}

/// What was measured of a gallery, now or earlier.
fn measured(data: &Data, what: (Profile, bool, u64), rounds: usize) -> Built {
    let kept = data.folder.join(format!("measured-{}.json", setting("RATE", 99)));
    if let Some(built) = fs::read(&kept).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        return built;
    }
    let place = data.folder.join("measured");
    let built = measure(data, what, &place, rounds);
    fs::write(&kept, serde_json::to_vec_pretty(&built).expect("JSON")).expect("written");
    // Galleries of every size and kind would fill a disk.
    fs::remove_dir_all(&place).expect("removed");
    built
}

fn measure(
    data: &Data,
    (profile, isolated, faces): (Profile, bool, u64),
    place: &Path,
    rounds: usize,
) -> Built {
    let _ = fs::remove_dir_all(place);
    let clock = Clock::of_processor();
    Build::new(place, data.folder.join("embeddings.npy"))
        .manifest(data.folder.join("manifest.csv"))
        .run(&clock, &Cancel::new())
        .expect("a gallery");
    let steps = clock.steps();
    let seconds = |names: &[&str]| -> f64 {
        let of = steps.iter().filter(|(name, _)| names.contains(&name.as_str()));
        of.map(|(_, seconds)| seconds).sum()
    };
    let gallery = Gallery::open_resident(place).expect("the gallery");
    let bench = Bench::new(&gallery, data);
    let bytes = |name: &str| -> f64 {
        let files = gallery.catalogue().segments.iter().flat_map(|segment| &segment.files);
        let of = files.filter(|file| name.is_empty() || file.name == name);
        of.map(|file| file.bytes).sum::<u64>() as f64 / gallery.len() as f64
    };
    let (codes, graph) = (bytes("codes.bin"), bytes("graph.bin"));
    let apart = codes + graph + bytes("vectors.bin") + bytes("thumbnails.bin");
    Built {
        commit: commit(),
        profile: profile.to_string(),
        isolated,
        faces,
        dims: gallery.dims(),
        codes,
        graph,
        rest: bytes("") - apart,
        code_seconds: seconds(&["read", "faces", "store", "space", "cells", "codes", "publish"]),
        graph_seconds: seconds(&["graph", "graph, rest", "links", "reach"]),
        promise_seconds: seconds(&["exact", "plans"]),
        points: Way::ALL.iter().filter_map(|&way| bench.point(way, rounds)).collect(),
    }
}

/// A gallery, probes, and what they ought to find.
struct Bench<'a> {
    gallery: &'a Gallery,
    mated: &'a [Embedding],
    others: &'a [Embedding],
    wanted: Vec<HashSet<u64>>,
}

impl<'a> Bench<'a> {
    fn new(gallery: &'a Gallery, data: &'a Data) -> Self {
        let probed = subjects(&data.folder.join("probes.csv"));
        let rows = subjects(&data.folder.join("manifest.csv"));
        let with = probed.iter().take_while(|subject| subject.is_some()).count();
        let (mated, others) = data.probes.split_at(with);
        let exhaustive = Query::new().top(K).exhaustive();
        let answers = mated
            .chunks(512)
            .flat_map(|probes| gallery.search_batch(probes, &exhaustive).expect("answers"))
            .map(|answer| answer.expect("an answer"));
        let wanted = answers
            .zip(&probed)
            .map(|(answer, subject)| mates_in_top(&answer, subject, &rows))
            .collect();
        Self { gallery, mated, others, wanted }
    }

    /// What the cheapest setting takes that gives the hit rate; `None` where none does.
    fn point(&self, way: Way, rounds: usize) -> Option<Point> {
        let (setting, query) = self.cheapest(way)?;
        let hit_rate = self.hit_rate(&query);
        let [mated, non_mated] = [self.mated, self.others].map(|probes| self.reads(probes, &query));
        let (mut alone, mut batched) = (Vec::new(), Vec::new());
        let all: Vec<&Embedding> = self.mated.iter().chain(self.others).collect();
        let begun = Instant::now();
        for _ in 0..rounds {
            all.iter().step_by(WARM_UP).for_each(|probe| drop(self.search(probe, &query)));
            let before = processor_seconds();
            all.iter().for_each(|probe| drop(self.search(probe, &query)));
            alone.push((processor_seconds() - before) * 1e6 / all.len() as f64);
            let before = processor_seconds();
            for half in [self.mated, self.others] {
                for probes in half.chunks(BATCH) {
                    drop(self.gallery.search_batch(probes, &query).expect("answers"));
                }
            }
            batched.push((processor_seconds() - before) * 1e6 / all.len() as f64);
            if begun.elapsed() > LONG {
                break;
            }
        }
        let (microseconds, batched_microseconds) = (median(&mut alone), median(&mut batched));
        Some(Point { way, setting, hit_rate, mated, non_mated, microseconds, batched_microseconds })
    }

    fn cheapest(&self, way: Way) -> Option<(f64, Query)> {
        let top = Query::new().top(K);
        let query = |setting: f64| match way {
            Way::Walk => top.clone().beam(setting.round() as usize),
            _ => top.clone().share(setting),
        };
        // From the widest to the narrowest, so that what holds comes first.
        let settings: Vec<f64> = match way {
            Way::Scan => {
                let promise = self.gallery.catalogue().promise.as_ref()?;
                let ladder = promise.ladders.iter().find(|ladder| ladder.k == K)?;
                let holds = |plan: Plan| {
                    plan.is_whole_scan() && self.hit_rate(&top.clone().plan(plan)) >= rate()
                };
                let rung = ladder.rungs.iter().find(|rung| holds(rung.plan))?;
                return Some((1.0, top.plan(rung.plan)));
            }
            Way::Walk => falling(WIDEST, NARROWEST),
            _ => falling(1.0, NARROWEST / WIDEST),
        };
        let holds = |&setting: &f64| self.hit_rate(&query(setting)) >= rate();
        let narrowest = settings.partition_point(holds).checked_sub(1)?;
        let setting = settings[narrowest];
        Some((setting, query(setting)))
    }

    fn hit_rate(&self, query: &Query) -> f64 {
        let hits: usize = self
            .mated
            .par_iter()
            .zip(&self.wanted)
            .map(|(probe, wanted)| {
                let answer = self.search(probe, query);
                answer.iter().filter(|found| wanted.contains(&found.face_id.0)).count()
            })
            .sum();
        hits as f64 / self.wanted.iter().map(HashSet::len).sum::<usize>().max(1) as f64
    }

    fn reads(&self, probes: &[Embedding], query: &Query) -> Reads {
        let mut reads = Reads::default();
        for probe in probes {
            let counters = self.search(probe, query).counters;
            reads.hops += counters.hops as f64;
            reads.cells += counters.cells_ranked as f64;
            reads.sketches += counters.sketches_read as f64;
            reads.codes += counters.codes_read as f64;
            reads.vectors += counters.vectors_read as f64;
        }
        let Reads { hops, cells, sketches, codes, vectors, .. } = &mut reads;
        for sum in [hops, cells, sketches, codes, vectors] {
            *sum /= probes.len().max(1) as f64;
        }
        reads
    }

    fn search(&self, probe: &Embedding, query: &Query) -> Matches<'a> {
        self.gallery.search(probe, query).expect("an answer")
    }
}

/// From one setting to another, a step at a time.
fn falling(from: f64, to: f64) -> Vec<f64> {
    std::iter::successors(Some(from), |setting| Some(setting / STEP))
        .take_while(|&setting| setting >= to)
        .collect()
}

fn kind(isolated: bool) -> &'static str {
    if isolated { "isolated" } else { "clustered" }
}

fn print(built: &Built) {
    let Built { profile, isolated, faces, codes, graph, .. } = built;
    println!(
        "\n{profile} {} {faces}: {codes:.1} bytes of codes a face, {graph:.1} of graph; core seconds: codes {:.0}, graph {:.0}, promise {:.0}",
        kind(*isolated),
        built.code_seconds,
        built.graph_seconds,
        built.promise_seconds
    );
    println!(
        "way    setting  hit rate       hops      cells   sketches      codes    vectors  (mated / non-mated)       us  us in batches"
    );
    for point in &built.points {
        let both =
            |of: fn(&Reads) -> f64| format!("{:.0}/{:.0}", of(&point.mated), of(&point.non_mated));
        println!(
            "{:<5} {:>8.5} {:>9.4} {:>15} {:>12} {:>17} {:>15} {:>11} {:>9.0} {:>9.0}",
            format!("{:?}", point.way).to_lowercase(),
            point.setting,
            point.hit_rate,
            both(|reads| reads.hops),
            both(|reads| reads.cells),
            both(|reads| reads.sketches),
            both(|reads| reads.codes),
            both(|reads| reads.vectors),
            point.microseconds,
            point.batched_microseconds
        );
    }
}

/// Prints what the sizes up to `FITTED` foretell of the larger ones beside what was measured.
fn check(measured: &Measured) {
    let mut fitted = measured.clone();
    fitted.galleries.retain(|built| built.faces <= FITTED);
    for built in measured.galleries.iter().filter(|built| built.faces > FITTED) {
        println!("\nforetold of {} {} {}", built.profile, kind(built.isolated), built.faces);
        for point in &built.points {
            // A machine whose memory everything fits into.
            let server = Server::new(1, u64::MAX);
            let asked = asked(built, built.faces, built.dims, point.way);
            let Some(told) = Forecast::new(&fitted, &asked, &server) else { continue };
            let had = |of: fn(&Reads) -> f64| of(&point.mated).midpoint(of(&point.non_mated));
            for (what, told, had) in [
                ("hops", told.reads.hops, had(|reads| reads.hops)),
                ("codes", told.reads.codes, had(|reads| reads.codes)),
                ("vectors", told.reads.vectors, had(|reads| reads.vectors)),
                ("microseconds", told.milliseconds * 1e3, point.microseconds),
            ] {
                let ratio = told / had;
                println!(
                    "  {:?} {what:<13} {told:>12.1} measured {had:>12.1} ratio {ratio:.2}",
                    point.way
                );
            }
        }
    }
}

fn asked(built: &Built, faces: u64, dims: usize, way: Way) -> Asked<'_> {
    Asked { profile: &built.profile, isolated: built.isolated, faces, dims, way }
}

/// Prints what is foretold of one and of three billion faces of 512 dimensions on a server.
fn foretell(measured: &Measured) {
    let server = Server::new(64, 512 << 30);
    println!("\nforetold: 64 cores, 512 GiB, {:.0} GB/s, {server:?}", server.bandwidth / 1e9);
    for faces in [1_000_000_000, 3_000_000_000] {
        for built in measured.galleries.iter().filter(|built| built.faces == FITTED) {
            for way in Way::ALL {
                let Some(told) = Forecast::new(measured, &asked(built, faces, 512, way), &server)
                else {
                    continue;
                };
                println!(
                    "{faces} {} {} {way:?}: {:.1} ms, {:.0}/s, in batches {:.0}/s; hops {:.0}, codes {:.0}, vectors {:.0} ({:.0} from disk), {:.0} lines, {:.0} KiB; {:.0} GiB of memory, {:.1} TiB of disk, build {:.0} h and promise {:.0} h",
                    built.profile,
                    kind(built.isolated),
                    told.milliseconds,
                    told.probes,
                    told.batched_probes,
                    told.reads.hops,
                    told.reads.codes,
                    told.reads.vectors,
                    told.cold,
                    told.lines,
                    told.bytes / 1024.0,
                    told.resident / f64::from(1 << 30),
                    told.disk / (1_u64 << 40) as f64,
                    told.build / 3600.0,
                    told.promise / 3600.0
                );
            }
        }
    }
}
