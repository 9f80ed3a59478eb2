//! Faults of lines and of files, one by one.

use super::*;

fn reasons(name: &str, bytes: impl AsRef<[u8]>) -> Vec<Option<String>> {
    let (_, lines) = read(name, bytes);
    lines.into_iter().map(|line| line.err().map(|fault| fault.reason)).collect()
}

#[test]
fn a_bad_csv_line_is_one_line() {
    let found = reasons("m.csv", b"subject,a\nx,1\nx\nx,1,2\n\xff,1\nx,2\n");
    assert_eq!(found.len(), 5);
    assert_eq!(found[0], None);
    assert_eq!(found[1].as_deref(), Some("1 fields, the header has 2"));
    assert_eq!(found[2].as_deref(), Some("3 fields, the header has 2"));
    assert!(found[3].as_ref().unwrap().contains("UTF-8"));
    assert_eq!(found[4], None);
    let (attributes, _) = read("m.csv", b"subject,a\nx,1\nx,1,oops\nx,2\n");
    assert_eq!(attributes[0].kind, Kind::Int);
}

#[test]
fn a_bad_json_line_is_one_line() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let lines: [&[u8]; 12] = [
        b"{\"a\":1}",
        b"[1]",
        b"7",
        b"{\"a\":",
        b"{\"a\":1} x",
        b"{\"a\":nul}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\":\"\\ud800\"}",
        long.as_bytes(),
        b"{\"subject\":[\"anna\"]}",
        b"{\"a\":2}",
    ];
    let found = reasons("m.ndjson", lines.join(&b'\n'));
    assert_eq!(found.len(), lines.len());
    for (at, reason) in found.iter().enumerate() {
        assert_eq!(reason.is_none(), at == 0 || at == 11, "{at}: {reason:?}");
    }
    assert!(found[7].as_ref().unwrap().contains("twice"));
    assert!(found[9].as_ref().unwrap().contains("1048576"));
    assert!(found[10].as_ref().unwrap().contains("subject"));
}

#[test]
fn a_line_is_told_as_an_editor_shows_it() {
    let positions = |name: &str, bytes: &[u8]| -> Vec<String> {
        let (_, lines) = read(name, bytes);
        let position = |line: Result<Line, LineFault>| match line {
            Ok(line) => line.position,
            Err(fault) => {
                assert!(fault.to_string().starts_with(&format!("{}: ", fault.position)));
                fault.position
            }
        };
        lines.into_iter().map(|line| position(line).to_string()).collect()
    };
    let expected = ["line 2", "line 4", "line 6", "line 7", "line 9"];
    let csv = "a,b\n1,2\n\n\"3\n\",4\n5\n\"6\n\"\n7,8";
    assert_eq!(positions("m.csv", csv.as_bytes()), expected);
    assert_eq!(positions("m.csv", csv.replace('\n', "\r\n").as_bytes()), expected);
    assert_eq!(
        positions("m.csv", b"\n\na,b\r\n1\n\xff,1\r\n\xff,2\n3,4\r\n"),
        ["line 4", "line 5", "line 6", "line 7"]
    );
    let many = format!("a\r\n{}", "1234567\r\n".repeat(40_000));
    assert_eq!(positions("m.csv", many.as_bytes()).last().unwrap(), "line 40001");
    assert_eq!(positions("m.jsonl", b"\n{\"a\":1}\r\n\n\n7\n{}"), ["line 2", "line 5", "line 6"]);
}

#[test]
fn deep_nesting_is_no_danger() {
    let json = format!("{{\"a\":{}1{}}}\n", "[".repeat(400_000), "]".repeat(400_000));
    assert!(matches!(good("m.jsonl", json)[0].attributes[0], Value::Text(_)));
}

#[test]
fn a_row_is_a_whole_number() {
    let found = reasons(
        "m.csv",
        "row\n0\n18446744073709551615\n 5 \n18446744073709551616\n-1\n+1\n1.0\nx\n\"\"\n",
    );
    let good = [true, true, true, false, false, false, false, false, false];
    assert_eq!(found.iter().map(Option::is_none).collect::<Vec<_>>(), good);
    assert!(found[8].as_ref().unwrap().contains("empty"));
    assert!(reasons("m.jsonl", "{\"row\":1}\n{\"a\":1}\n")[1].is_some());
}

#[test]
fn a_bad_box_keeps_the_line() {
    let header = "box_left,box_top,box_right,box_bottom\n";
    for (cells, word) in [
        ("1,2,3,", "box_bottom is missing"),
        ("1,2,x,4", "box_right"),
        ("NaN,2,3,4", "box_left"),
        ("1,2,inf,4", "box_right"),
        ("1,2,1e39,4", "box_right"),
        ("3,2,3,4", "left"),
        ("1,4,3,2", "above"),
    ] {
        let line = &good("m.csv", format!("{header}{cells}\n"))[0];
        assert_eq!(line.bounds, None);
        assert!(line.box_fault.as_ref().unwrap().contains(word), "{:?}", line.box_fault);
    }
    let line = &good("m.csv", "box_left,subject\n1,a\n")[0];
    assert!(line.box_fault.as_ref().unwrap().contains("box_top is missing"));
    let line = &good("m.csv", format!("{header},,,\n"))[0];
    assert_eq!((line.bounds, &line.box_fault), (None, &None));
    let line = &good("m.jsonl", "{\"box_left\":[1],\"subject\":\"a\"}")[0];
    assert!(line.box_fault.is_some());
}

