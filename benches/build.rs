//! What a build's steps take: seconds each, with every builder on the same faces.
//!
//! Synthetic galleries of `FACES` x 512 of each of `KINDS`, built `ROUNDS` times with each of
//! `BUILDERS` in turn on all cores; medians. Galleries are kept as `built-BUILDER` beside their
//! input. The most resident memory is that of a process of its own.
//!
//! `cargo bench --bench build`; SEED, PROFILE, M and EF change what is built.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::process::Command;

use lookalike::graph::GraphParams;
use lookalike::synth::Profile;
use lookalike::{Build, Builder, Cancel};

mod common;
use common::{Clock, Data, listed, median, print_machine, setting};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, folder, builder] = arguments.as_slice()
        && mode == "--once"
    {
        return once(Path::new(folder), builder);
    }
    let quick = !arguments.iter().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 2000 } else { 200_000 }) as u64;
    let rounds = setting("ROUNDS", if quick { 1 } else { 3 });
    print_machine();
    for profile in listed::<Profile>("PROFILE", "arcface-512") {
        for kind in listed::<String>("KINDS", "clustered,isolated") {
            let seed = setting("SEED", 1) as u64;
            let data = Data::new(profile, faces, kind == "isolated", 2000, seed);
            println!("\n{}: medians of {rounds} rounds", data.name);
            compare(&data, rounds);
        }
    }
}

fn compare(data: &Data, rounds: usize) {
    let builders = listed::<String>("BUILDERS", "own,hnsw-rs");
    let mut runs: Vec<Vec<Vec<(String, f64)>>> = vec![Vec::new(); builders.len()];
    for _ in 0..rounds {
        for (builder, runs) in builders.iter().zip(&mut runs) {
            let program = std::env::current_exe().expect("this program");
            let arguments = ["--once".as_ref(), data.folder.as_os_str(), builder.as_ref()];
            let output = Command::new(program).args(arguments).output().expect("a run");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("text");
            let figure = |line: &str| -> Option<(String, f64)> {
                let (name, figure) = line.rsplit_once(' ')?;
                Some((name.to_owned(), figure.parse().ok()?))
            };
            runs.push(text.lines().filter_map(figure).collect());
        }
    }
    for (builder, runs) in builders.iter().zip(runs) {
        println!("{builder}");
        for (at, (name, _)) in runs[0].iter().enumerate() {
            let mut figures: Vec<f64> = runs.iter().map(|run| run[at].1).collect();
            println!("  {name:<20} {:>10.2}", median(&mut figures));
        }
    }
}

/// Builds, and prints the seconds of each step and the most memory held, in MiB.
fn once(folder: &Path, builder: &str) {
    let place = folder.join(format!("built-{builder}"));
    let _ = fs::remove_dir_all(&place);
    let builder: Builder = builder.parse().expect("a builder");
    let (m, ef) = (setting("M", 16), setting("EF", GraphParams::default().ef_construction()));
    let clock = Clock::default();
    Build::new(&place, folder.join("embeddings.npy"))
        .manifest(folder.join("manifest.csv"))
        .builder(builder)
        .graph(GraphParams::new(m, ef, 0).expect("settings"))
        .run(&clock, &Cancel::new())
        .expect("a gallery");
    for (name, seconds) in clock.steps() {
        println!("{name} {seconds}");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    println!("most MiB {}", most.unwrap_or(0.0) / 1024.0);
}
