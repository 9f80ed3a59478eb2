//! Tests of whole manifests: what is read, what is refused, and that nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod faults;
mod parquet;
mod round_trip;

use std::path::PathBuf;

use super::*;

/// A file in a folder of its own, gone when dropped.
struct OnDisk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn on_disk(name: &str, bytes: &[u8]) -> OnDisk {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    OnDisk { _folder: folder, path }
}

fn open(name: &str, bytes: impl AsRef<[u8]>) -> Result<(OnDisk, Manifest), ManifestError> {
    let file = on_disk(name, bytes.as_ref());
    let manifest = Manifest::open(&file.path)?;
    Ok((file, manifest))
}

/// The attributes and lines of a manifest that is good as a whole.
fn read(name: &str, bytes: impl AsRef<[u8]>) -> (Vec<Attribute>, Vec<Result<Line, LineFault>>) {
    let (_file, manifest) = open(name, bytes).unwrap();
    let lines: Vec<_> = manifest.iter().unwrap().collect();
    assert_eq!(lines.len() as u64, manifest.lines());
    for (number, line) in lines.iter().enumerate() {
        let found = line.as_ref().map_or_else(|fault| fault.number, |line| line.number);
        assert_eq!(found, number as u64);
    }
    (manifest.attributes().to_vec(), lines)
}

/// The lines of a manifest without a fault.
fn good(name: &str, bytes: impl AsRef<[u8]>) -> Vec<Line> {
    read(name, bytes).1.into_iter().map(|line| line.unwrap()).collect()
}

/// The error of a manifest that is bad as a whole, in words.
fn refused(name: &str, bytes: impl AsRef<[u8]>) -> String {
    match open(name, bytes) {
        Ok(_) => panic!("{name} was accepted"),
        Err(error) => error.to_string(),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn known_columns_are_told_from_attributes() {
    let csv = "\u{feff}age,image,row,subject,box_left,box_top,box_right,box_bottom,key,source,met\r\n\
               31,a.jpg,7,anna,1,2.5,30,40,k1,press,2024-01-31\r\n\
               ,,8,,,,,,,,\r\n";
    let (file, manifest) = open("m.CSV", csv).unwrap();
    assert!(manifest.has_row() && manifest.has_images());
    assert_eq!(manifest.path(), file.path);
    assert_eq!(manifest.lines(), 2);
    let names: Vec<_> = manifest.attributes().iter().map(|a| (a.name.as_str(), a.kind)).collect();
    assert_eq!(names, [("age", Kind::Int), ("met", Kind::Date)]);
    let lines: Vec<_> = manifest.iter().unwrap().map(Result::unwrap).collect();
    assert_eq!(
        lines[0],
        Line {
            number: 0,
            position: Position::Line(2),
            row: Some(7),
            image: Some("a.jpg".into()),
            subject: Some("anna".into()),
            source: Some("press".into()),
            key: Some("k1".into()),
            bounds: Some(Bounds { left: 1.0, top: 2.5, right: 30.0, bottom: 40.0 }),
            box_fault: None,
            attributes: vec![Value::Int(31), Value::Date(19_753)],
        }
    );
    assert_eq!(
        lines[1],
        Line {
            number: 1,
            position: Position::Line(3),
            row: Some(8),
            image: None,
            subject: None,
            source: None,
            key: None,
            bounds: None,
            box_fault: None,
            attributes: vec![Value::Null, Value::Null],
        }
    );
}

#[test]
fn without_row_and_image_it_says_so() {
    let (_file, manifest) = open("m.csv", "subject\nanna\n").unwrap();
    assert!(!manifest.has_row() && !manifest.has_images());
    assert_eq!(manifest.iter().unwrap().next().unwrap().unwrap().row, None);
}

#[test]
fn capitals_make_an_attribute_and_are_told() {
    let (_file, manifest) = open("m.csv", "Image,subject,KEY,Box_left,Age,Subject\n").unwrap();
    assert!(!manifest.has_images() && manifest.has_subjects());
    let expected =
        [("Image", "image"), ("KEY", "key"), ("Box_left", "box_left"), ("Subject", "subject")];
    assert_eq!(manifest.misnamed().collect::<Vec<_>>(), expected);
}

#[test]
fn quotes_hold_commas_and_line_ends() {
    let lines = good("m.csv", "subject,note\n\"a, \"\"b\"\"\",\"one\ntwo\"\n\nc,d");
    assert_eq!(lines[0].subject.as_deref(), Some("a, \"b\""));
    assert_eq!(lines[0].attributes, [text("one\ntwo")]);
    assert_eq!(lines[1].subject.as_deref(), Some("c"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn json_fields_are_the_union_in_order_of_appearance() {
    let json = "\u{feff}{\"b\":1,\"image\":\"x.jpg\"}\r\n\n\
                {\"a\":{\"x\":[1, 2]},\"b\":2.5,\"subject\":12345678901234567890123}\n\
                {\"a\":\"caf\\u00e9\",\"b\":null,\"key\":17,\"source\":\"\"}";
    let (attributes, lines) = read("m.jsonl", json);
    let names: Vec<_> = attributes.iter().map(|a| (a.name.as_str(), a.kind)).collect();
    assert_eq!(names, [("b", Kind::Float), ("a", Kind::Text)]);
    let lines: Vec<_> = lines.into_iter().map(Result::unwrap).collect();
    assert_eq!(lines[0].attributes, [Value::Float(1.0), Value::Null]);
    assert_eq!(lines[1].attributes, [Value::Float(2.5), text("{\"x\":[1, 2]}")]);
    assert_eq!(lines[2].attributes, [Value::Null, text("café")]);
    assert_eq!(lines[1].subject.as_deref(), Some("12345678901234567890123"));
    assert_eq!(lines[2].key.as_deref(), Some("17"));
    assert_eq!(lines[2].source, None);
}

#[test]
fn json_texts_are_not_taken_for_numbers() {
    let (attributes, lines) = read("m.json", "{\"a\":\"1\",\"d\":\"2024-01-31\"}\n{\"a\":2}\n");
    assert_eq!(attributes[0].kind, Kind::Text);
    assert_eq!(attributes[1].kind, Kind::Date);
    assert_eq!(lines[1].as_ref().unwrap().attributes[0], text("2"));
}

#[test]
fn passes_are_independent() {
    let (_file, manifest) = open("m.csv", "subject\na\nb\n").unwrap();
    let (mut one, mut two) = (manifest.iter().unwrap(), manifest.iter().unwrap());
    let subject = |lines: &mut Lines| lines.next().unwrap().unwrap().subject.unwrap();
    assert_eq!(subject(&mut one), "a");
    assert_eq!(subject(&mut two), "a");
    assert_eq!(subject(&mut one), "b");
    assert_eq!(subject(&mut two), "b");
    assert!(one.next().is_none() && one.next().is_none());
    fn is_send<T: Send + 'static>(_: T) {}
    is_send(two);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_spooled() {
    let (mut to, from) = {
        let (from, to) = std::io::pipe().unwrap();
        (to, from)
    };
    use std::io::Write;
    use std::os::fd::AsRawFd;
    to.write_all(b"{\"subject\":\"anna\"}\n").unwrap();
    drop(to);
    let manifest = Manifest::open(Path::new(&format!("/dev/fd/{}", from.as_raw_fd()))).unwrap();
    for _ in 0..2 {
        let line = manifest.iter().unwrap().next().unwrap().unwrap();
        assert_eq!(line.subject.as_deref(), Some("anna"));
    }
}
