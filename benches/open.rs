//! What opening a gallery costs: time, resident memory, and the first answer after it.
//!
//! Each measurement is a process of its own, with the files in the page cache. Resident memory is
//! anonymous and file pages together (`RssAnon` and `RssFile` of `/proc/self/status`), after less
//! before. The gallery is kept from one run to the next: `FACES` x 512, `RUNS` processes, medians.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lookalike::gallery::Gallery;
use lookalike::synth::Profile;
use lookalike::{FaceId, Query};

mod common;
use common::{Data, median, print_machine, setting};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, gallery] = arguments.as_slice()
        && mode == "--once"
    {
        return once(Path::new(gallery));
    }
    let quick = !arguments.iter().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 2000 } else { 200_000 }) as u64;
    let runs = setting("RUNS", if quick { 1 } else { 9 });
    print_machine();
    let data = Data::new(Profile::ArcFace512, faces, false, if quick { 20 } else { 2000 }, 1);
    let place = data.gallery();
    let mut columns = [const { Vec::new() }; 3];
    for _ in 0..=runs {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).arg("--once").arg(&place).output().expect("a run");
        let text = String::from_utf8(output.stdout).expect("text");
        for (column, figure) in columns.iter_mut().zip(text.split_whitespace()) {
            column.push(figure.parse::<f64>().expect("a figure"));
        }
    }
    println!("{}: medians of {runs} processes after one", data.name);
    // The first run warms the page cache.
    let [open, resident, answer] = columns.map(|mut column| median(&mut column[1..]));
    println!("open          {open:.2} ms");
    println!("resident      {resident:.2} MiB more");
    println!("first answer  {answer:.2} ms, with what is known of its ten faces");
}

/// Prints milliseconds to open, MiB more of resident memory, milliseconds to the first answer.
fn once(gallery: &Path) {
    let before = resident();
    let begun = Instant::now();
    let gallery = Gallery::open(gallery).expect("a gallery");
    let open = begun.elapsed();
    let grown = resident() - before;
    let begun = Instant::now();
    let probe = gallery.embedding(FaceId(gallery.len() / 2)).expect("a face");
    let mut names = 0;
    for found in gallery.search(&probe, &Query::new().top(10)).expect("an answer") {
        names += found.face().expect("a row").subject.map_or(0, |subject| subject.len());
    }
    std::hint::black_box(names);
    let answer = begun.elapsed();
    println!("{} {grown} {}", open.as_secs_f64() * 1e3, answer.as_secs_f64() * 1e3);
}

/// Anonymous and file pages in memory, in MiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0)
    };
    (of("RssAnon:") + of("RssFile:")) / 1024.0
}
