//! A gallery appears whole in its place or not at all: what is there is never touched unasked, what
//! is replaced is a gallery, nobody else may read it, and equal input gives equal bytes.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Place, Random, files, ids, run, sample};
use lookalike::gallery::verify;
use lookalike::{BuildError, Builder, Query, Silent, VectorType};

fn place() -> (Place, Vec<Vec<f32>>) {
    let rows = Random(71).vectors(150, 8);
    let lines: String = (0..150).map(|i| format!("{i:05}.jpg,s{},{}\n", i / 3, i * 7)).collect();
    (Place::of(&rows).manifest(&format!("image,subject,number\n{lines}")), rows)
}

#[test]
fn what_is_there_is_not_replaced_unasked() {
    let (place, _) = place();
    place.built();
    let before = contents(&place);
    let error = run(&place.build()).unwrap_err();
    assert!(matches!(error, BuildError::Exists { .. }));
    assert!(error.to_string().contains("--replace"));
    assert_eq!(contents(&place), before);
}

#[test]
fn what_is_no_gallery_is_never_replaced() {
    let (place, _) = place();
    fs::create_dir(place.gallery()).unwrap();
    fs::write(place.gallery().join("letters.txt"), "dear").unwrap();
    for replace in [false, true] {
        let error = run(&place.build().replace(replace)).unwrap_err();
        assert!(matches!(error, BuildError::NotAGallery { .. }));
        assert!(!error.to_string().contains("--replace"));
    }
    assert_eq!(fs::read_to_string(place.gallery().join("letters.txt")).unwrap(), "dear");
    fs::remove_dir_all(place.gallery()).unwrap();
    fs::write(place.gallery(), "a file").unwrap();
    assert!(run(&place.build().replace(true)).is_err());
    assert_eq!(fs::read_to_string(place.gallery()).unwrap(), "a file");
}

