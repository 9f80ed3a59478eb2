//! `lookalike synth`: synthetic galleries with the shape of real face embeddings.

use std::io::{self, Write};
use std::path::PathBuf;

use lookalike::synth::{Profile, Synth};

use super::bars::Bars;
use super::{Failure, cancel_on_interrupt, grouped, parse_positive};

/// Write a synthetic gallery's input: embeddings, manifest, probes and their truth
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write to; new or empty
    out: PathBuf,
    /// Face model whose embeddings to imitate: arcface-512, facenet-512 or dlib-128
    #[arg(long)]
    profile: Profile,
    /// Number of faces
    #[arg(long, value_name = "N")]
    faces: u64,
    /// Most people with a single photo, and no groups of people who look alike
    #[arg(long)]
    isolated: bool,
    /// Further people with exactly these numbers of photos, counted within --faces
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    subject_sizes: Vec<u64>,
    /// Number of probes; the first half shows people of the gallery, the second half others
    #[arg(long, value_name = "N", default_value_t = 1000)]
    probes: u64,
    /// Write truth.npy as well: the rows of the exact top K of each probe
    #[arg(long, value_name = "K", value_parser = parse_positive)]
    truth: Option<usize>,
    /// Seed; the same seed gives the same gallery
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let synth = Synth {
        isolated: args.isolated,
        subject_sizes: args.subject_sizes.clone(),
        probes: args.probes,
        seed: args.seed,
        ..Synth::new(args.profile, args.faces)
    };
    let written = synth.write(&args.out, args.truth, &Bars::default(), &cancel_on_interrupt())?;
    writeln!(
        io::stderr(),
        "{}: {} faces of {} people, {} probes",
        args.out.display(),
        grouped(written.faces),
        grouped(written.subjects),
        grouped(written.probes)
    )
    .map_err(Failure::output)
}
