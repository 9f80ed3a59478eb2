//! What a gallery of billions would take: time, memory and disk, as smaller ones foretell.
//!
//! In come what was measured on galleries of growing size (`measured.json`, which `cargo bench
//! --bench billion` writes) and a server; out comes what each way of searching takes there.
//!
//! ```text
//! Point, Built of each size ── PowerLaw ── at a size ──▶ reads, bytes, seconds ──┐
//! Server: cores, memory, bandwidth, disk ────────────────────────────────────────┴──▶ Forecast
//! ```
//!
//! Everything about a size that was not measured is extrapolated: a forecast says from where.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::search::Reads;

mod forecast;
mod power_law;
mod server;

pub use forecast::{Asked, Forecast};
pub use power_law::PowerLaw;
pub use server::Server;

/// A way of searching, its setting the cheapest that keeps the hit rate at each size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Way {
    /// A walk of the graph.
    Walk,
    /// A scan of the most promising share of the faces.
    Share,
    /// A scan of all faces.
    Scan,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Walk, Self::Share, Self::Scan];
}

/// What keeping a hit rate took on one gallery, one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The way.
    pub way: Way,
    /// Width of the walk's beam, or share of the faces that is scanned.
    pub setting: f64,
    /// Hit rate of fresh probes, in \[0, 1\].
    pub hit_rate: f64,
    /// Means a probe of somebody in the gallery.
    pub mated: Reads,
    /// Means a probe of nobody.
    pub non_mated: Reads,
    /// Microseconds a probe on one thread, half of the probes mated.
    pub microseconds: f64,
    /// Microseconds of one core a probe, in batches of 64 on all cores.
    pub batched_microseconds: f64,
}

/// One gallery that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// The commit of the code that was measured.
    pub commit: String,
    /// The face model it looks like.
    pub profile: String,
    /// Whether most people have one photo.
    pub isolated: bool,
    /// Faces.
    pub faces: u64,
    /// Dimensions of an embedding.
    pub dims: usize,
    /// Bytes of `codes.bin` a face.
    pub codes: f64,
    /// Bytes of `graph.bin` a face.
    pub graph: f64,
    /// Bytes a face of what else the gallery holds, vectors and thumbnails apart.
    pub rest: f64,
    /// Core seconds that reading, learning, coding and putting in order took.
    pub code_seconds: f64,
    /// Core seconds that linking took.
    pub graph_seconds: f64,
    /// Core seconds that measuring the promise took.
    pub promise_seconds: f64,
    /// What searching took.
    pub points: Vec<Point>,
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The processor.
    pub machine: String,
    /// Faces asked for a probe.
    pub k: usize,
    /// The hit rate that was to be kept.
    pub hit_rate: f64,
    /// The galleries.
    pub galleries: Vec<Built>,
}

impl Measured {
    /// What was measured, by the commit that each gallery names; `None` where the file that came
    /// with it is damaged.
    pub fn shipped() -> Option<&'static Self> {
        static SHIPPED: LazyLock<Option<Measured>> =
            LazyLock::new(|| serde_json::from_str(include_str!("measured.json")).ok());
        SHIPPED.as_ref()
    }

    /// The galleries of one profile and kind, the smallest first.
    pub fn of(&self, profile: &str, isolated: bool) -> Vec<&Built> {
        let fits = |built: &&Built| built.profile == profile && built.isolated == isolated;
        let mut found: Vec<&Built> = self.galleries.iter().filter(fits).collect();
        found.sort_by_key(|built| built.faces);
        found
    }
}

#[cfg(test)]
mod tests;
