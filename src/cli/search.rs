//! `lookalike search`: the faces of a gallery that are most like each probe.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use lookalike::gallery::Face;
use lookalike::search::{
    Basis, Counters, DEFAULT_HIT_RATE, DEFAULT_TOP, Explanation, FEW, Plan, SubjectScore,
};
use lookalike::{Embedding, Error, FaceId, Gallery, Matches, Query, SearchError};
use rayon::prelude::*;

use super::page::Page;
use super::probe_sets::Fuse;
use super::probes::{self, Probe, ProbeFile, Seek};
use super::results::{Format, Printer, Shown};
use super::sheet::{Sheet, SheetHead, SheetMatch, SheetProbe};
use super::threshold::LeastSimilarity;
use super::{
    Failure, cancel_on_interrupt, grouped, open, parse_filter, parse_model, parse_positive,
    parse_rate, parse_share, parse_threads, plain, refuse_two_stdin, thread_pool,
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
/// unless one is given (--min-similarity -1 for none).
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
    /// Faces (or subjects) to return at most for each probe
    #[arg(short, value_name = "N", value_parser = parse_positive)]
    k: Option<usize>,
    /// Only faces at or above this similarity, from -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    min_similarity: Option<f32>,
    /// Only faces at or above the threshold at which this part of the searches for people who are
    /// not in the gallery is answered with somebody, such as 0.001; the gallery has to be
    /// calibrated. A calibrated gallery applies its own, of 0.01, unless a threshold is given here
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
    #[arg(long, value_enum, value_name = "HOW", default_value = "mean", requires = "probe_set")]
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
fn unplanned(args: &Args, gallery: &Gallery, answer: &Answer) -> Option<String> {
    let (counters, promise) = (answer.counters?, gallery.catalogue().promise.as_ref()?);
    let wanted = args.hit_rate.unwrap_or(DEFAULT_HIT_RATE);
    let told = args.beam.is_some() || args.share.is_some() || args.exhaustive || wanted >= 1.0;
    if told || counters.plan != Plan::Exhaustive || counters.passing <= FEW as u64 {
        return None;
    }
    // Subjects take the plan for a hundred faces.
    let k = args.k.unwrap_or(DEFAULT_TOP);
    let k = if args.group_by.is_some() { k.max(100) } else { k };
    let best = promise.best(k).filter(|best| best.at_least < wanted)?;
    Some(format!(
        "no plan is known to keep a hit rate of {wanted} here (the best keeps {:.4}): every face was \
         scored",
        best.at_least
    ))
}

/// What came of a probe.
pub(crate) struct Answer {
    pub(crate) probe: Probe,
    pub(crate) found: Vec<Found>,
    pub(crate) thumbnails: Vec<Option<Vec<u8>>>,
    pub(crate) error: Option<String>,
    pub(crate) counters: Option<Counters>,
    pub(crate) about: Option<About>,
    pub(crate) why: Vec<Explanation>,
}

/// What an answer says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) basis: Basis,
    pub(crate) threshold: Option<f32>,
    pub(crate) faces: u64,
}

/// A face found for a probe.
pub(crate) struct Found {
    pub(crate) face: Face,
    pub(crate) similarity: f32,
    /// Its rank, or that of its subject; from 1.
    pub(crate) rank: usize,
    /// How alike its subject's template is, where those are compared.
    pub(crate) subject_similarity: Option<f32>,
}

