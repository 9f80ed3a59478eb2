//! `lookalike evaluate`: what a gallery's answers are worth, and how fast they come.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lookalike::evaluate::{Group, Identification, Measured, Setting, groups, measure};
use lookalike::ingest::Embeddings;
use lookalike::search::DEFAULT_TOP;
use lookalike::{Cancel, Embedding, Query, SearchError};

use super::page::Page;
use super::report::{self, Report};
use super::{
    Failure, cancel_on_interrupt, open, parse_filter, parse_positive, parse_share, parse_threads,
    refuse_inside,
};
use truth::{Known, TruthFiles};

mod print;
mod truth;

/// Measure accuracy and speed with probes whose answers are known
///
/// Recall is the share of the exact nearest faces that were returned; the hit rate that of the
/// mates (faces of the probe's person) among them. FPIR is the share of the probes of people who
/// are not enrolled that are answered with somebody, FNIR the share of the others whose mate is not
/// among the k faces returned, at or above the same threshold (ISO/IEC 19795-1). Intervals are of
/// 95 %, by drawing people again. Times count the search alone, with the probes in memory: the
/// median of 5 runs after one to warm up, of 3 or 4 where they take over a minute.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// File of probe embeddings, in any format that build reads; - for standard input
    #[arg(long, value_name = "FILE")]
    probes: PathBuf,
    /// Array, tensor, column or field of the probes' file
    #[arg(long, value_name = "NAME")]
    array: Option<String>,
    /// What is known of the probes: a .npy of the exact nearest faces of each (int64 face ids, most
    /// similar first), or a table with the subject of each, empty where not enrolled; repeat for
    /// both. Without the first, the exact nearest are searched for; without the second, there is no
    /// hit rate
    #[arg(long, value_name = "FILE")]
    truth: Vec<PathBuf>,
    /// Widths of the walk's beam to measure, one line each
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = parse_positive)]
    beams: Vec<usize>,
    /// Shares of the faces to scan, in (0, 1], one line each
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', value_parser = parse_share)]
    shares: Vec<f64>,
    /// Hit rates to keep, in (0, 1], one line each
    #[arg(long, value_name = "R,R,...", value_delimiter = ',', value_parser = parse_share)]
    hit_rate: Vec<f64>,
    /// Measure scoring every face as well
    #[arg(long)]
    exhaustive: bool,
    /// Faces to return for each probe
    #[arg(short, value_name = "N", value_parser = parse_positive, default_value_t = DEFAULT_TOP)]
    k: usize,
    /// Only faces for which this holds, as in search; repeated, all must hold
    #[arg(long = "where", value_name = "EXPR")]
    filters: Vec<String>,
    /// Give the figures for each value of this column of the table of subjects as well
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,
    /// Read codes and graph into memory first, in huge pages where the system has them
    #[arg(long)]
    resident: bool,
    /// Threads to search with: one answers probe after probe, more answer them as a batch
    #[arg(long, value_name = "N", value_parser = parse_threads, default_value_t = 1)]
    threads: usize,
    /// How to print the results
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write a report with curves to this file as well: one page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object a setting and line
    Json,
}

