//! The sample gallery of real image files and real embeddings answers who is on a probe, from the
//! library, from the command line and in the demonstration.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use common::{embedding, lookalike, lookalike_fed, run, sample};
use lookalike::ingest::Embeddings;
use lookalike::search::Plan;
use lookalike::{Build, Embedding, FaceId, Gallery, Query};

const MATED: usize = 100;

/// The sample's gallery, made once for all tests of this file.
fn gallery() -> &'static PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sample-of-the-tests");
        fs::create_dir_all(&folder).unwrap();
        let place = folder.join("sample.gallery");
        let build = Build::new(&place, sample("embeddings.npy"))
            .manifest(sample("manifest.csv"))
            .images(sample(""))
            .model("dlib-128")
            .replace(true);
        let counts = run(&build).unwrap();
        assert_eq!((counts.rows, counts.enrolled, counts.thumbnails), (553, 553, 553));
        assert_eq!((counts.rejected, counts.warned, counts.unnamed), (0, 0, 0));
        place
    })
}

fn path() -> &'static str {
    gallery().to_str().unwrap()
}

fn probes() -> Vec<Embedding> {
    let file = Embeddings::open(&sample("probes.npy"), None).unwrap();
    let mut values = vec![0.0; file.dims()];
    let mut read = |row| {
        file.read(row, &mut values).unwrap();
        embedding(&values)
    };
    (0..file.rows()).map(&mut read).collect()
}

/// Who is on each probe; nobody of the gallery on the last twenty.
fn truth() -> Vec<Option<String>> {
    let text = fs::read_to_string(sample("probes.csv")).unwrap();
    let subject = |line: &str| line.split_once(',').map(|(_, subject)| subject.to_owned());
    text.lines().skip(1).map(|line| subject(line).filter(|subject| !subject.is_empty())).collect()
}

#[test]
fn every_photo_is_a_face_with_a_thumbnail() {
    let gallery = Gallery::open(gallery()).unwrap();
    assert_eq!((gallery.len(), gallery.dims()), (553, 128));
    let mut subjects = std::collections::HashSet::new();
    for face in gallery.faces() {
        let face = face.unwrap();
        let jpeg = gallery.thumbnail(face.face_id).unwrap().unwrap();
        let picture = image::load_from_memory(jpeg).unwrap();
        assert_eq!(picture.width().max(picture.height()), 128, "{}", face.image);
        let bytes = fs::read(sample(&face.image)).unwrap();
        assert_eq!(face.image_hash.unwrap(), *blake3::hash(&bytes).as_bytes());
        assert!((1.0..2.0).contains(&face.norm));
        subjects.insert(face.subject.unwrap());
    }
    assert_eq!(subjects.len(), 100);
}

#[test]
fn a_walk_finds_what_an_exhaustive_search_finds() {
    let gallery = Gallery::open(gallery()).unwrap();
    let (probes, truth) = (probes(), truth());
    assert_eq!((probes.len(), truth.len()), (120, 120));
    assert_eq!(truth.iter().flatten().count(), MATED);
    for beam in [32, 64, 128] {
        let mut right = 0;
        for (probe, subject) in probes.iter().zip(&truth).take(MATED) {
            let walked = gallery.search(probe, &Query::new().top(1).beam(beam)).unwrap();
            assert_eq!(walked.counters.plan, Plan::Walk { beam });
            let exact = gallery.search(probe, &Query::new().top(1).exhaustive()).unwrap();
            assert_eq!(walked[0].face_id, exact[0].face_id, "beam {beam}");
            assert_eq!(walked[0].similarity, exact[0].similarity);
            right += usize::from(walked[0].face().unwrap().subject == *subject);
        }
        assert_eq!(right, 99, "beam {beam}");
    }
}

