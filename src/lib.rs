//! Face-embedding similarity search: which photos show the person on a probe?
//!
//! Photos of faces come with precomputed embeddings. A build turns them into a *gallery*, a folder
//! that is mapped into memory and never loaded; a search returns the faces most like a probe.
//!
//! ```text
//! manifest + embeddings + images
//!    | ingest    read, validate, pair, decode, crop, thumbnail, hash     [feature `build`]
//!    | build     enrol face after face                                   [feature `build`]
//!    | space     mean, rotation and dimensions, learned from a sample    [feature `build`]
//!    | cells     k-means order: neighbours in space lie side by side     [feature `build`]
//!    | codes     a face in 72 bytes, a sketch in 16                      [feature `build`]
//!    | graph     HNSW over codes and vectors, all reachable              [feature `build`]
//!    v
//! gallery        immutable mapped files and a small catalogue
//!    | search    filter -> plan -> walk or scan -> rerank -> group, threshold
//!    v
//! matches
//! ```
//!
//! Beside them: [`kernels`] (all SIMD), [`calibration`] (thresholds that mean something),
//! [`evaluate`] (what searches are worth), `pairs` and `cluster` (a whole gallery against itself:
//! duplicates, and people out of unlabelled faces), `synth` (galleries of people who do not exist),
//! `capacity` (what a gallery of any size takes of a server), and the words: a *face* is one face in
//! one image; a *subject* is the person it belongs to; a *probe* is the embedding searched for; a
//! *mate* is a face of the probe's person; *similarity* is the cosine
//! in \[-1, 1\], higher is more alike; a face *matches* at similarity >= threshold.
//!
//! ```
//! use lookalike::{Build, Cancel, Embedding, Gallery, Query, Silent};
//!
//! # let folder = tempfile::tempdir()?;
//! # let place = folder.path().join("people.gallery");
//! # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
//! Build::new(&place, format!("{sample}/embeddings.npy"))
//!     .manifest(format!("{sample}/manifest.csv"))
//!     .run(&Silent, &Cancel::new())?;
//!
//! let gallery = Gallery::open(&place)?;
//! let probe: Embedding = gallery.embedding(lookalike::FaceId(17))?;
//! let query = Query::new().top(3).at_least(0.95);
//! for found in gallery.search(&probe, &query)? {
//!     println!("{} {:.3} {}", found.face_id, found.similarity, found.face()?.image);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The library does not panic on input, print or exit. With `default-features = false` it only
//! searches, and depends on little.

#![deny(unsafe_code)]
// Nothing in the library prints, or panics on input.
#![warn(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "build")]
mod build;
pub mod calibration;
#[cfg(feature = "synth")]
pub mod capacity;
pub mod cells;
#[cfg(feature = "build")]
pub mod cluster;
mod codes;
mod embedding;
mod error;
pub mod evaluate;
pub mod gallery;
#[cfg(feature = "build")]
pub mod graph;
#[cfg(feature = "build")]
pub mod ingest;
pub mod kernels;
#[cfg(feature = "build")]
mod lock;
#[cfg(feature = "build")]
pub mod pairs;
mod progress;
pub mod search;
mod space;
#[cfg(feature = "synth")]
pub mod synth;

#[cfg(feature = "build")]
pub use build::{Build, BuildError, Builder};
pub use embedding::{Embedding, EmbeddingError, FaceId, MAX_DIMS};
pub use error::Error;
pub use gallery::{Gallery, GalleryError, VectorType};
pub use progress::{Cancel, Progress, Silent};
pub use search::{Filter, FilterError, Match, Matches, Query, SearchError};
