//! This project's side of `benches/peers`, and hnsw_rs's: builds an index, or answers probes.
//!
//! `benches/peers/run.py` runs it, one process a build and one a visit, and computes the measures for
//! every engine alike. In come a file of embeddings of unit length and file names; a search then
//! reads one setting a line (`beam=64`, `share=0.1`, `hit-rate=0.98`, `exhaustive`, `ef=64`), writes
//! the rows found for each probe (i64, little-endian, [`K`] a probe, -1 where there are fewer) to the
//! file named, and prints one JSON object with the seconds that the mated probes, the others, and all
//! of them in batches took.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::panic)]

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;

use hnsw_rs::anndists::dist::DistDot;
use hnsw_rs::prelude::{AnnT, Hnsw, HnswIo, Neighbour};
use lookalike::ingest::Embeddings;
use lookalike::{Build, Builder, Cancel, Embedding, Gallery, Query};

mod common;
use common::Clock;

const K: usize = 10;
const BATCH: usize = 64;
/// One probe in so many goes ahead of each measurement; all of them ahead of the first.
const WARM_UP: usize = 8;
const EF_CONSTRUCTION: usize = 200;
/// Rows that hnsw_rs is given at a time.
const BLOCK: u64 = 50_000;
const LAYERS: usize = 16;
/// The steps of a build that measure what plans deliver.
const PROMISE: [&str; 2] = ["exact", "plans"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["ours", "build", index, embeddings, manifest, builder, code_bytes] => {
            build_ours(index, embeddings, manifest, builder, code_bytes);
        }
        ["hnsw-rs", "build", index, embeddings, m] => build_hnsw_rs(index, embeddings, m),
        ["ours", "search", index, probes, mated, found] => {
            answer(Ours::open(index), probes, mated, found);
        }
        ["hnsw-rs", "search", index, probes, mated, found] => {
            let mut io = HnswIo::new(Path::new(index), "hnsw");
            let hnsw = io.load_hnsw().expect("the index");
            answer(HnswRs { hnsw, ef: K }, probes, mated, found);
        }
        _ => println!("benches/peers/run.py runs this"),
    }
}

/// What is asked of an engine. An answer is the rows found, most similar first.
trait Engine {
    type Probe;

    fn probe(&self, embedding: Embedding) -> Self::Probe;
    fn set(&mut self, setting: &str);
    fn search(&self, probe: &Self::Probe) -> Vec<u64>;
    /// On all threads.
    fn search_batch(&self, probes: &[Self::Probe]) -> Vec<Vec<u64>>;
}

struct Ours {
    gallery: Gallery,
    query: Query,
}

impl Ours {
    /// In memory, as every rival is once it is loaded: codes and graph read, vectors mapped in.
    fn open(index: &str) -> Self {
        let ours = Self {
            gallery: Gallery::open_resident(index).expect("a gallery"),
            query: Query::new().top(K).exhaustive(),
        };
        let first = ours.gallery.faces().next().expect("a face").expect("readable");
        let probe = ours.gallery.embedding(first.face_id).expect("an embedding");
        ours.search(&probe);
        ours
    }
}

impl Engine for Ours {
    type Probe = Embedding;

    fn probe(&self, embedding: Embedding) -> Embedding {
        embedding
    }

    fn set(&mut self, setting: &str) {
        let query = Query::new().top(K);
        self.query = match setting.split_once('=').unwrap_or((setting, "")) {
            ("beam", width) => query.beam(width.parse().expect("a width")),
            ("share", share) => query.share(share.parse().expect("a share")),
            ("hit-rate", rate) => query.hit_rate(rate.parse().expect("a rate")),
            ("exhaustive", "") => query.exhaustive(),
            _ => panic!("no setting {setting:?}"),
        };
    }

    fn search(&self, probe: &Embedding) -> Vec<u64> {
        let matches = self.gallery.search(probe, &self.query).expect("an answer");
        matches.iter().map(|found| found.face_id.0).collect()
    }

    fn search_batch(&self, probes: &[Embedding]) -> Vec<Vec<u64>> {
        let answers = self.gallery.search_batch(probes, &self.query).expect("answers");
        let ids = |answer: Result<lookalike::Matches<'_>, _>| {
            answer.expect("an answer").iter().map(|found| found.face_id.0).collect()
        };
        answers.into_iter().map(ids).collect()
    }
}

struct HnswRs<'a> {
    hnsw: Hnsw<'a, f32, DistDot>,
    ef: usize,
}

impl Engine for HnswRs<'_> {
    type Probe = Vec<f32>;

    fn probe(&self, embedding: Embedding) -> Vec<f32> {
        embedding.values().to_vec()
    }

    fn set(&mut self, setting: &str) {
        let ef = setting.strip_prefix("ef=").expect("a setting ef=N");
        self.ef = ef.parse().expect("a width");
    }

    fn search(&self, probe: &Vec<f32>) -> Vec<u64> {
        rows(self.hnsw.search(probe, K, self.ef))
    }

    fn search_batch(&self, probes: &[Vec<f32>]) -> Vec<Vec<u64>> {
        self.hnsw.parallel_search(probes, K, self.ef).into_iter().map(rows).collect()
    }
}

