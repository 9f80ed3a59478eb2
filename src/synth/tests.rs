//! The files as a whole, and the statistics of what is in them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::Path;

use super::*;
use crate::Silent;

fn small() -> Synth {
    Synth { probes: 15, seed: 11, ..Synth::new(Profile::Dlib128, 2600) }
}

fn write(synth: &Synth, truth: Option<usize>, threads: usize) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let written =
        pool.install(|| synth.write(folder.path(), truth, &Silent, &Cancel::new())).unwrap();
    (folder, written)
}

fn npy<T: npyz::Deserialize>(path: &Path) -> (Vec<u64>, Vec<T>) {
    let file = npyz::NpyFile::new(BufReader::new(fs::File::open(path).unwrap())).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

fn subjects(path: &Path) -> Vec<String> {
    let mut csv = csv::Reader::from_path(path).unwrap();
    let rows = csv.records().map(|row| row.unwrap()[0].to_owned());
    rows.collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let terms = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y));
        terms.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn bytes_do_not_depend_on_threads_but_on_the_seed() {
    let files = |synth: &Synth, threads| {
        let (folder, _) = write(synth, Some(7), threads);
        let mut bytes = BTreeMap::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            bytes.insert(path.file_name().unwrap().to_owned(), fs::read(&path).unwrap());
        }
        bytes
    };
    let (one, three) = (files(&small(), 1), files(&small(), 3));
    assert_eq!(one.len(), 5);
    assert!(one == three);
    let other = files(&Synth { seed: 12, ..small() }, 2);
    assert!(one.iter().all(|(name, bytes)| &other[name] != bytes));
}

#[test]
fn files_have_the_stated_shapes() {
    let synth = Synth { subject_sizes: vec![40, 3], ..small() };
    let (folder, written) = write(&synth, Some(5), 2);
    let path = |name| folder.path().join(name);
    assert_eq!((written.faces, written.probes, written.mated_probes), (2600, 15, 8));
    assert_eq!(npy::<f32>(&path("embeddings.npy")).0, [2600, 128]);
    assert_eq!(npy::<f32>(&path("probes.npy")).0, [15, 128]);
    assert_eq!(npy::<i64>(&path("truth.npy")).0, [15, 5]);
    let mut photos = BTreeMap::<String, u64>::new();
    for subject in subjects(&path("manifest.csv")) {
        *photos.entry(subject).or_default() += 1;
    }
    assert_eq!(photos.values().sum::<u64>(), 2600);
    assert_eq!(photos.len() as u64, written.subjects);
    assert_eq!((photos["sized-40-0"], photos["sized-3-0"]), (40, 3));
    let probes = subjects(&path("probes.csv"));
    assert!(probes[..8].iter().all(|subject| photos.contains_key(subject)));
    assert!(probes[8..].iter().all(String::is_empty));
}

#[test]
fn answers_are_those_of_a_full_sort() {
    let synth = Synth { faces: 700, isolated: true, ..small() };
    let (folder, _) = write(&synth, Some(20), 2);
    let (_, faces) = npy::<f32>(&folder.path().join("embeddings.npy"));
    let (_, probes) = npy::<f32>(&folder.path().join("probes.npy"));
    let (_, truth) = npy::<i64>(&folder.path().join("truth.npy"));
    for (probe, answer) in probes.chunks(128).zip(truth.chunks(20)) {
        let mut sorted: Vec<(f64, i64)> =
            (0..).zip(faces.chunks(128)).map(|(row, face)| (cosine(probe, face), row)).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (&row, &(similarity, _)) in answer.iter().zip(&sorted) {
            let found = cosine(probe, &faces[row as usize * 128..][..128]);
            assert!((found - similarity).abs() < 1e-6);
        }
        let distinct: std::collections::BTreeSet<_> = answer.iter().collect();
        assert_eq!(distinct.len(), 20);
    }
}

