//! `lookalike calibrate`: thresholds that mean something.

use std::io::{self, Write};
use std::path::PathBuf;

use lookalike::calibration::{self, Calibration, DEFAULT_FPIR, SHOWN, Threshold};
use serde::Serialize;

use super::bars::Bars;
use super::threshold::has_own;
use super::{Failure, cancel_on_interrupt, grouped, open, parse_threads, thread_pool};

/// Find the thresholds at which a search of this gallery answers with a stranger one time in ten,
/// in a hundred, in a thousand
///
/// Up to 10,000 faces of the gallery are searched for, exhaustively, each without the faces of its
/// own subject, so that whoever is found is a stranger. The result is kept in the gallery: `search
/// --fpir` takes its threshold from it, and a search without a threshold that of a false-positive
/// identification rate (FPIR) of 0.01. Rates below three divided by the number of
/// probes are left out. Where hardly any face has a subject, each is taken for a person of its own,
/// and thresholds come out too high rather than too low.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
    /// Threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<usize>,
}

/// A threshold with its interval, as JSON has it too.
#[derive(Serialize)]
struct Row {
    /// The rate that was asked for.
    asked: f64,
    #[serde(flatten)]
    threshold: Threshold,
    interval: Option<(f64, f64)>,
}

#[derive(Serialize)]
struct Calibrated {
    faces: u64,
    probes: usize,
    unlabelled: f64,
    mates: usize,
    thresholds: Vec<Row>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let gallery = open(&args.gallery, false)?;
    let cancel = cancel_on_interrupt();
    let pool = thread_pool(args.threads)?;
    let calibration =
        pool.install(|| calibration::calibrate(&gallery, &Bars::default(), &cancel))?;
    calibration.store(gallery.path())?;
    let rows = pool.install(|| rows(&calibration));
    let mut out = io::stdout().lock();
    if args.json {
        let calibrated = Calibrated {
            faces: calibration.faces,
            probes: calibration.probes(),
            unlabelled: calibration.unlabelled,
            mates: calibration.mates.len(),
            thresholds: rows,
        };
        serde_json::to_writer(&mut out, &calibrated).map_err(|e| Failure::output(e.into()))?;
        return writeln!(out).map_err(Failure::output);
    }
    print(&mut out, &calibration, &rows).map_err(Failure::output)
}

fn rows(calibration: &Calibration) -> Vec<Row> {
    let of = |fpir| {
        let threshold = calibration.threshold(fpir, calibration.faces)?;
        let interval = calibration.interval(threshold.similarity, calibration.faces);
        Some(Row { asked: fpir, threshold, interval })
    };
    SHOWN.into_iter().filter_map(of).collect()
}

fn print(out: &mut impl Write, calibration: &Calibration, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "{} probes, each without the person's own faces, in {} faces",
        grouped(calibration.probes() as u64),
        grouped(calibration.faces)
    )?;
    if calibration.unlabelled > 0.0 {
        writeln!(
            out,
            "{:.1} % of the faces have no subject: mates among them count as strangers, so these \
             thresholds are too high rather than too low, and by how much no interval tells. Name \
             them (`lookalike cluster` helps), build, and calibrate again",
            calibration.unlabelled * 100.0
        )?;
    }
    writeln!(
        out,
        "\n{:>7}  {:>10}  {:>19}  {:>12}",
        "FPIR", "threshold", "95 % interval", "mates missed"
    )?;
    for Row { asked, threshold, interval } in rows {
        let interval = interval.map_or("-".to_owned(), |(low, high)| format!("{low:.5}-{high:.5}"));
        let missed = threshold.fnmr.map_or("-".to_owned(), |fnmr| format!("{:.1} %", fnmr * 100.0));
        let is_own = *asked == DEFAULT_FPIR && has_own(calibration);
        let own = if is_own { "  this gallery's own" } else { "" };
        writeln!(
            out,
            "{:>7.4}  {:>10.4}  {interval:>19}  {missed:>12}{own}",
            threshold.fpir, threshold.similarity
        )?;
    }
    writeln!(
        out,
        "\nFPIR: the part of the searches for people who are not in the gallery that are answered with \
         somebody.\nMates missed: pairs of photos of one person that are less alike, of {} people.",
        grouped(calibration.mates.len() as u64)
    )
}
