//! `lookalike demo`: the whole way on the sample gallery, which is inside the binary.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use include_dir::{Dir, include_dir};
use lookalike::{Build, Gallery, Query};

use super::answers::Answer;
use super::bars::Bars;
use super::open_sheet::OpenSheet;
use super::probes::{Probe, ProbeFile, Seek};
use super::{Failure, cancel_on_interrupt};

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data/sample");

/// Faces shown for each probe.
const SHOWN: usize = 5;
/// The face model of the sample.
const MODEL: &str = "dlib-128";
/// The title of the contact sheet.
const TITLE: &str = "Sample gallery";
/// Beam of the walk that is compared with the exhaustive search.
const BEAM: usize = 64;

/// Build the sample gallery, search it and write a contact sheet
///
/// The sample is inside this program: 553 photos of 100 people who do not exist, with real
/// embeddings, and 120 probes. What is in the folder already is replaced only where an earlier
/// demonstration made it.
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
    let place = dir.join("sample.gallery");
    let page = dir.join("contact-sheet.html");
    // Before anything is written.
    check_files(&input)?;
    check_gallery(&place)?;
    check_page(&page)?;
    unpack(&input)?;
    let counts = Build::new(&place, input.join("embeddings.npy"))
        .manifest(input.join("manifest.csv"))
        .images(&input)
        .model(MODEL)
        .replace(true)
        .run(&Bars::default(), &cancel_on_interrupt())?;
    let gallery = Gallery::open(&place)?;
    let probes = ProbeFile::open(
        &input.join("probes.npy"),
        None,
        Some(&input.join("probes.csv")),
        Some(&input),
    )?;
    let note = "no threshold: nearest faces, not matches".to_owned();
    let mut sheet = OpenSheet::create(&page, TITLE, &gallery, None, Some(note))?;
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

/// Something of the user's is where the demonstration would write.
fn not_ours(path: &Path) -> Failure {
    Failure::Failed(format!(
        "{} is not of the demonstration, so it is left as it is; name another folder, or remove it",
        path.display()
    ))
}

/// The sample and every folder in it.
fn folders() -> Vec<&'static Dir<'static>> {
    let mut folders = vec![&SAMPLE];
    let mut next = 0;
    while let Some(folder) = folders.get(next) {
        folders.extend(folder.dirs());
        next += 1;
    }
    folders
}

/// Refuses a file that bears the name of one of the sample's and is another.
fn check_files(to: &Path) -> Result<(), Failure> {
    for file in folders().into_iter().flat_map(Dir::files) {
        let path = to.join(file.path());
        let Ok(there) = fs::metadata(&path) else { continue };
        let same = there.is_file()
            && there.len() <= file.contents().len() as u64
            // A demonstration that was interrupted may have written a part.
            && fs::read(&path).is_ok_and(|bytes| file.contents().starts_with(&bytes));
        if !same {
            return Err(not_ours(&path));
        }
    }
    Ok(())
}

/// Refuses a gallery that is not of exactly the photos of the sample.
fn check_gallery(place: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(place).is_err() {
        return Ok(());
    }
    let photos: Vec<_> = SAMPLE.get_dir("images").into_iter().flat_map(Dir::files).collect();
    let same = Gallery::open(place).is_ok_and(|gallery| {
        let has = |photo: &[u8]| {
            gallery.faces_of_image(blake3::hash(photo).as_bytes()).is_ok_and(|ids| !ids.is_empty())
        };
        gallery.model() == Some(MODEL)
            && gallery.len() == photos.len() as u64
            && photos.iter().all(|photo| has(photo.contents()))
    });
    if same { Ok(()) } else { Err(not_ours(place)) }
}

/// Refuses a file that is no contact sheet of the sample gallery; a device may be written to.
fn check_page(page: &Path) -> Result<(), Failure> {
    // The title stands near the beginning.
    const HEAD: u64 = 1 << 12;
    if !fs::metadata(page).is_ok_and(|there| there.is_file()) {
        return Ok(());
    }
    let mut head = Vec::new();
    fs::File::open(page)
        .and_then(|file| file.take(HEAD).read_to_end(&mut head))
        .map_err(|e| Failure::file("read", page, e))?;
    let title = format!("<title>{TITLE}</title>");
    let same = String::from_utf8_lossy(&head).contains(&title);
    if same { Ok(()) } else { Err(not_ours(page)) }
}

/// Writes the sample's files, where they are not there already as a whole.
fn unpack(to: &Path) -> Result<(), Failure> {
    for folder in folders() {
        let path = to.join(folder.path());
        fs::create_dir_all(&path).map_err(|e| Failure::file("create", &path, e))?;
        for file in folder.files() {
            let path = to.join(file.path());
            let there = fs::metadata(&path).is_ok_and(|m| m.len() == file.contents().len() as u64);
            if !there {
                fs::write(&path, file.contents()).map_err(|e| Failure::file("write", &path, e))?;
            }
        }
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
        let right = answer.found.first().and_then(|found| found.face.subject.as_deref());
        tally.right_first +=
            usize::from(right.is_some() && right == answer.probe.caption.as_deref());
        sheet.add(answer)?;
    }
    Ok(tally)
}

fn answer(probe: Probe, matches: &lookalike::Matches<'_>) -> Result<Answer, Failure> {
    super::answers::fill(probe, Ok(matches.clone()), true)
}
