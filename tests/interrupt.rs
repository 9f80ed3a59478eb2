//! However a build ends, a reader sees a whole gallery or none; what is left behind lies in
//! `GALLERY.building`, and the same build run again finishes.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use common::{Place, Ran, Random, command, lookalike, run};
use lookalike::calibration::calibrate;
use lookalike::gallery::verify;
use lookalike::{Build, BuildError, Cancel, Gallery, Progress, Silent};

/// A build of these takes long enough to be interrupted, in either profile.
const FACES: usize = if cfg!(debug_assertions) { 200 } else { 1000 };
/// More than any machine builds before a signal comes.
const MANY: usize = if cfg!(debug_assertions) { 4000 } else { 20_000 };
const DIMS: usize = 8;

fn place(faces: usize) -> Place {
    Place::of(&Random(91).vectors(faces, DIMS))
}

/// Raises the cancel flag when a step begins, and keeps what is said.
struct CancelAt {
    step: &'static str,
    cancel: Cancel,
    notes: Mutex<Vec<String>>,
}

impl CancelAt {
    fn new(step: &'static str) -> Self {
        Self { step, cancel: Cancel::new(), notes: Mutex::default() }
    }

    fn run(&self, build: &Build) -> Result<u64, BuildError> {
        for _ in 0..100 {
            match build.run(self, &self.cancel) {
                // A process that another test starts has our files open until it is the command.
                Err(BuildError::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
                done => return done.map(|counts| counts.enrolled),
            }
        }
        panic!("locked for a second")
    }
}

impl Progress for CancelAt {
    fn begin(&self, step: &str, _: Option<u64>) {
        if step == self.step {
            self.cancel.cancel();
        }
    }

    fn note(&self, message: &str) {
        self.notes.lock().unwrap().push(message.to_owned());
    }
}

fn assert_whole(place: &Place, faces: usize) {
    let verified = verify(place.gallery(), &Silent).unwrap();
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    assert_eq!(place.open().len(), faces as u64);
}

fn building(place: &Place) -> std::path::PathBuf {
    place.path("people.gallery.building")
}

#[test]
fn a_cancelled_build_goes_on_after_the_last_finished_step() {
    let uninterrupted = place(300);
    run(&uninterrupted.build().threads(1)).unwrap();
    for (step, resumed) in [
        ("faces", false),
        ("space", true),
        ("learning cells", true),
        ("cells", true),
        ("codes", true),
        ("graph", true),
    ] {
        let place = place(300);
        let build = place.build().threads(1);
        let error = CancelAt::new(step).run(&build).unwrap_err();
        assert!(matches!(error, BuildError::Cancelled), "{error}");
        assert!(!place.gallery().exists() && building(&place).exists());
        let again = CancelAt::new("never");
        assert_eq!(again.run(&build).unwrap(), 300);
        assert_eq!(again.notes.lock().unwrap().len(), usize::from(resumed), "{step}");
        assert!(!building(&place).exists());
        assert_whole(&place, 300);
        for file in common::files(&place.gallery()) {
            let read = |place: &Place| fs::read(place.gallery().join(&file)).unwrap();
            assert_eq!(read(&place), read(&uninterrupted), "{}", file.display());
        }
    }
}

/// Keeps which steps begin, and a copy of the folder that is built in as it is when one does.
struct CopyAt<'a> {
    step: &'static str,
    from: &'a Path,
    to: &'a Path,
    begun: Mutex<Vec<String>>,
}

impl Progress for CopyAt<'_> {
    fn begin(&self, step: &str, _: Option<u64>) {
        self.begun.lock().unwrap().push(step.to_owned());
        if step == self.step {
            for file in common::files(self.from) {
                let to = self.to.join(&file);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(self.from.join(&file), to).unwrap();
            }
        }
    }
}

