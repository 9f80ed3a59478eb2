//! `lookalike evaluate` on a small synthetic gallery, as a user runs it.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

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

/// Input in `s`, its gallery in `g`.
fn synthetic() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(at, "synth s --profile dlib-128 --faces 600 --probes 20 --truth 10");
    done(at, "build g --embeddings s/embeddings.npy --manifest s/manifest.csv");
    folder
}

#[test]
fn settings_are_measured_in_their_order() {
    let folder = synthetic();
    let at = folder.path();
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

    let filtered = &measured(
        at,
        "--probes s/probes.npy --truth s/probes.csv --where source=staff-portal.example",
    )[0];
    assert_eq!((filtered["recall"].as_f64(), filtered["mated"].as_u64()), (Some(1.0), Some(10)));

    let table = done(at, &format!("evaluate g {both}"));
    assert!(table.starts_with("g: 600 faces x 128 dimensions"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = synthetic();
    let at = folder.path();
    for (line, status, said) in [
        ("--truth s/truth.npy -k 0", 2, "at least 1"),
        ("--truth s/truth.npy -k 11", 1, "lists 10 faces a probe where k is 11"),
        ("--truth s/truth.npy --where subject=x", 2, "--where"),
        ("--truth s/truth.npy --truth s/truth.npy", 2, "two files"),
        ("--truth s/probes.npy", 1, "int64"),
        ("--truth s/manifest.csv", 1, "has 20 rows and s/manifest.csv has 600"),
        ("--truth s/probes.csv --where nothing=x", 2, "no such column"),
        ("--truth nowhere.npy", 1, "nowhere.npy"),
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
