//! Answers as a table, JSON lines or CSV.

use std::io::{self, Write};

use lookalike::search::{Basis, Explanation, Reason};
use serde::Serialize;

use super::answers::{About, Answer, Found};
use super::{grouped, plain};

/// How to print answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON object a probe and line
    Json,
    /// One line a match
    Csv,
}

/// Prints answers as they come.
pub(crate) struct Printer<W: Write> {
    out: W,
    format: Format,
    shown: Shown,
}

/// What of an answer is shown beside the faces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// How it was found.
    pub(crate) explain: bool,
    /// The rank of each face's subject, where that is not the face's.
    pub(crate) ranks: bool,
    /// The similarity of each face's subject.
    pub(crate) templates: bool,
    /// The set that a probe is.
    pub(crate) sets: bool,
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    probe: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    probes: &'a [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    face_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Vec<JsonMatch<'a>>>,
    #[serde(flatten)]
    about: Option<JsonAbout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<JsonExplain>,
}

/// What the answer is worth: where it is not complete the hit rate that it was planned for, null
/// where that was not measured.
#[derive(Serialize)]
struct JsonAbout {
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hit_rate: Option<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    /// Where the threshold comes from the gallery's calibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    fpir: Option<f64>,
    faces: u64,
}

#[derive(Serialize)]
struct JsonMatch<'a> {
    face_id: u64,
    similarity: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_similarity: Option<f32>,
}

#[derive(Serialize)]
struct JsonExplain {
    plan: String,
    hops: u64,
    cells_ranked: u64,
    sketches_read: u64,
    codes_read: u64,
    vectors_read: u64,
    bytes_read: u64,
    passing: u64,
    microseconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faces: Vec<JsonReason>,
}

/// Why a face is, or is not, in the answer.
#[derive(Serialize)]
struct JsonReason {
    face_id: u64,
    similarity: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_similarity: Option<f32>,
    returned: bool,
    reason: String,
}

const CSV_HEAD: [&str; 9] =
    ["probe", "rank", "face_id", "similarity", "subject", "source", "image", "key", "error"];

impl<W: Write> Printer<W> {
    /// Prints what comes before the first answer.
    pub(crate) fn begin(mut out: W, format: Format, shown: Shown, head: &str) -> io::Result<Self> {
        match format {
            Format::Table => writeln!(out, "{head}")?,
            Format::Csv => {
                let set = shown.sets.then_some("set");
                let template = shown.templates.then_some("subject_similarity");
                let names = CSV_HEAD.into_iter().chain(set).chain(template);
                write_csv(&mut out, names.map(str::to_owned))?;
            }
            Format::Json => {}
        }
        Ok(Self { out, format, shown })
    }