/// A setting and all that is known of it.
pub(crate) struct Evaluated {
    pub(crate) setting: Setting,
    pub(crate) measured: Measured,
    pub(crate) identification: Identification,
    /// One for each value of the column of `--by`.
    pub(crate) groups: Vec<Group>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    refuse_inside(&args.gallery, args.html.as_deref())?;
    if args.html.as_deref() == Some(Path::new("-")) {
        return Err(Failure::Usage(
            "--html writes a file, as the results go to standard output: name one".to_owned(),
        ));
    }
    let files = TruthFiles::of(args)?;
    let cancel = cancel_on_interrupt();
    let mut query = Query::new().top(args.k).cancel(cancel.clone());
    for filter in &args.filters {
        query = query.filter(parse_filter(filter)?);
    }
    let gallery = open(&args.gallery, args.resident)?;
    let probes = read_probes(&args.probes, args.array.as_deref(), gallery.dims())?;
    let settings = settings(args);
    if let Some(probe) = probes.first() {
        let nearest = gallery.search(probe, &query.clone().top(1).exhaustive())?;
        if nearest.counters.passing == 0 {
            return Err(Failure::Failed("no face of the gallery passes the filters".to_owned()));
        }
        // What cannot be searched for is said before the truth is, which may take long.
        for setting in settings.iter().filter(|setting| **setting != Setting::Exhaustive) {
            gallery.search(probe, &setting.apply(query.clone()))?;
        }
    }
    let known = files.read(args, &gallery, &probes, &query)?;
    let exhaustive = match known.truth.exhaustive() {
        [] => None,
        outcomes => Some(Identification::of(outcomes, args.k, &cancel)?),
    };
    let page = args.html.as_deref().map(Page::create).transpose()?;
    let mut out = io::stdout().lock();
    let mut all = Vec::with_capacity(settings.len());
    // Nobody may read the results any more and the report be wanted all the same.
    let mut read = match args.format {
        Format::Table => print::head(&mut out, args, &gallery, probes.len()),
        Format::Json => Ok(()),
    }
    .map_err(Failure::output);
    for setting in settings {
        let measured =
            measure(&gallery, &probes, &known.truth, &setting.apply(query.clone()), args.threads)?;
        let evaluated = evaluated(setting, measured, &known, &cancel)?;
        let print = |out: &mut io::StdoutLock<'_>| match args.format {
            Format::Table => print::row(out, setting, &evaluated.measured),
            Format::Json => print::json(out, &evaluated, args.by.as_deref(), exhaustive.as_ref()),
        };
        // One setting may take minutes: each is shown as soon as it is known.
        if read.is_ok() {
            read = print(&mut out).and_then(|()| out.flush()).map_err(Failure::output);
        }
        if read.is_err() && page.is_none() {
            return read;
        }
        all.push(evaluated);
    }
    if args.format == Format::Table && read.is_ok() {
        read = print::accuracy(&mut out, &all, args.by.as_deref(), exhaustive.as_ref())
            .map_err(Failure::output);
    }
    if let Some((page, out)) = page {
        let report = Report {
            gallery: &gallery,
            k: args.k,
            threads: args.threads,
            filters: &args.filters,
            by: args.by.as_deref(),
            evaluated: &all,
            exhaustive: exhaustive.as_ref(),
            exhaustive_outcomes: known.truth.exhaustive(),
            groups: known.groups.as_deref(),
        };
        report::write(page, out, &report)?;
    }
    read
}

fn evaluated(
    setting: Setting,
    measured: Measured,
    known: &Known,
    cancel: &Cancel,
) -> Result<Evaluated, Failure> {
    let (outcomes, k) = (&measured.outcomes, measured.k);
    let identification = Identification::of(outcomes, k, cancel)?;
    let groups = match &known.groups {
        Some(values) => groups(outcomes, values, &identification, k, cancel)?,
        None => Vec::new(),
    };
    Ok(Evaluated { setting, measured, identification, groups })
}

fn settings(args: &Args) -> Vec<Setting> {
    let mut settings: Vec<Setting> = args.beams.iter().copied().map(Setting::Beam).collect();
    settings.extend(args.shares.iter().copied().map(Setting::Share));
    settings.extend(args.hit_rate.iter().copied().map(Setting::HitRate));
    if args.exhaustive {
        settings.push(Setting::Exhaustive);
    }
    if settings.is_empty() {
        settings.push(Setting::Default);
    }
    settings
}

/// Reads all probes; a bad one would make the measurement one of something else.
fn read_probes(path: &Path, array: Option<&str>, dims: usize) -> Result<Vec<Embedding>, Failure> {
    let file = Embeddings::open(path, array)?;
    if file.dims() != dims {
        return Err(SearchError::Dims { expected: dims, got: file.dims() }.into());
    }
    let mut probes = Vec::new();
    for row in 0..file.rows() {
        let mut values = vec![0.0; dims];
        let bad = |reason: String| {
            let path = path.display();
            Failure::Failed(format!("{path}, row {row}: {reason}; measure with good probes only"))
        };
        file.read(row, &mut values).map_err(|e| bad(e.to_string()))?;
        probes.push(Embedding::new(values).map_err(|e| bad(e.to_string()))?);
    }
    if probes.is_empty() {
        return Err(Failure::Failed(format!("{} has no probes", path.display())));
    }
    Ok(probes)
}
