//! One bad item never ends a build: each is refused, warned of or flagged with its row, file and
//! reason, and counted; a fault of a whole file ends it and says which figures disagree.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{Place, Random, embedding, ids, run, sample};
use lookalike::gallery::IngestCounts;
use lookalike::{BuildError, FaceId, Gallery, GalleryError, Query};

/// A place with a folder of images: three photos, one of them under two names.
fn with_images(rows: &[Vec<f32>], manifest: &str) -> Place {
    let place = Place::of(rows).manifest(manifest);
    let images = place.path("images");
    fs::create_dir(&images).unwrap();
    for (name, from) in [("a.jpg", 0), ("again.jpg", 0), ("b.jpg", 1), ("c.jpg", 2)] {
        fs::copy(sample(&format!("images/{from:05}.jpg")), images.join(name)).unwrap();
    }
    place
}

fn face_ids(gallery: &Gallery) -> Vec<u64> {
    gallery.faces().map(|face| face.unwrap().face_id.0).collect()
}

#[test]
fn rows_that_are_no_embeddings_are_rejected_and_leave_their_numbers_unused() {
    let mut rows = Random(41).vectors(7, 8);
    rows[1][3] = f32::NAN;
    rows[2][0] = f32::INFINITY;
    rows[3][7] = f32::NEG_INFINITY;
    rows[4] = vec![0.0; 8];
    let place = Place::of(&rows);
    let counts = run(&place.build()).unwrap();
    let expected = IngestCounts { rows: 7, enrolled: 3, rejected: 4, ..IngestCounts::default() };
    assert_eq!(counts, expected);
    let gallery = place.open();
    assert_eq!(face_ids(&gallery), [0, 5, 6]);
    assert_eq!(gallery.catalogue().next_face_id, 7);
    assert_eq!(gallery.catalogue().ingest, expected);
    assert_eq!(ids(&gallery, &rows[6], &Query::new().top(1)), [6]);
    assert!(matches!(gallery.face(FaceId(1)), Err(GalleryError::NoSuchFace { .. })));
    let file = place.path("faces.npy").display().to_string();
    let reasons = [
        "1,FILE,rejected,value 3 is NaN",
        "2,FILE,rejected,value 0 is infinite",
        "3,FILE,rejected,value 7 is infinite",
        "4,FILE,rejected,\"the vector is zero, it has no direction to compare\"",
    ];
    assert_eq!(place.rejects(), reasons.map(|line| line.replace("FILE", &file)));
}

#[test]
fn a_row_of_another_length_is_rejected() {
    let place = Place::new();
    let path = place.path("faces.jsonl");
    fs::write(&path, "[1,0,0]\n[1,2]\n[0,1,0]\nnot numbers\n{\"embedding\":[0,0,1]}\n").unwrap();
    let counts = run(&lookalike::Build::new(place.gallery(), &path)).unwrap();
    assert_eq!((counts.rows, counts.enrolled, counts.rejected), (5, 3, 2));
    assert_eq!(face_ids(&place.open()), [0, 2, 4]);
    let rejects = place.rejects();
    assert!(rejects[0].contains("2 dimensions where the other rows have 3"), "{}", rejects[0]);
}

#[test]
fn the_norm_of_an_embedding_is_kept() {
    let place = Place::of(&[vec![3.0, 4.0], vec![0.0, 0.25]]);
    let gallery = place.built();
    let norms: Vec<f32> = gallery.faces().map(|face| face.unwrap().norm).collect();
    assert_eq!(norms, [5.0, 0.25]);
    assert_eq!(gallery.embedding(FaceId(0)).unwrap().values(), [0.6, 0.8]);
}

