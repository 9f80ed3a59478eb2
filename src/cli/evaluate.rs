//! `lookalike evaluate`: what a gallery's answers are worth, and how fast they come.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lookalike::evaluate::{Exact, Mates, Measured, Setting, Truth, measure};
use lookalike::gallery::VectorType;
use lookalike::ingest::{Embeddings, IdTable, Manifest};
use lookalike::kernels::Kernels;
use lookalike::search::DEFAULT_TOP;
use lookalike::{Embedding, Gallery, Query, SearchError};
use serde::Serialize;

use super::bars::Bars;
use super::{
    Failure, cancel_on_interrupt, grouped, open, parse_filter, parse_positive, parse_share,
    parse_threads,
};

/// Measure recall, hit rate and speed with probes whose answers are known
///
/// Recall is the share of the exact nearest faces that were returned; the hit rate that of the
/// mates (faces of the probe's person) among them. Times count the search alone, with the probes
/// in memory: the median of 5 runs after one to warm up, of 3 or 4 where they take over a minute.
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
    /// Read codes and graph into memory first, in huge pages where the system has them
    #[arg(long)]
    resident: bool,
    /// Threads to search with: one answers probe after probe, more answer them as a batch
    #[arg(long, value_name = "N", value_parser = parse_threads, default_value_t = 1)]
    threads: usize,
    /// How to print the results
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object a setting and line
    Json,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    setting: String,
    #[serde(flatten)]
    measured: &'a Measured,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = TruthFiles::of(args)?;
    let mut query = Query::new().top(args.k).cancel(cancel_on_interrupt());
    for filter in &args.filters {
        query = query.filter(parse_filter(filter)?);
    }
    let gallery = open(&args.gallery, args.resident)?;
    let probes = read_probes(&args.probes, args.array.as_deref(), gallery.dims())?;
    let settings = settings(args);
    if let Some(probe) = probes.first() {
        // What cannot be searched for is said before the truth is, which may take long.
        for setting in settings.iter().filter(|setting| **setting != Setting::Exhaustive) {
            gallery.search(probe, &setting.apply(query.clone()))?;
        }
    }
    let truth = files.read(args, &gallery, &probes, &query)?;
    let mut out = io::stdout().lock();
    if args.format == Format::Table {
        print_head(&mut out, args, &gallery, probes.len()).map_err(Failure::output)?;
    }
    for setting in settings {
        let measured =
            measure(&gallery, &probes, &truth, &setting.apply(query.clone()), args.threads)?;
        let printed = match args.format {
            Format::Table => print_row(&mut out, setting, &measured),
            Format::Json => print_json(&mut out, setting, &measured),
        };
        // One setting may take minutes: each is shown as soon as it is known.
        printed.and_then(|()| out.flush()).map_err(Failure::output)?;
    }
    Ok(())
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

/// The files that say what is known of the probes.
struct TruthFiles<'a> {
    rows: Option<&'a Path>,
    subjects: Option<&'a Path>,
}

