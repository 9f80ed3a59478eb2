//! `lookalike search`: the faces of a gallery that are most like each probe.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use lookalike::search::{Basis, DEFAULT_HIT_RATE, DEFAULT_TOP, FEW, Plan, SubjectScore};
use lookalike::{FaceId, Gallery, Query, SearchError};

use super::answers::{About, Answer, answer, explain, fill};
use super::open_sheet::OpenSheet;
use super::probe_sets::Fuse;
use super::probes::{self, Probe, ProbeFile};
use super::results::{Format, Printer, Shown};
use super::threshold::LeastSimilarity;
use super::{
    Failure, cancel_on_interrupt, grouped, open, parse_filter, parse_model, parse_positive,
    parse_rate, parse_share, parse_threads, plain, refuse_inside, refuse_two_stdin, thread_pool,
};

/// Probes searched for at a time at most: enough to keep every core busy.
const BATCH: usize = 256;
/// Matches held at a time, about: where answers are long, fewer probes make a batch.
const MATCHES_HELD: usize = 1 << 20;

/// Probes that are of no file, and so have no array, manifest or folder: where one of them is given,
/// clap does not ask for what those options require.
const NO_FILE: [&str; 2] = ["probe_image", "face"];

/// Search a gallery for the faces most like each probe
///
/// Without a threshold the nearest faces are shown, which is not to say that they match. With one
/// and no -k, every face at or above it. Which threshold means the same person depends on the face
/// model and the size of the gallery: a calibrated gallery applies its own to the nearest faces,
/// unless one is given (--min-similarity -1 for none) or most of its faces have no subject.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["probes", "probe_image", "face"])))]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// File of probe embeddings, in any format that build reads; - for standard input
    #[arg(long, value_name = "FILE")]
    probes: Option<PathBuf>,
    /// Image whose faces are in the gallery already, told by its content; - for standard input
    #[arg(long, value_name = "FILE")]
    probe_image: Option<PathBuf>,
    /// Face of the gallery to find more like, by its id
    #[arg(long, value_name = "ID")]
    face: Option<u64>,
    /// Array, tensor, column or field of the probes' file
    #[arg(long, value_name = "NAME", requires = "probes", conflicts_with_all = NO_FILE)]
    array: Option<String>,
    /// Table with the image and subject of each probe, in their order
    #[arg(long, value_name = "FILE", requires = "probes", conflicts_with_all = NO_FILE)]
    probe_manifest: Option<PathBuf>,
    /// Folder that the probe manifest's image paths are relative to
    #[arg(long, value_name = "DIR", requires = "probe_manifest", conflicts_with_all = NO_FILE)]
    probe_images: Option<PathBuf>,
    /// Name of the face model that made the probes; a gallery of another named model refuses them
    #[arg(long, value_name = "NAME", value_parser = parse_model)]
    model: Option<String>,
    /// Faces (or subjects) to return at most for each probe; 10 unless given, or all at or above
    /// the threshold of --min-similarity or --fpir
    #[arg(short, value_name = "N", value_parser = parse_positive)]
    k: Option<usize>,
    /// Only faces at or above this similarity, from -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    min_similarity: Option<f32>,
    /// Only faces at or above the threshold at which this part of the searches for people who are
    /// not in the gallery is answered with somebody, such as 0.001; the gallery has to be
    /// calibrated, with at least three probes divided by this rate. A calibrated gallery applies its
    /// own, of 0.01, unless a threshold is given here
    #[arg(long, value_name = "R", value_parser = parse_rate, conflicts_with = "min_similarity")]
    fpir: Option<f64>,
    /// Share of a person's faces that must be found, of those that --exhaustive would find, in
    /// (0, 1]: 0.99 unless given. The cheapest plan is taken that kept it when the gallery was built
    #[arg(long, value_name = "R", value_parser = parse_share, group = "plan")]
    hit_rate: Option<f64>,
    /// Walk the graph with a beam of this width: wider finds more and takes longer
    #[arg(long, value_name = "N", value_parser = parse_positive, group = "plan")]
    beam: Option<usize>,
    /// Scan the codes of this share of the faces, the most promising first, in (0, 1]
    #[arg(long, value_name = "S", value_parser = parse_share, group = "plan")]
    share: Option<f64>,
    /// Score every face by its vector, which misses nothing
    #[arg(long, group = "plan")]
    exhaustive: bool,
    /// Only faces for which this holds, such as "source = 'press-archive.example'" or "year between
    /// 2019 and 2021 and not (source in (a, b) or width < 64)"; repeated, all must hold. What is not
    /// known about a face is neither equal nor different; ask "year is null" for it
    #[arg(long = "where", value_name = "EXPR")]
    filters: Vec<String>,
    /// Return subjects, each with its best face; a face without a subject stands for itself
    #[arg(long, value_name = "COLUMN", value_parser = ["subject"])]
    group_by: Option<String>,
    /// Return so many faces of each subject, its best
    #[arg(long, value_name = "N", value_parser = parse_positive, requires = "group_by")]
    per_subject: Option<usize>,
    /// What subjects are ordered by, and have to reach a threshold with
    #[arg(long, value_enum, value_name = "SCORE", default_value = "best", requires = "group_by")]
    subject_score: Score,
    /// Column of the probe manifest that says which probes show one person: those with the same
    /// value get one answer. A probe without a value gets its own
    #[arg(long, value_name = "COLUMN", requires = "probe_manifest", conflicts_with_all = NO_FILE)]
    probe_set: Option<String>,
    /// How the probes of a set become one answer
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "mean",
        requires = "probe_set",
        conflicts_with_all = NO_FILE
    )]
    fuse: Fuse,
    /// Read codes and graph into memory first, in huge pages where the system has them: worth it for
    /// many probes
    #[arg(long)]
    resident: bool,
    /// Threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<usize>,
    /// Say how each probe was searched for and what it took; and why these faces, if any are named,
    /// were returned or were not
    #[arg(
        long, value_name = "ID,...", value_delimiter = ',', num_args = 0.., require_equals = true
    )]
    explain: Option<Vec<u64>>,
    /// How to print the results
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write a contact sheet as well: one HTML file with the pictures inside
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What subjects are scored by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Score {
    /// The subject's most similar face
    #[default]
    Best,
    /// The mean of the subject's faces, those with a longer embedding counting for more
    Template,
}