fn rows(found: Vec<Neighbour>) -> Vec<u64> {
    found.into_iter().map(|neighbour| neighbour.d_id as u64).collect()
}

/// Answers one setting a line until there are no more.
fn answer<E: Engine>(mut engine: E, probes: &str, mated: &str, found: &str) {
    let embeddings = common::read(Path::new(probes));
    let probes: Vec<E::Probe> = embeddings.into_iter().map(|e| engine.probe(e)).collect();
    let (mates, others) = probes.split_at(mated.parse().expect("the number of mated probes"));
    for (at, setting) in io::stdin().lock().lines().enumerate() {
        engine.set(setting.expect("a setting").trim());
        let search = |probe| engine.search(probe);
        probes.iter().step_by(if at == 0 { 1 } else { WARM_UP }).for_each(|p| drop(search(p)));
        let (mut answers, mated) = timed(mates.iter(), search);
        let (others, non_mated) = timed(others.iter(), search);
        let search = |probes| engine.search_batch(probes);
        probes.chunks(BATCH).step_by(WARM_UP).for_each(|p| drop(search(p)));
        let (_, batch) = timed(probes.chunks(BATCH), search);
        answers.extend(others);
        fs::write(found, bytes(&answers)).expect("the answers written");
        let answer = serde_json::json!({
            "mated_seconds": mated,
            "non_mated_seconds": non_mated,
            "batch_seconds": batch,
            "call_seconds": 0.0,
        });
        println!("{answer}");
        io::stdout().flush().expect("standard output");
    }
}

/// The answers, and the seconds they took.
fn timed<P, A>(probes: impl Iterator<Item = P>, search: impl Fn(P) -> A) -> (Vec<A>, f64) {
    let begun = Instant::now();
    let answers = probes.map(search).collect();
    (answers, begun.elapsed().as_secs_f64())
}

fn bytes(answers: &[Vec<u64>]) -> Vec<u8> {
    let row = |answer: &[u64], at: usize| answer.get(at).map_or(-1, |&row| row as i64);
    let rows = answers.iter().flat_map(|answer| (0..K).map(move |at| row(answer, at)));
    rows.flat_map(i64::to_le_bytes).collect()
}

fn build_ours(index: &str, embeddings: &str, manifest: &str, builder: &str, code_bytes: &str) {
    let builder = builder.parse::<Builder>().expect("a builder");
    let code_bytes = code_bytes.parse().expect("a number of bytes");
    let build = Build::new(index, embeddings).manifest(manifest);
    let build = build.builder(builder).code_bytes(code_bytes);
    let clock = Clock::default();
    let begun = Instant::now();
    build.run(&clock, &Cancel::new()).expect("a gallery");
    let seconds = begun.elapsed().as_secs_f64();
    let steps = clock.steps();
    let measuring = steps.iter().filter(|(step, _)| PROMISE.contains(&step.as_str()));
    let promise: f64 = measuring.map(|(_, seconds)| seconds).sum();
    let steps: Vec<String> =
        steps.iter().map(|(step, seconds)| format!("{step} {seconds:.1}")).collect();
    let notes = serde_json::json!({
        "seconds of measuring the promise, beside the build": (promise * 10.0).round() / 10.0,
        "seconds of each step": steps.join(", "),
    });
    built(seconds - promise, notes);
}

fn build_hnsw_rs(index: &str, embeddings: &str, m: &str) {
    let faces = Embeddings::open(Path::new(embeddings), None).expect("readable");
    let hnsw = Hnsw::<f32, DistDot>::new(
        m.parse().expect("a number of links"),
        faces.rows() as usize,
        LAYERS,
        EF_CONSTRUCTION,
        DistDot {},
    );
    let begun = Instant::now();
    for begin in (0..faces.rows()).step_by(BLOCK as usize) {
        let rows = begin..faces.rows().min(begin + BLOCK);
        let block: Vec<(Vec<f32>, usize)> = rows
            .map(|row| {
                let mut vector = vec![0.0; faces.dims()];
                faces.read(row, &mut vector).expect("a row");
                (vector, row as usize)
            })
            .collect();
        let block: Vec<(&[f32], usize)> =
            block.iter().map(|(vector, row)| (vector.as_slice(), *row)).collect();
        hnsw.parallel_insert_slice(&block);
    }
    built(begun.elapsed().as_secs_f64(), serde_json::json!({}));
    fs::create_dir_all(index).expect("a folder for the index");
    hnsw.file_dump(Path::new(index), "hnsw").expect("the index written");
}

/// Says what a build took: seconds, and the most memory the process has held.
fn built(seconds: f64, notes: serde_json::Value) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let peak = most.unwrap_or(0) * 1024;
    let built = serde_json::json!({ "build_seconds": seconds, "peak_bytes": peak, "notes": notes });
    println!("{built}");
}
