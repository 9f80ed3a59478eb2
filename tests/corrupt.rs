//! Any changed or missing byte of any file of a gallery is found by `verify`; opening and searching
//! a damaged gallery gives errors or wrong answers, and nothing worse.
//!
//! Every change is made in a copy of the file that is put in its place, never in a mapped one.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use common::{Place, Random, embedding, run, sample};
use lookalike::gallery::verify;
use lookalike::graph::GraphParams;
use lookalike::{Builder, Embedding, FaceId, Gallery, Query, Silent, VectorType};

const FACES: usize = 60;
const DIMS: usize = 16;
const CHANGES: usize = 1000;
const TRUNCATIONS: usize = 200;

/// A gallery with something in every file, and where its files are.
struct Victim {
    place: Place,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Victim {
    fn new(vectors: VectorType, builder: Builder) -> Self {
        let mut rows = Random(101).vectors(FACES, DIMS);
        rows[7] = vec![0.0; DIMS];
        let mut text = "image,subject,source,key,number,score,taken,good,row\n".to_owned();
        for i in 0..FACES {
            let day = i % 28 + 1;
            let (subject, row) = (i / 4, FACES - 1 - i);
            text.push_str(&format!(
                "{:05}.jpg,s{subject},archive-{},k{i},{i},{}.5,2024-02-{day:02},{},{row}\n",
                i % 10,
                i % 3,
                i % 9,
                i % 2 == 0,
            ));
        }
        let place = Place::of(&rows).manifest(&text);
        let images = place.path("images");
        fs::create_dir(&images).unwrap();
        // One of the ten is missing, so that rejects.csv has lines.
        for i in 0..9 {
            let name = format!("{i:05}.jpg");
            fs::copy(sample("images").join(&name), images.join(&name)).unwrap();
        }
        // Few links a face make several layers of few faces.
        let build = place.build().images(images).graph(GraphParams::new(3, 20, 0).unwrap());
        run(&build.vectors(vectors).builder(builder)).unwrap();
        let root = place.gallery();
        let read = |file: PathBuf| (root.join(&file), fs::read(root.join(&file)).unwrap());
        let files = common::files(&root).into_iter().map(read).collect();
        let victim = Self { place, files };
        assert_eq!(victim.faults(), 0);
        victim.search().unwrap();
        victim
    }

    /// How many faults `verify` reports.
    fn faults(&self) -> usize {
        verify(self.place.gallery(), &Silent).map_or(1, |verified| verified.faults.len())
    }

    /// Puts other bytes in a file's place, so that no mapping sees them come.
    fn put(&self, path: &Path, bytes: &[u8]) {
        let temporary = self.place.path("new");
        fs::write(&temporary, bytes).unwrap();
        fs::rename(&temporary, path).unwrap();
    }

    /// Reads all there is to read in all ways there are; errors are as good as answers.
    fn search(&self) -> Result<(), lookalike::Error> {
        let gallery = Gallery::open(self.place.gallery())?;
        let probe = embedding(&[0.5; DIMS]);
        let walk = Query::new().top(20).beam(40);
        for query in [
            walk.clone(),
            Query::new().exhaustive(),
            Query::new().at_least(-1.0),
            Query::new().share(0.01),
            Query::new().share(1.0),
            walk.clone().group_by_subject(),
            Query::new().top(40).group_by_subject().exhaustive(),
            walk.clone().filter("source = archive-1".parse().unwrap()),
            Query::new().filter("number >= 5".parse().unwrap()),
            Query::new().filter("score < 7".parse().unwrap()),
            Query::new().filter("taken != 2024-02-03".parse().unwrap()),
            Query::new().filter("good = true".parse().unwrap()),
        ] {
            let _ = look_at(&gallery, &probe, &query);
        }
        let _ = gallery.search_batch(&[probe.clone(), probe.clone()], &Query::new());
        let _ = gallery.similarity_with_subject(&probe, "s3");
        let _ = gallery.faces_of_subject("s3");
        let _ = gallery.face_by_key("k9");
        for face in gallery.faces() {
            if let Some(hash) = face.ok().and_then(|face| face.image_hash) {
                let _ = gallery.faces_of_image(&hash);
            }
        }
        for id in (0..FACES as u64 + 2).chain([u64::MAX]).map(FaceId) {
            let _ = gallery.face(id);
            let _ = gallery.thumbnail(id);
            let _ = gallery.embedding(id);
            let _ = gallery.similarity(&probe, id);
            let _ = gallery.search_face(id, &walk);
        }
        Ok(())
    }

    /// Does both to a damaged file and mends it.
    fn survive(&self, path: &Path, damaged: &[u8], how: &str) {
        let whole = &self.files.iter().find(|(file, _)| file == path).unwrap().1;
        self.put(path, damaged);
        let faults = catch_unwind(|| self.faults());
        let searched = catch_unwind(|| drop(self.search()));
        self.put(path, whole);
        let what = format!("{}: {how}", path.display());
        assert_ne!(faults.expect(&what), 0, "not found: {what}");
        assert!(searched.is_ok(), "a panic of a search: {what}");
    }
}

fn look_at(gallery: &Gallery, probe: &Embedding, query: &Query) -> Result<(), lookalike::Error> {
    for found in gallery.search(probe, query)? {
        assert!((-1.0..=1.0).contains(&found.similarity));
        let _ = found.face();
        let _ = found.thumbnail();
    }
    Ok(())
}

#[test]
fn every_changed_byte_is_found_and_none_does_harm() {
    let victim = Victim::new(VectorType::F32, Builder::HnswRs);
    let mut random = Random(102);
    for change in 0..CHANGES {
        // Every file in turn, however small.
        let (path, whole) = &victim.files[change % victim.files.len()];
        // Headers, tables and footers are few bytes of many: half of the changes go there.
        let at = match random.below(4) {
            0 => random.below(whole.len().min(512)),
            1 => whole.len() - 1 - random.below(whole.len().min(4096)),
            _ => random.below(whole.len()),
        };
        let mut damaged = whole.clone();
        damaged[at] ^= (random.below(255) + 1) as u8;
        victim.survive(path, &damaged, &format!("byte {at} is {}", damaged[at]));
    }
    assert_eq!(victim.faults(), 0);
}

#[test]
fn every_truncation_is_found_and_none_does_harm() {
    let victim = Victim::new(VectorType::F16, Builder::HnswRs);
    let mut random = Random(103);
    for round in 0..TRUNCATIONS {
        let (path, whole) = &victim.files[round % victim.files.len()];
        let length = match random.below(4) {
            0 => random.below(whole.len().min(512)),
            1 => whole.len() - 1 - random.below(whole.len().min(64)),
            _ => random.below(whole.len()),
        };
        victim.survive(path, &whole[..length], &format!("cut to {length} bytes"));
    }
    assert_eq!(victim.faults(), 0);
}

/// Opening reads no section whole, so this damage is met only where each number is used.
#[test]
fn damage_that_opening_does_not_see_does_no_harm() {
    let victim = Victim::new(VectorType::F32, Builder::HnswRs);
    let sections: Vec<_> = victim
        .files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    assert_eq!(sections.len(), 5);
    let mut random = Random(104);
    for round in 0..400 {
        let (path, whole) = sections[round % sections.len()];
        let mut damaged = whole.clone();
        for _ in 0..1 + random.below(40) {
            let at = 4096 + random.below(whole.len() - 4096);
            damaged[at] = [0, 0xff, random.below(256) as u8][random.below(3)];
        }
        if damaged != *whole {
            victim.survive(path, &damaged, &format!("round {round}"));
        }
    }
}

/// Slots that are none, places that are taken, cells without end.
#[test]
fn an_order_that_makes_no_sense_does_no_harm() {
    const FACES: usize = 1600;
    let rows = Random(106).vectors(FACES, DIMS);
    let place = Place::of(&rows);
    let gallery = place.built();
    assert!(gallery.catalogue().cells.count > 1);
    drop(gallery);
    let path = place.gallery().join("segments/0001/codes.bin");
    let whole = fs::read(&path).unwrap();
    let number = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    // Each of the sections that say where a face lies.
    let sections: Vec<(u32, usize, usize)> = (0..number(24) as usize)
        .map(|entry| 64 + 32 * entry)
        .map(|at| (number(at), number(at + 8) as usize, number(at + 16) as usize))
        .filter(|&(tag, _, length)| (0x46..=0x4b).contains(&tag) && length > 0)
        .collect();
    assert_eq!(sections.len(), 4);
    let mut random = Random(107);
    for round in 0..80 {
        let (tag, offset, length) = sections[round % sections.len()];
        let mut damaged = whole.clone();
        for _ in 0..1 + random.below(2 * length / 4) {
            let at = offset + random.below(length / 4) * 4;
            let wrong = [0, u32::MAX, FACES as u32, random.below(FACES) as u32][random.below(4)];
            damaged[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
        }
        let temporary = place.path("new");
        fs::write(&temporary, &damaged).unwrap();
        fs::rename(&temporary, &path).unwrap();
        let searched = catch_unwind(|| {
            let gallery = place.open();
            let probe = embedding(&rows[round]);
            for query in [
                Query::new(),
                Query::new().share(0.1),
                Query::new().share(1.0),
                Query::new().beam(20).group_by_subject(),
                Query::new().share(0.5).filter("face_id > 100".parse().unwrap()),
            ] {
                let _ = look_at(&gallery, &probe, &query);
                let _ = gallery.search_face(FaceId(7), &query);
                let _ = gallery.search_batch(&[probe.clone(), probe.clone()], &query);
            }
            for id in (0..FACES as u64).step_by(50).map(FaceId) {
                let _ = gallery.embedding(id);
                let _ = gallery.similarity(&probe, id);
            }
            if damaged != whole {
                assert!(!verify(place.gallery(), &Silent).unwrap().faults.is_empty());
            }
        });
        assert!(searched.is_ok(), "a panic: section {tag:#04x}, round {round}");
    }
}

/// A checksum keeps out what happens, not what is made: a catalogue that lies and matches it.
#[test]
fn a_catalogue_that_lies_does_no_harm() {
    let victim = Victim::new(VectorType::F32, Builder::HnswRs);
    let folder = victim.place.gallery();
    let text = fs::read_to_string(folder.join("gallery.json")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let lies = ["0", "1", "61", "4294967295", "4294967296", "18446744073709551615", "null", "[]"];
    let mut tried = 0;
    for at in 0..lines.len() {
        let Some((name, value)) = lines[at].split_once(": ") else { continue };
        if !value.starts_with(|c: char| c.is_ascii_digit() || c == '"') {
            continue;
        }
        let comma = if value.ends_with(',') { "," } else { "" };
        for lie in lies {
            let changed = format!("{name}: {lie}{comma}");
            let json = [&lines[..at], &[changed.as_str()], &lines[at + 1..]].concat().join("\n");
            victim.put(&folder.join("gallery.json"), json.as_bytes());
            let sum = format!("{}  gallery.json\n", blake3::hash(json.as_bytes()).to_hex());
            victim.put(&folder.join("gallery.json.b3"), sum.as_bytes());
            let survived = catch_unwind(|| (victim.faults(), drop(victim.search())));
            assert!(survived.is_ok(), "a panic: {changed}");
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn a_file_that_is_missing_or_does_not_belong_is_found() {
    for builder in [Builder::HnswRs, Builder::None] {
        let victim = Victim::new(VectorType::F32, builder);
        for (path, whole) in &victim.files {
            fs::remove_file(path).unwrap();
            assert_ne!(victim.faults(), 0, "{}", path.display());
            assert!(catch_unwind(|| drop(victim.search())).is_ok(), "{}", path.display());
            victim.put(path, whole);
        }
        let stranger = victim.place.gallery().join("segments/0001/old.bin");
        fs::write(&stranger, "left over").unwrap();
        assert_eq!(victim.faults(), 1);
        fs::remove_file(&stranger).unwrap();
        assert_eq!(victim.faults(), 0);
    }
}

#[test]
fn files_of_two_galleries_do_not_mix() {
    let victim = Victim::new(VectorType::F32, Builder::HnswRs);
    let other = Place::of(&Random(105).vectors(FACES - 1, DIMS));
    other.built();
    for (path, whole) in &victim.files {
        let within = path.strip_prefix(victim.place.gallery()).unwrap();
        let theirs = fs::read(other.gallery().join(within)).unwrap();
        if theirs != *whole {
            victim.survive(path, &theirs, "of another gallery");
        }
    }
}

#[test]
fn another_format_number_is_refused_with_both_numbers_and_the_remedy() {
    let victim = Victim::new(VectorType::F32, Builder::None);
    let path = victim.place.gallery().join("gallery.json");
    let text = fs::read_to_string(&path).unwrap();
    for (number, remedy) in [(2, "build the gallery again"), (4, "use a newer lookalike")] {
        let other = text.replacen("\"format\": 3", &format!("\"format\": {number}"), 1);
        assert_ne!(other, text);
        victim.put(&path, other.as_bytes());
        let error = Gallery::open(victim.place.gallery()).unwrap_err().to_string();
        assert!(error.contains(&format!("format {number}")) && error.contains("3 to 3"), "{error}");
        assert!(error.contains(remedy), "{error}");
    }
}