/// Where an answer took scoring every face, as no plan is known to keep the hit rate: says so.
fn unplanned(
    args: &Args,
    threshold: &LeastSimilarity,
    gallery: &Gallery,
    answer: &Answer,
) -> Option<String> {
    let (counters, promise) = (answer.counters?, gallery.catalogue().promise.as_ref()?);
    let wanted = args.hit_rate.unwrap_or(DEFAULT_HIT_RATE);
    let told = args.beam.is_some() || args.share.is_some() || args.exhaustive || wanted >= 1.0;
    if told || counters.plan != Plan::Exhaustive || counters.passing <= FEW as u64 {
        return None;
    }
    let best = match (top(args, threshold), threshold.similarity) {
        (None, Some(at_least)) => promise.best_of_range(at_least),
        // Subjects take the plan for a hundred faces.
        (k, _) if args.group_by.is_some() => promise.best(k.unwrap_or(DEFAULT_TOP).max(100)),
        (k, _) => promise.best(k.unwrap_or(DEFAULT_TOP)),
    };
    let best = best.filter(|best| best.at_least < wanted)?;
    Some(format!(
        "no plan is known to keep a hit rate of {wanted} here (the best keeps {:.4}): every face was \
         scored",
        best.at_least
    ))
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.html.as_deref() == Some(Path::new("-")) {
        return Err(Failure::Usage(
            "--html writes a file, as the results go to standard output: name one".to_owned(),
        ));
    }
    refuse_inside(&args.gallery, args.html.as_deref())?;
    if args.format == Format::Csv && args.explain.as_ref().is_some_and(|faces| !faces.is_empty()) {
        return Err(Failure::Usage(
            "--explain=ID needs another --format than csv, which has no place for reasons"
                .to_owned(),
        ));
    }
    if args.probe_set.is_some() && args.explain.as_ref().is_some_and(|faces| !faces.is_empty()) {
        return Err(Failure::Usage(
            "--explain=ID tells of single probes: leave out --probe-set, or the ids".to_owned(),
        ));
    }
    let gallery = open(&args.gallery, args.resident)?;
    let threshold =
        LeastSimilarity::of(args.min_similarity, args.fpir, &gallery, !args.filters.is_empty())?;
    let threshold = about_sets(args, threshold)?;
    let query = query(args, &threshold)?;
    refuse_two_stdin(&[args.probes.as_deref(), args.probe_manifest.as_deref()])?;
    let mut probes: Box<dyn Iterator<Item = Probe>> = if let Some(path) = &args.probes {
        let file = ProbeFile::open(
            path,
            args.array.as_deref(),
            args.probe_manifest.as_deref(),
            args.probe_images.as_deref(),
        )?;
        if file.dims() != gallery.dims() {
            let (expected, got) = (gallery.dims(), file.dims());
            return Err(SearchError::Dims { expected, got }.into());
        }
        match &args.probe_set {
            Some(column) => Box::new(file.into_sets(column)?),
            None => Box::new(file),
        }
    } else if let Some(path) = &args.probe_image {
        Box::new(probes::of_image(&gallery, path)?.into_iter())
    } else {
        let id = FaceId(args.face.unwrap_or_default());
        Box::new(std::iter::once(probes::of_face(&gallery, id, 0)?))
    };
    // Only now: reading standard input has to end at the first Ctrl-C.
    let query = query.cancel(cancel_on_interrupt());
    // What is wrong with the query, or the threads, is said before anything is printed.
    gallery.search_batch(&[], &query)?;
    let to_explain: Vec<FaceId> = args.explain.iter().flatten().map(|&id| FaceId(id)).collect();
    to_explain.iter().try_for_each(|&id| gallery.face(id).map(drop))?;
    let pool = thread_pool(args.threads)?;
    let mut remarked = false;
    let (_, basis) = gallery.plan(&query)?;
    let head = head(args, &gallery, &threshold, basis);
    if args.format != Format::Table && !threshold.meaning.is_empty() {
        eprintln!("{head}");
    }
    let mut sheet = args
        .html
        .as_deref()
        .map(|path| OpenSheet::begin(path, &head, &gallery, &threshold))
        .transpose()?;
    let out = BufWriter::new(io::stdout().lock());
    let mut printer =
        Printer::begin(out, args.format, shown(args), &head).map_err(Failure::output)?;
    let mut failed = false;
    // Nobody may read the results any more and the sheet be wanted all the same.
    let mut read = Ok(());
    let mut next =
        if threshold.similarity.is_some() && top(args, &threshold).is_none() { 8 } else { BATCH };
    let mut longest = 1;
    loop {
        let batch: Vec<Probe> = probes.by_ref().take(next).collect();
        if batch.is_empty() || (read.is_err() && sheet.is_none()) {
            break;
        }
        for (probe, matches) in pool.install(|| answer(&gallery, &query, args.fuse, batch))? {
            let why = explain(&gallery, &query, &probe, &matches, &to_explain)?;
            let mut answer = Answer { why, ..fill(probe, matches, sheet.is_some())? };
            answer.about = answer.about.map(|about| About { fpir: threshold.fpir, ..about });
            failed |= answer.error.is_some();
            if let (false, Some(remark)) =
                (remarked, unplanned(args, &threshold, &gallery, &answer))
            {
                eprintln!("{remark}");
                remarked = true;
            }
            longest = longest.max(answer.found.len());
            if read.is_ok() {
                read = printer.answer(&answer);
            }
            if let Some(sheet) = &mut sheet {
                sheet.add(answer)?;
            }
        }
        // The next answers may be longer than any so far.
        next = (MATCHES_HELD / longest).clamp(1, BATCH.min(2 * next));
    }
    if let Some(sheet) = sheet {
        sheet.finish()?;
    }
    let printed = read.and_then(|()| printer.finish()).map_err(Failure::output);
    if failed {
        // So it was before nobody read the results any more.
        printed.or_else(Failure::unless_closed)?;
        return Err(Failure::Said);
    }
    printed
}

