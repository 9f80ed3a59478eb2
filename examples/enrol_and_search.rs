//! Builds a gallery of the sample and asks who is on a probe.
//!
//! `cargo run --release --example enrol_and_search`

use std::path::Path;

use lookalike::ingest::Embeddings;
use lookalike::{Build, Cancel, Embedding, Gallery, Query, Silent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample"));
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("people.gallery");
    let counts = Build::new(&place, sample.join("embeddings.npy"))
        .manifest(sample.join("manifest.csv"))
        .images(sample)
        .model("dlib-128")
        .run(&Silent, &Cancel::new())?;
    println!("{} faces enrolled, {} rejected", counts.enrolled, counts.rejected);

    // A probe's embedding comes from the face model that made the gallery's.
    let probes = Embeddings::open(&sample.join("probes.npy"), None)?;
    let mut numbers = vec![0.0; probes.dims()];
    probes.read(42, &mut numbers)?;
    let probe = Embedding::new(numbers)?;

    let gallery = Gallery::open(&place)?;
    // dlib's similarities of strangers reach 0.95: every model needs a threshold of its own.
    let query = Query::new().top(5).at_least(0.95).model("dlib-128");
    for found in gallery.search(&probe, &query)? {
        let face = found.face()?;
        let subject = face.subject.unwrap_or_default();
        println!("{:>4} {:.3} {subject} {}", found.face_id, found.similarity, face.image);
    }
    Ok(())
}
