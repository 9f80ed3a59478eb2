//! Small valid galleries for damage to be done to.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use lookalike::graph::GraphParams;
use lookalike::{Build, Builder, Cancel, Silent, VectorType};

use crate::{scratch_folder, write};

/// Dimensions of every face.
pub const DIMS: usize = 8;

/// Faces of a gallery whose files are to be short.
pub const FEW: usize = 5;

/// The ways in which galleries differ on disk.
#[derive(Clone, Copy, Debug)]
pub enum Variant {
    /// Single precision and a graph.
    Walked,
    /// Half precision and a graph.
    Halved,
    /// No graph.
    Scanned,
}

impl Variant {
    pub const ALL: [Self; 3] = [Self::Walked, Self::Halved, Self::Scanned];
}

/// Builds a gallery of `faces` faces, the first few with a photo, and gives its folder.
pub fn gallery(variant: Variant, faces: usize) -> PathBuf {
    let folder = scratch_folder();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample/images");
    let place = folder.join("sample.gallery");
    let (vectors, builder) = match variant {
        Variant::Walked => (VectorType::F32, Builder::HnswRs),
        Variant::Halved => (VectorType::F16, Builder::HnswRs),
        Variant::Scanned => (VectorType::F32, Builder::None),
    };
    // Few links a face make upper layers in a gallery as small as this.
    let params = GraphParams::new(2, 8, 1).expect("valid settings");
    Build::new(&place, write(&folder, "embeddings.jsonl", embeddings(faces).as_bytes()))
        .manifest(write(&folder, "manifest.csv", manifest(faces).as_bytes()))
        .images(images)
        .vectors(vectors)
        .builder(builder)
        .graph(params)
        .threads(1)
        .run(&Silent, &Cancel::new())
        .expect("a sound input");
    place
}

/// The files of a gallery by their paths within it, with their content.
pub fn files(gallery: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![gallery.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a gallery's folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a gallery's file");
                found.push((path.strip_prefix(gallery).expect("within").to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

/// Numbers without a pattern, the same in every run.
pub fn embeddings(faces: usize) -> String {
    let mut state = 1_u64;
    let mut number = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let mut text = String::new();
    for _ in 0..faces {
        let row: Vec<f64> = (0..DIMS).map(|_| number()).collect();
        writeln!(text, "{row:?}").expect("memory");
    }
    text
}

/// A manifest with every known column and an attribute of every kind, with gaps.
pub fn manifest(faces: usize) -> String {
    let mut text = String::from(
        "image,subject,source,key,box_left,box_top,box_right,box_bottom,live,age,score,taken,note\n",
    );
    for i in 0..faces {
        let image = if i < 6 { format!("{i:05}.jpg") } else { String::new() };
        let subject = if i % 7 == 6 { String::new() } else { format!("s{}", i / 3) };
        let bounds = if i < 3 { "10,12,90,100" } else { ",,," };
        let day = i % 28 + 1;
        writeln!(
            text,
            "{image},{subject},{}.example,k{i},{bounds},{},{},{}.5,2024-02-{day:02},note {i}",
            ["press", "portal"][i % 2],
            i % 3 == 0,
            i % 90,
            i % 10,
        )
        .expect("memory");
    }
    text
}
