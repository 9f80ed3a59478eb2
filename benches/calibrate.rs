//! Calibrated thresholds against fresh probes of nobody.
//!
//! - **At its own size** each synthetic gallery is calibrated, and searched exhaustively for faces of
//!   people who are not in it: half of `PROBES`. Is the part of them that reaches the threshold within
//!   the interval that the calibration states?
//! - **Carried**: a gallery of the first `FIRST` faces is calibrated for a size of `CARRY`, and the
//!   threshold tried on the gallery of all those. Rows are in no order, so that the first are a
//!   sample of all: the same people, with fewer photos.
//!
//! `cargo bench --bench calibrate`. PROFILES, KINDS, FACES, PROBES, SEED, FIRST and CARRY change what
//! is run; `FACES=` and `CARRY=0` leave out their part. Galleries are kept.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use lookalike::calibration::{Calibration, calibrate};
use lookalike::ingest::Embeddings;
use lookalike::synth::Profile;
use lookalike::{Cancel, Embedding, Gallery, Query, Silent};
use npyz::WriterBuilder;

mod common;
use common::{Data, build_without_graph, listed, print_machine, setting};

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
    let first = setting("FIRST", if quick { 500 } else { 10_000 });
    print_machine();
    println!("seed {seed}, {} probes of nobody", probes / 2);
    println!(
        "{:<34} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8}",
        "gallery", "FPIR", "threshold", "low", "high", "had", "inside", "seconds"
    );
    for &faces in &sizes {
        for &profile in &profiles {
            for kind in &kinds {
                own_size(&Data::new(profile, faces, kind == "isolated", probes, seed));
            }
        }
    }
    if carry == 0 {
        return;
    }
    println!("carried from {first} faces to {carry}");
    for &profile in &profiles {
        for kind in &kinds {
            carried(&Data::new(profile, carry, kind == "isolated", probes, seed), first);
        }
    }
}

fn own_size(data: &Data) {
    let gallery = Gallery::open(data.gallery_without_graph()).expect("a gallery");
    let (calibration, seconds) = calibrated(&gallery);
    print(data, &calibration, &nearest(&gallery, data), &gallery, seconds);
}

fn carried(data: &Data, first: usize) {
    let sample = data.folder.join(format!("first-{first}"));
    let place = sample.join("gallery");
    if !place.exists() {
        take_first(data, &sample, first);
        build_without_graph(&place, &sample);
    }
    let (calibration, seconds) = calibrated(&Gallery::open(place).expect("a gallery"));
    let gallery = Gallery::open(data.gallery_without_graph()).expect("a gallery");
    print(data, &calibration, &nearest(&gallery, data), &gallery, seconds);
}

fn calibrated(gallery: &Gallery) -> (Calibration, f64) {
    let begun = Instant::now();
    let calibration = calibrate(gallery, &Silent, &Cancel::new()).expect("a calibration");
    (calibration, begun.elapsed().as_secs_f64())
}

/// How similar the nearest face is to each probe of nobody.
fn nearest(gallery: &Gallery, data: &Data) -> Vec<f32> {
    let nobody = &data.probes[data.probes.len() / 2..];
    let query = Query::new().top(1).exhaustive();
    let search = |probes: &[Embedding]| {
        let answers = gallery.search_batch(probes, &query).expect("answers");
        answers
            .into_iter()
            .map(|answer| answer.expect("an answer")[0].similarity)
            .collect::<Vec<_>>()
    };
    nobody.chunks(BATCH).flat_map(search).collect()
}

fn print(data: &Data, calibration: &Calibration, nearest: &[f32], gallery: &Gallery, seconds: f64) {
    let faces = gallery.len();
    for fpir in RATES {
        let Some(threshold) = calibration.threshold(fpir, faces) else {
            println!("{:<34} {fpir:>7} no threshold", data.name);
            continue;
        };
        let similarity = threshold.similarity;
        let (low, high) = calibration.interval(similarity, faces).expect("an interval");
        let reached = nearest.iter().filter(|&&nearest| nearest >= similarity).count();
        let had = reached as f64 / nearest.len() as f64;
        let inside = if (low..=high).contains(&had) { "yes" } else { "no" };
        println!(
            "{:<34} {fpir:>7} {similarity:>10.4} {low:>10.5} {high:>10.5} {had:>10.5} {inside:>7} {seconds:>8.0}",
            data.name
        );
    }
}

/// Copies the first rows to a folder of their own.
fn take_first(data: &Data, folder: &PathBuf, rows: usize) {
    fs::create_dir_all(folder).expect("a folder");
    let file = Embeddings::open(&data.folder.join("embeddings.npy"), None).expect("readable");
    let out = BufWriter::new(fs::File::create(folder.join("embeddings.npy")).expect("a file"));
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[rows as u64, file.dims() as u64])
        .writer(out)
        .begin_nd()
        .expect("an array");
    let mut row = vec![0.0_f32; file.dims()];
    for at in 0..rows as u64 {
        file.read(at, &mut row).expect("a row");
        writer.extend(row.iter().copied()).expect("written");
    }
    writer.finish().expect("written");
    let lines = BufReader::new(fs::File::open(data.folder.join("manifest.csv")).expect("a file"));
    let mut out = BufWriter::new(fs::File::create(folder.join("manifest.csv")).expect("a file"));
    for line in lines.lines().take(rows + 1) {
        writeln!(out, "{}", line.expect("a line")).expect("written");
    }
}