    pub(crate) fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        match self.format {
            Format::Table => self.table(answer),
            Format::Json => self.json(answer),
            Format::Csv => self.csv(answer),
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn table(&mut self, answer: &Answer) -> io::Result<()> {
        let out = &mut self.out;
        write!(out, "\n{}", plain(&answer.probe.name))?;
        if let Some(caption) = &answer.probe.caption {
            write!(out, "  ({})", plain(caption))?;
        }
        if !answer.probe.rows.is_empty() {
            let rows: Vec<String> = answer.probe.rows.iter().map(u64::to_string).collect();
            write!(out, "  probes {}", rows.join(", "))?;
        }
        writeln!(out)?;
        if let Some(error) = &answer.error {
            return writeln!(out, "  error: {}", plain(error));
        }
        if answer.found.is_empty() {
            writeln!(out, "  no face")?;
        }
        let mut last = 0;
        for Found { face, similarity, rank, subject_similarity } in &answer.found {
            // What is said of a subject is said once.
            let is_first = std::mem::replace(&mut last, *rank) != *rank;
            let number = if is_first { rank.to_string() } else { String::new() };
            write!(out, "{number:>5}")?;
            if self.shown.templates {
                let template = subject_similarity.filter(|_| is_first);
                let template = template.map(|similarity| format!("{similarity:.4}"));
                write!(out, "  {:>7}", template.unwrap_or_default())?;
            }
            writeln!(
                out,
                "  {similarity:>7.4}  face {:<10}  {:<20}  {:<24}  {}",
                face.face_id,
                plain(face.subject.as_deref().unwrap_or("-")),
                plain(face.source.as_deref().unwrap_or("-")),
                plain(&face.image),
            )?;
        }
        if let (true, Some(counters)) = (self.shown.explain, &answer.counters) {
            writeln!(
                out,
                "  plan: {}; {} hops, {} cells, {} sketches, {} codes and {} vectors read ({} \
                 bytes), {} passing, {:.1} us",
                super::plan_name(counters.plan),
                grouped(counters.hops),
                grouped(counters.cells_ranked),
                grouped(counters.sketches_read),
                grouped(counters.codes_read),
                grouped(counters.vectors_read),
                grouped(counters.bytes_read),
                grouped(counters.passing),
                counters.elapsed.as_secs_f64() * 1e6
            )?;
            for why in &answer.why {
                writeln!(out, "  {}", plain(&why.to_string()))?;
            }
        }
        Ok(())
    }

    fn json(&mut self, answer: &Answer) -> io::Result<()> {
        let explain = answer.counters.filter(|_| self.shown.explain).map(|counters| JsonExplain {
            plan: super::plan_name(counters.plan),
            hops: counters.hops,
            cells_ranked: counters.cells_ranked,
            sketches_read: counters.sketches_read,
            codes_read: counters.codes_read,
            vectors_read: counters.vectors_read,
            bytes_read: counters.bytes_read,
            passing: counters.passing,
            microseconds: counters.elapsed.as_secs_f64() * 1e6,
            faces: answer.why.iter().map(JsonReason::of).collect(),
        });
        let matches = answer
            .found
            .iter()
            .map(|Found { face, similarity, rank, subject_similarity }| JsonMatch {
                face_id: face.face_id.0,
                similarity: *similarity,
                subject: face.subject.as_deref(),
                source: face.source.as_deref(),
                image: &face.image,
                key: face.key.as_deref(),
                rank: self.shown.ranks.then_some(*rank),
                subject_similarity: *subject_similarity,
            })
            .collect();
        let line = JsonAnswer {
            probe: answer.probe.number,
            set: answer.probe.set.as_deref(),
            probes: &answer.probe.rows,
            face_id: answer.probe.face_id(),
            error: answer.error.as_deref(),
            about: answer.about.as_ref().map(JsonAbout::of),
            matches: answer.error.is_none().then_some(matches),
            explain,
        };
        serde_json::to_writer(&mut self.out, &line)?;
        writeln!(self.out)
    }

    fn csv(&mut self, answer: &Answer) -> io::Result<()> {
        let probe = answer.probe.number.to_string();
        let set = self.shown.sets.then(|| answer.probe.set.clone().unwrap_or_default());
        if let Some(error) = &answer.error {
            let mut cells = [const { String::new() }; 9];
            cells[0] = probe;
            cells[8] = error.clone();
            let template = self.shown.templates.then(String::new);
            return write_csv(&mut self.out, cells.into_iter().chain(set).chain(template));
        }
        for Found { face, similarity, rank, subject_similarity } in &answer.found {
            let cells = [
                probe.clone(),
                rank.to_string(),
                face.face_id.to_string(),
                similarity.to_string(),
                face.subject.clone().unwrap_or_default(),
                face.source.clone().unwrap_or_default(),
                face.image.clone(),
                face.key.clone().unwrap_or_default(),
                String::new(),
            ];
            let template = subject_similarity.map(|similarity| similarity.to_string());
            let cells = cells.into_iter().chain(set.clone()).chain(template);
            write_csv(&mut self.out, cells)?;
        }
        Ok(())
    }
}

impl JsonAbout {
    fn of(about: &About) -> Self {
        let About { basis, threshold, fpir, faces } = *about;
        let hit_rate = match basis {
            Basis::Complete => None,
            Basis::Planned { hit_rate } => Some(Some(hit_rate)),
            _ => Some(None),
        };
        Self { faces, threshold, fpir, complete: basis == Basis::Complete, hit_rate }
    }
}

impl JsonReason {
    fn of(why: &Explanation) -> Self {
        Self {
            face_id: why.face_id.0,
            similarity: why.similarity,
            subject_similarity: why.subject_similarity,
            returned: matches!(why.reason, Reason::Returned { .. }),
            reason: why.reason.to_string(),
        }
    }
}

fn write_csv(out: &mut impl Write, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}