#[test]
fn a_calibration_is_neither_lost_nor_made_twice() {
    let place = place(900);
    run(&place.build()).unwrap();
    let before = calibrate(&place.open(), &Silent, &Cancel::new()).unwrap();
    before.store(&place.gallery()).unwrap();
    let build = place.build().replace(true);
    let error = CancelAt::new("strangers").run(&build).unwrap_err();
    assert!(matches!(error, BuildError::Cancelled), "{error}");
    assert_eq!(place.open().calibration().unwrap(), Some(before));
    // As a build leaves it that is killed when all but published: after a copy of it was made.
    let (folder, kept) = (building(&place), place.path("kept"));
    let build_and_copy = |step| {
        let copy = CopyAt { step, from: &folder, to: &kept, begun: Mutex::default() };
        while let Err(error) = build.run(&copy, &Cancel::new()) {
            assert!(matches!(error, BuildError::Locked { .. }), "{error}");
        }
        copy.begun.into_inner().unwrap()
    };
    assert_eq!(build_and_copy("publish"), ["strangers", "publish"]);
    let again = place.open().calibration().unwrap().unwrap();
    assert_eq!(again.earlier.unwrap().faces, 900);
    // The gallery before was another one, so that what was made for its place serves no longer.
    fs::rename(&kept, &folder).unwrap();
    let mut other = again.clone();
    other.earlier = None;
    other.strangers.truncate(400);
    other.store(&place.gallery()).unwrap();
    assert_eq!(build_and_copy("publish"), ["strangers", "publish"]);
    fs::rename(&kept, &folder).unwrap();
    other.store(&place.gallery()).unwrap();
    assert_eq!(build_and_copy("never"), ["publish"]);
    assert_eq!(place.open().calibration().unwrap().unwrap().strangers, again.strangers);
    assert_whole(&place, 900);
}

/// The moment between the note that the faces are in order and the end of those that are not.
#[test]
fn vectors_in_the_order_of_the_input_are_never_published() {
    let place = place(300);
    let build = place.build().threads(1);
    let unordered = building(&place).join("segments/0001/vectors.unordered");
    assert!(CancelAt::new("codes").run(&build).is_err());
    let left = fs::read(&unordered).unwrap();
    assert!(CancelAt::new("graph").run(&build).is_err());
    assert!(!unordered.exists());
    fs::write(&unordered, left).unwrap();
    assert_eq!(CancelAt::new("never").run(&build).unwrap(), 300);
    assert_whole(&place, 300);
    assert!(!place.gallery().join("segments/0001/vectors.unordered").exists());
}

#[test]
fn a_build_of_something_else_begins_anew() {
    let place = place(300);
    assert!(CancelAt::new("graph").run(&place.build()).is_err());
    common::write_npy(&place.path("faces.npy"), &Random(92).vectors(200, DIMS));
    let other = CancelAt::new("never");
    assert_eq!(other.run(&place.build()).unwrap(), 200);
    assert!(other.notes.lock().unwrap().is_empty());
    assert_whole(&place, 200);
}

/// Stops a build at a step until it is told to go on.
struct HoldAt(&'static str, Mutex<(Sender<()>, Receiver<()>)>);

impl Progress for HoldAt {
    fn begin(&self, step: &str, _: Option<u64>) {
        if step == self.0 {
            let (reached, go_on) = &*self.1.lock().unwrap();
            reached.send(()).unwrap();
            go_on.recv().unwrap();
        }
    }
}

#[test]
fn of_two_builds_at_once_one_is_refused() {
    for step in ["faces", "graph", "publish"] {
        let place = place(100);
        let (build, other) = (place.build(), place.build());
        let (reached, is_reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let hold = HoldAt(step, Mutex::new((reached, may_go_on)));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| build.run(&hold, &Cancel::new()));
            is_reached.recv_timeout(Duration::from_secs(60)).unwrap();
            let error = run(&other).unwrap_err();
            assert!(matches!(error, BuildError::Locked { .. }), "{step}: {error}");
            go_on.send(()).unwrap();
            assert_eq!(first.join().unwrap().unwrap().enrolled, 100);
        });
        assert_whole(&place, 100);
        assert!(matches!(run(&other), Err(BuildError::Exists { .. })));
    }
}

