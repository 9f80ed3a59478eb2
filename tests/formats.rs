//! The same faces make the same gallery, whatever format their embeddings and manifest are in.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use common::{Place, Random, lookalike_fed, npy_bytes, run};
use lookalike::gallery::{Attribute, Kind, Value};
use lookalike::{Build, FaceId, Gallery};

const DIMS: usize = 12;

fn le(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn json_lines(rows: &[Vec<f32>]) -> Vec<u8> {
    rows.iter().map(|row| format!("{row:?}\n")).collect::<String>().into_bytes()
}

fn fvecs(rows: &[Vec<f32>]) -> Vec<u8> {
    let row = |row: &Vec<f32>| {
        [vec![row.len() as u32], row.iter().map(|v| v.to_bits()).collect()].concat()
    };
    le(rows.iter().flat_map(row))
}

fn fbin(rows: &[Vec<f32>]) -> Vec<u8> {
    let head = [rows.len() as u32, rows[0].len() as u32];
    le(head.into_iter().chain(rows.iter().flatten().map(|v| v.to_bits())))
}

fn safetensors(rows: &[Vec<f32>]) -> Vec<u8> {
    let bytes = rows.len() * rows[0].len() * 4;
    let mut head = format!(
        r#"{{"faces":{{"dtype":"F32","shape":[{},{}],"data_offsets":[0,{bytes}]}}}}"#,
        rows.len(),
        rows[0].len()
    );
    while head.len() % 8 != 0 {
        head.push(' ');
    }
    let mut file = (head.len() as u64).to_le_bytes().to_vec();
    file.extend(head.as_bytes());
    file.extend(le(rows.iter().flatten().map(|v| v.to_bits())));
    file
}

fn npz(rows: &[Vec<f32>]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, rows) in [("other.npy", &rows[..1]), ("faces.npy", rows)] {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        archive.write_all(&npy_bytes(rows, DIMS)).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Every file of a gallery with its bytes.
fn contents(gallery: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |file: &PathBuf| fs::read(gallery.join(file)).unwrap();
    common::files(gallery).into_iter().map(|file| (file.clone(), read(&file))).collect()
}

#[test]
fn every_format_of_embeddings_gives_the_same_gallery() {
    let rows = Random(81).vectors(60, DIMS);
    let place = Place::new();
    fs::write(place.path("f.npy"), npy_bytes(&rows, DIMS)).unwrap();
    fs::write(place.path("f.fvecs"), fvecs(&rows)).unwrap();
    fs::write(place.path("f.fbin"), fbin(&rows)).unwrap();
    fs::write(place.path("f.jsonl"), json_lines(&rows)).unwrap();
    fs::write(place.path("f.safetensors"), safetensors(&rows)).unwrap();
    fs::write(place.path("f.npz"), npz(&rows)).unwrap();
    let lists = rows.iter().map(|row| Some(row.iter().map(|&v| Some(v)).collect::<Vec<_>>()));
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
    write_parquet(&place.path("f.parquet"), vec![("faces", Arc::new(lists))]);

    let build = |ending: &str| {
        let gallery = place.path(&format!("{ending}.gallery"));
        let mut build = Build::new(&gallery, place.path(&format!("f.{ending}"))).threads(1);
        if ending == "npz" {
            build = build.array("faces");
        }
        run(&build).unwrap();
        contents(&gallery)
    };
    let first = build("npy");
    assert_eq!(first.len(), 9);
    for ending in ["fvecs", "fbin", "jsonl", "safetensors", "npz", "parquet"] {
        assert_eq!(build(ending), first, "{ending}");
    }
}

#[test]
fn one_file_may_hold_embeddings_and_manifest() {
    let rows = Random(83).vectors(20, DIMS);
    let place = Place::new();
    let lists = || {
        let lists = rows.iter().map(|row| Some(row.iter().map(|&v| Some(v)).collect::<Vec<_>>()));
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists)) as ArrayRef
    };
    let number = || Arc::new(Int64Array::from_iter_values(0..20)) as ArrayRef;
    let subject = || -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..20).map(|i| format!("s{i}"))))
    };
    let columns = vec![("faces", lists()), ("subject", subject()), ("number", number())];
    write_parquet(&place.path("f.parquet"), columns);
    write_parquet(&place.path("list.parquet"), vec![("subject", subject()), ("other", lists())]);
    for (name, field) in [("f.jsonl", "embedding"), ("named.jsonl", "vector")] {
        let line = |(i, row): (usize, &Vec<f32>)| {
            format!("{{\"{field}\":{row:?},\"subject\":\"s{i}\",\"number\":{i}}}\n")
        };
        let text: String = rows.iter().enumerate().map(line).collect();
        fs::write(place.path(name), text).unwrap();
    }
    for (name, array) in [("f.parquet", None), ("f.jsonl", None), ("named.jsonl", Some("vector"))] {
        let file = place.path(name);
        let gallery = place.path(&format!("{name}.gallery"));
        // The same file by another path.
        let mut build =
            Build::new(&gallery, &file).manifest(place.folder.path().join(".").join(name));
        if let Some(array) = array {
            build = build.array(array);
        }
        assert_eq!(run(&build).unwrap().enrolled, 20, "{name}");
        let gallery = Gallery::open(&gallery).unwrap();
        let number = Attribute { name: "number".to_owned(), kind: Kind::Int };
        assert_eq!(gallery.attributes(), [number], "{name}");
        let face = gallery.face(FaceId(7)).unwrap();
        assert_eq!(
            (face.subject.as_deref(), &face.attributes[..]),
            (Some("s7"), &[Value::Int(7)][..])
        );
    }
    // Of another file, a column of lists is still refused.
    let build = Build::new(place.gallery(), place.path("f.parquet"));
    let error = run(&build.manifest(place.path("list.parquet"))).unwrap_err().to_string();
    assert!(error.contains("\"other\"") && error.contains("leave it out"), "{error}");
}