#[test]
fn a_manifest_may_name_rows_in_any_order_but_none_twice() {
    let rows = Random(42).vectors(6, 8);
    let text = "row,subject\n4,d\n0,a\n4,again\n6,beyond\n,none\n-1,minus\n2,c\n";
    let place = Place::of(&rows).manifest(text);
    let counts = run(&place.build()).unwrap();
    let expected =
        IngestCounts { rows: 6, enrolled: 3, rejected: 4, unnamed: 3, ..IngestCounts::default() };
    assert_eq!(counts, expected);
    let gallery = place.open();
    let faces: Vec<_> = gallery.faces().map(Result::unwrap).collect();
    let subjects: Vec<_> =
        faces.iter().map(|f| (f.face_id.0, f.subject.clone().unwrap())).collect();
    let expected = [(0, "a"), (2, "c"), (4, "d")].map(|(id, name)| (id, name.to_owned()));
    assert_eq!(subjects, expected);
    for id in [0, 2, 4] {
        assert_eq!(ids(&gallery, &rows[id as usize], &Query::new().top(1)), [id]);
    }
    let rejects = place.rejects();
    assert!(rejects[0].starts_with("4,") && rejects[0].contains("a second time"), "{rejects:?}");
    assert!(rejects[1].starts_with("6,") && rejects[1].contains("6 rows"), "{rejects:?}");
    assert!(rejects[2].starts_with(',') && rejects[3].starts_with(','), "{rejects:?}");
}

#[test]
fn lengths_that_disagree_are_an_error_with_both_figures() {
    let place = Place::of(&Random(43).vectors(5, 8)).manifest("subject\na\nb\nc\n");
    let error = run(&place.build()).unwrap_err();
    assert!(matches!(error, BuildError::Lengths { rows: 5, lines: 3, .. }));
    let text = error.to_string();
    assert!(text.contains("5 rows") && text.contains("3 lines"), "{text}");
    assert!(!place.gallery().exists() && !place.path("people.gallery.building").exists());
}

#[test]
fn a_file_shorter_than_its_header_says_is_an_error_with_both_figures() {
    let place = Place::of(&Random(44).vectors(5, 8));
    let path = place.path("faces.npy");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let text = run(&place.build()).unwrap_err().to_string();
    assert!(text.contains("faces.npy"), "{text}");
    let wanted = 5 * 8 * 4;
    let figures = [wanted, wanted - 1, whole.len(), whole.len() - 1];
    let named = figures.iter().filter(|figure| text.contains(&figure.to_string())).count();
    assert!(named >= 2, "{text}");
}

const HEAD: &str = "image,subject,source,box_left,box_top,box_right,box_bottom,key";

#[test]
fn a_second_equal_face_is_rejected_and_the_same_photo_elsewhere_is_flagged() {
    let mut random = Random(45);
    let (one, two) = (random.vector(8), random.vector(8));
    let lines = [
        "a.jpg,anna,x,10,10,90,90,",
        "a.jpg,anna,x,10,10,90,90,",
        "again.jpg,anna,x,10,10,90,90,",
        "a.jpg,berta,x,10,10,90,90,",
        "a.jpg,anna,y,10,10,90,90,",
        "a.jpg,anna,x,20,20,90,90,",
        "b.jpg,anna,x,10,10,90,90,",
    ];
    let mut rows = vec![one.clone(); 7];
    // Another model's view of the same photo and box: not equal, but worth a look.
    rows.push(two.clone());
    let text = format!("{HEAD}\n{}\na.jpg,anna,x,10,10,90,90,\n", lines.join("\n"));
    let place = with_images(&rows, &text);
    let counts = run(&place.build().images(place.path("images"))).unwrap();
    assert_eq!((counts.enrolled, counts.rejected, counts.flagged), (6, 2, 3));
    assert_eq!((counts.thumbnails, counts.warned), (6, 0));
    let gallery = place.open();
    let same: Vec<_> = gallery
        .faces()
        .map(|face| face.map(|f| (f.face_id.0, f.same_photo_as.map(|id| id.0))).unwrap())
        .collect();
    let expected = [(0, None), (3, Some(0)), (4, Some(0)), (5, None), (6, None), (7, Some(0))];
    assert_eq!(same, expected);
    let rejects = place.rejects();
    let equal = "equal to face 0 in image bytes, box, embedding, subject and source";
    assert_eq!(rejects[0], format!("1,a.jpg,rejected,\"{equal}\""));
    assert_eq!(rejects[1], format!("2,again.jpg,rejected,\"{equal}\""));
    assert!(rejects[2].starts_with("3,a.jpg,flag,") && rejects[2].contains("face 0"));
    assert_eq!(rejects.len(), 5);
}

