//! `lookalike show`: what a gallery is.

use std::io::{self, Write};
use std::path::PathBuf;

use lookalike::Gallery;
use lookalike::calibration::{Calibration, DEFAULT_FPIR, SHOWN, Threshold};
use lookalike::gallery::VectorType;
use lookalike::search::{Promise, Rung};
use serde::Serialize;

use super::threshold::is_carried;
use super::{Failure, grouped, plain, plan_name};

/// Show what a gallery holds and how it was built
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gallery's folder
    gallery: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// What is shown; the fields of the JSON object.
#[derive(Serialize)]
struct Shown<'a> {
    faces: u64,
    dims: usize,
    segments: usize,
    bytes_per_face: f64,
    builder: &'a str,
    model: Option<&'a str>,
    vectors: VectorType,
    format: u32,
    written_by: &'a str,
    bytes: u64,
    files: Vec<ShownFile<'a>>,
    attributes: Vec<ShownAttribute<'a>>,
    codes: &'a lookalike::gallery::CodesInfo,
    cells: lookalike::gallery::CellsInfo,
    graph: Option<&'a lookalike::gallery::GraphInfo>,
    promise: Option<&'a Promise>,
    calibration: Option<ShownCalibration>,
    ingest: lookalike::gallery::IngestCounts,
}

#[derive(Serialize)]
struct ShownFile<'a> {
    name: &'a str,
    bytes: u64,
    bytes_per_face: f64,
}

#[derive(Serialize)]
struct ShownCalibration {
    /// Faces of the gallery when it was calibrated.
    faces: u64,
    probes: usize,
    unlabelled: f64,
    /// Whether those were of another gallery than it is now.
    carried: bool,
    /// At the size the gallery has now.
    thresholds: Vec<Threshold>,
    /// Faces it had when it had another threshold of its own.
    earlier_faces: Option<u64>,
    /// That threshold, and what is expected of it now.
    since_grown: Option<Threshold>,
}

#[derive(Serialize)]
struct ShownAttribute<'a> {
    name: &'a str,
    kind: lookalike::gallery::Kind,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let gallery = Gallery::open(&args.gallery)?;
    let shown = shown(&gallery)?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &shown).map_err(|e| Failure::output(e.into()))?;
        return writeln!(out).map_err(Failure::output);
    }
    print(&mut out, &args.gallery, &shown).map_err(Failure::output)
}

fn shown(gallery: &Gallery) -> Result<Shown<'_>, Failure> {
    let catalogue = gallery.catalogue();
    // Of no faces, none has any bytes.
    let a_face = |bytes: u64| match gallery.len() {
        0 => 0.0,
        faces => bytes as f64 / faces as f64,
    };
    let files: Vec<ShownFile<'_>> = catalogue
        .segments
        .iter()
        .flat_map(|segment| &segment.files)
        .map(|file| ShownFile {
            name: &file.name,
            bytes: file.bytes,
            bytes_per_face: a_face(file.bytes),
        })
        .collect();
    let bytes = files.iter().map(|file| file.bytes).sum();
    Ok(Shown {
        faces: gallery.len(),
        dims: gallery.dims(),
        segments: catalogue.segments.len(),
        bytes_per_face: a_face(bytes),
        builder: catalogue.graph.as_ref().map_or("none", |graph| &graph.builder),
        model: gallery.model(),
        vectors: catalogue.vectors,
        format: catalogue.format,
        written_by: &catalogue.written_by,
        bytes,
        files,
        attributes: gallery
            .attributes()
            .iter()
            .map(|attribute| ShownAttribute { name: &attribute.name, kind: attribute.kind })
            .collect(),
        codes: &catalogue.codes,
        cells: catalogue.cells,
        graph: catalogue.graph.as_ref(),
        promise: catalogue.promise.as_ref(),
        calibration: gallery.calibration()?.map(|found| shown_calibration(&found, gallery.len())),
        ingest: catalogue.ingest,
    })
}

fn shown_calibration(found: &Calibration, faces: u64) -> ShownCalibration {
    let own = || found.threshold(DEFAULT_FPIR, found.faces).map(|own| own.similarity);
    let carried = is_carried(found, faces);
    let earlier = if carried {
        Some((found.faces, own()))
    } else {
        found.earlier.map(|earlier| (earlier.faces, earlier.similarity))
    };
    ShownCalibration {
        faces: found.faces,
        carried,
        probes: found.probes(),
        unlabelled: found.unlabelled,
        thresholds: SHOWN.into_iter().filter_map(|fpir| found.threshold(fpir, faces)).collect(),
        earlier_faces: earlier.map(|earlier| earlier.0),
        since_grown: earlier.and_then(|earlier| found.at(earlier.1?, faces)),
    }
}