impl<'a> TruthFiles<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        let mut files = Self { rows: None, subjects: None };
        for path in &args.truth {
            let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
            let (place, kind) = if is_npy {
                (&mut files.rows, "exact rows (.npy)")
            } else {
                (&mut files.subjects, "subjects (a table)")
            };
            if place.replace(path).is_some() {
                return Err(Failure::Usage(format!("--truth names two files of {kind}")));
            }
        }
        if files.rows.is_some() && !args.filters.is_empty() {
            return Err(Failure::Usage(
                "the exact rows of a .npy are of all faces, not of those that pass --where: leave \
                 that --truth out, and the exact nearest are searched for"
                    .to_owned(),
            ));
        }
        let stdin = Path::new("-");
        if args.probes == stdin && files.subjects == Some(stdin) {
            return Err(Failure::Usage(
                "standard input cannot be both probes and truth".to_owned(),
            ));
        }
        Ok(files)
    }

    fn read(
        &self,
        args: &Args,
        gallery: &Gallery,
        probes: &[Embedding],
        query: &Query,
    ) -> Result<Truth, Failure> {
        let agree = |path: &Path, rows: u64| {
            if rows == probes.len() as u64 {
                return Ok(());
            }
            Err(Failure::Failed(format!(
                "{} has {} rows and {} has {rows}: they must agree",
                args.probes.display(),
                probes.len(),
                path.display()
            )))
        };
        // Both files are read before the search, which may take long.
        let subjects = self.subjects.map(|path| read_subjects(path, agree)).transpose()?;
        let listed = match self.rows {
            Some(path) => {
                let table = IdTable::open(path)?;
                agree(path, table.rows())?;
                Some(Exact::listed(gallery, probes, args.k, table.columns(), table.ids())?)
            }
            None => None,
        };
        let search = || Exact::of(gallery, probes, args.k, query, &Bars::default());
        let Some(subjects) = subjects else {
            return Ok(Truth::new(listed.map_or_else(search, Ok)?));
        };
        let searched = search()?;
        let mates = Mates::of(gallery, &subjects, &searched)?;
        if mates.strangers() > 0 {
            let strangers = grouped(mates.strangers() as u64);
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(
                io::stderr(),
                "{strangers} probes name a subject without a face in this gallery: they count as \
                 non-mated"
            );
        }
        Ok(Truth::new(listed.unwrap_or(searched)).mates(mates))
    }
}

/// The subject of each probe, in their order.
fn read_subjects(
    path: &Path,
    agree: impl Fn(&Path, u64) -> Result<(), Failure>,
) -> Result<Vec<Option<String>>, Failure> {
    let manifest = Manifest::open(path)?;
    let fault = |reason: String| Failure::Failed(format!("{}: {reason}", path.display()));
    if !manifest.has_subjects() {
        return Err(fault("it has no column subject, which says who each probe shows".to_owned()));
    }
    if manifest.has_row() {
        return Err(fault("its lines go by the order of the probes: leave out `row`".to_owned()));
    }
    agree(path, manifest.lines())?;
    let line = |line: Result<lookalike::ingest::Line, _>| {
        line.map(|line| line.subject)
            .map_err(|e: lookalike::ingest::LineFault| fault(e.to_string()))
    };
    manifest.iter()?.map(line).collect()
}

fn print_json(out: &mut impl Write, setting: Setting, measured: &Measured) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &JsonLine { setting: setting.to_string(), measured })?;
    writeln!(out)
}

fn print_head(
    out: &mut impl Write,
    args: &Args,
    gallery: &Gallery,
    probes: usize,
) -> io::Result<()> {
    let vectors = match gallery.catalogue().vectors {
        VectorType::F16 => "f16",
        VectorType::F32 => "f32",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        out,
        "{}: {} faces x {} dimensions in {vectors}, {} kernels, {cores} cores",
        args.gallery.display(),
        grouped(gallery.len()),
        gallery.dims(),
        Kernels::best().isa().name()
    )?;
    writeln!(out, "{} probes, k {}, threads {}", grouped(probes as u64), args.k, args.threads)?;
    for filter in &args.filters {
        writeln!(out, "where {filter}")?;
    }
    writeln!(
        out,
        "{:<15} {:>7} {:>8} {:>7} {:>10} {:>10} {:>13} {:>10} {:>10} {:>8} {:>10} {:>8} {:>4}",
        "setting",
        "recall",
        "hit rate",
        "rank 1",
        "QPS",
        "mated QPS",
        "non-mated QPS",
        "p50 us",
        "p99 us",
        "hops",
        "codes",
        "vectors",
        "runs"
    )
}

fn print_row(out: &mut impl Write, setting: Setting, measured: &Measured) -> io::Result<()> {
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.4}"));
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    writeln!(
        out,
        "{setting:<15} {:>7} {:>8} {:>7} {:>10.1} {:>10} {:>13} {:>10.1} {:>10.1} {:>8.1} {:>10.1} {:>8.1} {:>4}",
        share(measured.recall),
        share(measured.hit_rate),
        share(measured.rank1),
        measured.qps,
        rate(measured.mated_qps),
        rate(measured.non_mated_qps),
        measured.p50_us,
        measured.p99_us,
        measured.hops,
        measured.codes_read,
        measured.vectors_read,
        measured.runs
    )
}
