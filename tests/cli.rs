//! The command line keeps its contract: names, exit statuses, what goes to which output, and the
//! shape of each line that a program may read.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};

use common::{Place, Ran, Random, command, lookalike, lookalike_fed, npy_bytes, run};
use lookalike::{FaceId, Query};
use serde_json::{Value, json};

const DIMS: usize = 8;

/// Forty faces; some know their subject, source, key and image, and one has a name to beware of.
fn place() -> (Place, Vec<Vec<f32>>, String) {
    let rows = Random(111).vectors(40, DIMS);
    let mut text = "subject,source,key,image,number\n".to_owned();
    text.push_str("\u{1b}[2Janna,press \u{7}archive,,images/\u{1b}]0;x.jpg,0\n");
    for i in 1..40 {
        match i % 2 {
            0 => text.push_str(&format!("s{i},archive.example,k{i},images/{i}.jpg,{i}\n")),
            _ => text.push_str(&format!(",,,,{i}\n")),
        }
    }
    let place = Place::of(&rows).manifest(&text);
    run(&place.build().model("made-up")).unwrap();
    let path = place.gallery().to_str().unwrap().to_owned();
    (place, rows, path)
}

/// A search fed with its probes, printed as asked.
fn search(path: &str, probes: &[u8], args: &[&str]) -> Ran {
    lookalike_fed([&["search", path, "--probes", "-"], args].concat(), probes)
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn help_lists_what_works_and_nothing_else() {
    let ran = lookalike(["--help"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for works in [
        "demo",
        "build",
        "search",
        "show",
        "verify",
        "synth",
        "evaluate",
        "calibrate",
        "plan",
        "pairs",
        "cluster",
    ] {
        assert!(ran.out.contains(&format!("\n  {works} ")), "{works}");
        let help = lookalike([works, "--help"]);
        assert_eq!((help.status, help.err.as_str()), (0, ""), "{works}");
    }
    for later in ["enrol", "erase", "purge", "serve"] {
        assert!(!ran.out.contains(&format!("\n  {later} ")), "{later}");
        assert_eq!(lookalike([later]).status, 2, "{later}");
    }
    let ran = lookalike(["--version"]);
    assert_eq!(ran.out, format!("lookalike {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let (place, rows, path) = place();
    let faces = place.path("faces.npy");
    let faces = faces.to_str().unwrap();
    let probe = npy_bytes(&rows[..1], DIMS);
    let cases: &[(&[&str], &str)] = &[
        (&["-k", "0"], "at least 1"),
        (&["-k", "x"], "invalid"),
        (&["--beam", "0"], "at least 1"),
        (&["--beam", "4", "--exhaustive"], "cannot be used with"),
        (&["--min-similarity", "1.01"], "outside [-1, 1]"),
        (&["--min-similarity", "-2"], "outside [-1, 1]"),
        (&["--min-similarity", "NaN"], "outside [-1, 1]"),
        (&["--where", "subject"], "COLUMN OP VALUE"),
        (&["--where", "number=1 && number=2"], "at character 10: and, or or the end"),
        (&["--where", "(number=1 or number=2"], "closing bracket"),
        (&["--where", "colour = red"], "no such column"),
        (&["--where", "number = many"], "is no int"),
        (&["--group-by", "source"], "subject"),
        (&["--format", "xml"], "table"),
        (&["--face", "3"], "cannot be used with"),
        (&["--probe-images", "."], "--probe-manifest"),
        (&["--model", ""], "must not be blank"),
        (&["--model", " \t"], "must not be blank"),
        (&["--html", "-"], "--html writes a file"),
        (&["--probe-manifest", faces, "--probe-images", "nowhere"], "nowhere is not there"),
        (&["--colour"], "unexpected argument"),
    ];
    for (args, message) in cases {
        let ran = search(&path, &probe, args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(message), "{args:?}: {}", ran.err);
    }
    assert_eq!(lookalike(["search", &path]).status, 2);
    for what in [["--face", "2"], ["--probe-image", faces]] {
        for of_a_file in [["--array", "x"], ["--probe-manifest", faces], ["--probe-images", "."]] {
            let ran = lookalike([&["search", &path][..], &what, &of_a_file].concat());
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{what:?} {of_a_file:?}");
            assert!(ran.err.contains(of_a_file[0]), "{}", ran.err);
        }
    }
    assert_eq!(lookalike(["build", "new.gallery"]).status, 2);
    let new = place.path("new.gallery");
    let build = ["build", new.to_str().unwrap(), "--embeddings", faces];
    for args in [
        &["--require-images"][..],
        &["--threads", "0"],
        &["--memory", "lots"],
        &["--code-bytes", "100"],
        &["--model", ""],
        &["--model", "  "],
    ] {
        assert_eq!(lookalike([&build, args].concat()).status, 2, "{args:?}");
    }
    let deep = place.path("folder/that/is/not/there/g");
    let ran = lookalike(["build", deep.to_str().unwrap(), "--embeddings", faces]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("folder/that/is/not/there is not there"), "{}", ran.err);
    assert!(!place.path("folder").exists());
    let synth = ["synth", new.to_str().unwrap(), "--profile", "dlib-128", "--faces"];
    for args in [&["0"][..], &["10", "--subject-sizes", "20"], &["10", "--truth", "50"]] {
        let ran = lookalike([&synth, args].concat());
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
    }
    assert_eq!(lookalike(Vec::<&str>::new()).status, 2);
    assert!(!new.exists());
}

#[test]
fn what_fails_ends_with_1_and_a_message_that_names_it() {
    let (place, rows, path) = place();
    let probe = npy_bytes(&rows[..1], DIMS);
    let nowhere = place.path("nowhere.gallery");
    let nowhere = nowhere.to_str().unwrap();
    let failures = [
        lookalike(["show", nowhere]),
        lookalike(["verify", nowhere]),
        search(nowhere, &probe, &[]),
        lookalike(["build", &path, "--embeddings", nowhere, "--replace"]),
    ];
    for ran in failures {
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.starts_with("lookalike: ") && ran.err.contains("nowhere"), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    let wide = npy_bytes(&Random(112).vectors(1, DIMS + 1), DIMS + 1);
    let ran = search(&path, &wide, &[]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("9 dimensions") && ran.err.contains('8'), "{}", ran.err);
    let ran = search(&path, &npy_bytes(&[], DIMS), &[]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("has no probes"), "{}", ran.err);
    let page = place.path("sheet.html");
    let ran = search(&path, &probe, &["--model", "other", "--html", page.to_str().unwrap()]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("made-up") && ran.err.contains("other"), "{}", ran.err);
    assert!(!page.exists() && !place.path("sheet.html.new").exists());
    let ran = lookalike(["search", &path, "--face", "40"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("no face 40"), "{}", ran.err);
}

#[test]
fn a_build_reports_on_standard_error_alone() {
    let mut rows = Random(113).vectors(12, DIMS);
    rows[3] = vec![0.0; DIMS];
    rows[5] = rows[4].clone();
    let place = Place::of(&rows);
    let (gallery, faces) = (place.gallery(), place.path("faces.npy"));
    let args = ["build", gallery.to_str().unwrap(), "--embeddings", faces.to_str().unwrap()];
    let ran = lookalike(args);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    for words in ["11 faces", "1 rejected", "1 enrolled, flagged", "rejects.csv"] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    // Progress bars are for terminals.
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\r'), "{}", ran.err);
    let table = place.path("faces.csv");
    fs::write(&table, format!("Subject,number\n{}", "anna,1\n".repeat(12))).unwrap();
    let named = place.path("named.gallery");
    let ran = lookalike([
        "build",
        named.to_str().unwrap(),
        args[2],
        args[3],
        "--manifest",
        table.to_str().unwrap(),
    ]);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    let remark = "column \"Subject\" is taken for an attribute; rename it \"subject\"";
    assert!(ran.err.contains(remark) && !ran.err.contains("\"number\""), "{}", ran.err);
    let again = lookalike(args);
    assert_eq!((again.status, again.out.as_str()), (1, ""));
    assert!(again.err.contains("exists") && again.err.contains("--replace"), "{}", again.err);
    let other = place.path("other.gallery");
    let strict = ["build", other.to_str().unwrap(), args[2], args[3], "--strict"];
    let ran = lookalike(strict);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("row 3") && !other.exists(), "{}", ran.err);
}

#[test]
fn a_json_line_has_the_promised_shape() {
    let (place, rows, path) = place();
    let ran = search(&path, &npy_bytes(&rows[2..4], DIMS), &["-k", "1", "--format", "json"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let gallery = place.open();
    let similarity = |row: usize| {
        let probe = common::embedding(&rows[row]);
        gallery.similarity(&probe, FaceId(row as u64)).unwrap().to_string()
    };
    let expected = format!(
        "{{\"probe\":0,\"matches\":[{{\"face_id\":2,\"similarity\":{},\"subject\":\"s2\",\
         \"source\":\"archive.example\",\"image\":\"images/2.jpg\",\"key\":\"k2\"}}],\
         \"complete\":true,\"faces\":40}}\n\
         {{\"probe\":1,\"matches\":[{{\"face_id\":3,\"similarity\":{}}}],\
         \"complete\":true,\"faces\":40}}\n",
        json!(similarity(2).parse::<f32>().unwrap()),
        json!(similarity(3).parse::<f32>().unwrap()),
    );
    // A number may be written in more than one way, a name may not.
    assert_eq!(json_lines(&ran.out).len(), 2);
    let names = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let (found, wanted): (Vec<String>, Vec<String>) = (names(&ran.out), names(&expected));
    assert_eq!(found, wanted);
    for (line, row) in json_lines(&ran.out).iter().zip([2, 3]) {
        let found = line["matches"][0]["similarity"].as_f64().unwrap() as f32;
        assert_eq!(found.to_string(), similarity(row));
    }
    let ran = lookalike(["search", &path, "--face", "4", "-k", "3", "--format", "json"]);
    let line = &json_lines(&ran.out)[0];
    let expected = gallery.search_face(FaceId(4), &Query::new().top(3)).unwrap();
    let found: Vec<_> = line["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["face_id"].as_u64().unwrap())
        .collect();
    assert_eq!(found, expected.iter().map(|m| m.face_id.0).collect::<Vec<_>>());
    assert_eq!((&line["probe"], &line["face_id"]), (&json!(0), &json!(4)));
}

#[test]
fn explanations_are_given_where_asked_for() {
    let (_place, rows, path) = place();
    let probe = npy_bytes(&rows[..1], DIMS);
    let ran = search(&path, &probe, &["-k", "1", "--format", "json", "--explain=0,5"]);
    let why = &json_lines(&ran.out)[0]["explain"]["faces"];
    let of = |at: usize| (&why[at]["face_id"], &why[at]["returned"]);
    assert_eq!((of(0), of(1)), ((&json!(0), &json!(true)), (&json!(5), &json!(false))));
    let ran = search(&path, &probe, &["-k", "1", "--explain=5", "--where", "number > 5"]);
    assert!(ran.out.contains("left out, as it does not hold that number > '5'"), "{}", ran.out);
    let ran = search(&path, &probe, &["--explain=999"]);
    assert_eq!(ran.status, 1);
    let ran = search(&path, &probe, &["--format", "json", "--explain", "--exhaustive"]);
    let explain = &json_lines(&ran.out)[0]["explain"];
    assert_eq!((&explain["plan"], &explain["vectors_read"]), (&json!("exhaustive"), &json!(40)));
    let ran = search(&path, &probe, &["--explain", "--beam", "12"]);
    assert!(ran.out.contains("plan: walk, beam 12;"), "{}", ran.out);
}

#[test]
fn a_bad_probe_does_not_keep_the_others_from_their_answers() {
    let (_place, rows, path) = place();
    let mut probes = rows[..6].to_vec();
    probes[3][1] = f32::NAN;
    let bytes = npy_bytes(&probes, DIMS);
    for plan in [&["--exhaustive"][..], &["--beam", "40"], &[]] {
        let ran = search(&path, &bytes, &[plan, &["-k", "1", "--format", "json"]].concat());
        assert_eq!((ran.status, ran.err.as_str()), (1, ""));
        let lines = json_lines(&ran.out);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[3], json!({"probe": 3, "error": "value 1 is NaN"}));
        assert_eq!(ran.out.lines().nth(3), Some(r#"{"probe":3,"error":"value 1 is NaN"}"#));
        for probe in [0, 1, 2, 4, 5] {
            assert_eq!(lines[probe]["probe"], probe);
            assert_eq!(lines[probe]["matches"][0]["face_id"], probe);
        }
    }
    let csv = search(&path, &bytes, &["-k", "1", "--format", "csv"]);
    assert_eq!(csv.status, 1);
    assert_eq!(csv.out.lines().nth(4), Some("3,,,,,,,,value 1 is NaN"));
    let table = search(&path, &bytes, &["-k", "1"]);
    assert_eq!(table.status, 1);
    assert!(table.out.contains("probe 3\n  error: value 1 is NaN\n"), "{}", table.out);
    let text = b"[1,2,3,4,5,6,7,8]\n[1,2]\n[8,7,6,5,4,3,2,1]\n";
    let ran = search(&path, text, &["--format", "json"]);
    let lines = json_lines(&ran.out);
    assert_eq!(ran.status, 1);
    assert!(lines[1]["error"].as_str().unwrap().contains("2 dimensions"), "{}", ran.out);
    assert_eq!(lines[2]["matches"].as_array().unwrap().len(), 10);
}

#[test]
fn csv_has_a_line_a_match() {
    let (_place, rows, path) = place();
    let ran = search(&path, &npy_bytes(&rows[2..4], DIMS), &["-k", "2", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(ran.out.as_bytes());
    let head: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(head.join(","), "probe,rank,face_id,similarity,subject,source,image,key,error");
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 4);
    let cell = |record: usize, column: usize| records[record].get(column).unwrap();
    assert_eq!((cell(0, 0), cell(0, 1), cell(0, 2), cell(0, 4)), ("0", "1", "2", "s2"));
    assert_eq!((cell(3, 0), cell(3, 1)), ("1", "2"));
    assert!(cell(0, 3).parse::<f32>().unwrap() > 0.999);
}

#[test]
fn a_table_says_whether_there_was_a_threshold() {
    let (_place, rows, path) = place();
    let probe = npy_bytes(&rows[..1], DIMS);
    let first = |args: &[&str]| {
        let ran = search(&path, &probe, args);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        ran.out.lines().next().unwrap().to_owned()
    };
    let without = first(&[]);
    assert!(without.starts_with("no threshold: nearest faces, not matches"), "{without}");
    assert!(first(&["-k", "3"]).starts_with("no threshold: nearest faces, not matches"));
    let with = first(&["--min-similarity", "0.5"]);
    assert!(with.starts_with("matches at similarity >= 0.5"), "{with}");
    let filters = ["--where", "number > 5", "--where", "source = 'archive.example'"];
    let told = "40 faces, where (number > 5) and (source = 'archive.example'), complete)";
    for args in [&["-k", "3"][..], &["--min-similarity", "0.5"]] {
        let with = first(&[args, &filters].concat());
        assert!(with.ends_with(told), "{with}");
    }
    let page = _place.path("sheet.html");
    first(&[&filters[..], &["--html", page.to_str().unwrap()]].concat());
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("where (number &gt; 5) and (source = 'archive.example')"), "{page}");
    let all = search(&path, &probe, &["--min-similarity", "-1", "--format", "json"]);
    assert_eq!(json_lines(&all.out)[0]["matches"].as_array().unwrap().len(), 40);
    let none = search(&path, &probe, &["--min-similarity", "1", "--where", "number > 5"]);
    assert_eq!(none.status, 0);
    assert!(none.out.contains("no face"), "{}", none.out);
}

#[test]
fn filters_and_groups_reach_the_search() {
    let (_place, rows, path) = place();
    let probe = npy_bytes(&rows[..1], DIMS);
    let args = ["--where", "number >= 10", "--where", "source='archive.example'", "-k", "40"];
    let ran = search(&path, &probe, &[&args[..], &["--format", "json"]].concat());
    let matches = json_lines(&ran.out)[0]["matches"].as_array().unwrap().clone();
    let mut ids: Vec<u64> = matches.iter().map(|m| m["face_id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (10..40).step_by(2).collect::<Vec<u64>>());
    let ran = search(&path, &probe, &["--group-by", "subject", "-k", "30", "--format", "json"]);
    assert_eq!(json_lines(&ran.out)[0]["matches"].as_array().unwrap().len(), 30);
}

#[test]
fn nobody_hears_of_a_reader_that_has_seen_enough() {
    let (_place, rows, path) = place();
    let probes: Vec<_> = (0..3000).map(|i| rows[i % 40].clone()).collect();
    let file = _place.path("many.npy");
    common::write_npy(&file, &probes);
    let args = ["search", &path, "--probes", file.to_str().unwrap(), "--format", "json"];
    let mut child = command(args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"probe\":0,"));
    drop(out);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
}

#[test]
fn a_verdict_stays_when_nobody_reads_it() {
    /// Runs the command with an output that is closed already.
    fn unread(args: &[&str]) -> Ran {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command(args).stdout(writer).output().unwrap().into()
    }
    let (place, mut rows, path) = place();
    assert_eq!(unread(&["verify", &path]).status, 0);
    assert_eq!(unread(&["search", &path, "--face", "2"]).status, 0);
    rows[1][0] = f32::NAN;
    let probes = place.path("probes.npy");
    common::write_npy(&probes, &rows[..3]);
    let ran = unread(&["search", &path, "--probes", probes.to_str().unwrap()]);
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    fs::write(place.gallery().join("stranger"), "").unwrap();
    let ran = unread(&["verify", &path]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("1 fault"), "{}", ran.err);
}

#[test]
fn a_full_disk_is_a_failure_to_write_the_results() {
    use std::os::unix::fs::FileTypeExt;
    if !fs::metadata("/dev/full").is_ok_and(|found| found.file_type().is_char_device()) {
        return;
    }
    let (_place, _, path) = place();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(["search", &path, "--face", "2"]).stdout(full).output().unwrap();
    let ran = Ran::from(output);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("cannot write the results"), "{}", ran.err);
}

/// A shell that limits the memory that may be mapped leaves no room for the stacks of many threads.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_cannot_be_started_are_told_before_anything_is_printed() {
    let (place, _, path) = place();
    let (faces, new) = (place.path("faces.npy"), place.path("new.gallery"));
    let search = ["search", &path, "--face", "2"];
    let build = ["build", new.to_str().unwrap(), "--embeddings", faces.to_str().unwrap()];
    for args in [search, build] {
        let ran: Ran = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 600000 && exec \"$@\" --threads 1024", "sh"])
            .arg(env!("CARGO_BIN_EXE_lookalike"))
            .args(args)
            .output()
            .unwrap()
            .into();
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.starts_with("lookalike: cannot start 1024 threads"), "{}", ran.err);
    }
}

#[test]
fn show_says_what_a_gallery_is() {
    let (_place, _, path) = place();
    let ran = lookalike(["show", &path, "--json"]);
    assert_eq!((ran.status, ran.err.as_str(), ran.out.lines().count()), (0, "", 1));
    let shown = &json_lines(&ran.out)[0];
    assert_eq!((&shown["faces"], &shown["dims"]), (&json!(40), &json!(DIMS)));
    assert_eq!((&shown["segments"], &shown["builder"]), (&json!(1), &json!("own")));
    assert_eq!((&shown["model"], &shown["format"]), (&json!("made-up"), &json!(3)));
    let bytes = shown["bytes"].as_f64().unwrap();
    assert_eq!(shown["bytes_per_face"].as_f64().unwrap(), bytes / 40.0);
    assert_eq!(shown["attributes"], json!([{"name": "number", "kind": "int"}]));
    assert_eq!(shown["graph"]["unreachable_after"], 0);
    assert!(shown["graph"]["unreachable_before"].is_u64());
    let table = lookalike(["show", &path]);
    assert_eq!((table.status, table.err.as_str()), (0, ""));
    assert!(table.out.contains("40 x 8 dimensions"), "{}", table.out);
    assert!(table.out.contains("out of reach as built, 0 after linking them in"), "{}", table.out);
}

#[test]
fn verify_ends_with_1_where_there_is_a_fault() {
    let (place, _, path) = place();
    let ran = lookalike(["verify", &path]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("sound"), "{}", ran.out);
    let file = place.gallery().join("segments/0001/vectors.bin");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let ran = lookalike(["verify", &path]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("vectors.bin is damaged"), "{}", ran.out);
    assert!(ran.err.contains("faults"), "{}", ran.err);
}

/// Names come from strangers, and a terminal obeys control characters.
#[test]
fn control_characters_do_not_reach_the_terminal() {
    let (place, rows, path) = place();
    let control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let ran = search(&path, &npy_bytes(&rows[..1], DIMS), &[]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.contains("anna") && !control(&ran.out), "{:?}", ran.out);
    let ran = lookalike(["search", &path, "--face", "0"]);
    assert!(ran.out.contains("anna") && !control(&ran.out), "{:?}", ran.out);

    let other = Place::of(&rows).manifest("\u{1b}[2Jcolumn\n".repeat(41).as_str());
    run(&other.build().model("\u{1b}[2Jmodel")).unwrap();
    let gallery = other.gallery();
    let ran = lookalike(["show", gallery.to_str().unwrap()]);
    assert!(ran.out.contains("model") && ran.out.contains("column"), "{:?}", ran.out);
    assert!(!control(&ran.out), "{:?}", ran.out);
    fs::write(place.gallery().join("\u{1b}[2Jstranger"), "").unwrap();
    let ran = lookalike(["verify", &path]);
    assert!(ran.out.contains("stranger does not belong to the gallery"), "{:?}", ran.out);
    assert!(!ran.out.contains("damaged") && !control(&ran.out), "{:?}", ran.out);
}

#[test]
fn a_server_is_planned_before_it_is_bought() {
    let plan = |more: &[&str]| lookalike([&["plan"], more].concat());
    let told = plan(&["--faces", "3e9", "--dims", "512"]);
    assert_eq!(told.status, 0, "{}", told.err);
    for text in
        ["3,000,000,000 faces x 512", "like arcface-512", "64 cores, 512 GiB", "* more than"]
    {
        assert!(told.out.contains(text), "{}", told.out);
    }
    // What was measured, what is extrapolated and what is assumed are told apart.
    for text in ["\nmeasured ", "\nextrapolated  everything above", "\nassumed "] {
        assert!(told.out.contains(text), "{}", told.out);
    }
    let small = plan(&["--faces", "1e6", "--dims", "512", "--ram", "64G", "--cores", "8"]);
    assert!(!small.out.contains("* more than"), "{}", small.out);
    let of_few_dimensions = plan(&["--faces", "3_000_000", "--dims", "128"]).out;
    for text in [
        "like dlib-128",
        "3,000,000 faces, commit",
        "not measured  people with mostly one",
        "what lies between the sizes measured",
    ] {
        assert!(of_few_dimensions.contains(text), "{of_few_dimensions}");
    }
    assert!(!told.out.contains("not measured"), "{}", told.out);
    let beyond = plan(&["--faces", "9_000_000_000", "--dims", "512", "--ram", "8T"]);
    assert!(beyond.out.contains("this takes 3 of them"), "{}", beyond.out);
    for wrong in [
        &["--faces", "0", "--dims", "512"][..],
        &["--faces", "many", "--dims", "512"],
        &["--faces", "10", "--dims", "0"],
        &["--faces", "10", "--dims", "512", "--profile", "best"],
        &["--faces", "10", "--dims", "512", "--ram", "much"],
        &["--faces", "10"],
    ] {
        assert_eq!(plan(wrong).status, 2, "{wrong:?}");
    }
}
