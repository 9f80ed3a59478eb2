//! The walk against hnsw_rs on the same graph: probes a second over recall.
//!
//! hnsw_rs builds an index (M 16, ef_construction 200, its fast distance `DistDot` with the feature
//! `simdeez_f`) over a synthetic gallery of 200,000 x 512; the gallery is built around that very
//! index. One thread, beams alternating between the rivals, medians of 5 rounds after a warm-up.
//! The rival is also run with this project's own kernel as its distance, in case that suits it
//! better. Indexes are kept, so that a second run begins at once.
//!
//! `cargo bench --bench walk`; FACES, PROBES, ROUNDS, KINDS and BEAMS change what
//! is run, OWN_KERNEL=0 leaves out the rival with this project's kernel. A beam `16384/10240` is this
//! project's and the rival's: where a recall needs unlike ones, both reach it in one run.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::panic)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use hnsw_rs::anndists::dist::{DistDot, Distance};
use hnsw_rs::prelude::{AnnT, Hnsw, HnswIo};
use lookalike::graph::GraphParams;
use lookalike::kernels::Kernels;
use lookalike::synth::Profile;
use lookalike::{Build, Cancel, Embedding, Gallery, Query, Silent};
use rayon::prelude::*;

mod common;
use common::{Data, median, print_machine, setting};

const K: usize = 10;
const BEAMS: &str = "64,96,128,192,256,384,512";
const RECALLS: [f64; 2] = [0.95, 0.99];

/// hnsw_rs looks at the last part of a distance's name when it loads an index, hence the name.
mod own {
    use super::{Distance, Kernels};

    pub(crate) struct DistDot(Kernels);

    impl Default for DistDot {
        fn default() -> Self {
            Self(Kernels::best())
        }
    }

    impl Distance<f32> for DistDot {
        fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
            (1.0 - self.0.dot(a, b)).max(0.0)
        }
    }
}

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let faces = setting("FACES", if quick { 2000 } else { 200_000 });
    let probes = setting("PROBES", if quick { 20 } else { 2000 });
    let rounds = setting("ROUNDS", if quick { 1 } else { 5 });
    let kinds = std::env::var("KINDS").unwrap_or_else(|_| "clustered,isolated".to_owned());
    print_machine();
    println!("k {K}, one thread, medians of {rounds} rounds, probes half mated");
    for kind in kinds.split(',') {
        let isolated = kind == "isolated";
        let data = Data::new(Profile::ArcFace512, faces as u64, isolated, probes as u64, 1);
        println!("\n{}", data.name);
        compare(&data, rounds);
    }
}

fn compare(data: &Data, rounds: usize) {
    index(data);
    let gallery = gallery(data);
    let exact = exact(&gallery, &data.probes);
    let own_kernel = setting("OWN_KERNEL", 1) != 0;
    let mut theirs = HnswIo::new(&data.folder, "hnsw");
    let theirs: Hnsw<'_, f32, DistDot> = theirs.load_hnsw().expect("the index");
    let mut ours_inside = HnswIo::new(&data.folder, "hnsw");
    let ours_inside: Hnsw<'_, f32, own::DistDot> = ours_inside.load_hnsw().expect("the index");
    let rival = |hnsw: &dyn Fn(&[f32], usize) -> Vec<u64>, beam| {
        let mut found = Vec::with_capacity(data.probes.len());
        let seconds = timed(&data.probes, &mut found, |probe| hnsw(probe.values(), beam));
        (seconds, found)
    };
    let search = |probe: &Embedding, beam: usize| -> Vec<u64> {
        let matches = gallery.search(probe, &Query::new().top(K).beam(beam)).expect("an answer");
        matches.iter().map(|found| found.face_id.0).collect()
    };
    let ids = |found: Vec<hnsw_rs::prelude::Neighbour>| {
        found.iter().map(|neighbour| neighbour.d_id as u64).collect()
    };
    println!(
        "       beam | lookalike recall   QPS (mated, non-mated) | hnsw_rs recall   QPS | with our kernel"
    );
    let mut curves = [const { Vec::new() }; 3];
    let beams = std::env::var("BEAMS").unwrap_or_else(|_| BEAMS.to_owned());
    for pair in beams.split(',') {
        let (own, other) = pair.split_once('/').unwrap_or((pair, pair));
        let beam: usize = own.parse().expect("a beam");
        let theirs_at: usize = other.parse().expect("a beam");
        let mut times = [const { Vec::new() }; 3];
        let mut recalls = [0.0; 3];
        let mut halves = Vec::new();
        for round in 0..=rounds {
            let mut found = Vec::new();
            let seconds = timed(&data.probes, &mut found, |probe| search(probe, beam));
            let results = [
                (seconds, found),
                rival(&|probe, beam| ids(theirs.search(probe, K, beam)), theirs_at),
                if own_kernel {
                    rival(&|probe, beam| ids(ours_inside.search(probe, K, beam)), theirs_at)
                } else {
                    (vec![f64::INFINITY], Vec::new())
                },
            ];
            if round == 0 {
                for (recall, (_, found)) in recalls.iter_mut().zip(&results) {
                    *recall = self::recall(&gallery, &data.probes, &exact, found);
                }
                continue;
            }
            let half = data.probes.len() / 2;
            let first: f64 = results[0].0[..half].iter().sum();
            let second: f64 = results[0].0[half..].iter().sum();
            halves.push((half as f64 / first, half as f64 / second));
            for (times, (seconds, _)) in times.iter_mut().zip(&results) {
                times.push(data.probes.len() as f64 / seconds.iter().sum::<f64>());
            }
        }
        let [ours, theirs, theirs_ours] = times.map(|mut qps| median(&mut qps));
        let mut mated: Vec<f64> = halves.iter().map(|half| half.0).collect();
        let mut non_mated: Vec<f64> = halves.iter().map(|half| half.1).collect();
        println!(
            "{pair:>11} | {:.4} {ours:>8.0} ({:>6.0}, {:>6.0}) | {:.4} {theirs:>8.0} | {:.4} {theirs_ours:>8.0}",
            recalls[0],
            median(&mut mated),
            median(&mut non_mated),
            recalls[1],
            recalls[2],
        );
        for (curve, point) in
            curves.iter_mut().zip([ours, theirs, theirs_ours].into_iter().zip(recalls))
        {
            curve.push((point.1, point.0));
        }
    }
    for recall in RECALLS {
        let [ours, theirs, theirs_ours] = curves.each_ref().map(|curve| at_recall(curve, recall));
        let best = [theirs, theirs_ours].into_iter().flatten().reduce(f64::max);
        match (ours, best) {
            (Some(ours), Some(best)) => println!(
                "at recall {recall}: {ours:.0} against {best:.0} probes a second: {:.2} times",
                ours / best
            ),
            _ => println!("at recall {recall}: not reached by both"),
        }
    }
}

