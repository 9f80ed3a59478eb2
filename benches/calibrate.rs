//! Calibrated thresholds against fresh probes of nobody.
//!
//! - **At its own size** each synthetic gallery is calibrated, and searched exhaustively for faces of
//!   people who are not in it: half of `PROBES`. Is the part of them that reaches the threshold within
//!   the interval that the calibration states?
//! - **Carried**: galleries of about `SAMPLE` faces are calibrated for a size of `CARRY`, and the
//!   threshold tried on the gallery of all those. They are `SAMPLES` samples of people, each with all
//!   photos; as many of faces, whose people get further photos as it grows; and one of other people,
//!   of whom there are as many groups for so many faces, so that it grows by groups.
//!
//! `cargo bench --bench calibrate`. PROFILES, KINDS, FACES, PROBES, SEED, SAMPLE, SAMPLES and CARRY
//! change what is run; `FACES=` and `CARRY=0` leave out their part. Galleries are kept, and where one is both
//! calibrated and carried to, its probes are searched for once.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use lookalike::calibration::{Calibration, calibrate};
use lookalike::ingest::Embeddings;
use lookalike::synth::Profile;
use lookalike::{Cancel, Embedding, Gallery, Query, Silent};
use npyz::WriterBuilder;
use xxhash_rust::xxh3::xxh3_64_with_seed;

mod common;
use common::{Data, build_without_graph, listed, print_machine, setting, subjects};

const RATES: [f64; 3] = [0.1, 0.01, 0.001];
/// Probes searched for at a time.
const BATCH: usize = 1024;

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let profiles = listed::<Profile>(
        "PROFILES",
        if quick { "dlib-128" } else { "arcface-512,facenet-512,dlib-128" },
    );
    let kinds = listed::<String>("KINDS", "isolated,clustered");
    let sizes = std::env::var("FACES")
        .unwrap_or_else(|_| if quick { "1000" } else { "10000,30000,100000" }.to_owned());
    let sizes = sizes.split(',').filter_map(|size| size.parse().ok()).collect::<Vec<u64>>();
    let probes = setting("PROBES", if quick { 400 } else { 20_000 }) as u64;
    let seed = setting("SEED", 21) as u64;
    let carry = setting("CARRY", if quick { 2000 } else { 1_000_000 }) as u64;
    let sample = setting("SAMPLE", if quick { 500 } else { 10_000 }) as u64;
    let samples = setting("SAMPLES", if quick { 1 } else { 3 });
    print_machine();
    println!("seed {seed}, {} probes of nobody", probes / 2);
    println!(
        "{:<38} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8}",
        "gallery", "FPIR", "threshold", "low", "high", "had", "inside", "seconds"
    );
    let mut all = sizes.clone();
    all.extend((carry > 0 && !sizes.contains(&carry)).then_some(carry));
    for faces in all {
        for &profile in &profiles {
            for kind in &kinds {
                let data = Data::new(profile, faces, kind == "isolated", probes, seed);
                let gallery = Gallery::open(data.gallery_without_graph()).expect("a gallery");
                let nearest = nearest(&gallery, &data);
                if sizes.contains(&faces) {
                    print(&data.name, &calibrated(&gallery), &nearest, &gallery);
                } else {
                    println!("{}", data.name);
                }
                if faces != carry {
                    continue;
                }
                for of in ["people", "faces"] {
                    for number in 0..samples {
                        let from = carried(&data, of, sample, number);
                        let name = format!("  from {sample} by {of}, sample {number}");
                        print(&name, &from, &nearest, &gallery);
                    }
                }
                let others = Data::new(profile, sample, kind == "isolated", probes, seed + 1);
                let others = Gallery::open(others.gallery_without_graph()).expect("a gallery");
                let name = format!("  from {sample} of other people");
                print(&name, &calibrated(&others), &nearest, &gallery);
            }
        }
    }
}

/// The calibration of a sample of so many of the faces.
fn carried(data: &Data, of: &str, faces: u64, number: usize) -> (Calibration, f64) {
    let sample = data.folder.join(format!("{faces}-of-{of}-{number}"));
    let place = sample.join("gallery");
    if !place.exists() {
        take_sample(data, &sample, (of, number), faces);
        build_without_graph(&place, &sample);
    }
    calibrated(&Gallery::open(place).expect("a gallery"))
}