#[test]
fn faces_of_a_group_photo_are_told_apart_by_their_embeddings() {
    let rows = Random(46).vectors(3, 8);
    let place = with_images(&rows, "image,subject\na.jpg,anna\na.jpg,anna\na.jpg,berta\n");
    let counts = run(&place.build().images(place.path("images"))).unwrap();
    assert_eq!((counts.enrolled, counts.flagged, counts.rejected), (3, 0, 0));
    let gallery = place.open();
    let hash = gallery.face(FaceId(1)).unwrap().image_hash.unwrap();
    assert_eq!(gallery.faces_of_image(&hash).unwrap(), [0, 1, 2].map(FaceId));
    assert_eq!(gallery.faces_of_image(&[7; 32]).unwrap(), []);
}

#[test]
fn a_key_is_unique_and_finds_its_face() {
    let rows = Random(47).vectors(5, 8);
    let place = Place::of(&rows).manifest("key\nk0\nk1\nk0\n\"\"\nk4\n");
    let counts = run(&place.build()).unwrap();
    assert_eq!((counts.enrolled, counts.rejected), (4, 1));
    let rejects = place.rejects();
    assert!(rejects[0].starts_with("2,") && rejects[0].contains("k0"), "{}", rejects[0]);
    let gallery = place.open();
    assert_eq!(gallery.face_by_key("k0").unwrap().face_id, FaceId(0));
    assert_eq!(gallery.face_by_key("k4").unwrap().face_id, FaceId(4));
    assert_eq!(gallery.face(FaceId(3)).unwrap().key, None);
    assert!(matches!(gallery.face_by_key("k2"), Err(GalleryError::NoSuchFace { .. })));
    assert!(matches!(gallery.face_by_key(""), Err(GalleryError::NoSuchFace { .. })));
}

#[test]
fn what_was_rejected_stands_in_nobodys_way() {
    let mut random = Random(48);
    let (one, two, three) = (random.vector(8), random.vector(8), random.vector(8));
    let lines = [
        "a.jpg,anna,x,10,10,90,90,k0",
        // Rejected for its key, so the next is the first of its kind.
        "b.jpg,berta,x,10,10,90,90,k0",
        "b.jpg,berta,x,10,10,90,90,k2",
        // Rejected for being equal to face 0, so its key is still to be had.
        "a.jpg,anna,x,10,10,90,90,k3",
        "c.jpg,carla,x,10,10,90,90,k3",
    ];
    let rows = [one.clone(), two.clone(), two, one, three];
    let place = with_images(&rows, &format!("{HEAD}\n{}\n", lines.join("\n")));
    run(&place.build().images(place.path("images"))).unwrap();
    assert_eq!(face_ids(&place.open()), [0, 2, 4]);
}

#[test]
fn a_face_without_a_usable_image_stays_unless_images_are_required() {
    let text = "image,box_left,box_top,box_right,box_bottom\n\
        a.jpg,10,10,90,90\nmissing.jpg,,,,\nbroken.jpg,,,,\na.jpg,500,500,600,600\n,,,,\n\
        ../a.jpg,,,,\nb.jpg,,,,\na.jpg,0,0,5000,5000\n";
    let rows = Random(49).vectors(8, 8);
    let place = with_images(&rows, text);
    let whole = fs::read(sample("images/00003.jpg")).unwrap();
    fs::write(place.path("images/broken.jpg"), &whole[..whole.len() / 3]).unwrap();
    let build = place.build().images(place.path("images"));
    let counts = run(&build).unwrap();
    assert_eq!((counts.enrolled, counts.rejected, counts.warned), (8, 0, 6));
    assert_eq!(counts.thumbnails, 2);
    let gallery = place.open();
    let pictured: Vec<bool> =
        (0..8).map(|id| gallery.thumbnail(FaceId(id)).unwrap().is_some()).collect();
    assert_eq!(pictured, [true, false, false, false, false, false, true, false]);
    assert!(gallery.thumbnail(FaceId(0)).unwrap().unwrap().starts_with(&[0xff, 0xd8]));
    let rejects = place.rejects();
    assert!(rejects.iter().all(|line| line.contains(",warning,")), "{rejects:?}");
    assert_eq!(rejects[0], "1,missing.jpg,warning,there is no such file");
    assert!(rejects[1].starts_with("2,broken.jpg,warning,"), "{}", rejects[1]);
    assert!(rejects[2].contains("lies outside the image of 160 x 160"), "{}", rejects[2]);
    assert!(rejects[5].contains("most of the box 0, 0 to 5000, 5000"), "{}", rejects[5]);

    let counts = run(&build.require_images(true).replace(true)).unwrap();
    assert_eq!((counts.enrolled, counts.rejected, counts.warned), (2, 6, 0));
    assert_eq!(face_ids(&place.open()), [0, 6]);
}