/// A rate of the calibration is that of one probe and of faces: says so where others are compared.
fn about_sets(args: &Args, mut threshold: LeastSimilarity) -> Result<LeastSimilarity, Failure> {
    let several = args.probe_set.is_some() && args.fuse != Fuse::Mean;
    if several && args.fpir.is_some() {
        return Err(Failure::Usage(
            "--fpir is the rate of one probe, and with --fuse best or reciprocal-rank each of a set \
             may find a stranger: give --min-similarity"
                .to_owned(),
        ));
    }
    if !threshold.meaning.is_empty() {
        threshold.meaning += if several { ", for one probe" } else { "" };
        threshold.meaning += if args.subject_score == Score::Template { ", of faces" } else { "" };
    }
    Ok(threshold)
}

/// Faces to return at most: with a threshold of the user's and no number, all there are.
fn top(args: &Args, threshold: &LeastSimilarity) -> Option<usize> {
    args.k.or(threshold.own.then_some(DEFAULT_TOP))
}

fn query(args: &Args, threshold: &LeastSimilarity) -> Result<Query, Failure> {
    let mut query = Query::new();
    if let Some(k) = top(args, threshold) {
        query = query.top(k);
    }
    if let Some(threshold) = threshold.similarity {
        query = query.at_least(threshold);
    }
    if let Some(beam) = args.beam {
        query = query.beam(beam);
    }
    if let Some(share) = args.share {
        query = query.share(share);
    }
    if let Some(rate) = args.hit_rate {
        query = query.hit_rate(rate);
    }
    if args.exhaustive {
        query = query.exhaustive();
    }
    if args.group_by.is_some() {
        query = query.group_by_subject();
    }
    if let Some(faces) = args.per_subject {
        query = query.per_subject(faces);
    }
    if args.subject_score == Score::Template {
        query = query.subject_score(SubjectScore::Template);
    }
    if let Some(model) = &args.model {
        query = query.model(model);
    }
    for filter in &args.filters {
        query = query.filter(parse_filter(filter)?);
    }
    Ok(query)
}

