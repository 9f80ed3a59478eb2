//! `lookalike cluster`: people out of unlabelled faces.

use std::io::{self, Write};
use std::path::PathBuf;

use lookalike::Progress;
use lookalike::cluster::{Agreement, Clustering, Scores, read_not_same};
use lookalike::pairs::{Format, Reach, check_place};
use serde::Serialize;

use super::bars::Bars;
use super::pairs::{closed, tell_reach};
use super::{
    Failure, cancel_on_interrupt, grouped, open, parse_bytes, parse_share, parse_threads,
    refuse_inside, refuse_stdout, thread_pool,
};

/// Put the faces of a gallery together into people
///
/// Writes a manifest with the row, the person (as subject) and the other known columns of each face:
/// `build` with the same embeddings and this manifest makes a gallery in which every face has a
/// subject. Two clusters of faces are one person where their faces are at least this similar on
/// average (average linkage). Two faces of one image never are, unless their boxes overlap by half
/// or more or, without boxes, their embeddings are equal: then it is one face, enrolled twice.
///
/// Where faces have subjects, how the clusters agree with them is told on standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// Mean similarity from which two clusters of faces are one person
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    min_similarity: f32,
    /// CSV whose first two columns name two faces that are not one person, by key or by face id as a
    /// first line of key_1,key_2 or face_id_1,face_id_2 says, or by either; - is standard input
    #[arg(long, value_name = "FILE")]
    not_same: Option<PathBuf>,
    /// The share of the pairs at or above that similarity that must be found
    #[arg(long, value_name = "R", value_parser = parse_share, default_value_t = 0.99)]
    hit_rate: f64,
    /// Memory for what is kept of all faces, such as 512M or 2G; the program itself and the pairs at
    /// hand take some 30 MiB more. With less than about 4,000 bytes a face, each is compared by fewer
    /// others
    #[arg(long, value_name = "BYTES", default_value = "4G", value_parser = parse_bytes)]
    memory: u64,
    /// csv or parquet; by the name of --out, else csv
    #[arg(long)]
    format: Option<Format>,
    /// The manifest to write; standard output unless given. Parquet needs one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print a summary as one JSON object instead of telling it; with --out
    #[arg(long, requires = "out")]
    json: bool,
    /// Threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<usize>,
}

#[derive(Serialize)]
struct Summary {
    faces: u64,
    people: u64,
    min_similarity: f32,
    pairs: u64,
    pairs_found_by: Reach,
    /// How many others each face was compared by.
    others: usize,
    /// How they agree with the subjects that are known; null where none is.
    agreement: Option<Agreement>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let told = args.out.as_deref().and_then(Format::of);
    let format = args.format.or(told).unwrap_or(Format::Csv);
    match format {
        Format::Json => {
            return Err(Failure::Usage("a manifest is csv or parquet here, not json".to_owned()));
        }
        Format::Parquet if args.out.is_none() => {
            return Err(Failure::Usage("parquet needs a file to write to (--out FILE)".to_owned()));
        }
        _ => {}
    }
    refuse_stdout(args.out.as_deref())?;
    refuse_inside(&args.gallery, args.out.as_deref())?;
    if let Some(out) = &args.out {
        check_place(out).map_err(lookalike::Error::from)?;
    }
    let gallery = open(&args.gallery, false)?;
    let mut clustering =
        Clustering::new(args.min_similarity).hit_rate(args.hit_rate).memory(args.memory);
    if let Some(path) = &args.not_same {
        clustering = clustering.not_same(read_not_same(&gallery, path)?);
    }
    let cancel = cancel_on_interrupt();
    let (bars, pool) = (Bars::default(), thread_pool(args.threads)?);
    let clusters = pool.install(|| clustering.run(&gallery, &bars, &cancel))?;
    match &args.out {
        Some(out) => clusters.write(&gallery, out, format)?,
        None => {
            let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
            clusters.write_to(&gallery, out, format).map_err(closed)?;
        }
    }
    let agreement = clusters.agreement(&gallery)?;
    if args.json {
        let summary = Summary {
            faces: gallery.len(),
            people: clusters.count(),
            min_similarity: args.min_similarity,
            pairs: clusters.found.pairs,
            pairs_found_by: clusters.found.reach,
            others: clusters.others,
            agreement,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &summary).map_err(|e| Failure::output(e.into()))?;
        return writeln!(out).map_err(Failure::output);
    }
    bars.note(&format!(
        "{} people in {} faces, by {} pairs at similarity >= {}, each face compared by up to {}; {}",
        grouped(clusters.count()),
        grouped(gallery.len()),
        grouped(clusters.found.pairs),
        args.min_similarity,
        clusters.others,
        tell_reach(&clusters.found.reach)
    ));
    if let Some(agreement) = &agreement {
        tell_agreement(&bars, agreement);
    }
    Ok(())
}

fn tell_agreement(bars: &Bars, agreement: &Agreement) {
    bars.note(&format!(
        "against {} subjects of {} faces:  precision  recall       F",
        grouped(agreement.subjects),
        grouped(agreement.labelled)
    ));
    let row = |name: &str, Scores { precision, recall, f, .. }: &Scores| {
        bars.note(&format!("{name:>10}  {precision:>9.4}  {recall:>6.4}  {f:>6.4}"));
    };
    if let Some(pairwise) = &agreement.pairwise {
        row("pairwise", pairwise);
    }
    row("BCubed", &agreement.bcubed);
}
