//! All pairs of a gallery: those that brute force finds, each once, however the search ends and
//! begins again.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Mutex;

use common::{Place, Random, command, exact, lookalike, run, sample};
use lookalike::gallery::verify;
use lookalike::ingest::Manifest;
use lookalike::pairs::{Format, Found, Kind, Pair, Pairs, PairsError, Reach};
use lookalike::{Build, Builder, Cancel, Error, FaceId, Gallery, Progress, Query, Silent};
use serde_json::Value;

const DIMS: usize = 24;

/// People with one to four photos each.
fn people(faces: usize, seed: u64) -> (Vec<Vec<f32>>, String) {
    let mut random = Random(seed);
    let (mut rows, mut manifest) = (Vec::new(), "subject,key\n".to_owned());
    for person in 0.. {
        let face = random.vector(DIMS);
        for _ in 0..1 + random.below(4) {
            if rows.len() == faces {
                return (rows, manifest);
            }
            let name = if person % 7 == 0 { String::new() } else { format!("s{person}") };
            manifest.push_str(&format!("{name},k{}\n", rows.len()));
            rows.push(random.near(&face, 0.6));
        }
    }
    unreachable!()
}

fn gallery(faces: usize, seed: u64) -> (Place, Gallery, Vec<Vec<f32>>) {
    let (rows, manifest) = people(faces, seed);
    let place = Place::of(&rows).manifest(&manifest);
    run(&place.build().builder(Builder::None)).unwrap();
    let gallery = place.open();
    (place, gallery, rows)
}

fn collect(pairs: &Pairs, gallery: &Gallery) -> (Vec<Pair>, Found) {
    let mut all = Vec::new();
    let take = |some: &[Pair]| {
        all.extend_from_slice(some);
        Ok::<(), Error>(())
    };
    let found = pairs.run(gallery, take, &Silent, &Cancel::new()).unwrap();
    assert_eq!(found.pairs, all.len() as u64);
    (all, found)
}

/// Every pair at or above a similarity, in double precision.
fn brute_force(rows: &[Vec<f32>], at_least: f64) -> BTreeMap<(u64, u64), f64> {
    let mut pairs = BTreeMap::new();
    for (one, row) in rows.iter().enumerate() {
        for (other, similarity) in exact(&rows[one + 1..], row).into_iter().enumerate() {
            if similarity >= at_least {
                pairs.insert((one as u64, (one + 1 + other) as u64), similarity);
            }
        }
    }
    pairs
}

#[test]
fn few_faces_are_compared_without_exception() {
    let (_place, gallery, rows) = gallery(300, 1);
    for at_least in [0.8, 0.3, -1.0] {
        let (found, how) = collect(&Pairs::new(at_least), &gallery);
        assert_eq!(how.reach, Reach::Exhaustive);
        // What lies within rounding of the threshold may be on either side of it.
        let sure = brute_force(&rows, f64::from(at_least) + 1e-5);
        let possible = brute_force(&rows, f64::from(at_least) - 1e-5);
        let ids: HashSet<_> = found.iter().map(|pair| (pair.first.0, pair.second.0)).collect();
        assert_eq!(ids.len(), found.len(), "each once");
        assert!(sure.keys().all(|ids_of| ids.contains(ids_of)));
        for pair in &found {
            let similarity = possible[&(pair.first.0, pair.second.0)];
            assert!((similarity - f64::from(pair.similarity)).abs() < 1e-5);
        }
        assert!(at_least > 0.0 || found.len() == 300 * 299 / 2);
    }
}

