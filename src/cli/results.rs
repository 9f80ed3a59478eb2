//! Answers as a table, JSON lines or CSV.

use std::io::{self, Write};

use lookalike::gallery::Face;
use lookalike::search::{Basis, Explanation, Reason};
use serde::Serialize;

use super::search::{About, Answer};
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
    explain: bool,
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    probe: u64,
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

/// What the answer is worth: `hit_rate` where it was planned for one.
#[derive(Serialize)]
struct JsonAbout {
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hit_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
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
    returned: bool,
    reason: String,
}

const CSV_HEAD: [&str; 9] =
    ["probe", "rank", "face_id", "similarity", "subject", "source", "image", "key", "error"];

impl<W: Write> Printer<W> {
    /// Prints what comes before the first answer.
    pub(crate) fn begin(mut out: W, format: Format, explain: bool, head: &str) -> io::Result<Self> {
        match format {
            Format::Table => writeln!(out, "{head}")?,
            Format::Csv => write_csv(&mut out, CSV_HEAD.map(str::to_owned))?,
            Format::Json => {}
        }
        Ok(Self { out, format, explain })
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
        writeln!(out)?;
        if let Some(error) = &answer.error {
            return writeln!(out, "  error: {}", plain(error));
        }
        if answer.found.is_empty() {
            writeln!(out, "  no face")?;
        }
        for (rank, (face, similarity)) in answer.found.iter().enumerate() {
            writeln!(
                out,
                "{:>5}  {similarity:>7.4}  face {:<10}  {:<20}  {:<24}  {}",
                rank + 1,
                face.face_id,
                plain(face.subject.as_deref().unwrap_or("-")),
                plain(face.source.as_deref().unwrap_or("-")),
                plain(&face.image),
            )?;
        }
        if let (true, Some(counters)) = (self.explain, &answer.counters) {
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
        let explain = answer.counters.filter(|_| self.explain).map(|counters| JsonExplain {
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
        let matches =
            |(face, similarity): &'_ (Face, f32)| -> (u64, f32) { (face.face_id.0, *similarity) };
        let matches = answer
            .found
            .iter()
            .map(|found| {
                let (face_id, similarity) = matches(found);
                JsonMatch {
                    face_id,
                    similarity,
                    subject: found.0.subject.as_deref(),
                    source: found.0.source.as_deref(),
                    image: &found.0.image,
                    key: found.0.key.as_deref(),
                }
            })
            .collect();
        let line = JsonAnswer {
            probe: answer.probe.number,
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
        if let Some(error) = &answer.error {
            let mut cells = [const { String::new() }; 9];
            cells[0] = probe;
            cells[8] = error.clone();
            return write_csv(&mut self.out, cells);
        }
        for (rank, (face, similarity)) in answer.found.iter().enumerate() {
            let cells = [
                probe.clone(),
                (rank + 1).to_string(),
                face.face_id.to_string(),
                similarity.to_string(),
                face.subject.clone().unwrap_or_default(),
                face.source.clone().unwrap_or_default(),
                face.image.clone(),
                face.key.clone().unwrap_or_default(),
                String::new(),
            ];
            write_csv(&mut self.out, cells)?;
        }
        Ok(())
    }
}

impl JsonAbout {
    fn of(about: &About) -> Self {
        let About { basis, threshold, faces } = *about;
        let hit_rate = match basis {
            Basis::Planned { hit_rate } => Some(hit_rate),
            _ => None,
        };
        Self { faces, threshold, complete: basis == Basis::Complete, hit_rate }
    }
}

impl JsonReason {
    fn of(why: &Explanation) -> Self {
        Self {
            face_id: why.face_id.0,
            similarity: why.similarity,
            returned: matches!(why.reason, Reason::Returned { .. }),
            reason: why.reason.to_string(),
        }
    }
}

fn write_csv(out: &mut impl Write, cells: [String; 9]) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}