impl Probe {
    /// The face searched for, where it is one of the gallery.
    pub(crate) fn face_id(&self) -> Option<u64> {
        match self.seek {
            Seek::Face(id) => Some(id.0),
            _ => None,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.html.as_deref() == Some(Path::new("-")) {
        return Err(Failure::Usage(
            "--html writes a file, as the results go to standard output: name one".to_owned(),
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
    let to_explain: Vec<FaceId> = args.explain.iter().flatten().map(|&id| FaceId(id)).collect();
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
            let answer = Answer { why, ..fill(probe, matches, sheet.is_some())? };
            failed |= answer.error.is_some();
            if let (false, Some(remark)) = (remarked, unplanned(args, &gallery, &answer)) {
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

/// What was found for a probe, or why nothing could be.
type Answered<'g> = (Probe, Result<Matches<'g>, String>);

/// Searches for a batch of probes.
fn answer<'g>(
    gallery: &'g Gallery,
    query: &Query,
    fuse: Fuse,
    probes: Vec<Probe>,
) -> Result<Vec<Answered<'g>>, Failure> {
    let vectors: Vec<Embedding> = probes
        .iter()
        .filter_map(|probe| match &probe.seek {
            Seek::Vector(vector) => Some(vector.clone()),
            _ => None,
        })
        .collect();
    let mut found = gallery.search_batch(&vectors, query)?.into_iter();
    let search = |probe: &Probe| match &probe.seek {
        Seek::Set(probes) => Some(gallery.search_set(probes, query, fuse.into())),
        _ => None,
    };
    let fused: Vec<_> = probes.par_iter().filter_map(search).collect();
    let mut fused = fused.into_iter();
    probes
        .into_iter()
        .map(|probe| {
            let matches = match &probe.seek {
                Seek::Vector(_) => match found.next() {
                    Some(Ok(matches)) => Ok(matches),
                    // Ctrl-C is not the fault of a probe.
                    Some(Err(error @ SearchError::Cancelled)) => return Err(error.into()),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err("it was not searched for".to_owned()),
                },
                Seek::Set(_) => match fused.next() {
                    Some(Err(error @ Error::Search(SearchError::Cancelled))) => {
                        return Err(error.into());
                    }
                    Some(found) => found.map_err(|error| error.to_string()),
                    None => Err("it was not searched for".to_owned()),
                },
                Seek::Face(id) => Ok(gallery.search_face(*id, query)?),
                Seek::Nothing(reason) => Err(reason.clone()),
            };
            Ok((probe, matches))
        })
        .collect()
}

/// Why the faces that were asked about are, or are not, in an answer.
fn explain(
    gallery: &Gallery,
    query: &Query,
    probe: &Probe,
    matches: &Result<Matches<'_>, String>,
    faces: &[FaceId],
) -> Result<Vec<Explanation>, Failure> {
    let (Ok(matches), false) = (matches, faces.is_empty()) else { return Ok(Vec::new()) };
    let embedding = match &probe.seek {
        Seek::Vector(vector) => vector.clone(),
        Seek::Face(id) => gallery.embedding(*id)?,
        // A set has no one similarity with a face; the command line refuses it.
        Seek::Nothing(_) | Seek::Set(_) => return Ok(Vec::new()),
    };
    Ok(gallery.explain(&embedding, query, matches, faces)?)
}

/// Fetches what is known of the faces found for one probe.
pub(crate) fn fill(
    probe: Probe,
    matches: Result<Matches<'_>, String>,
    with_pictures: bool,
) -> Result<Answer, Failure> {
    let mut answer = Answer {
        probe,
        found: Vec::new(),
        thumbnails: Vec::new(),
        error: None,
        counters: None,
        about: None,
        why: Vec::new(),
    };
    match matches {
        Ok(matches) => {
            let Matches { basis, threshold, faces, counters, .. } = matches;
            answer.counters = Some(counters);
            answer.about = Some(About { basis, threshold, faces });
            for (group, rank) in matches.groups().zip(1..) {
                for found in group {
                    answer.found.push(Found {
                        face: found.face()?,
                        similarity: found.similarity,
                        rank,
                        subject_similarity: found.subject_similarity,
                    });
                    if with_pictures {
                        answer.thumbnails.push(found.thumbnail()?.map(<[u8]>::to_vec));
                    }
                }
            }
        }
        Err(reason) => answer.error = Some(reason),
    }
    Ok(answer)
}

/// A contact sheet being written.
pub(crate) struct OpenSheet {
    sheet: Sheet<BufWriter<File>>,
    page: Page,
}

impl OpenSheet {
    fn begin(
        path: &Path,
        head: &str,
        gallery: &Gallery,
        threshold: &LeastSimilarity,
    ) -> Result<Self, Failure> {
        let note = Some(head.to_owned());
        Self::create(path, "Contact sheet", gallery, threshold.similarity, note)
    }

    pub(crate) fn create(
        path: &Path,
        title: &str,
        gallery: &Gallery,
        threshold: Option<f32>,
        note: Option<String>,
    ) -> Result<Self, Failure> {
        let name = gallery.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let head = SheetHead {
            title: title.to_owned(),
            gallery: name,
            faces: gallery.len(),
            note,
            threshold,
        };
        let (page, out) = Page::create(path)?;
        let sheet = Sheet::begin(out, &head).map_err(|e| page.failed(e))?;
        Ok(Self { sheet, page })
    }

    pub(crate) fn add(&mut self, answer: Answer) -> Result<(), Failure> {
        let matches = answer
            .found
            .into_iter()
            .zip(answer.thumbnails)
            .map(|(Found { face, similarity, rank, subject_similarity }, thumbnail)| SheetMatch {
                rank,
                face_id: face.face_id.0,
                similarity,
                subject_similarity,
                subject: face.subject,
                source: face.source,
                image: (!face.image.is_empty()).then_some(face.image),
                thumbnail,
            })
            .collect();
        let probe = SheetProbe {
            name: answer.probe.name,
            caption: answer.probe.caption,
            thumbnail: answer.probe.thumbnail.as_deref(),
            more_thumbnails: &answer.probe.more_thumbnails,
            fused: answer.probe.rows.len(),
            error: answer.error,
            matches,
        };
        self.sheet.probe(&probe).map_err(|e| self.page.failed(e))
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        let out = self.sheet.finish().map_err(|e| self.page.failed(e))?;
        self.page.finish(out)
    }
}
