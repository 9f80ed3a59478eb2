//! Probes that belong together: several photos of one person, by a column of the probe manifest.
//!
//! In comes a file of probes with its manifest; out come its probes, those of a set as one, where the
//! last of them stands in the file. Held are the names of the sets with the number of probes of each,
//! and the probes of sets that are not complete yet: one set, where their rows are side by side. A
//! row without a value stands for itself, and so does one that cannot be searched for, with its error.

use std::collections::HashMap;

use lookalike::search::Fusion;

use super::probes::{Probe, ProbeFile, Seek};

/// How the probes of a set become one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fuse {
    /// One search for the mean of the probes: a threshold means what it means for one probe
    #[default]
    Mean,
    /// Each face by the probe that it is most similar to
    Best,
    /// By the ranks that faces have with each probe; similarities are then not in order
    ReciprocalRank,
}

impl From<Fuse> for Fusion {
    fn from(fuse: Fuse) -> Self {
        match fuse {
            Fuse::Mean => Self::Mean,
            Fuse::Best => Self::Best,
            Fuse::ReciprocalRank => Self::ReciprocalRank,
        }
    }
}

/// The probes of a file, those of a set as one.
pub(crate) struct ProbeSets {
    file: ProbeFile,
    /// Probes of each set that are still to come.
    to_come: HashMap<String, u64>,
    open: HashMap<String, Vec<Probe>>,
    /// A set whose last row could not be searched for, and had to be said first.
    ready: Option<Probe>,
}

impl ProbeSets {
    /// `to_come` is how many probes of `file` each set has.
    pub(super) fn new(file: ProbeFile, to_come: HashMap<String, u64>) -> Self {
        Self { file, to_come, open: HashMap::new(), ready: None }
    }
}

impl Iterator for ProbeSets {
    type Item = Probe;

    fn next(&mut self) -> Option<Probe> {
        if let Some(ready) = self.ready.take() {
            return Some(ready);
        }
        loop {
            let Some(probe) = self.file.next() else {
                // Nothing is left of these, unless the manifest changed meanwhile.
                let name = self.open.keys().min()?.clone();
                return self.open.remove(&name).and_then(|probes| fused(name, probes));
            };
            let Some(name) = probe.set.clone() else { return Some(probe) };
            let left = self.to_come.entry(name.clone()).or_insert(1);
            *left = left.saturating_sub(1);
            let is_last = *left == 0;
            if let Seek::Nothing(_) = probe.seek {
                // The set goes on without it.
                if is_last {
                    self.ready = self.open.remove(&name).and_then(|probes| fused(name, probes));
                }
                return Some(Probe { set: None, ..probe });
            }
            let open = self.open.entry(name.clone()).or_default();
            open.push(probe);
            if is_last {
                return self.open.remove(&name).and_then(|probes| fused(name, probes));
            }
        }
    }
}

/// Probes of a set as one, by the number of the first.
fn fused(name: String, probes: Vec<Probe>) -> Option<Probe> {
    let rows = probes.iter().map(|probe| probe.number).collect();
    let (mut vectors, mut thumbnails) = (Vec::new(), Vec::new());
    let (mut number, mut caption) = (None, None);
    for probe in probes {
        number = number.or(Some(probe.number));
        caption = caption.or(probe.caption);
        thumbnails.extend(probe.thumbnail);
        if let Seek::Vector(vector) = probe.seek {
            vectors.push(vector);
        }
    }
    let mut thumbnails = thumbnails.into_iter();
    Some(Probe {
        number: number?,
        seek: Seek::Set(vectors),
        name: name.clone(),
        caption,
        thumbnail: thumbnails.next(),
        set: Some(name),
        rows,
        more_thumbnails: thumbnails.collect(),
    })
}
