//! `lookalike verify`: reads everything and checks everything.

use std::io::{self, Write};
use std::path::PathBuf;

use super::bars::Bars;
use super::{Failure, grouped, plain};

/// Read every byte of a gallery and check it
///
/// Exit status 0 for a sound gallery, 1 for one with faults, which are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let verified = lookalike::gallery::verify(&args.gallery, &Bars::default())?;
    let mut out = io::stdout().lock();
    let mut list =
        verified.faults.iter().map(|fault| writeln!(out, "{}", plain(&fault.to_string())));
    let listed = list.try_for_each(|line| line).map_err(Failure::output);
    if !verified.faults.is_empty() {
        // The verdict counts although nobody reads the list any more.
        listed.or_else(Failure::unless_closed)?;
        return Err(Failure::Failed(format!(
            "{} has {} faults",
            args.gallery.display(),
            verified.faults.len()
        )));
    }
    writeln!(
        out,
        "{}: sound; {} files, {} bytes, every checksum matches",
        args.gallery.display(),
        verified.files,
        grouped(verified.bytes)
    )
    .map_err(Failure::output)
}
