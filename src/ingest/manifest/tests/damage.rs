//! Random and damaged bytes give an error or lines, never a panic.

use std::sync::Arc;

use arrow_array::*;
use proptest::prelude::*;

use super::*;

/// Opens and reads to the end, whatever comes.
fn survive(name: &str, bytes: &[u8]) {
    let Ok((_file, manifest)) = open(name, bytes) else {
        return;
    };
    let lines = manifest.iter().unwrap().count();
    assert_eq!(lines as u64, manifest.lines());
}

fn table() -> Vec<u8> {
    let numbers = 0..50_i64;
    let texts = numbers.clone().map(|i| format!("subject-{}", i % 7));
    super::parquet::file(vec![
        ("subject", Arc::new(StringArray::from_iter_values(texts)) as ArrayRef),
        ("row", Arc::new(Int64Array::from_iter_values(numbers.clone()))),
        ("a", Arc::new(Float64Array::from_iter(numbers.map(|i| (i % 3 > 0).then_some(i as f64))))),
        ("b", Arc::new(BooleanArray::from(vec![true; 50]))),
    ])
}

/// Bytes of the sort that the text formats care about.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\"", ",", "\n", "\r", "{", "}", "[", ":", "image", "row", "box_left", "1", "-", "e", ".",
        "null", "\\u", "d800", "\u{feff}", "é", " ", "\0",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The reader follows a schema by recursion: one of many levels would end the process.
#[test]
fn a_deep_schema_is_refused() {
    let levels = 100_000_u32;
    // Version 1, the schema's list of structures (its length in seven bits a byte), each a column
    // named a with one child; no rows, no row groups.
    let mut thrift = vec![0x15, 2, 0x19, 0xfc];
    thrift.extend([levels as u8 | 0x80, (levels >> 7) as u8 | 0x80, (levels >> 14) as u8]);
    thrift.extend(b"\x48\x01a\x15\x02\x00".repeat(levels as usize - 1));
    thrift.extend(b"\x15\x02\x25\x02\x18\x01a\x00\x16\x00\x19\x0c\x00");
    let length = (thrift.len() as u32).to_le_bytes();
    let file = [&b"PAR1"[..], &thrift, &length, b"PAR1"].concat();
    let error = open("m.parquet", &file).err().unwrap().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for name in ["m.csv", "m.jsonl", "m.parquet"] {
            survive(name, &bytes);
        }
    }

    #[test]
    fn random_pieces(bytes in pieces()) {
        survive("m.csv", &bytes);
        survive("m.jsonl", &bytes);
    }

    #[test]
    fn damaged_parquet(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = table();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive("m.parquet", &bytes);
    }
}