#[test]
fn among_many_the_hit_rate_is_kept() {
    const FACES: usize = 4100;
    let mut random = Random(2);
    let people = random.vectors(FACES / 4 + 1, DIMS);
    let rows: Vec<Vec<f32>> = (0..FACES).map(|at| random.near(&people[at / 4], 0.5)).collect();
    let place = Place::of(&rows);
    run(&place.build().builder(Builder::None)).unwrap();
    let gallery = place.open();
    // Every fifth face: by a search that misses nothing.
    let (mut expected, query) = (HashSet::new(), Query::new().at_least(0.7).exhaustive());
    for face in (0..FACES as u64).step_by(5).map(FaceId) {
        for other in gallery.search_face(face, &query).unwrap() {
            expected.insert((face.min(other.face_id), face.max(other.face_id)));
        }
    }
    assert!(expected.len() > 2000, "{}", expected.len());
    let of_fifth = |(one, other): &(FaceId, FaceId)| one.0 % 5 == 0 || other.0 % 5 == 0;
    let check = |found: &[Pair], least: f64| {
        let ids: HashSet<_> = found.iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(ids.len(), found.len(), "each once");
        let hit = expected.intersection(&ids).count() as f64 / expected.len() as f64;
        assert!(hit >= least, "{hit}");
        assert!(ids.iter().filter(|ids| of_fifth(ids)).all(|ids| expected.contains(ids)));
    };
    let (found, how) = collect(&Pairs::new(0.7), &gallery);
    let Reach::Measured { hit_rate, lower, share, sample, .. } = how.reach else {
        panic!("{:?}", how.reach)
    };
    assert!(lower >= 0.99 && hit_rate >= lower && share <= 1.0, "{:?}", how.reach);
    assert_eq!(sample as usize, FACES / 4);
    check(&found, 0.985);
    // So close to all is more than a sample can tell: nothing is passed over then.
    let (found, how) = collect(&Pairs::new(0.7).hit_rate(0.9999), &gallery);
    assert_eq!(how.reach, Reach::Whole);
    check(&found, 0.9995);
}

#[test]
fn where_few_have_a_pair_further_faces_are_looked_at() {
    let mut random = Random(11);
    let (mut rows, mut alike, faces) = (Vec::new(), Vec::new(), 40_000);
    // About one face in nine has a pair: too few of 2,000 to prove 0.99, and enough of 800 more.
    while rows.len() < faces {
        let face = random.vector(DIMS);
        if random.below(17) == 0 {
            let id = rows.len() as u64;
            alike.push((id, id + 1));
            rows.push(random.near(&face, 0.3));
        }
        rows.push(face);
    }
    let place = Place::of(&rows);
    run(&place.build().builder(Builder::None)).unwrap();
    let (pairs, found) = collect(&Pairs::new(0.85), &place.open());
    let Reach::Measured { sample, lower, .. } = found.reach else { panic!("{:?}", found.reach) };
    assert!(sample == 2800 && lower >= 0.99, "{:?}", found.reach);
    let found: HashSet<_> = pairs.iter().map(|pair| (pair.first.0, pair.second.0)).collect();
    let hits = alike.iter().filter(|pair| found.contains(*pair)).count();
    let hit_rate = hits as f64 / alike.len() as f64;
    assert!((0.985..=1.0).contains(&hit_rate), "{hit_rate}");
}

#[test]
fn cells_that_promise_too_little_are_passed_over() {
    const FACES: usize = 12_000;
    let mut random = Random(12);
    let groups = random.vectors(60, DIMS);
    let people: Vec<_> = (0..FACES / 4).map(|at| random.near(&groups[at % 60], 0.5)).collect();
    let rows: Vec<_> = (0..FACES).map(|at| random.near(&people[at / 4], 0.2)).collect();
    let place = Place::of(&rows);
    run(&place.build().builder(Builder::None)).unwrap();
    let gallery = place.open();
    let (found, how) = collect(&Pairs::new(0.96), &gallery);
    let Reach::Measured { promise: Some(_), share, lower, .. } = how.reach else {
        panic!("{:?}", how.reach)
    };
    assert!(lower >= 0.99 && share < 0.5, "{:?}", how.reach);
    let ids: HashSet<_> = found.iter().map(|pair| (pair.first, pair.second)).collect();
    assert_eq!(ids.len(), found.len(), "each once");
    let (all, how) = collect(&Pairs::new(0.96).hit_rate(1.0), &gallery);
    assert_eq!(how.reach, Reach::Exhaustive);
    let hit = all.iter().filter(|pair| ids.contains(&(pair.first, pair.second))).count();
    assert!(all.len() > FACES && hit as f64 >= 0.985 * all.len() as f64, "{hit} of {}", all.len());
    assert_eq!(hit, found.len());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (_place, gallery, _) = gallery(400, 10);
    let (found, _) = collect(&Pairs::new(0.3), &gallery);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| collect(&Pairs::new(0.3), &gallery)).0, found);
    }
}

