//! Every format is written by another implementation and read back, whole and damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod faults;
mod json;
mod numpy;
mod parquet;
mod plain;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::{Embeddings, EmbeddingsError, RowFault};

/// A folder with one file in it.
struct Scratch {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn scratch(name: &str, bytes: &[u8]) -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    Scratch { _dir: dir, path }
}

fn open(name: &str, bytes: &[u8], array: Option<&str>) -> Result<Embeddings, EmbeddingsError> {
    // The mapping outlives the name of its file.
    Embeddings::open(&scratch(name, bytes).path, array)
}

fn read_all(embeddings: &Embeddings) -> Vec<Result<Vec<f32>, RowFault>> {
    (0..embeddings.rows())
        .map(|row| {
            let mut out = vec![0.0; embeddings.dims()];
            embeddings.read(row, &mut out).map(|()| out)
        })
        .collect()
}

fn rows_of(name: &str, bytes: &[u8], array: Option<&str>) -> Vec<Vec<f32>> {
    let embeddings = open(name, bytes, array).unwrap();
    read_all(&embeddings).into_iter().collect::<Result<_, _>>().unwrap()
}

/// A table of small whole and half numbers, which every kind of float holds exactly.
fn table() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let number = || (-100_i32..100).prop_map(|n| n as f32 / 2.0);
    (1_usize..8, 1_usize..10).prop_flat_map(move |(dims, rows)| {
        prop::collection::vec(prop::collection::vec(number(), dims), rows)
    })
}

fn small() -> Vec<Vec<f32>> {
    vec![vec![1.0, -2.5], vec![0.5, 4.0], vec![-7.5, 8.0]]
}

#[test]
fn embeddings_cross_threads() {
    fn check<T: Send + Sync + std::fmt::Debug>() {}
    check::<Embeddings>();
    check::<EmbeddingsError>();
}

#[test]
fn reading_is_checked() {
    let e = open("a.jsonl", b"[1,2]\n", None).unwrap();
    assert_eq!(e.read(1, &mut [0.0; 2]), Err(RowFault::NoSuchRow { row: 1, rows: 1 }));
    assert_eq!(e.read(0, &mut [0.0; 3]), Err(RowFault::WrongDims { expected: 2, got: 3 }));
    assert_eq!(e.format(), "JSON lines");
    assert!(e.path().ends_with("a.jsonl"));
}