fn calibrated(gallery: &Gallery) -> (Calibration, f64) {
    let begun = Instant::now();
    let calibration = calibrate(gallery, &Silent, &Cancel::new()).expect("a calibration");
    (calibration, begun.elapsed().as_secs_f64())
}

/// How similar the nearest face is to each probe of nobody; found once, and kept.
fn nearest(gallery: &Gallery, data: &Data) -> Vec<f32> {
    let kept = data.folder.join("nearest-to-nobody.f32");
    if let Ok(bytes) = fs::read(&kept) {
        return bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    }
    let nobody = &data.probes[data.probes.len() / 2..];
    let query = Query::new().top(1).exhaustive();
    let search = |probes: &[Embedding]| {
        let answers = gallery.search_batch(probes, &query).expect("answers");
        answers
            .into_iter()
            .map(|answer| answer.expect("an answer")[0].similarity)
            .collect::<Vec<_>>()
    };
    let nearest: Vec<f32> = nobody.chunks(BATCH).flat_map(search).collect();
    let bytes: Vec<u8> = nearest.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(kept, bytes).expect("written");
    nearest
}

fn print(name: &str, calibrated: &(Calibration, f64), nearest: &[f32], gallery: &Gallery) {
    let ((calibration, seconds), faces) = (calibrated, gallery.len());
    for fpir in RATES {
        let Some(threshold) = calibration.threshold(fpir, faces) else {
            println!("{name:<38} {fpir:>7} no threshold");
            continue;
        };
        let similarity = threshold.similarity;
        let (low, high) = calibration.interval(similarity, faces).expect("an interval");
        let reached = nearest.iter().filter(|&&nearest| nearest >= similarity).count();
        let had = reached as f64 / nearest.len() as f64;
        let inside = if (low..=high).contains(&had) { "yes" } else { "no" };
        println!(
            "{name:<38} {fpir:>7} {similarity:>10.4} {low:>10.5} {high:>10.5} {had:>10.5} {inside:>7} {seconds:>8.0}"
        );
    }
}

/// Copies the rows of about so many faces to a folder of their own.
fn take_sample(data: &Data, folder: &Path, of: (&str, usize), faces: u64) {
    fs::create_dir_all(folder).expect("a folder");
    let file = Embeddings::open(&data.folder.join("embeddings.npy"), None).expect("readable");
    let rows = sampled(data, of, faces as f64 / file.rows() as f64);
    let out = BufWriter::new(fs::File::create(folder.join("embeddings.npy")).expect("a file"));
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[rows.iter().filter(|&&taken| taken).count() as u64, file.dims() as u64])
        .writer(out)
        .begin_nd()
        .expect("an array");
    let mut row = vec![0.0_f32; file.dims()];
    for (at, _) in (0..).zip(&rows).filter(|(_, taken)| **taken) {
        file.read(at, &mut row).expect("a row");
        writer.extend(row.iter().copied()).expect("written");
    }
    writer.finish().expect("written");
    let lines = BufReader::new(fs::File::open(data.folder.join("manifest.csv")).expect("a file"));
    let mut out = BufWriter::new(fs::File::create(folder.join("manifest.csv")).expect("a file"));
    let taken = std::iter::once(&true).chain(&rows);
    for (line, _) in lines.lines().zip(taken).filter(|(_, taken)| **taken) {
        writeln!(out, "{}", line.expect("a line")).expect("written");
    }
}

/// Which rows belong to a sample of this share: drawn by a hash of the subject, or of the row.
fn sampled(data: &Data, (of, number): (&str, usize), share: f64) -> Vec<bool> {
    let hash = |name: &[u8]| xxh3_64_with_seed(name, number as u64);
    let taken = |name: &[u8]| (hash(name) as f64) < share * u64::MAX as f64;
    let subjects = subjects(&data.folder.join("manifest.csv"));
    let of_people =
        subjects.iter().map(|subject| taken(subject.as_deref().expect("one").as_bytes()));
    match of {
        "people" => of_people.collect(),
        _ => (0..subjects.len()).map(|row| taken(&row.to_le_bytes())).collect(),
    }
}
