//! An offline build: synthetic faces, progress on the screen, Ctrl-C safe, then a look at the
//! result.
//!
//! `cargo run --release --example offline_build -- 20000`

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lookalike::gallery::verify;
use lookalike::synth::{Profile, Synth};
use lookalike::{Build, Cancel, Gallery, Progress, Silent, VectorType};

/// Says where the build is, every ten thousand faces.
#[derive(Default)]
struct Log(AtomicU64);

impl Progress for Log {
    fn begin(&self, step: &str, total: Option<u64>) {
        self.0.store(0, Ordering::Relaxed);
        println!("{step}: {}", total.map_or("...".to_owned(), |total| total.to_string()));
    }

    fn advance(&self, done: u64) {
        let before = self.0.fetch_add(done, Ordering::Relaxed);
        if before / 10_000 != (before + done) / 10_000 {
            println!("  {}", before + done);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let faces = std::env::args().nth(1).map_or(Ok(5000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input");
    let cancel = Cancel::new();
    Synth::new(Profile::Dlib128, faces).write(&input, None, &Silent, &cancel)?;

    // A service would raise `cancel` from a signal handler; the same build then goes on later.
    let begun = Instant::now();
    let place = folder.path().join("people.gallery");
    let counts = Build::new(&place, input.join("embeddings.npy"))
        .manifest(input.join("manifest.csv"))
        .vectors(VectorType::F16)
        .memory(512 << 20)
        .run(&Log::default(), &cancel)?;
    println!("{} faces in {:.1} s", counts.enrolled, begun.elapsed().as_secs_f64());

    let gallery = Gallery::open(&place)?;
    println!("{:?}", gallery.catalogue().graph);
    let verified = verify(&place, &Silent)?;
    println!("{} files checked, {} faults", verified.files, verified.faults.len());
    Ok(())
}