/// Seconds of each probe.
fn timed(
    probes: &[Embedding],
    found: &mut Vec<Vec<u64>>,
    search: impl Fn(&Embedding) -> Vec<u64>,
) -> Vec<f64> {
    probes
        .iter()
        .map(|probe| {
            let begun = Instant::now();
            let ids = search(probe);
            let seconds = begun.elapsed().as_secs_f64();
            found.push(ids);
            seconds
        })
        .collect()
}

/// Builds the index with hnsw_rs, unless an earlier run did.
fn index(data: &Data) {
    if data.folder.join("hnsw.hnsw.graph").exists() {
        return;
    }
    let vectors = data.vectors();
    let begun = Instant::now();
    let hnsw = Hnsw::<f32, DistDot>::new(16, vectors.len(), 16, 200, DistDot {});
    let rows: Vec<(&[f32], usize)> =
        vectors.iter().enumerate().map(|(row, vector)| (vector.values(), row)).collect();
    hnsw.parallel_insert_slice(&rows);
    println!("hnsw_rs built its index in {:.0} s", begun.elapsed().as_secs_f64());
    hnsw.file_dump(&data.folder, "hnsw").expect("the index written");
}

/// The gallery around that index.
fn gallery(data: &Data) -> Gallery {
    let place = data.folder.join("gallery-hnsw-rs");
    if !place.exists() {
        let mut io = HnswIo::new(&data.folder, "hnsw");
        let hnsw: Hnsw<'_, f32, DistDot> = io.load_hnsw().expect("the index");
        Build::new(&place, data.folder.join("embeddings.npy"))
            .manifest(data.folder.join("manifest.csv"))
            .graph(GraphParams::new(16, 200, 0).expect("settings"))
            .run_with_index(&hnsw, &Silent, &Cancel::new())
            .expect("a gallery");
    }
    println!("gallery: {} bytes", folder_bytes(&place));
    Gallery::open(place).expect("the gallery")
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("metadata");
            if metadata.is_dir() { folder_bytes(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

/// Similarity of the k-th exact match of each probe.
fn exact(gallery: &Gallery, probes: &[Embedding]) -> Vec<f32> {
    let query = Query::new().top(K).exhaustive();
    let answers = gallery.search_batch(probes, &query).expect("answers");
    answers
        .into_iter()
        .map(|answer| answer.expect("an answer").last().map_or(1.0, |found| found.similarity))
        .collect()
}

/// Share of the answers that are as similar as the k-th exact one, ties included.
fn recall(gallery: &Gallery, probes: &[Embedding], exact: &[f32], found: &[Vec<u64>]) -> f64 {
    let right: usize = probes
        .par_iter()
        .zip(exact)
        .zip(found)
        .map(|((probe, floor), ids)| {
            let mut ids: Vec<u64> = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            ids.iter()
                .filter(|&&id| {
                    let similarity = gallery.similarity(probe, lookalike::FaceId(id));
                    similarity.expect("a similarity") >= floor - 1e-6
                })
                .count()
        })
        .sum();
    right as f64 / (probes.len() * K) as f64
}

/// Probes a second at a recall, between the two beams around it (in log of the speed).
fn at_recall(curve: &[(f64, f64)], recall: f64) -> Option<f64> {
    let after = curve.iter().position(|point| point.0 >= recall)?;
    let Some(before) = after.checked_sub(1) else { return Some(curve[after].1) };
    let ((r0, q0), (r1, q1)) = (curve[before], curve[after]);
    let share = (recall - r0) / (r1 - r0);
    Some((q0.ln() + (q1.ln() - q0.ln()) * share).exp())
}
