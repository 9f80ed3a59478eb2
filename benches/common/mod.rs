//! What every benchmark prints, and the synthetic galleries they share.

#![allow(dead_code, clippy::expect_used, clippy::print_stdout)]

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use lookalike::ingest::{Embeddings, Manifest};
use lookalike::synth::{Profile, Synth};
use lookalike::{Build, Builder, Cancel, Embedding, Matches, Progress, Silent};

/// Prints the machine and the commit, without which a figure says nothing.
pub(crate) fn print_machine() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let isa = lookalike::kernels::Kernels::best().isa().name();
    println!("machine: {}, {cores} cores, kernels {isa}", processor());
    println!("commit:  {}", commit());
}

pub(crate) fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown processor", |(_, name)| name).to_owned()
}

pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
    if changed { format!("{commit}, with changes") } else { commit }
}

/// A number from the environment variable `name`.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the environment variable `name` lists, between commas.
pub(crate) fn listed<T: FromStr<Err: Debug>>(name: &str, default: &str) -> Vec<T> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.split(',').map(|one| one.parse().expect(name)).collect()
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The folder where what takes long is kept from one run to the next.
pub(crate) fn cache() -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target").to_owned());
    let folder = PathBuf::from(target).join("bench-data");
    fs::create_dir_all(&folder).expect("a folder for what is kept");
    folder
}

/// A synthetic gallery's input, made once.
pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// The first half shows people of the gallery.
    pub(crate) probes: Vec<Embedding>,
}

impl Data {
    pub(crate) fn new(
        profile: Profile,
        faces: u64,
        isolated: bool,
        probes: u64,
        seed: u64,
    ) -> Self {
        let kind = if isolated { "isolated" } else { "clustered" };
        let name = format!("{profile}-{faces}-{kind}-{probes}-{seed}");
        let folder = cache().join(&name);
        let done = folder.join("done");
        if !done.exists() {
            let _ = fs::remove_dir_all(&folder);
            let synth = Synth { isolated, probes, seed, ..Synth::new(profile, faces) };
            synth.write(&folder, None, &Silent, &Cancel::new()).expect("a synthetic gallery");
            fs::write(&done, "").expect("written");
        }
        let probes = read(&folder.join("probes.npy"));
        Self { name, folder, probes }
    }

    /// The gallery of it, built once as a user would build it, and kept.
    pub(crate) fn gallery(&self) -> PathBuf {
        self.built("gallery", |build| build)
    }

    /// The same with codes of so many bytes.
    pub(crate) fn gallery_with_codes(&self, bytes: usize) -> PathBuf {
        match bytes {
            64 => self.gallery(),
            _ => self.built(&format!("gallery-{bytes}"), |build| build.code_bytes(bytes)),
        }
    }

    fn built(&self, name: &str, set: impl FnOnce(Build) -> Build) -> PathBuf {
        let place = self.folder.join(name);
        if !place.exists() {
            let begun = Instant::now();
            let build = Build::new(&place, self.folder.join("embeddings.npy"));
            set(build.manifest(self.folder.join("manifest.csv")))
                .run(&Silent, &Cancel::new())
                .expect("a gallery");
            println!("{}, {name}: built in {:.0} s", self.name, begun.elapsed().as_secs_f64());
        }
        place
    }

    /// The same without a graph.
    pub(crate) fn gallery_without_graph(&self) -> PathBuf {
        let place = self.folder.join("gallery-without-graph");
        if !place.exists() {
            build_without_graph(&place, &self.folder);
        }
        place
    }

    pub(crate) fn vectors(&self) -> Vec<Embedding> {
        read(&self.folder.join("embeddings.npy"))
    }
}

/// A gallery without a graph, of the embeddings and the manifest in a folder.
pub(crate) fn build_without_graph(place: &Path, folder: &Path) {
    Build::new(place, folder.join("embeddings.npy"))
        .manifest(folder.join("manifest.csv"))
        .builder(Builder::None)
        .run(&Silent, &Cancel::new())
        .expect("a gallery");
}

/// The embeddings of a file, each of unit length.
pub(crate) fn read(path: &Path) -> Vec<Embedding> {
    let file = Embeddings::open(path, None).expect("readable");
    let mut row = vec![0.0; file.dims()];
    (0..file.rows())
        .map(|at| {
            file.read(at, &mut row).expect("a row");
            Embedding::new(row.clone()).expect("an embedding")
        })
        .collect()
}

/// The subject of each line of a manifest.
pub(crate) fn subjects(path: &Path) -> Vec<Option<String>> {
    let lines = Manifest::open(path).expect("a manifest");
    lines.iter().expect("lines").map(|line| line.expect("a line").subject).collect()
}

/// Face ids of the mates among an answer, where no row was rejected, so that they are rows.
pub(crate) fn mates_in_top(
    answer: &Matches<'_>,
    subject: &Option<String>,
    rows: &[Option<String>],
) -> HashSet<u64> {
    let ids = answer.iter().map(|face| face.face_id.0);
    ids.filter(|&row| subject.is_some() && rows[row as usize] == *subject).collect()
}

/// Seconds that all threads of this process have spent on a processor: other work on the machine
/// counts for less than it does on a wall clock.
pub(crate) fn processor_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("threads");
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Takes down how long each step of a build takes.
pub(crate) struct Clock {
    begun: Instant,
    /// Whether it counts the seconds that threads spend on a processor.
    of_processor: bool,
    steps: Mutex<Vec<(String, f64)>>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { begun: Instant::now(), of_processor: false, steps: Mutex::default() }
    }
}

impl Clock {
    pub(crate) fn of_processor() -> Self {
        Self { of_processor: true, ..Self::default() }
    }

    /// Each step and its seconds.
    pub(crate) fn steps(self) -> Vec<(String, f64)> {
        self.steps.into_inner().expect("times")
    }

    fn now(&self) -> (f64, MutexGuard<'_, Vec<(String, f64)>>) {
        let wall = || self.begun.elapsed().as_secs_f64();
        let now = if self.of_processor { processor_seconds() } else { wall() };
        (now, self.steps.lock().expect("times"))
    }
}

impl Progress for Clock {
    fn begin(&self, step: &str, _: Option<u64>) {
        let (now, mut steps) = self.now();
        steps.push((step.to_owned(), now));
    }

    fn advance(&self, _: u64) {}

    fn end(&self) {
        let (now, mut steps) = self.now();
        if let Some((_, time)) = steps.last_mut() {
            *time = now - *time;
        }
    }
}
