#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn attributes() -> Vec<Attribute> {
    [Kind::Bool, Kind::Int, Kind::Float, Kind::Date, Kind::Text]
        .map(|kind| Attribute { name: format!("its_{}", kind.name()), kind })
        .to_vec()
}

fn row(i: u64) -> Row {
    let known = !i.is_multiple_of(3);
    Row {
        face_id: i * 2,
        image: known.then(|| format!("images/{i}.jpg")),
        subject: (!i.is_multiple_of(5)).then(|| format!("subject-{}", i % 7)),
        source: Some("archive.example".to_owned()),
        key: Some(format!("k{i}")),
        bounds: known.then_some(Bounds { left: 1.0, top: 2.0, right: 3.5, bottom: 4.0 }),
        norm: 1.5,
        image_hash: known.then_some([i as u8; 32]),
        same_photo_as: i.is_multiple_of(11).then_some(i / 2),
        values: vec![
            Value::Bool(known),
            Value::Int(-(i as i64)),
            if known { Value::Float(0.5) } else { Value::Null },
            Value::Date(19_000 + i as i32),
            Value::Text("größe".to_owned()),
        ],
    }
}

fn file(rows: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let mut writer = AttributeWriter::create(&path, &attributes()).unwrap();
    (0..rows as u64).for_each(|i| writer.push(row(i)).unwrap());
    writer.finish().unwrap();
    std::fs::read(&path).unwrap()
}

/// Opens bytes as a file and reads every row, or says where it stopped.
fn read(bytes: &[u8], rows: usize) -> Result<Vec<Row>, crate::gallery::GalleryError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, bytes).unwrap();
    let file = AttributeFile::open(&path, rows)?;
    (0..rows as u32).map(|place| file.row(place)).collect()
}

#[test]
fn rows_come_back_over_several_batches() {
    let rows = BATCH_ROWS * 2 + 17;
    let found = read(&file(rows), rows).unwrap();
    assert!(found.iter().enumerate().all(|(i, found)| *found == row(i as u64)));
}

#[test]
fn no_rows_are_a_file_too() {
    assert!(read(&file(0), 0).unwrap().is_empty());
}

#[test]
fn another_number_of_faces_is_noticed() {
    assert!(read(&file(10), BATCH_ROWS + 1).is_err());
    assert!(read(&file(10), 11).is_err());
}

#[test]
fn a_file_cut_short_is_an_error() {
    let bytes = file(20);
    for length in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..length], 20).is_err(), "{length}");
    }
}

/// The low bytes of lengths and offsets among them, which stand at multiples of eight.
#[test]
fn numbers_off_by_one_do_no_harm() {
    let mut bytes = file(3);
    for at in (0..bytes.len()).step_by(8) {
        bytes[at] = bytes[at].wrapping_add(1);
        let _ = read(&bytes, 3);
        bytes[at] = bytes[at].wrapping_sub(1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A changed byte gives an error or another value; it must never panic.
    #[test]
    fn changed_bytes_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        static WHOLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| file(20));
        let mut bytes = WHOLE.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(&bytes, 20);
    }
}