#[test]
fn builds_that_race_leave_a_whole_gallery() {
    for _ in 0..10 {
        let place = place(40);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let build = place.build().replace(true);
                scope.spawn(move || {
                    // Which of them are refused is a matter of luck; the gallery is not.
                    for _ in 0..3 {
                        match run(&build) {
                            Ok(_) | Err(BuildError::Locked { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert_whole(&place, 40);
        assert!(!building(&place).exists());
    }
}

/// The moment between a build's last step and its end, as a killed process leaves it.
#[test]
fn a_finished_gallery_that_was_not_published_stands_in_nobodys_way() {
    let place = place(60);
    run(&place.build()).unwrap();
    fs::rename(place.gallery(), building(&place)).unwrap();
    run(&place.build()).unwrap();
    assert_whole(&place, 60);
    assert!(!building(&place).exists());
}

/// The same after a replacement, when the old gallery is being removed.
#[test]
fn a_half_removed_gallery_stands_in_nobodys_way() {
    let place = place(60);
    run(&place.build()).unwrap();
    for kept in ["segments/0001/graph.bin", "gallery.json", "rejects.csv"] {
        let left = building(&place).join(kept);
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::copy(place.gallery().join(kept), left).unwrap();
        run(&place.build().replace(true)).unwrap();
        assert_whole(&place, 60);
        assert!(!building(&place).exists());
    }
}

fn arguments(place: &Place) -> Vec<String> {
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (gallery, faces) = (path(place.gallery()), path(place.path("faces.npy")));
    ["build", &gallery, "--embeddings", &faces, "--replace"].map(str::to_owned).to_vec()
}

#[test]
fn ctrl_c_leaves_a_folder_to_go_on_from() {
    let place = place(MANY);
    let child = command(arguments(&place)).spawn().unwrap();
    let begun = Instant::now();
    while !building(&place).join("build.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("cancelled; run the same build again"), "{}", ran.err);
    assert!(!place.gallery().exists() && building(&place).exists());
    let entries = fs::read_dir(place.folder.path()).unwrap().count();
    assert_eq!(entries, 2, "the embeddings and the folder of the build");
    let again = lookalike(arguments(&place));
    assert_eq!(again.status, 0, "{}", again.err);
    assert!(!building(&place).exists());
    assert_whole(&place, MANY);
}

#[test]
fn a_build_that_is_killed_leaves_no_half_gallery() {
    let timed = place(FACES);
    let begun = Instant::now();
    assert_eq!(lookalike(arguments(&timed)).status, 0);
    let whole = begun.elapsed();
    let mut random = Random(93);
    for round in 0..20 {
        let place = place(FACES);
        let replaces = round % 2 == 1;
        if replaces {
            common::write_npy(&place.path("old.npy"), &Random(94).vectors(50, DIMS));
            run(&Build::new(place.gallery(), place.path("old.npy"))).unwrap();
        }
        let mut child = command(arguments(&place)).spawn().unwrap();
        // Half of the moments lie near the end, where the gallery is published.
        let near_the_end = round % 4 > 1;
        let share = if near_the_end { 90 + random.below(20) } else { random.below(100) };
        std::thread::sleep(whole * share as u32 / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        if replaces || place.gallery().exists() {
            let faces = Gallery::open(place.gallery()).unwrap().len() as usize;
            assert!(faces == FACES || replaces && faces == 50, "{faces}");
            assert_whole(&place, faces);
        }
        let again = lookalike(arguments(&place));
        assert_eq!(again.status, 0, "{}", again.err);
        assert_whole(&place, FACES);
        assert!(!building(&place).exists());
    }
}

/// A limit on the size of a file fails writes as a full disk does.
#[test]
fn a_write_that_fails_is_an_error_and_leaves_no_gallery() {
    let place = place(2000);
    let mut failed = 0;
    for blocks in [0, 1, 8, 200, 400, 600] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_lookalike")])
            .args(arguments(&place))
            .args(["--threads", "1"])
            .output()
            .unwrap();
        let ran = Ran::from(output);
        if ran.status == 0 {
            continue;
        }
        failed += 1;
        assert_eq!(ran.status, 1, "{blocks} blocks: {}", ran.err);
        assert!(ran.err.contains("File too large"), "{blocks} blocks: {}", ran.err);
        assert!(!place.gallery().exists(), "{blocks} blocks");
    }
    assert!(failed >= 4);
    assert_eq!(lookalike(arguments(&place)).status, 0);
    assert_whole(&place, 2000);
}