#[test]
fn files_that_cannot_be_a_manifest() {
    for (name, bytes, word) in [
        ("m.csv", &b""[..], "empty"),
        ("m.csv", b"\n\n", "empty"),
        ("m.csv", b"\xef\xbb\xbf", "empty"),
        ("m.jsonl", b" \n", "empty"),
        ("m.csv", b"a.jpg,0.5\n", "header line"),
        ("m.csv", b"image;subject\na;b\n", "';'"),
        ("m.csv", b"\xff\xfei\0m\0", "UTF-8"),
        ("m.csv", b",image\n0,a\n", "no name"),
        ("m.csv", b"image, subject\na,b\n", "white space"),
        ("m.csv", b"image,image\n", "twice"),
        ("m.csv", b"image,face_id\n", "rename"),
        ("m.csv", b"norm\n", "rename"),
        ("m.jsonl", b"{\"image_hash\":1}\n", "rename"),
        ("m.jsonl", b"{\"same_photo_as\":1}\n", "rename"),
        ("m.json", b"[{\"a\":1},\n{\"a\":2}]\n", "array"),
        ("m.txt", b"image\n", ".parquet"),
        ("m", b"image\n", ".parquet"),
        ("m.parquet", b"PAR1", "Parquet"),
        ("m.parquet", b"", "Parquet"),
    ] {
        let error = refused(name, bytes);
        assert!(error.contains(word) && error.contains(name), "{error}");
    }
}

#[test]
fn columns_are_bounded() {
    let names: Vec<_> = (0..=MAX_COLUMNS).map(|i| format!("c{i}")).collect();
    assert!(refused("m.csv", names.join(",")).contains("1000"));
    assert!(open("m.csv", names[1..].join(",")).is_ok());
    let json: String = names.iter().map(|name| format!("{{\"{name}\":1}}\n")).collect();
    assert!(refused("m.jsonl", json).contains("1000"));
}

#[test]
fn a_quote_that_never_closes_is_bounded() {
    let csv = format!("subject\na\n\"{}", "b\n".repeat(2 << 20));
    let error = refused("m.csv", csv);
    assert!(error.contains("line 3") && error.contains("quote"), "{error}");
    let fits = format!("subject\n{}\n", "b".repeat((1 << 20) - 1));
    assert_eq!(good("m.csv", fits).len(), 1);
    let not_quite = format!("subject\n{}\n", "b".repeat(1 << 20));
    assert!(refused("m.csv", not_quite).contains("line 2"));
}

#[test]
fn a_quote_that_is_open_at_the_end_is_told_by_its_line() {
    for (csv, line) in [
        ("subject,a\nx,1\n\ny,\"2\nz,3\n", 4),
        ("subject,a\r\nx,1\r\n\"y,2\r\nz,3", 3),
        ("subject,a\n\"x\ny\",\"1\nz,3\n", 3),
        ("subject,a\nx,\"", 2),
        ("subject,a\nx,\"1\"\"\n", 2),
        ("subject,\"a\nx,1\n", 1),
    ] {
        let error = refused("m.csv", csv);
        assert!(error.contains(&format!("opened at line {line} ")), "{csv:?}: {error}");
    }
    for csv in
        ["subject,a\nx,\"1\"", "subject,a\nx,\"1\n\"", "subject,a\nx,1\"\n", "subject,a\nx,1\r"]
    {
        assert_eq!(good("m.csv", csv).len(), 1, "{csv:?}");
    }
}

#[test]
fn missing_files_and_folders_are_errors() {
    assert!(matches!(Manifest::open(Path::new("/nowhere/m.csv")), Err(ManifestError::Read { .. })));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Manifest::open(folder.path()), Err(ManifestError::Read { .. })));
}

#[test]
fn a_file_that_changes_is_noticed() {
    let (file, manifest) = open("m.csv", "a\n1\n2\n").unwrap();
    std::fs::write(&file.path, "a\n1\n2\n3\n").unwrap();
    assert!(matches!(manifest.iter(), Err(ManifestError::Changed { .. })));
}

#[test]
fn a_file_that_is_cut_while_it_is_read_gives_faults() {
    let csv = format!("a\n{}", "12345\n".repeat(100_000));
    let (file, manifest) = open("m.csv", csv).unwrap();
    let mut lines = manifest.iter().unwrap();
    lines.next().unwrap().unwrap();
    std::fs::File::options().write(true).open(&file.path).unwrap().set_len(2).unwrap();
    let rest: Vec<_> = lines.collect();
    assert_eq!(rest.len(), 99_999);
    let last = rest.last().unwrap().as_ref().unwrap_err();
    assert_eq!(last.number, 99_999);
    assert!(last.to_string().contains("shorter"));
}