#[test]
fn a_building_folder_of_somebody_elses_is_left_alone() {
    let (place, _) = place();
    let taken = place.path("people.gallery.building");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("notes.txt"), "mine").unwrap();
    let error = run(&place.build()).unwrap_err();
    assert!(matches!(error, BuildError::BuildingTaken { .. }), "{error}");
    assert_eq!(fs::read_to_string(taken.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn replacing_swaps_and_a_failed_replacement_keeps_the_old() {
    let (place, rows) = place();
    let old = place.built();
    common::write_npy(&place.path("faces.npy"), &rows[..149]);
    assert!(run(&place.build().replace(true)).is_err());
    assert_eq!(place.open().len(), 150);

    let text = fs::read_to_string(place.path("faces.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(place.path("faces.csv"), lines[..150].join("\n")).unwrap();
    run(&place.build().replace(true)).unwrap();
    assert_eq!(place.open().len(), 149);
    assert_sound(&place);
    assert!(!place.path("people.gallery.building").exists());
    // Who had the old one open goes on reading it.
    assert_eq!(ids(&old, &rows[149], &Query::new().top(1)), [149]);
    assert_eq!(old.face(lookalike::FaceId(149)).unwrap().subject.as_deref(), Some("s49"));
}

#[test]
fn a_replacement_without_a_face_says_why_the_first_was_rejected() {
    let (place, mut rows) = place();
    place.built();
    rows.iter_mut().for_each(|row| row[3] = f32::NAN);
    common::write_npy(&place.path("faces.npy"), &rows);
    let error = run(&place.build().replace(true)).unwrap_err();
    assert!(matches!(error, BuildError::NothingEnrolled { rejected: 150, .. }));
    assert!(error.to_string().contains("150 rejected; the first: value 3 is NaN"), "{error}");
    assert_eq!(place.open().len(), 150);
}

#[test]
fn only_the_owner_may_read() {
    let (place, _) = place();
    place.built();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.gallery()), 0o700);
    assert_eq!(mode(place.gallery().join("segments")), 0o700);
    assert_eq!(mode(place.gallery().join("segments/0001")), 0o700);
    for file in files(&place.gallery()) {
        assert_eq!(mode(place.gallery().join(&file)), 0o600, "{}", file.display());
    }
}

#[test]
fn a_gallery_holds_the_files_it_names_and_no_others() {
    let (place, _) = place();
    place.built();
    let segment = [
        "attributes.arrow",
        "codes.bin",
        "faces.bin",
        "graph.bin",
        "thumbnails.bin",
        "vectors.bin",
    ];
    let mut expected = vec!["gallery.json", "gallery.json.b3", "rejects.csv"];
    let within: Vec<String> = segment.iter().map(|name| format!("segments/0001/{name}")).collect();
    expected.extend(within.iter().map(String::as_str));
    let found = files(&place.gallery());
    assert_eq!(found, expected.iter().map(std::path::PathBuf::from).collect::<Vec<_>>());
    // The checksum is in the form that b3sum reads.
    let json = fs::read(place.gallery().join("gallery.json")).unwrap();
    let sum = fs::read_to_string(place.gallery().join("gallery.json.b3")).unwrap();
    assert_eq!(sum, format!("{}  gallery.json\n", blake3::hash(&json).to_hex()));
}

#[test]
fn equal_input_and_one_thread_give_equal_bytes() {
    let (one, _) = place();
    let (two, _) = place();
    for place in [&one, &two] {
        let images = place.path("images");
        fs::create_dir(&images).unwrap();
        for i in 0..12 {
            fs::copy(sample(&format!("images/{i:05}.jpg")), images.join(format!("{i:05}.jpg")))
                .unwrap();
        }
        run(&place.build().images(images).threads(1)).unwrap();
    }
    assert_eq!(contents(&one), contents(&two));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (one, rows) = place();
    let (two, _) = place();
    run(&one.build().threads(1)).unwrap();
    run(&two.build().threads(2)).unwrap();
    for name in ["faces.bin", "vectors.bin", "codes.bin", "graph.bin", "attributes.arrow"] {
        let read = |place: &Place| fs::read(place.gallery().join("segments/0001").join(name));
        assert_eq!(read(&one).unwrap(), read(&two).unwrap(), "{name}");
    }
    assert_eq!(contents(&one), contents(&two));
    let (one, two) = (one.open(), two.open());
    let faces =
        |gallery: &lookalike::Gallery| gallery.faces().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(faces(&one), faces(&two));
    let query = Query::new().exhaustive();
    assert_eq!(ids(&one, &rows[5], &query), ids(&two, &rows[5], &query));
}

#[test]
fn without_a_builder_there_is_no_graph_file() {
    let (place, _) = place();
    run(&place.build().builder(Builder::None)).unwrap();
    assert!(!place.gallery().join("segments/0001/graph.bin").exists());
    assert_eq!(place.open().catalogue().graph, None);
    assert_sound(&place);
}

#[test]
fn half_precision_takes_half_the_room() {
    let (place, _) = place();
    let vectors = place.gallery().join("segments/0001/vectors.bin");
    run(&place.build()).unwrap();
    let full = fs::metadata(&vectors).unwrap().len();
    run(&place.build().vectors(VectorType::F16).replace(true)).unwrap();
    assert_eq!(full - fs::metadata(&vectors).unwrap().len(), 150 * 8 * 2);
    assert_eq!(place.open().catalogue().vectors, VectorType::F16);
    assert_sound(&place);
}

#[test]
fn faces_are_iterated_in_ascending_order_of_their_ids() {
    let rows = Random(72).vectors(40, 8);
    let lines: String = (0..40).rev().map(|row| format!("{row},s{row}\n")).collect();
    let place = Place::of(&rows).manifest(&format!("row,subject\n{lines}"));
    let gallery = place.built();
    let faces: Vec<_> = gallery.faces().map(Result::unwrap).collect();
    assert_eq!(faces.len(), 40);
    for (id, face) in faces.iter().enumerate() {
        assert_eq!(face.face_id.0, id as u64);
        assert_eq!(face.subject, Some(format!("s{id}")));
        assert_eq!(gallery.face(face.face_id).unwrap(), *face);
    }
    assert_eq!(ids(&gallery, &rows[13], &Query::new().top(1)), [13]);
}

fn contents(place: &Place) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let read = |file: &std::path::PathBuf| fs::read(place.gallery().join(file)).unwrap();
    files(&place.gallery()).into_iter().map(|file| (file.clone(), read(&file))).collect()
}

fn assert_sound(place: &Place) {
    let verified = verify(place.gallery(), &Silent).unwrap();
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
}
