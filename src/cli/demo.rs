//! `lookalike demo`: the whole way on the sample gallery, which is inside the binary.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use include_dir::{Dir, include_dir};
use lookalike::{Build, Gallery, Query};

use super::bars::Bars;
use super::probes::{Probe, ProbeFile, Seek};
use super::search::{Answer, OpenSheet};
use super::{Failure, cancel_on_interrupt};

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data/sample");

/// Faces shown for each probe.
const SHOWN: usize = 5;
/// Beam of the walk that is compared with the exhaustive search.
const BEAM: usize = 64;

/// Build the sample gallery, search it and write a contact sheet
///
/// The sample is inside this program: 553 photos of 100 people who do not exist, with real
/// embeddings, and 120 probes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to work in
    #[arg(default_value = "lookalike-demo")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let begun = Instant::now();
    let dir = &args.dir;
    let input = dir.join("sample");
    unpack(&input)?;
    let place = dir.join("sample.gallery");
    let counts = Build::new(&place, input.join("embeddings.npy"))
        .manifest(input.join("manifest.csv"))
        .images(&input)
        .model("dlib-128")
        .replace(true)
        .run(&Bars::default(), &cancel_on_interrupt())?;
    let gallery = Gallery::open(&place)?;
    let probes = ProbeFile::open(
        &input.join("probes.npy"),
        None,
        Some(&input.join("probes.csv")),
        Some(&input),
    )?;
    let page = dir.join("contact-sheet.html");
    let note = "no threshold: nearest faces, not matches".to_owned();
    let mut sheet = OpenSheet::create(&page, "Sample gallery", &gallery, None, Some(note))?;
    let tally = search(&gallery, probes, &mut sheet)?;
    sheet.finish()?;
    let mut out = io::stdout().lock();
    let lines = [
        format!(
            "{}: {} faces, {} with a thumbnail",
            place.display(),
            counts.enrolled,
            counts.thumbnails
        ),
        format!(
            "{} probes of people in the gallery: the first match is the exhaustive search's for {}, \
             and the right person for {}",
            tally.mated, tally.same_first, tally.right_first
        ),
        format!("{} probes of people who are not in it", tally.non_mated),
        format!("{}: open it in a browser", page.display()),
        format!("done in {:.2} s", begun.elapsed().as_secs_f64()),
        format!("try: lookalike search {} --face 17 -k 5", place.display()),
    ];
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(Failure::output)
}

/// Writes the sample's files, where they are not there already.
fn unpack(to: &Path) -> Result<(), Failure> {
    let mut folders = vec![&SAMPLE];
    while let Some(folder) = folders.pop() {
        let path = to.join(folder.path());
        fs::create_dir_all(&path).map_err(|e| Failure::file("create", &path, e))?;
        for file in folder.files() {
            let path = to.join(file.path());
            let there = fs::metadata(&path).is_ok_and(|m| m.len() == file.contents().len() as u64);
            if !there {
                fs::write(&path, file.contents()).map_err(|e| Failure::file("write", &path, e))?;
            }
        }
        folders.extend(folder.dirs());
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    mated: usize,
    non_mated: usize,
    same_first: usize,
    right_first: usize,
}

/// Searches for each probe, puts it on the sheet, and compares the walk with the exhaustive search.
fn search(gallery: &Gallery, probes: ProbeFile, sheet: &mut OpenSheet) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let walk = Query::new().top(SHOWN).beam(BEAM);
    let exhaustive = Query::new().top(1).exhaustive();
    for probe in probes {
        let Seek::Vector(vector) = &probe.seek else {
            return Err(Failure::Failed(format!("{} is damaged", probe.name)));
        };
        let matches = gallery.search(vector, &walk)?;
        let exact = gallery.search(vector, &exhaustive)?;
        if probe.caption.is_some() {
            tally.mated += 1;
            let first = matches.first().map(|found| found.face_id);
            tally.same_first += usize::from(first == exact.first().map(|found| found.face_id));
        } else {
            tally.non_mated += 1;
        }
        let answer = answer(probe, &matches)?;
        let right = answer.found.first().and_then(|(face, _)| face.subject.as_deref());
        tally.right_first +=
            usize::from(right.is_some() && right == answer.probe.caption.as_deref());
        sheet.add(answer)?;
    }
    Ok(tally)
}

fn answer(probe: Probe, matches: &lookalike::Matches<'_>) -> Result<Answer, Failure> {
    super::search::fill(probe, Ok(matches.clone()), true)
}
