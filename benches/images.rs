//! How much the image stage costs beside the decoder alone.
//!
//! Writes photos of two megapixels as cameras do (4:2:0, EXIF, 400 to 800 KB), then measures in turn
//! the decoder alone (read the file, decode to RGB) and the image stage (also hash, crop, shrink,
//! encode, hand on in order) with a face's box and without. Medians of several rounds, all files in
//! the page cache. Settings by environment: `PHOTOS` (120), `ROUNDS` (5).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use lookalike::Cancel;
use lookalike::gallery::Bounds;
use lookalike::ingest::Cancelled;
use lookalike::ingest::image::{ImageLimits, load_all};
use rayon::prelude::*;

mod common;
use common::{print_machine, setting};

const WIDTH: usize = 1632;
const HEIGHT: usize = 1224;
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/images");

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let photos = setting("PHOTOS", if quick { 2 } else { 120 });
    let rounds = setting("ROUNDS", if quick { 1 } else { 5 });
    print_machine();
    println!("rounds: {rounds}, medians; images a second, warm page cache");

    let folder = tempfile::tempdir().expect("a folder for the photos");
    let seeds: Vec<u64> = (0..photos as u64).collect();
    let bytes: usize = seeds
        .par_iter()
        .map(|&seed| {
            let jpeg = photo(seed);
            fs::write(folder.path().join(format!("{seed:05}.jpg")), &jpeg).expect("written");
            jpeg.len()
        })
        .sum();
    println!("\n{photos} photos of {WIDTH} x {HEIGHT}, {} KB each", bytes / photos / 1000);
    let face = Bounds { left: 600.0, top: 350.0, right: 1000.0, bottom: 790.0 };
    measure(folder.path(), face, rounds);

    if Path::new(SAMPLE).is_dir() {
        println!("\nsample gallery, 160 x 160");
        let face = Bounds { left: 20.0, top: 35.0, right: 130.0, bottom: 150.0 };
        measure(Path::new(SAMPLE), face, rounds);
    } else {
        println!("\nsample gallery left out: no {SAMPLE}");
    }
}

/// Measures the files of a folder in turn by each way, and prints the medians.
fn measure(folder: &Path, face: Bounds, rounds: usize) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let ways: [(&str, &dyn Fn()); 4] = [
        ("decoder alone", &|| decode(folder, &names)),
        ("image stage, face", &|| stage(folder, &names, Some(face))),
        ("image stage, whole", &|| stage(folder, &names, None)),
        ("decoder alone, again", &|| decode(folder, &names)),
    ];
    let mut rates = [const { Vec::new() }; 4];
    let mut costs = [0.0; 4];
    for round in 0..=rounds {
        for (n, (_, way)) in ways.iter().enumerate() {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            way();
            // The first round warms the page cache and the allocator.
            if round > 0 {
                rates[n].push(names.len() as f64 / start.elapsed().as_secs_f64());
                costs[n] += cpu_seconds() - cpu;
            }
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        (rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
    });
    // The decoder is measured at both ends of a round: its drift shows how far to trust the ratio.
    let alone = (medians[0].0 + medians[3].0) / 2.0;
    for (((name, _), (median, least, most)), cost) in ways.iter().zip(medians).zip(costs) {
        println!(
            "{name:20} {median:9.1}  ({least:.1} to {most:.1})  {:.3} of the decoder, {:.3} ms CPU",
            median / alone,
            cost * 1e3 / (rounds * names.len()) as f64
        );
    }
}

/// Seconds of CPU this process has used; unlike rates, hardly touched by what else runs.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and system ticks of 10 ms are 12th and 13th
    // after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|tick| tick.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn decode(folder: &Path, names: &[String]) {
    names.par_iter().for_each(|name| {
        let bytes = fs::read(folder.join(name)).expect("readable");
        let image = image::load_from_memory(&bytes).expect("an image");
        std::hint::black_box(image.into_rgb8());
    });
}

fn stage(folder: &Path, names: &[String], face: Option<Bounds>) {
    let images = names.iter().map(|name| Ok((name, face)));
    let limits = ImageLimits::default();
    load_all(folder, images, &limits, &Cancel::new(), |photo| {
        assert!(photo.thumbnail.is_some(), "{:?}", photo.fault);
        Ok::<_, Cancelled>(())
    })
    .expect("not cancelled");
}

/// A photo as a camera makes it: broad light, objects with edges, fine grain.
fn photo(seed: u64) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut unit = move || (next() >> 40) as f32 / (1 << 24) as f32;
    let waves: Vec<[f32; 4]> =
        (0..8).map(|_| [unit() * 0.01, unit() * 0.01, unit() * 6.3, unit() * 25.0]).collect();
    let discs: Vec<[f32; 6]> = (0..90)
        .map(|_| {
            let (x, y) = (unit() * WIDTH as f32, unit() * HEIGHT as f32);
            let radius = 10.0 + unit() * unit() * 250.0;
            [x, y, radius, unit() * 90.0 - 45.0, unit() * 60.0 - 30.0, unit() * 60.0 - 30.0]
        })
        .collect();
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 3);
    let mut grain = [0.0_f32; 3];
    for y in 0..HEIGHT {
        let row = y as f32;
        let near: Vec<&[f32; 6]> =
            discs.iter().filter(|disc| (disc[1] - row).abs() < disc[2]).collect();
        for x in 0..WIDTH {
            let column = x as f32;
            let mut light = 125.0;
            for [along, down, phase, strength] in &waves {
                light += (column * along + row * down + phase).sin() * strength;
            }
            let mut colour = [light, light * 0.95, light * 0.88];
            for [left, top, radius, r, g, b] in near.iter().copied() {
                if (column - left).powi(2) + (row - top).powi(2) < radius * radius {
                    colour = [colour[0] + r, colour[1] + g, colour[2] + b];
                }
            }
            for (value, grain) in colour.iter().zip(&mut grain) {
                // Sensors' grain is not white: neighbours share some of it.
                *grain = *grain * 0.5 + (unit() - 0.5) * 26.0;
                pixels.push((value + *grain).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let exif = b"Exif\0\0II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    encoder.add_app_segment(1, exif.to_vec()).expect("fits");
    encoder.encode(&pixels, WIDTH as u16, HEIGHT as u16, ColorType::Rgb).expect("encoded");
    jpeg
}