#[test]
fn the_sample_has_its_pairs_of_every_kind() {
    let place = Place::new();
    // The first photo once more, under another name, and one of nobody.
    fs::create_dir(place.path("images")).unwrap();
    for name in ["00000.jpg", "00001.jpg", "00002.jpg", "00003.jpg"] {
        fs::copy(sample("images").join(name), place.path("images").join(name)).unwrap();
    }
    fs::copy(sample("images/00000.jpg"), place.path("images/again.jpg")).unwrap();
    let mut rows = Random(5).vectors(4, DIMS);
    let first = rows[0].clone();
    rows.iter_mut().for_each(|row| *row = Random(row[0].to_bits().into()).near(&first, 0.1));
    rows.push(rows[0].clone());
    common::write_npy(&place.path("faces.npy"), &rows);
    let manifest =
        "subject,image\na,00000.jpg\na,00001.jpg\nb,00002.jpg\n,00003.jpg\nb,again.jpg\n";
    let place = place.manifest(manifest);
    run(&place.build().images(place.path("images"))).unwrap();
    let gallery = place.gallery();
    let gallery = gallery.to_str().unwrap();
    let ran = lookalike(["pairs", gallery, "--min-similarity", "0.5", "--format", "json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let lines: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: BTreeMap<(u64, u64), &str> = lines
        .iter()
        .map(|line| {
            let id = |name: &str| line[name].as_u64().unwrap();
            ((id("face_id_1"), id("face_id_2")), line["kind"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ((0, 1), "same-subject"),
        ((0, 2), "different-subjects"),
        ((0, 3), "unknown"),
        ((0, 4), "same-image"),
        ((1, 2), "different-subjects"),
        ((1, 3), "unknown"),
        ((1, 4), "different-subjects"),
        ((2, 3), "unknown"),
        ((2, 4), "same-subject"),
        ((3, 4), "unknown"),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
    let twice = lines.iter().find(|line| line["kind"] == "same-image").unwrap();
    assert_eq!((&twice["subject_1"], &twice["subject_2"]), (&"a".into(), &"b".into()));
    assert_eq!((&twice["image_2"], &twice["similarity"]), (&"again.jpg".into(), &1.0.into()));
    assert!(ran.err.contains("10 pairs at similarity >= 0.5"), "{}", ran.err);
    assert!(ran.err.contains("4  unknown") && ran.err.contains("1  same-image"), "{}", ran.err);

    let args = ["pairs", gallery, "--min-similarity", "0.5", "--kind", "same-image,unknown"];
    let some = lookalike(args);
    assert_eq!(some.out.lines().count(), 6);
    assert!(
        some.out.starts_with("face_id_1,face_id_2,similarity,kind,subject_1,subject_2,image_1")
    );
    assert!(some.out.contains("0,4,1,same-image,a,b,00000.jpg,again.jpg,,\n"), "{}", some.out);
    // Every format says the same; a table in Parquet can be read as a manifest is.
    let parquet = place.path("pairs.parquet");
    let ran = lookalike([&args[..4], &["--out", parquet.to_str().unwrap()]].concat());
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.err);
    let table = Manifest::open(&parquet).unwrap();
    assert_eq!((table.lines(), table.attributes().len()), (10, 10));
    assert!(!place.path("pairs.parquet.partial").exists());
}

#[test]
fn wrong_usage_and_failures_are_told_apart() {
    let (place, gallery, _) = gallery(40, 3);
    let gallery = gallery.path().to_str().unwrap();
    let file = place.path("pairs.csv");
    let file = file.to_str().unwrap();
    for (args, text) in [
        (&["pairs", gallery][..], "--min-similarity"),
        (&["pairs", gallery, "--min-similarity", "1.5"], "outside [-1, 1]"),
        (&["pairs", gallery, "--min-similarity", "NaN", "--out", file], "outside [-1, 1]"),
        (&["pairs", gallery, "--min-similarity", "0", "--hit-rate", "0"], "(0, 1]"),
        (&["pairs", gallery, "--min-similarity", "0", "--format", "parquet"], "--out"),
        (&["pairs", gallery, "--min-similarity", "0", "--format", "table"], "csv, json"),
        (&["pairs", gallery, "--min-similarity", "0", "--kind", "same"], "same-image"),
    ] {
        let ran = lookalike(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(text), "{args:?}: {}", ran.err);
    }
    for out in ["-", &format!("{gallery}/gallery.json"), &format!("{gallery}/segments/new.csv")] {
        for job in ["pairs", "cluster"] {
            let ran = lookalike([job, gallery, "--min-similarity", "0", "--out", out]);
            assert_eq!(ran.status, 2, "{job} {out}: {}", ran.err);
        }
    }
    assert!(verify(gallery, &Silent).unwrap().faults.is_empty());
    let ran = lookalike(["pairs", file, "--min-similarity", "0"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let nowhere = place.path("nowhere/pairs.csv");
    let ran =
        lookalike(["pairs", gallery, "--min-similarity", "0", "--out", nowhere.to_str().unwrap()]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    // A reader that leaves is no failure.
    let mut child = command(["pairs", gallery, "--min-similarity", "-1"]).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// Raises the cancel flag after so many faces.
struct CancelAfter(Mutex<i64>, Cancel);

impl Progress for CancelAfter {
    fn advance(&self, done: u64) {
        let mut left = self.0.lock().unwrap();
        *left -= done as i64;
        if *left < 0 {
            self.1.cancel();
        }
    }
}

fn write(gallery: &Gallery, out: &Path, at_least: f32, after: i64) -> Result<u64, PairsError> {
    let cancel = Cancel::new();
    let progress = CancelAfter(Mutex::new(after), cancel.clone());
    let pairs = Pairs::new(at_least);
    match pairs.write(gallery, out, (Format::Csv, &[]), &progress, &cancel) {
        Ok((found, counts)) => {
            assert_eq!(counts.iter().sum::<u64>(), found.pairs);
            Ok(found.pairs)
        }
        Err(Error::Pairs(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_interrupted_search_goes_on_and_writes_the_same_file() {
    let (place, gallery, _) = gallery(500, 4);
    let [whole, out] = ["whole.csv", "out.csv"].map(|name| place.path(name));
    let partial = place.path("out.csv.partial");
    let count = write(&gallery, &whole, 0.5, i64::MAX).unwrap();
    assert!(count > 150, "{count}");
    let expected = fs::read(&whole).unwrap();
    let mut random = Random(7);
    for round in 0..9 {
        let error = write(&gallery, &out, 0.5, 50 * round).unwrap_err();
        assert!(matches!(error, PairsError::Interrupted { .. }), "{error}");
        assert!(!out.exists() && partial.exists());
        // What was being written when the process ended is cut off or torn.
        let length = fs::metadata(&partial).unwrap().len();
        if round % 3 == 1 {
            let file = OpenOptions::new().write(true).open(&partial).unwrap();
            file.set_len(length - random.below(300) as u64 % (length - 150)).unwrap();
        } else if round % 3 == 2 {
            let mut bytes = fs::read(&partial).unwrap();
            let at = bytes.len() - 1 - random.below(200) % (bytes.len() - 150);
            bytes[at] ^= 0x10;
            fs::write(&partial, bytes).unwrap();
        }
        match write(&gallery, &out, 0.5, i64::MAX) {
            Ok(again) => {
                assert_eq!(again, count);
                assert_eq!(fs::read(&out).unwrap(), expected, "round {round}");
                assert!(!partial.exists());
                fs::remove_file(&out).unwrap();
            }
            // The first line itself was hit.
            Err(PairsError::OtherPartial { .. }) => fs::remove_file(&partial).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_device_left_where_it_is() {
    let (place, gallery, _) = gallery(50, 9);
    let (target, link) = (place.path("target.csv"), place.path("link.csv"));
    fs::write(&target, "before").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write(&gallery, &link, 0.2, i64::MAX).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&target).unwrap().lines().count() > 1);
    let error = write(&gallery, Path::new("/dev/null"), 0.2, i64::MAX).unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn what_another_search_left_is_not_gone_on_with() {
    let (place, gallery, _) = gallery(600, 5);
    let out = place.path("out.csv");
    let partial = place.path("out.csv.partial");
    assert!(write(&gallery, &out, 0.5, 0).is_err());
    let kept = fs::read(&partial).unwrap();
    let refused = |gallery: &Gallery, at_least| {
        let error = write(gallery, &out, at_least, i64::MAX).unwrap_err();
        assert!(matches!(error, PairsError::OtherPartial { .. }), "{error}");
        assert_eq!(fs::read(&partial).unwrap(), kept);
    };
    refused(&gallery, 0.6);
    let path = gallery.path().to_owned();
    run(&Build::new(&path, place.path("faces.npy")).builder(Builder::None).replace(true)).unwrap();
    refused(&Gallery::open(&path).unwrap(), 0.5);
    refused(&Gallery::open(&path).unwrap(), 0.5);
    let ran = lookalike([
        "pairs",
        path.to_str().unwrap(),
        "--min-similarity",
        "0.5",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("out.csv.partial") && ran.err.contains("remove it"), "{}", ran.err);
    fs::write(&partial, "somebody's notes\n").unwrap();
    let error = write(&gallery, &out, 0.5, i64::MAX).unwrap_err();
    assert!(matches!(error, PairsError::OtherPartial { .. }), "{error}");
    fs::write(&partial, &kept).unwrap();
    let held = File::open(&partial).unwrap();
    held.lock().unwrap();
    let error = write(&gallery, &out, 0.5, i64::MAX).unwrap_err();
    assert!(matches!(error, PairsError::Locked { .. }), "{error}");
    // Closing alone would not do: a process that another test starts has a copy for a moment.
    held.unlock().unwrap();
    assert!(write(&gallery, &out, 0.5, i64::MAX).is_ok());
}

#[test]
fn a_search_that_is_killed_goes_on() {
    let (place, gallery, _) = gallery(400, 6);
    let [whole, out] = ["whole.csv", "out.csv"].map(|name| place.path(name));
    let count = write(&gallery, &whole, 0.2, i64::MAX).unwrap();
    assert!(count > 5000, "{count}");
    let args = |out: &Path| {
        let words = ["pairs", gallery.path().to_str().unwrap(), "--min-similarity", "0.2", "--out"];
        [&words.map(str::to_owned)[..], &[out.to_str().unwrap().to_owned()]].concat()
    };
    let begun = std::time::Instant::now();
    assert_eq!(lookalike(args(&out)).status, 0);
    let took = begun.elapsed();
    assert_eq!(fs::read(&out).unwrap(), fs::read(&whole).unwrap());
    let mut random = Random(8);
    for _ in 0..6 {
        let _ = fs::remove_file(&out);
        let mut child = command(args(&out)).spawn().unwrap();
        std::thread::sleep(took * random.below(100) as u32 / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        let again = lookalike(args(&out));
        assert_eq!(again.status, 0, "{}", again.err);
        assert_eq!(fs::read(&out).unwrap(), fs::read(&whole).unwrap());
        assert_eq!(fs::metadata(&out).unwrap().len(), fs::metadata(&whole).unwrap().len());
    }
}

#[test]
fn ids_are_those_of_the_gallery() {
    // A row that is refused leaves its number unused.
    let (mut rows, _) = people(60, 9);
    rows[0] = vec![0.0; DIMS];
    let place = Place::of(&rows);
    let gallery = place.built();
    let (found, _) = collect(&Pairs::new(0.2), &gallery);
    assert!(!found.is_empty());
    for pair in found {
        assert!(FaceId(0) < pair.first && pair.first < pair.second);
        let one = gallery.embedding(pair.first).unwrap();
        assert_eq!(gallery.similarity(&one, pair.second).unwrap(), pair.similarity);
    }
    assert_eq!(Kind::ALL.map(|kind| kind.name().parse()), Kind::ALL.map(Ok));
}