#[test]
fn mated_probes_resemble_their_person() {
    let (folder, _) = write(&small(), Some(1), 2);
    let faces = subjects(&folder.path().join("manifest.csv"));
    let probes = subjects(&folder.path().join("probes.csv"));
    let (_, truth) = npy::<i64>(&folder.path().join("truth.npy"));
    let right = (0..8).filter(|&i| faces[truth[i] as usize] == probes[i]);
    assert!(right.count() >= 6);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let error = small().write(folder.path(), None, &Silent, &Cancel::new()).unwrap_err();
    assert!(matches!(error, SynthError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_cancelled_gallery_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let cancel = Cancel::new();
    cancel.cancel();
    let error = small().write(&out, None, &Silent, &cancel).unwrap_err();
    assert!(matches!(error, SynthError::Cancelled), "{error}");
    assert!(!out.exists());
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let none = Synth { faces: 0, ..small() };
    let sizes = Synth { subject_sizes: vec![3000], ..small() };
    for (synth, truth) in [(none, None), (sizes, None), (small(), Some(2601))] {
        assert!(synth.write(&out, truth, &Silent, &Cancel::new()).is_err());
        assert!(!out.exists());
    }
}

/// What the statistics of a profile should be, each with its tolerance.
struct Expected {
    profile: Profile,
    mean: (f64, f64),
    strangers: [(f64, f64); 2],
    /// 5 %, median, 95 %.
    mates: [(f64, f64); 3],
}

/// As measured on photos of Labeled Faces in the Wild (FaceNet) and on the sample gallery (dlib), and
/// as published for ArcFace.
const EXPECTED: [Expected; 3] = [
    Expected {
        profile: Profile::ArcFace512,
        mean: (0.0, 0.05),
        strangers: [(0.0, 0.01), (0.065, 0.005)],
        mates: [(0.4, 0.06), (0.65, 0.02), (0.85, 0.06)],
    },
    Expected {
        profile: Profile::FaceNet512,
        mean: (0.215, 0.02),
        strangers: [(0.043, 0.015), (0.16, 0.012)],
        mates: [(0.36, 0.06), (0.66, 0.03), (0.84, 0.05)],
    },
    Expected {
        profile: Profile::Dlib128,
        mean: (0.94, 0.01),
        strangers: [(0.884, 0.003), (0.025, 0.005)],
        mates: [(0.929, 0.015), (0.960, 0.005), (0.981, 0.006)],
    },
];

#[test]
fn statistics_are_those_of_real_embeddings() {
    const PEOPLE: usize = 1500;
    for expected in EXPECTED {
        let model = Model::new(expected.profile, 0, 21);
        let photo = |person: usize, photo: usize| {
            let mut vector = vec![0.0; model.rank()];
            let chance = generator(21, Stream::Photo, (2 * person + photo) as u64);
            model.photo(person as u64, chance, &mut vector);
            crate::embedding::normalise(&mut vector).unwrap();
            vector
        };
        let people: Vec<_> = (0..PEOPLE).map(|p| [photo(p, 0), photo(p, 1)]).collect();
        let mut mean = vec![0.0; model.rank()];
        for photo in people.iter().flatten() {
            for (m, v) in mean.iter_mut().zip(photo) {
                *m += f64::from(*v) / (2 * PEOPLE) as f64;
            }
        }
        let length = mean.iter().map(|m| m * m).sum::<f64>().sqrt();
        let strangers: Vec<f64> = (0..PEOPLE * 4)
            .map(|i| cosine(&people[i % PEOPLE][0], &people[(i * 7 + 1) % PEOPLE][1]))
            .collect();
        let middle = strangers.iter().sum::<f64>() / strangers.len() as f64;
        let spread = strangers.iter().map(|c| (c - middle).powi(2)).sum::<f64>();
        let spread = (spread / strangers.len() as f64).sqrt();
        let mut mates: Vec<f64> = people.iter().map(|[a, b]| cosine(a, b)).collect();
        mates.sort_by(f64::total_cmp);
        let mates = [0.05, 0.5, 0.95].map(|q| mates[(q * PEOPLE as f64) as usize]);

        let profile = expected.profile;
        let found = [length, middle, spread, mates[0], mates[1], mates[2]];
        let [a, b] = expected.strangers;
        let [c, d, e] = expected.mates;
        for (found, (want, tolerance)) in found.iter().zip([expected.mean, a, b, c, d, e]) {
            assert!(
                (found - want).abs() <= tolerance,
                "{profile}: {found:.3} is not {want} +- {tolerance}"
            );
        }
    }
}

#[test]
fn groups_bring_people_together_and_leave_the_mean() {
    let mean_square = |groups| {
        let model = Model::new(Profile::Dlib128, groups, 4);
        let mut vectors = vec![vec![0.0; model.rank()]; 400];
        for (person, vector) in (0..).zip(&mut vectors) {
            model.photo(person, generator(4, Stream::Photo, person), vector);
        }
        let mut mean = vec![0.0_f32; model.rank()];
        for (m, v) in vectors.iter().flat_map(|v| (0..).zip(v)) {
            let m: usize = m;
            mean[m] += v / 400.0 / 1.4;
        }
        let length = mean.iter().map(|m| m * m).sum::<f32>().sqrt();
        assert!((length - 0.94).abs() < 0.02, "{groups} groups: {length}");
        let mut squares = 0.0;
        for (i, a) in vectors.iter().enumerate() {
            for b in &vectors[..i] {
                squares += (cosine(a, b) - 0.8836).powi(2);
            }
        }
        squares
    };
    let (none, some) = (mean_square(0), mean_square(8));
    assert!(some > 1.1 * none, "{some} {none}");
    assert_eq!(mean_square(1), none);
}

#[test]
fn norms_are_the_models() {
    let mut vector = vec![0.0; 50];
    let model = Model::new(Profile::FaceNet512, 0, 1);
    model.photo(3, generator(1, Stream::Photo, 9), &mut vector);
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!((norm - 1.0).abs() < 1e-5);
    assert_eq!(Profile::ArcFace512.norm(1.0), 20.0);
    assert_eq!(Profile::ArcFace512.norm(9.0), 10.0);
    assert!(Profile::ArcFace512.norm(0.7) > 20.0);
}
