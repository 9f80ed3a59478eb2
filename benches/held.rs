//! Searches with memory held to what codes and graph take and 256 MiB, beside free memory.
//!
//! A gallery of `FACES` x 512, of each of `KINDS` and with codes of each of `CODE_BYTES`, is searched
//! at the hit rate `RATE` in percent, one probe at a time, `ROUNDS` times with all of it in the page
//! cache and as often inside a memory cgroup of its own, alternately, each time by a process of its
//! own. Codes and graph are in its memory, vectors are mapped; before a held round the system forgets
//! what it has of their file. One probe in eight warms up. Beside the speeds: what a page costs from
//! this disk.
//!
//! `cargo bench --bench held`, as root on Linux. SEED, PROBES, FACES, KINDS, CODE_BYTES, RATE and
//! ROUNDS change what is run; galleries are kept, so that a second run begins at once.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lookalike::synth::Profile;
use lookalike::{Gallery, Query};
use rustix::fs::{Advice, fadvise};

mod common;
use common::{Data, listed, median, print_machine, setting};

const K: usize = 10;
/// One probe in so many goes ahead.
const WARM_UP: usize = 8;
/// Bytes beside codes and graph.
const BESIDE: u64 = 256 << 20;
const PAGE: u64 = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, gallery, probes, group] = arguments.as_slice()
        && mode == "--once"
    {
        return once(Path::new(gallery), Path::new(probes), group);
    }
    let quick = !arguments.iter().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 2000 } else { 1_000_000 }) as u64;
    let probes = setting("PROBES", if quick { 20 } else { 1000 }) as u64;
    let rounds = setting("ROUNDS", if quick { 1 } else { 5 });
    let seed = setting("SEED", 3) as u64;
    print_machine();
    println!("hit rate {}, k {K}, one thread, medians of {rounds} rounds, half mated", rate());
    for kind in listed::<String>("KINDS", "clustered,isolated") {
        let data = Data::new(Profile::ArcFace512, faces, kind == "isolated", probes, seed);
        for bytes in listed::<usize>("CODE_BYTES", "64") {
            println!("\n{}, codes of {bytes} bytes", data.name);
            compare(&data.gallery_with_codes(bytes), &data.folder.join("probes.npy"), rounds);
        }
    }
}

fn rate() -> f64 {
    setting("RATE", 98) as f64 / 100.0
}

fn compare(gallery: &Path, probes: &Path, rounds: usize) {
    let vectors = file(gallery, "vectors.bin");
    let bytes = |name| fs::metadata(file(gallery, name)).map_or(0, |file| file.len());
    let hot = bytes("codes.bin") + bytes("graph.bin");
    let Some(group) = Group::new(hot + BESIDE) else {
        return println!("a memory cgroup cannot be made here: run it as root on Linux");
    };
    let run = |group: &str| -> Vec<f64> {
        let program = std::env::current_exe().expect("this program");
        let arguments: [&dyn AsRef<std::ffi::OsStr>; 4] = [&"--once", &gallery, &probes, &group];
        let output = Command::new(program).args(arguments.map(AsRef::as_ref)).output();
        let output = output.expect("a run");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text.split_whitespace().map(|figure| figure.parse().expect("a figure")).collect()
    };
    let mut columns = [const { Vec::new() }; 7];
    for _ in 0..rounds {
        let _ = fs::read(&vectors).expect("read into the page cache");
        let free = run("");
        forget(&vectors);
        let page = page_microseconds(&vectors);
        forget(&vectors);
        let held = run(group.path.to_str().expect("a path"));
        let figures = free.iter().chain(&held).chain([&page]);
        columns.iter_mut().zip(figures).for_each(|(column, &figure)| column.push(figure));
    }
    let [mated, others, read, held_mated, held_others, _, page] =
        columns.map(|mut column| median(&mut column));
    println!("codes and graph {hot} bytes, held to {} bytes in all", hot + BESIDE);
    println!("most in use {} bytes, {} times at the limit", group.peak(), group.fails());
    println!("a page from this disk takes {page:.0} us; {read:.1} vectors are read a probe");
    println!("             mated QPS   non-mated QPS");
    println!("free memory  {mated:>9.1}   {others:>13.1}");
    println!("held         {held_mated:>9.1}   {held_others:>13.1}");
    println!("held / free  {:>9.3}   {:>13.3}", held_mated / mated, held_others / others);
}