fn print(out: &mut impl Write, path: &std::path::Path, shown: &Shown<'_>) -> io::Result<()> {
    writeln!(out, "{}", path.display())?;
    writeln!(out, "  faces       {} x {} dimensions", grouped(shown.faces), shown.dims)?;
    let vectors = match shown.vectors {
        VectorType::F16 => "f16",
        VectorType::F32 => "f32",
    };
    writeln!(
        out,
        "  vectors     {vectors}, face model {}",
        plain(shown.model.unwrap_or("not named"))
    )?;
    let (bytes, a_face) = (grouped(shown.bytes), shown.bytes_per_face);
    writeln!(out, "  size        {bytes} bytes, {a_face:.0} a face")?;
    for file in &shown.files {
        let (name, a_face) = (plain(file.name), file.bytes_per_face);
        writeln!(out, "    {name:<18} {:>16}  {a_face:>8.0} a face", grouped(file.bytes))?;
    }
    let codes = shown.codes;
    writeln!(
        out,
        "  codes       {} bytes: {} bits x {} dimensions; {} of {} dimensions carry anything",
        codes.bytes, codes.bits, codes.dims, codes.carrying, shown.dims
    )?;
    let cells = shown.cells;
    writeln!(
        out,
        "  cells       {} of {:.0} faces on average, {} in the largest",
        grouped(cells.count.into()),
        shown.faces as f64 / f64::from(cells.count.max(1)),
        grouped(cells.largest.into())
    )?;
    match shown.graph {
        Some(graph) => {
            writeln!(
                out,
                "  graph       {}: M {}, ef_construction {}, seed {}, {} layers",
                plain(&graph.builder),
                graph.m,
                graph.ef_construction,
                graph.seed,
                graph.upper_layers + 1
            )?;
            writeln!(
                out,
                "  reachable   {} faces out of reach as built, {} after linking them in",
                grouped(graph.unreachable_before),
                grouped(graph.unreachable_after)
            )?;
        }
        None => writeln!(out, "  graph       none: searches scan")?,
    }
    let counts = shown.ingest;
    writeln!(
        out,
        "  input       {} rows: {} enrolled, {} rejected, {} not named, {} with a warning, {} flagged",
        grouped(counts.rows),
        grouped(counts.enrolled),
        grouped(counts.rejected),
        grouped(counts.unnamed),
        grouped(counts.warned),
        grouped(counts.flagged)
    )?;
    let attributes: Vec<String> = shown
        .attributes
        .iter()
        .map(|attribute| format!("{} ({})", plain(attribute.name), attribute.kind.name()))
        .collect();
    if !attributes.is_empty() {
        writeln!(out, "  attributes  {}", attributes.join(", "))?;
    }
    writeln!(out, "  format      {}, written by {}", shown.format, plain(shown.written_by))?;
    if let Some(calibration) = &shown.calibration {
        print_calibration(out, calibration)?;
    }
    match shown.promise {
        Some(promise) => print_promise(out, promise, shown.faces),
        None => writeln!(out, "  promise     every face is scored: nothing is missed"),
    }
}

fn print_calibration(out: &mut impl Write, calibration: &ShownCalibration) -> io::Result<()> {
    let thresholds = calibration.thresholds.iter();
    let thresholds: Vec<String> = thresholds
        .map(|threshold| format!("{:.4} for FPIR {:.3}", threshold.similarity, threshold.fpir))
        .collect();
    writeln!(out, "  thresholds  {}", thresholds.join(", "))?;
    let estimated =
        if calibration.unlabelled > 0.0 { "; too high, as subjects are not known" } else { "" };
    let probes = grouped(calibration.probes as u64);
    writeln!(out, "              calibrated with {probes} probes{estimated}")?;
    if let (Some(then), Some(own)) = (calibration.earlier_faces, calibration.since_grown) {
        writeln!(
            out,
            "              its own threshold was {:.4} when it had {} faces: that has FPIR {:.4} now",
            own.similarity,
            grouped(then),
            own.fpir
        )?;
    }
    if calibration.carried {
        writeln!(
            out,
            "              carried over from {} faces; calibrate again once there are people enough",
            grouped(calibration.faces)
        )?;
    }
    Ok(())
}

fn print_promise(out: &mut impl Write, promise: &Promise, faces: u64) -> io::Result<()> {
    let Promise { mated, made_up, estimated, .. } = *promise;
    let estimated = if estimated { "; estimated, as subjects are not known" } else { "" };
    writeln!(
        out,
        "  promise     measured with {} probes, {} of them made up{estimated}",
        grouped(mated as u64),
        grouped(made_up as u64)
    )?;
    writeln!(
        out,
        "    {:>6}  {:>8}  {:>8}  {:>12}  {:>16}  plan",
        "k", "hit rate", "at least", "mated, us", "non-mated, us"
    )?;
    for ladder in &promise.ladders {
        print_rungs(out, &ladder.k.to_string(), &ladder.rungs, faces)?;
    }
    for ladder in &promise.ranges {
        print_rungs(out, &format!(">={:.2}", ladder.at_least), &ladder.rungs, faces)?;
    }
    Ok(())
}

fn print_rungs(out: &mut impl Write, asked: &str, rungs: &[Rung], faces: u64) -> io::Result<()> {
    let mut rungs = rungs.to_vec();
    rungs.sort_by(|a, b| a.microseconds(faces).total_cmp(&b.microseconds(faces)));
    for rung in rungs {
        writeln!(
            out,
            "    {asked:>6}  {:>8.4}  {:>8.4}  {:>12.0}  {:>16.0}  {}",
            rung.hit_rate,
            rung.at_least,
            rung.microseconds_of(&rung.mated, faces),
            rung.microseconds_of(&rung.non_mated, faces),
            plan_name(rung.plan)
        )?;
    }
    Ok(())
}
