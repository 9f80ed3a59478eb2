//! `lookalike pairs`: all pairs of faces that are alike.

use std::io;
use std::path::PathBuf;

use lookalike::pairs::{Format, Found, Kind, PairWriter, Pairs, PairsError, Reach};
use lookalike::{Error, Gallery, Progress};

use super::bars::Bars;
use super::{
    Failure, cancel_on_interrupt, grouped, open, parse_share, parse_threads, refuse_inside,
    refuse_stdout, thread_pool,
};

/// Find all pairs of faces that are alike: duplicate enrolments, one photo under two subjects
///
/// Each pair comes once, the lower face id first, with what kind of finding it is: the faces are in
/// images of the same bytes (same-image), or else of one subject (same-subject), of two
/// (different-subjects), or one of them has none (unknown). How far is looked for them is settled by
/// a sample of the gallery's faces, which are compared with all others, by sketch and code where it
/// takes many; what came of it is told on standard error.
///
/// With --out, what was found is kept in OUT.partial until the file is finished: the same command
/// given again goes on where it was interrupted, and writes the same file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// Pairs at or above this similarity
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    min_similarity: f32,
    /// The share of the pairs that must be found; 1 compares every two faces by their vectors
    #[arg(long, value_name = "R", value_parser = parse_share, default_value_t = 0.99)]
    hit_rate: f64,
    /// Kinds of pairs to write, between commas: same-image, same-subject, different-subjects,
    /// unknown; all unless given
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    kind: Vec<Kind>,
    /// csv, json (one object a line) or parquet; by the name of --out, else csv
    #[arg(long)]
    format: Option<Format>,
    /// The file to write; standard output unless given. Parquet needs one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<usize>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let told = args.out.as_deref().and_then(Format::of);
    let format = args.format.or(told).unwrap_or(Format::Csv);
    if format == Format::Parquet && args.out.is_none() {
        return Err(Failure::Usage("parquet needs a file to write to (--out FILE)".to_owned()));
    }
    refuse_stdout(args.out.as_deref())?;
    refuse_inside(&args.gallery, args.out.as_deref())?;
    let gallery = open(&args.gallery, false)?;
    let pairs = Pairs::new(args.min_similarity).hit_rate(args.hit_rate);
    pairs.check()?;
    let cancel = cancel_on_interrupt();
    let (bars, pool) = (Bars::default(), thread_pool(args.threads)?);
    let (found, counts) = pool.install(|| match &args.out {
        Some(out) => Ok(pairs.write(&gallery, out, (format, &args.kind), &bars, &cancel)?),
        None => print(&pairs, &gallery, (format, &args.kind), &bars, &cancel),
    })?;
    bars.note(&tell(&found, args));
    let kinds = Kind::ALL.iter().zip(counts).filter(|(_, count)| *count > 0);
    for (kind, count) in kinds {
        bars.note(&format!("{:>12}  {kind}", grouped(count)));
    }
    Ok(())
}

fn print(
    pairs: &Pairs,
    gallery: &Gallery,
    (format, kinds): (Format, &[Kind]),
    bars: &Bars,
    cancel: &lookalike::Cancel,
) -> Result<(Found, [u64; 4]), Failure> {
    let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
    let mut writer = PairWriter::new(out, format, kinds).map_err(failure)?;
    let take = |pairs: &[_]| writer.write(gallery, pairs).map_err(closed);
    let found = pairs.run(gallery, take, bars, cancel);
    // What was found before an interruption is good, and whole lines.
    let counts = writer.finish().map_err(failure);
    let found = found?;
    Ok((found, counts?))
}

fn failure(error: PairsError) -> Failure {
    closed(error.into())
}

/// Nobody reading the output any more is no failure.
pub(crate) fn closed(error: Error) -> Failure {
    match error {
        Error::Pairs(PairsError::Output(error)) => Failure::output(error),
        error => error.into(),
    }
}

/// What was found, and how it was looked for.
fn tell(found: &Found, args: &Args) -> String {
    let pairs = grouped(found.pairs);
    format!("{pairs} pairs at similarity >= {}; {}", args.min_similarity, tell_reach(&found.reach))
}

/// How far was looked, in words.
pub(crate) fn tell_reach(reach: &Reach) -> String {
    match *reach {
        Reach::Exhaustive => "every two faces were compared by their vectors".to_owned(),
        Reach::Measured { share, hit_rate, lower, sample, pairs, .. } => format!(
            "{:.2} % of all comparisons found {hit_rate:.4} or more (lower bound {lower:.4}) of the {} \
             pairs of {} faces that were compared with all, of those of two subjects, and of those of \
             faces with few",
            share * 100.0,
            grouped(pairs),
            grouped(u64::from(sample)),
        ),
        _ => "every two faces were compared by sketch and code, with four standard deviations of \
              their error allowed for, as the pairs of a sample did not prove that less would do"
            .to_owned(),
    }
}