#[test]
fn an_image_of_the_gallery_is_told_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("holiday.png");
    fs::copy(sample("images/00017.jpg"), &copy).unwrap();
    let copy = copy.to_str().unwrap();
    let ran = lookalike(["search", path(), "--probe-image", copy, "-k", "3", "--format", "json"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let line: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(line["face_id"], 17);
    let matches = line["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 3);
    assert!(matches.iter().all(|found| found["face_id"] != 17));
    let bytes = fs::read(copy).unwrap();
    let args = ["search", path(), "--probe-image", "-", "-k", "3", "--format", "json"];
    let fed = lookalike_fed(args, &bytes);
    assert_eq!((fed.status, fed.out, fed.err.as_str()), (0, ran.out, ""));
    let other = lookalike_fed(args, b"another photo");
    assert_eq!((other.status, other.out.as_str()), (1, ""));
    assert!(other.err.contains("standard input"), "{}", other.err);
    let gallery = Gallery::open(gallery()).unwrap();
    let query = Query::new().top(3);
    for (found, expected) in matches.iter().zip(&gallery.search_face(FaceId(17), &query).unwrap()) {
        assert_eq!(found["face_id"], expected.face_id.0);
    }
}

#[test]
fn a_new_photo_is_refused_with_what_to_do() {
    let photo = sample("probes/p0000.jpg");
    let ran = lookalike(["search", path(), "--probe-image", photo.to_str().unwrap()]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    for words in ["no face of this gallery", "p0000.jpg", "--probes", "outside of lookalike"] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    let ran = lookalike(["search", path(), "--probe-image", "/nowhere/a.jpg"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("/nowhere/a.jpg"), "{}", ran.err);
}

/// How often a page shows what begins like this.
fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

fn assert_self_contained(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.trim_end().ends_with("</html>"));
    for never in ["http:", "https:", "<script", "<link", "url(", "@import"] {
        assert_eq!(count(page, never), 0, "{never}");
    }
    // Every picture is inside.
    assert_eq!(count(page, "<img "), count(page, "src=\"data:image/jpeg;base64,"));
}

#[test]
fn the_demonstration_works_twice() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    for _ in 0..2 {
        let ran = lookalike(["demo", dir.to_str().unwrap()]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        assert!(ran.out.contains("553 faces, 553 with a thumbnail"), "{}", ran.out);
        assert!(ran.out.contains("100 probes of people in the gallery"), "{}", ran.out);
        assert!(ran.out.contains("the exhaustive search's for 100,"), "{}", ran.out);
        assert!(ran.out.contains("the right person for 99"), "{}", ran.out);
        assert!(ran.out.contains("20 probes of people who are not in it"), "{}", ran.out);
        let page = fs::read_to_string(dir.join("contact-sheet.html")).unwrap();
        assert_self_contained(&page);
        assert_eq!(count(&page, "<section"), 120);
        // Each probe and its five matches are pictures.
        assert_eq!(count(&page, "<img "), 120 * 6);
        assert_eq!(Gallery::open(dir.join("sample.gallery")).unwrap().len(), 553);
        assert!(!dir.join("sample.gallery.building").exists());
        // As if this one had been interrupted: the next puts it right.
        fs::write(dir.join("sample/manifest.csv"), "image").unwrap();
    }
    // What it suggests to try works.
    let place = dir.join("sample.gallery");
    let ran = lookalike(["search", place.to_str().unwrap(), "--face", "17", "-k", "5"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
}

#[test]
fn the_demonstration_replaces_nothing_but_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let refused = |name: &str| {
        let before = common::files(dir);
        let ran = lookalike(["demo", dir.to_str().unwrap()]);
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(name) && ran.err.contains("left as it is"), "{}", ran.err);
        assert_eq!(common::files(dir), before);
    };
    // As many faces as the sample has, and of another's.
    let faces = common::Place::of(&common::Random(5).vectors(553, 128));
    let theirs = dir.join("sample.gallery");
    run(&Build::new(&theirs, faces.path("faces.npy")).model("dlib-128")).unwrap();
    refused("sample.gallery");
    assert_eq!(Gallery::open(&theirs).unwrap().len(), 553);
    fs::remove_dir_all(&theirs).unwrap();

    let table = dir.join("sample/manifest.csv");
    fs::create_dir(dir.join("sample")).unwrap();
    let text = fs::read_to_string(sample("manifest.csv")).unwrap();
    fs::write(&table, text.replacen('0', "1", 1)).unwrap();
    refused("manifest.csv");
    fs::remove_file(&table).unwrap();

    let page = dir.join("contact-sheet.html");
    fs::write(&page, "<title>Contact sheet</title>").unwrap();
    refused("contact-sheet.html");
}

#[test]
fn a_contact_sheet_shows_probes_and_matches() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("sheet.html");
    let files = [sample("probes.npy"), sample("probes.csv"), sample("")];
    let [vectors, table, images] = files.each_ref().map(|file| file.to_str().unwrap());
    let ran = lookalike([
        "search",
        path(),
        "--probes",
        vectors,
        "--probe-manifest",
        table,
        "--probe-images",
        images,
        "-k",
        "2",
        "--format",
        "json",
        "--html",
        page.to_str().unwrap(),
    ]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out.lines().count(), 120);
    let text = fs::read_to_string(&page).unwrap();
    assert_self_contained(&text);
    assert_eq!((count(&text, "<section"), count(&text, "<img ")), (120, 120 * 3));
    assert!(text.contains("no threshold: nearest faces, not matches"));
    assert!(text.contains("name=\"viewport\""));
    for shown in ["subject-042", "press-archive.example", "probes/p0007.jpg"] {
        assert!(text.contains(shown), "{shown}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_contact_sheet_may_go_to_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = pipe.clone();
    let read = std::thread::spawn(move || fs::read_to_string(reader).unwrap());
    let ran = lookalike(["search", path(), "--face", "17", "--html", pipe.to_str().unwrap()]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    assert_self_contained(&read.join().unwrap());
}