#[test]
fn embeddings_are_read_from_standard_input() {
    let rows = Random(82).vectors(30, DIMS);
    let place = Place::of(&rows);
    run(&place.build().threads(1)).unwrap();
    let expected = contents(&place.gallery());
    for (name, bytes) in [("npy", npy_bytes(&rows, DIMS)), ("jsonl", json_lines(&rows))] {
        let gallery = place.path(&format!("{name}.gallery"));
        let args = ["build", gallery.to_str().unwrap(), "--embeddings", "-", "--threads", "1"];
        let ran = lookalike_fed(args, &bytes);
        assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.err);
        assert_eq!(contents(&gallery), expected, "{name}");
    }
}

const CSV: &str = "key,subject,age,weight,born,alive,note\n\
    k0,anna,41,60.5,1983-02-28,true,\"one, two\"\n\
    k1,,,,,,\n\
    k2,bert,-3,7.0,0999-12-31,false,x\n";

const JSON: &str = r#"{"key":"k0","subject":"anna","age":41,"weight":60.5,"born":"1983-02-28","alive":true,"note":"one, two"}
{"key":"k1"}
{"key":"k2","subject":"bert","age":-3,"weight":7.0,"born":"0999-12-31","alive":false,"note":"x"}
"#;

fn parquet_manifest(path: &Path) {
    // Days since 1970-01-01.
    let born = Date32Array::from(vec![Some(4_806), None, Some(-354_286)]);
    write_parquet(
        path,
        vec![
            ("key", Arc::new(StringArray::from(vec!["k0", "k1", "k2"])) as ArrayRef),
            ("subject", Arc::new(StringArray::from(vec![Some("anna"), None, Some("bert")]))),
            ("age", Arc::new(Int64Array::from(vec![Some(41), None, Some(-3)]))),
            ("weight", Arc::new(Float64Array::from(vec![Some(60.5), None, Some(7.0)]))),
            ("born", Arc::new(born)),
            ("alive", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("note", Arc::new(StringArray::from(vec![Some("one, two"), None, Some("x")]))),
        ],
    );
}

#[test]
fn every_format_of_manifest_gives_the_same_gallery() {
    let place = Place::of(&Random(83).vectors(3, DIMS));
    fs::write(place.path("m.csv"), CSV).unwrap();
    fs::write(place.path("m.jsonl"), JSON).unwrap();
    parquet_manifest(&place.path("m.parquet"));
    let mut galleries = Vec::new();
    for name in ["m.csv", "m.jsonl", "m.parquet"] {
        let gallery = place.path(&format!("{name}.gallery"));
        let build = Build::new(&gallery, place.path("faces.npy")).manifest(place.path(name));
        let counts = run(&build.threads(1)).unwrap();
        assert_eq!((counts.enrolled, counts.rejected), (3, 0), "{name}");
        galleries.push(gallery);
    }
    let gallery = Gallery::open(&galleries[0]).unwrap();
    let attribute = |name: &str, kind| Attribute { name: name.to_owned(), kind };
    let kinds = [
        attribute("age", Kind::Int),
        attribute("weight", Kind::Float),
        attribute("born", Kind::Date),
        attribute("alive", Kind::Bool),
        attribute("note", Kind::Text),
    ];
    assert_eq!(gallery.attributes(), kinds);
    let first = gallery.face_by_key("k0").unwrap();
    assert_eq!((first.face_id, first.subject.as_deref()), (FaceId(0), Some("anna")));
    let expected = [
        Value::Int(41),
        Value::Float(60.5),
        Value::Date(4_806),
        Value::Bool(true),
        Value::Text("one, two".to_owned()),
    ];
    assert_eq!(first.attributes, expected);
    let second = gallery.face(FaceId(1)).unwrap();
    assert_eq!((second.subject, second.image.as_str()), (None, ""));
    assert_eq!(second.attributes, vec![Value::Null; 5]);
    let bytes = contents(&galleries[0]);
    assert_eq!(contents(&galleries[1]), bytes, "JSON lines");
    assert_eq!(contents(&galleries[2]), bytes, "Parquet");
}

#[test]
fn the_attributes_are_an_arrow_file_that_others_read() {
    let place = Place::of(&Random(84).vectors(3, DIMS)).manifest(CSV);
    place.built();
    let file = File::open(place.gallery().join("segments/0001/attributes.arrow")).unwrap();
    let mut reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 3);
    let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    let own = "face_id image subject source key box_left box_top box_right box_bottom norm \
        image_hash same_photo_as age weight born alive note";
    assert_eq!(names, own.split_whitespace().collect::<Vec<_>>());
    let subjects = batch.column_by_name("subject").unwrap();
    let subjects: &StringArray = subjects.as_any().downcast_ref().unwrap();
    assert_eq!(subjects.iter().collect::<Vec<_>>(), [Some("anna"), None, Some("bert")]);
}
