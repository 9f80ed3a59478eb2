//! `lookalike evaluate` on a small synthetic gallery, as a user runs it.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

fn lookalike(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookalike"));
    command.current_dir(folder).args(line.split_whitespace()).output().unwrap()
}

fn done(folder: &Path, line: &str) -> String {
    let output = lookalike(folder, line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The exit status and what was said on standard error.
fn refused(folder: &Path, line: &str) -> (i32, String) {
    let output = lookalike(folder, line);
    assert!(output.stdout.is_empty(), "{line}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn measured(folder: &Path, line: &str) -> Vec<Value> {
    let lines = done(folder, &format!("evaluate g --format json {line}"));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with input in `s`, its gallery in `g`, and `cameras.csv`, which knows a camera of two
/// probes in three; made once for all tests of this file.
fn synthetic() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let at = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evaluate-of-the-tests");
        let _ = std::fs::remove_dir_all(&at);
        std::fs::create_dir_all(&at).unwrap();
        done(&at, "synth s --profile dlib-128 --faces 600 --probes 20 --truth 10");
        done(&at, "build g --embeddings s/embeddings.npy --manifest s/manifest.csv");
        let known = std::fs::read_to_string(at.join("s/probes.csv")).unwrap();
        let mut text = "subject,camera\n".to_owned();
        for (nth, line) in known.lines().skip(1).enumerate() {
            let camera = ["</svg><script>", "gate & door", ""][nth % 3];
            text += &format!("{line},{camera}\n");
        }
        std::fs::write(at.join("cameras.csv"), text).unwrap();
        at
    })
}

#[test]
fn settings_are_measured_in_their_order() {
    let at = synthetic();
    let both = "--probes s/probes.npy --truth s/truth.npy --truth s/probes.csv";
    let lines = measured(at, &format!("{both} --beams 16,64 --exhaustive"));
    let settings: Vec<&str> = lines.iter().map(|line| line["setting"].as_str().unwrap()).collect();
    assert_eq!(settings, ["beam=16", "beam=64", "exhaustive"]);
    for line in &lines {
        assert_eq!((line["k"].as_u64(), line["probes"].as_u64()), (Some(10), Some(20)), "{line}");
        assert_eq!((line["mated"].as_u64(), line["threads"].as_u64()), (Some(10), Some(1)));
        for field in ["recall", "hit_rate", "rank1"] {
            assert!((0.0..=1.0).contains(&line[field].as_f64().unwrap()), "{field}: {line}");
        }
        for field in ["qps", "mated_qps", "non_mated_qps", "p50_us", "p99_us", "vectors_read"] {
            assert!(line[field].as_f64().unwrap() > 0.0, "{field}: {line}");
        }
        assert!((3..=5).contains(&line["runs"].as_u64().unwrap()));
    }
    assert_eq!(
        (lines[2]["recall"].as_f64(), lines[2]["hit_rate"].as_f64()),
        (Some(1.0), Some(1.0))
    );

    let rows = &measured(at, "--probes s/probes.npy --truth s/truth.npy -k 5 --threads 2")[0];
    assert_eq!((rows["setting"].as_str(), rows["threads"].as_u64()), (Some("default"), Some(2)));
    assert!(rows["recall"].is_number() && rows.get("hit_rate").is_none(), "{rows}");
    // Who is on the probes is not told: the faces alone can be judged.
    let figures = &rows["identification"];
    assert_eq!(figures["recall"]["of"], 100, "{rows}");
    assert_eq!(
        (&figures["mated"]["probes"], &figures["non_mated"]["probes"]),
        (&0.into(), &0.into())
    );
    assert!(figures["open_set"].as_array().unwrap().is_empty() && rows.get("exhaustive").is_none());

    let filtered = &measured(
        at,
        "--probes s/probes.npy --truth s/probes.csv --where source=staff-portal.example",
    )[0];
    assert_eq!(filtered["recall"].as_f64(), Some(1.0));
    // Three of the ten have no photo from there.
    assert_eq!(filtered["mated"].as_u64(), Some(7), "{filtered}");

    let table = done(at, &format!("evaluate g {both}"));
    assert!(table.starts_with("g: 600 faces x 128 dimensions"), "{table}");
    for said in [
        "default: 10 mated probes of 9 people, 10 non-mated of 10",
        "FNIR at no false positive",
        "10 non-mated people are too few for FNIR at an FPIR of 0.1 (which takes about 30)",
        "people drawn again 1,000 times",
    ] {
        assert!(table.contains(said), "{said}: {table}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let at = synthetic();
    for (line, status, said) in [
        ("--truth s/truth.npy -k 0", 2, "at least 1"),
        ("--truth s/truth.npy -k 11", 1, "lists 10 faces a probe where k is 11"),
        ("--truth s/truth.npy --where subject=x", 2, "--where"),
        ("--truth s/truth.npy --truth s/truth.npy", 2, "two files"),
        ("--truth s/probes.npy", 1, "int64"),
        ("--truth s/manifest.csv", 1, "has 20 rows and s/manifest.csv has 600"),
        ("--truth s/probes.csv --where nothing=x", 2, "no such column"),
        ("--truth s/probes.csv --where subject=nobody", 1, "no face of the gallery passes"),
        ("--truth s/probes.csv --html g/gallery.json", 2, "inside the gallery"),
        ("--truth nowhere.npy", 1, "nowhere.npy"),
        ("--truth s/truth.npy --by source", 2, "--by takes a table"),
        ("--truth s/truth.npy --html r.html", 2, "--html takes a table"),
        (
            "--truth s/probes.csv --by source",
            2,
            "no such column that probes can be grouped by; it has subject",
        ),
        ("--truth s/probes.csv --html -", 2, "name one"),
        ("--truth s/probes.csv --html s", 2, "is a folder"),
    ] {
        let (got, errors) = refused(at, &format!("evaluate g --probes s/probes.npy {line}"));
        assert_eq!((got, errors.contains(said)), (status, true), "{line}: {errors}");
    }
    let row = vec!["0.5"; 128].join(",");
    let bad = format!("[{row}]\n[{}]\n", row.replacen("0.5", "NaN", 1));
    std::fs::write(at.join("bad.jsonl"), bad).unwrap();
    std::fs::write(at.join("short.jsonl"), "[1, 2]\n").unwrap();
    for (probes, said) in [("bad.jsonl", "row 1"), ("short.jsonl", "2 dimensions, the gallery 128")]
    {
        let (got, errors) =
            refused(at, &format!("evaluate g --probes {probes} --truth s/probes.csv"));
        assert_eq!((got, errors.contains(said)), (1, true), "{errors}");
    }
}

#[test]
fn groups_are_parts_of_the_whole() {
    let at = synthetic();
    let line = "--probes s/probes.npy --truth cameras.csv --by camera --exhaustive";
    let line = &measured(at, line)[0];
    let groups = line["groups"].as_array().unwrap();
    let values: Vec<Option<&str>> = groups.iter().map(|group| group["value"].as_str()).collect();
    assert_eq!(values, [Some("</svg><script>"), Some("gate & door"), None]);
    let sum = |path: &str| -> u64 {
        groups
            .iter()
            .map(|group| group["identification"].pointer(path).unwrap().as_u64().unwrap())
            .sum()
    };
    for path in [
        "/mated/probes",
        "/non_mated/probes",
        "/recall/of",
        "/cmc/0/count",
        "/open_set/3/fnir/count",
    ] {
        assert_eq!(
            Some(sum(path)),
            line["identification"].pointer(path).unwrap().as_u64(),
            "{path}"
        );
    }
    for group in groups {
        let threshold = |of: &Value| of["open_set"][3]["threshold"].clone();
        assert_eq!(threshold(&group["identification"]), threshold(&line["identification"]));
    }
}

#[test]
fn more_groups_than_anybody_reads_are_refused() {
    let at = synthetic();
    let _ = std::fs::remove_dir_all(at.join("many"));
    done(at, "synth many --profile dlib-128 --faces 100 --probes 101");
    let known = std::fs::read_to_string(at.join("many/probes.csv")).unwrap();
    let lines = known.lines().enumerate();
    let text: String = lines
        .map(|(nth, line)| if nth == 0 { format!("{line},n\n") } else { format!("{line},{nth}\n") })
        .collect();
    std::fs::write(at.join("many.csv"), text).unwrap();
    let (status, errors) =
        refused(at, "evaluate g --probes many/probes.npy --truth many.csv --by n");
    assert!(status == 1 && errors.contains("more than 100 groups"), "{errors}");
}

#[test]
fn whom_the_filters_leave_out_is_not_enrolled() {
    let at = synthetic();
    let manifest = std::fs::read_to_string(at.join("s/probes.csv")).unwrap();
    let somebody = manifest.lines().skip(1).find(|line| !line.is_empty()).unwrap();
    let filtered = &measured(
        at,
        &format!("--probes s/probes.npy --truth s/probes.csv --where subject={somebody}"),
    )[0];
    let with = manifest.lines().filter(|line| *line == somebody).count();
    assert_eq!(filtered["mated"].as_u64(), Some(with as u64), "{filtered}");
}

#[test]
fn a_report_is_one_page_that_needs_nothing_else() {
    let at = synthetic();
    done(
        at,
        "evaluate g --probes s/probes.npy --truth cameras.csv --by camera --beams 8,64 --html r.html",
    );
    let page = std::fs::read_to_string(at.join("r.html")).unwrap();
    for said in [
        "<h1>Evaluation</h1>",
        "beam=8",
        "too small to show",
        "Detection error trade-off",
        "Cumulative match characteristic",
        "Similarities",
        "Hit rate over cost",
        "By camera",
        "&lt;/svg&gt;&lt;script&gt;",
        "gate &amp; door",
        "not known",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(said), "{said}");
    }
    // Four pictures of the settings and two of the groups.
    assert_eq!(page.matches("<svg").count(), 6);
    for outside in ["http:", "https:", "//", "@import", "url(", "<link", "<script", "NaN", "inf "] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!at.join("r.html.new").exists());
}

#[cfg(unix)]
#[test]
fn a_report_is_written_also_where_nobody_reads_the_table() {
    let at = synthetic();
    let line = "evaluate g --probes s/probes.npy --truth s/probes.csv --html alone.html";
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookalike"));
    let command = command.current_dir(at).args(line.split_whitespace());
    assert!(command.stdout(writer).status().unwrap().success());
    assert!(at.join("alone.html").exists());
}