/// Prints probes a second, mated and not, and vectors read a probe.
fn once(gallery: &Path, probes: &Path, group: &str) {
    if !group.is_empty() {
        let process = std::process::id().to_string();
        fs::write(Path::new(group).join("cgroup.procs"), process).expect("joined the group");
    }
    let gallery = Gallery::open_resident(gallery).expect("a gallery");
    let probes = common::read(probes);
    let query = Query::new().top(K).hit_rate(rate());
    let mut vectors = 0;
    let mut search = |probe| {
        let matches = gallery.search(probe, &query).expect("an answer");
        vectors += matches.counters.vectors_read;
    };
    probes.iter().step_by(WARM_UP).for_each(&mut search);
    let (mated, others) = probes.split_at(probes.len() / 2);
    for half in [mated, others] {
        let begun = Instant::now();
        half.iter().for_each(&mut search);
        print!("{} ", half.len() as f64 / begun.elapsed().as_secs_f64());
    }
    let searches = probes.len() + probes.len().div_ceil(WARM_UP);
    println!("{}", vectors as f64 / searches as f64);
}

/// A file of the gallery's only segment.
fn file(gallery: &Path, name: &str) -> PathBuf {
    let mut segments = fs::read_dir(gallery.join("segments")).expect("segments");
    segments.next().expect("a segment").expect("readable").path().join(name)
}

/// Has the system forget what it holds of a file.
fn forget(path: &Path) {
    let file = File::open(path).expect("the file");
    file.sync_all().expect("on disk");
    fadvise(&file, 0, None, Advice::DontNeed).expect("forgotten");
}

/// Microseconds that a page anywhere in a file takes to read, one at a time.
fn page_microseconds(path: &Path) -> f64 {
    const READS: u64 = 500;
    /// Odd, so that pages are far apart.
    const STEP: u64 = 7919;
    let file = File::open(path).expect("the file");
    fadvise(&file, 0, None, Advice::Random).expect("advised");
    let pages = (file.metadata().expect("its length").len() / PAGE).max(1);
    let mut page = [0; PAGE as usize];
    let begun = Instant::now();
    for at in 0..READS {
        file.read_at(&mut page, at * STEP % pages * PAGE).expect("a page");
    }
    begun.elapsed().as_secs_f64() * 1e6 / READS as f64
}

/// A memory cgroup, of version 1 or 2, removed in the end.
struct Group {
    path: PathBuf,
    /// What its files of most memory in use and of times at the limit are called.
    files: [&'static str; 2],
}

impl Group {
    fn new(limit: u64) -> Option<Self> {
        let name = format!("lookalike-{}", std::process::id());
        let first = Path::new("/sys/fs/cgroup/memory");
        let (path, file, files) = if first.exists() {
            let files = ["memory.max_usage_in_bytes", "memory.failcnt"];
            (first.join(name), "memory.limit_in_bytes", files)
        } else {
            let files = ["memory.peak", "memory.events"];
            (Path::new("/sys/fs/cgroup").join(name), "memory.max", files)
        };
        let _ = fs::create_dir(&path);
        let group = Self { path, files };
        fs::write(group.path.join(file), limit.to_string()).ok().map(|()| group)
    }

    fn peak(&self) -> String {
        self.figure(self.files[0])
    }

    fn fails(&self) -> String {
        self.figure(self.files[1])
    }

    fn figure(&self, file: &str) -> String {
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        // Version 2 has a line for each kind of event.
        let line = text.lines().find_map(|line| line.strip_prefix("max "));
        line.unwrap_or(text.trim()).to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}
