//! What the behaviour tests share: made-up embeddings, small galleries, and the command.

#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lookalike::gallery::IngestCounts;
use lookalike::{Build, BuildError, Cancel, Embedding, Gallery, Query, Silent};

/// A file or folder of the sample.
pub fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample").join(path)
}

/// Numbers that are the same on every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From -1 to 1.
    pub fn value(&mut self) -> f32 {
        ((self.next() >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    }

    pub fn vector(&mut self, dims: usize) -> Vec<f32> {
        (0..dims).map(|_| self.value()).collect()
    }

    pub fn vectors(&mut self, count: usize, dims: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| self.vector(dims)).collect()
    }

    /// A vector close to another.
    pub fn near(&mut self, vector: &[f32], noise: f32) -> Vec<f32> {
        vector.iter().map(|v| v + noise * self.value()).collect()
    }
}

pub fn embedding(values: &[f32]) -> Embedding {
    Embedding::new(values.to_vec()).unwrap()
}

/// The bytes of a `.npy` file of single precision.
pub fn npy_bytes(rows: &[Vec<f32>], dims: usize) -> Vec<u8> {
    let mut head =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {dims}), }}", rows.len());
    while (10 + head.len() + 1) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|v| v.to_le_bytes()));
    bytes
}

pub fn write_npy(path: &Path, rows: &[Vec<f32>]) {
    std::fs::write(path, npy_bytes(rows, rows.first().map_or(16, Vec::len))).unwrap();
}

/// A folder to work in, with embeddings and, where wanted, a manifest of CSV.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn of(rows: &[Vec<f32>]) -> Self {
        let place = Self::new();
        write_npy(&place.path("faces.npy"), rows);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn manifest(self, text: &str) -> Self {
        std::fs::write(self.path("faces.csv"), text).unwrap();
        self
    }

    pub fn gallery(&self) -> PathBuf {
        self.path("people.gallery")
    }

    /// A build of what is here.
    pub fn build(&self) -> Build {
        let build = Build::new(self.gallery(), self.path("faces.npy"));
        let manifest = self.path("faces.csv");
        if manifest.exists() { build.manifest(manifest) } else { build }
    }

    pub fn open(&self) -> Gallery {
        Gallery::open(self.gallery()).unwrap()
    }

    /// The gallery of what is here.
    pub fn built(&self) -> Gallery {
        run(&self.build()).unwrap();
        self.open()
    }

    /// The lines of `rejects.csv` without its heading.
    pub fn rejects(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.gallery().join("rejects.csv")).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        assert_eq!(lines.next().as_deref(), Some("row,file,severity,reason"));
        lines.collect()
    }
}

pub fn run(build: &Build) -> Result<IngestCounts, BuildError> {
    build.run(&Silent, &Cancel::new())
}

/// Face ids of an answer, in its order.
pub fn ids(gallery: &Gallery, probe: &[f32], query: &Query) -> Vec<u64> {
    let matches = gallery.search(&embedding(probe), query).unwrap();
    matches.iter().map(|found| found.face_id.0).collect()
}

/// Similarities with every row in double precision, by what the gallery promises to hold.
pub fn exact(rows: &[Vec<f32>], probe: &[f32]) -> Vec<f64> {
    let probe = embedding(probe);
    let dot = |row: &Vec<f32>| {
        let row = embedding(row);
        let pairs = row.values().iter().zip(probe.values());
        pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    rows.iter().map(dot).collect()
}

/// Every file under a folder, by its path within, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The command, with its output to be read.
pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookalike"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a run of the command gave.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            // A signal counts as 128 and its number, as in a shell.
            status: output.status.code().unwrap_or(128),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the command to its end.
pub fn lookalike<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    command(args).output().unwrap().into()
}

/// The same with something on its standard input.
pub fn lookalike_fed<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its arguments does not read what it is fed.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output.into()
}
