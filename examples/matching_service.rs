//! A matching service's use: one gallery shared by several threads, a deadline for each search.
//!
//! `cargo run --release --example matching_service`

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lookalike::ingest::Embeddings;
use lookalike::{Build, Cancel, Embedding, Error, Gallery, Query, Silent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample"));
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("people.gallery");
    Build::new(&place, sample.join("embeddings.npy"))
        .manifest(sample.join("manifest.csv"))
        .run(&Silent, &Cancel::new())?;

    let file = Embeddings::open(&sample.join("probes.npy"), None)?;
    let mut probes = Vec::new();
    for row in 0..file.rows() {
        let mut numbers = vec![0.0; file.dims()];
        file.read(row, &mut numbers)?;
        probes.push(Embedding::new(numbers)?);
    }

    // A clone shares the mapping: opening once is enough for any number of threads.
    let gallery = Gallery::open(&place)?;
    let (sender, answers) = mpsc::channel();
    thread::scope(|scope| {
        for worker in 0..4 {
            let (gallery, probes, sender) = (gallery.clone(), &probes, sender.clone());
            scope.spawn(move || {
                for (number, probe) in probes.iter().enumerate().skip(worker).step_by(4) {
                    let answer = who(&gallery, probe);
                    if sender.send((number, answer)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
    });
    let (mut known, mut unknown) = (0, 0);
    for (number, answer) in answers {
        match answer {
            Ok(Some(_)) => known += 1,
            Ok(None) => unknown += 1,
            Err(error) => println!("request {number}: {error}"),
        }
    }
    println!("{known} requests matched a subject, {unknown} matched nobody");
    Ok(())
}

/// The subject on a probe, or nobody. An error is neither: a deadline that passed must not read as
/// "nobody".
fn who(gallery: &Gallery, probe: &Embedding) -> Result<Option<String>, Error> {
    let query = Query::new()
        .top(1)
        .at_least(0.95)
        .group_by_subject()
        .deadline(Instant::now() + Duration::from_millis(200));
    match gallery.search(probe, &query)?.first() {
        Some(found) => Ok(found.face()?.subject),
        None => Ok(None),
    }
}