/// What of an answer is worth a column.
fn shown(args: &Args) -> Shown {
    Shown {
        explain: args.explain.is_some(),
        ranks: args.per_subject.is_some_and(|faces| faces > 1),
        templates: args.subject_score == Score::Template,
        sets: args.probe_set.is_some(),
    }
}

/// The line over a table: what the answers are, and are not.
fn head(args: &Args, gallery: &Gallery, threshold: &LeastSimilarity, basis: Basis) -> String {
    let mut faces = format!("{} faces", grouped(gallery.len()));
    if !args.filters.is_empty() {
        let filters = match args.filters.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(") and (")),
        };
        faces = format!("{faces}, where {}", plain(&filters));
    }
    if args.share.is_some_and(|share| share < 1.0) {
        faces = format!("a share of {faces}");
    }
    if args.group_by.is_some() {
        let each = match args.per_subject.unwrap_or(1) {
            1 => "the best face".to_owned(),
            faces => format!("at most {faces} faces"),
        };
        faces = format!("{faces}, {each} of each subject");
        if args.subject_score == Score::Template {
            faces = format!("{faces}, subjects by their templates");
        }
    }
    faces = match basis {
        Basis::Complete => format!("{faces}, complete"),
        Basis::Planned { hit_rate } => format!("{faces}, hit rate {hit_rate}"),
        _ => format!("{faces}, hit rate not measured"),
    };
    let what = if args.group_by.is_some() { "subjects" } else { "matches" };
    let LeastSimilarity { similarity, meaning, .. } = threshold;
    match (similarity, top(args, threshold)) {
        (None, k) => format!(
            "no threshold: nearest faces, not matches (k = {}, {faces})",
            k.unwrap_or(DEFAULT_TOP)
        ),
        (Some(threshold), None) => {
            format!("{what} at similarity >= {threshold} ({faces}{meaning})")
        }
        (Some(threshold), Some(k)) => {
            format!("at most {k} {what} at similarity >= {threshold} ({faces}{meaning})")
        }
    }
}
