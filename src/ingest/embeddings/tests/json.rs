//! JSON lines.

use super::*;
use crate::MAX_DIMS;

fn lines(rows: &[Vec<f32>]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect()
}

proptest! {
    #[test]
    fn json_lines_read_back(rows in prop::collection::vec(
        prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 3), 1..9)
    ) {
        prop_assert_eq!(rows_of("a.jsonl", lines(&rows).as_bytes(), None), rows.clone());
        let objects: String = rows
            .iter()
            .map(|row| format!("{}\r\n", serde_json::json!({"id": {"a": []}, "v": row})))
            .collect();
        prop_assert_eq!(rows_of("a.ndjson", objects.as_bytes(), Some("v")), rows);
    }
}

#[test]
fn bad_lines_are_faults_of_their_rows() {
    let text = "[1, 2]\n\n[1, null]\n[1, \"2\"]\n[1\n{\"embedding\": [3, 4], \"n\": 1}\n{\"n\": 1}\n\
                [1,2,3]\n[]\nnull\n{\"embedding\": null}\n[1e999, 0]\n\u{ff}\n[1,2] 3\n\
                {\"embedding\":[1,1],\"embedding\":[2,2]}\n[1e300, 5]\n\n \n";
    // The one byte that is no UTF-8.
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let rows = read_all(&open("a.jsonl", &bytes, None).unwrap());
    assert_eq!(rows.len(), 16);
    let reason = |row: usize, part: &str| match &rows[row] {
        Err(fault) => assert!(fault.to_string().contains(part), "row {row}: {fault}"),
        Ok(_) => panic!("row {row} reads"),
    };
    assert_eq!(rows[0], Ok(vec![1.0, 2.0]));
    reason(1, "blank");
    reason(2, "null, expected a number (column 8)");
    reason(3, "string, expected a number (column 7)");
    reason(4, "not JSON: EOF");
    assert_eq!(rows[5], Ok(vec![3.0, 4.0]));
    reason(6, "no field \"embedding\"");
    reason(7, "3 dimensions where the other rows have 2");
    reason(8, "0 dimensions");
    reason(9, "null, expected an array of numbers or an object");
    reason(10, "null, expected an array of numbers");
    reason(11, "out of range");
    reason(12, "expected value");
    reason(13, "trailing");
    reason(14, "twice");
    assert_eq!(rows[15], Ok(vec![f32::INFINITY, 5.0]));
}

/// Numbers in the wrong place may be somebody's embedding all the same.
#[test]
fn no_message_holds_a_value() {
    for line in [
        "[0.4242, \"0.4242\"]",
        "[0.4242, true]",
        "[0.4242, {\"a\": 0.4242}]",
        "[0.4242, [0.4242]]",
        "[0.4242, 0.4242x]",
        "[0.4242 0.4242]",
        "0.4242",
        "4242",
        "-4242",
        "\"0.4242\"",
        "true",
        "{\"embedding\": 0.4242}",
        "{\"embedding\": -4242}",
        "{\"embedding\": \"0.4242, 0.4242\"}",
        "{\"embedding\": {\"a\": 0.4242}}",
        "0.4242,0.4242",
        "0.4242 0.4242",
        "[0.4242, 4242e999]",
    ] {
        let text = open("a.jsonl", line.as_bytes(), None).unwrap_err().to_string();
        assert!(!text.contains("4242") && !text.contains("true"), "{line}: {text}");
        assert!(text.contains("row 0: ") && text.contains("(column "), "{line}: {text}");
    }
    let plain = open("a.jsonl", b"not numbers\n", None).unwrap_err().to_string();
    assert!(plain.contains("not JSON"), "{plain}");
}

#[test]
fn the_most_common_length_wins_and_the_first_of_equals() {
    let dims = |text: &str| open("a.jsonl", text.as_bytes(), None).unwrap().dims();
    assert_eq!(dims("[1]\n[1,2]\n[1,2]\n"), 2);
    assert_eq!(dims("[1,2]\n[1]\n"), 2);
    assert_eq!(dims("[1]\n[1,2]"), 1);
}

#[test]
fn long_lines_are_faults_and_not_parsed() {
    let long = format!("[1]\n[{}1]\n[2]\n", " ".repeat(MAX_DIMS * 32));
    let rows = read_all(&open("a.jsonl", long.as_bytes(), None).unwrap());
    assert_eq!(rows[0], Ok(vec![1.0]));
    assert!(matches!(&rows[1], Err(RowFault::Unreadable { reason }) if reason.contains("bytes")));
    assert_eq!(rows[2], Ok(vec![2.0]));
    let wide = format!("[1]\n[{}1]\n", "1,".repeat(MAX_DIMS));
    let rows = read_all(&open("a.jsonl", wide.as_bytes(), None).unwrap());
    assert_eq!(rows[1], Err(RowFault::WrongDims { expected: 1, got: MAX_DIMS + 1 }));
}

#[test]
fn files_without_a_good_row_say_why() {
    let fault = |text: &str| open("a.jsonl", text.as_bytes(), None).unwrap_err();
    assert!(matches!(fault(""), EmbeddingsError::NoRows { .. }));
    assert!(matches!(fault("\n\n"), EmbeddingsError::NoRows { .. }));
    assert!(fault("{}\n[").to_string().contains("row 0: no field"));
    assert!(matches!(fault("[]"), EmbeddingsError::Dims { got: 0, .. }));
    let deep = fault(&"[".repeat(100_000));
    assert!(matches!(deep, EmbeddingsError::NoRows { .. }), "{deep}");
}