#[test]
fn images_that_cannot_be_paired_are_refused_at_once() {
    let place = with_images(&Random(50).vectors(2, 8), "subject\na\nb\n");
    let images = place.path("images");
    let error = run(&place.build().images(&images)).unwrap_err();
    assert!(matches!(error, BuildError::NoImageColumn { like: None }));
    fs::write(place.path("faces.csv"), "subject,Image\na,a.jpg\nb,b.jpg\n").unwrap();
    let error = run(&place.build().images(&images)).unwrap_err().to_string();
    assert!(error.contains("rename its column \"Image\""), "{error}");
    let error = run(&place.build().require_images(true)).unwrap_err();
    assert!(matches!(error, BuildError::NoImages));
    let error = run(&place.build().images(place.path("nowhere"))).unwrap_err();
    assert!(matches!(error, BuildError::NoSuchFolder { .. }));
}

#[test]
fn a_strict_build_ends_at_the_first_rejected_face_and_leaves_nothing() {
    let mut rows = Random(51).vectors(4, 8);
    rows[2] = vec![0.0; 8];
    let place = Place::of(&rows);
    let error = run(&place.build().strict(true)).unwrap_err();
    assert!(matches!(error, BuildError::Strict { row: Some(2), .. }), "{error}");
    assert_eq!(common::files(place.folder.path()), [std::path::PathBuf::from("faces.npy")]);
    assert!(!place.path("people.gallery.building").exists());
    rows[2][0] = 1.0;
    common::write_npy(&place.path("faces.npy"), &rows);
    assert_eq!(run(&place.build().strict(true)).unwrap().enrolled, 4);
}

#[test]
fn a_gallery_of_no_faces_and_one_of_one_face_are_galleries() {
    let none = Place::of(&[]);
    let refused = Place::of(&vec![vec![0.0; 16]; 3]);
    let one = Place::of(&[vec![1.0; 16]]);
    for (place, faces, rejected) in [(&none, 0, 0), (&refused, 0, 3), (&one, 1, 0)] {
        let counts = run(&place.build()).unwrap();
        assert_eq!((counts.enrolled, counts.rejected), (faces, rejected));
        let gallery = place.open();
        assert_eq!((gallery.len(), gallery.dims()), (faces, 16));
        let verified = lookalike::gallery::verify(place.gallery(), &lookalike::Silent).unwrap();
        assert!(verified.faults.is_empty(), "{:?}", verified.faults);
        for query in [
            Query::new(),
            Query::new().exhaustive(),
            Query::new().beam(4),
            Query::new().at_least(-1.0),
            Query::new().group_by_subject(),
            Query::new().filter("face_id >= 0".parse().unwrap()),
        ] {
            let probe = [2.0; 16];
            assert_eq!(ids(&gallery, &probe, &query).len() as u64, faces);
            let batch = gallery.search_batch(&[embedding(&probe)], &query).unwrap();
            assert_eq!(batch[0].as_ref().unwrap().len() as u64, faces);
        }
    }
    assert_eq!(refused.open().catalogue().next_face_id, 3);
}
