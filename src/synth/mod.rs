//! Synthetic galleries with the shape of real face embeddings.
//!
//! In come a [`Profile`], a number of faces and a seed; out go the files that a gallery is built
//! from, with probes, and the exact answers to them where asked for. Nobody's face is in them, so
//! they can be as large as a test needs and be passed on freely.
//!
//! - **Shape.** Variance falls over the principal axes as in the model imitated, turned at random; a
//!   person's centre is a draw from that covariance; a photo is the centre plus noise of the same
//!   covariance, scaled so that mates have a median cosine of 0.65 (for dlib that of the vectors
//!   less their mean, since its raw cosines all lie near 1), times a lognormal quality whose
//!   logarithm has an s.d. of 0.5.
//! - **People.** Photos a person follow Zipf's law: exponent 2, at most 200, and 35 % of the variance
//!   of centres shared with a group (one group for 2,500 faces, sizes Dirichlet 0.5); or, isolated,
//!   exponent 3 and no groups, so that most people have a single photo.
//! - **Chance.** Every person and photo is drawn from the seed and its own number, and rows are a
//!   computed permutation. So memory does not grow with the gallery, and the bytes do not depend on
//!   the number of threads. Between processor types the last bits may differ, as matrix products
//!   and logarithms round differently there.

mod calibrate;
mod files;
mod model;
mod people;
mod profile;
mod rotation;
mod seeds;
mod truth;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use ndarray::Array2;

pub use profile::Profile;

use crate::{Cancel, Progress};
use files::Folder;
use model::Model;
use people::People;
use seeds::{Stream, generator};

/// Median cosine of two photos of a person.
const MEDIAN_MATE_COSINE: f64 = 0.65;
/// Faces for one group of people.
const FACES_PER_GROUP: u64 = 2500;
/// The most faces a gallery may have: a trillion.
const MAX_FACES: u64 = 1 << 40;

/// A synthetic gallery, described.
///
/// ```
/// use lookalike::{Cancel, Silent};
/// use lookalike::synth::{Profile, Synth};
///
/// let folder = tempfile::tempdir()?;
/// let synth = Synth { probes: 20, ..Synth::new(Profile::Dlib128, 500) };
/// let written = synth.write(&folder.path().join("faces"), Some(10), &Silent, &Cancel::new())?;
/// assert_eq!((written.faces, written.dims), (500, 128));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synth {
    /// The face model imitated.
    pub profile: Profile,
    /// Number of faces, 1 to 2^40.
    pub faces: u64,
    /// Whether most people have a single photo and nobody belongs to a group.
    pub isolated: bool,
    /// Besides the people drawn by chance, one with each of these numbers of photos; they count
    /// towards `faces`.
    pub subject_sizes: Vec<u64>,
    /// Number of probes: the first half (rounded up) mated, the others of people not in the gallery.
    pub probes: u64,
    /// Everything is drawn from it.
    pub seed: u64,
}

/// What [`Synth::write`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Rows of `embeddings.npy`.
    pub faces: u64,
    /// Numbers in an embedding.
    pub dims: usize,
    /// People in the gallery.
    pub subjects: u64,
    /// Most photos of one person.
    pub largest_subject: u64,
    /// Groups that people share some of their looks with; 0 for an isolated gallery.
    pub groups: u64,
    /// Rows of `probes.npy`.
    pub probes: u64,
    /// Those of them, the first, whose person is in the gallery.
    pub mated_probes: u64,
}

/// Why a synthetic gallery could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// No profile has this name.
    #[error("unknown profile {0:?}: there are arcface-512, facenet-512 and dlib-128")]
    Profile(String),
    /// A gallery of no faces, or too many.
    #[error("a synthetic gallery has 1 to {MAX_FACES} faces, not {0}")]
    Faces(u64),
    /// The people asked for by size have no photos, or more than there are faces.
    #[error(
        "subject sizes {sizes:?} must each be at least 1 and together at most the {faces} faces"
    )]
    SubjectSizes {
        /// What was asked for.
        sizes: Vec<u64>,
        /// Faces in the gallery.
        faces: u64,
    },
    /// More exact answers a probe than there are faces, or none, or too many to hold.
    #[error(
        "the exact top {k} of {faces} faces for {probes} probes: K is 1 to the number of faces, and K times probes at most {}",
        truth::MAX_ANSWERS
    )]
    Truth {
        /// Answers a probe asked for.
        k: usize,
        /// Faces in the gallery.
        faces: u64,
        /// Number of probes.
        probes: u64,
    },
    /// The folder to write to holds something.
    #[error("{0} is not empty: synthetic galleries are written to a new or an empty folder")]
    NotEmpty(PathBuf),
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The cancel flag was raised; what had been written is removed.
    #[error("cancelled")]
    Cancelled,
}

impl Synth {
    /// A clustered gallery with 1,000 probes and seed 0.
    pub fn new(profile: Profile, faces: u64) -> Self {
        Self { profile, faces, isolated: false, subject_sizes: Vec::new(), probes: 1000, seed: 0 }
    }

    /// Writes the gallery into the folder `out`, on the threads of rayon's current pool.
    ///
    /// - `embeddings.npy`: f32, `faces` rows, as long as the model makes them;
    /// - `manifest.csv`: `subject`, `source` and `captured_on` of each row, all made up;
    /// - `probes.npy` and `probes.csv`: further photos; `subject` is empty for people not in the
    ///   gallery;
    /// - with `truth`, `truth.npy`: for every probe the rows of the `truth` most similar faces, as
    ///   i64, most similar first, ties by lower row.
    ///
    /// Memory stays near 100 MB, plus what the probes and their answers take.
    ///
    /// # Errors
    /// A description that makes no sense, a folder that holds something, a disk that fails, or the
    /// cancel flag. What was written until then is removed.
    pub fn write(
        &self,
        out: &Path,
        truth: Option<usize>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Written, SynthError> {
        if !(1..=MAX_FACES).contains(&self.faces) {
            return Err(SynthError::Faces(self.faces));
        }
        if let Some(k) = truth {
            truth::check_k(k, self.faces, self.probes)?;
        }
        let people = People::new(self.faces, &self.subject_sizes, self.isolated, self.seed)?;
        let folder = Folder::prepare(out)?;
        let result = self.fill(&folder, &people, truth, progress, cancel);
        if result.is_err() {
            folder.undo();
        }
        result
    }

    fn fill(
        &self,
        folder: &Folder,
        people: &People,
        truth: Option<usize>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Written, SynthError> {
        let model = Model::new(self.profile, self.groups(), self.seed);
        let dims = self.profile.dims();
        progress.begin("drawing faces", Some(self.faces));
        let mut drawn = 0;
        let embeddings = folder.vectors(
            "embeddings.npy",
            (self.faces, dims),
            &model,
            |row, vector| {
                let (slot, person) = people.at_row(row);
                model.photo(person, generator(self.seed, Stream::Photo, slot), vector);
            },
            &mut |done| {
                progress.advance(done - std::mem::replace(&mut drawn, done));
                check(cancel)
            },
        )?;
        progress.end();
        folder.manifest(people, self.seed, progress, cancel)?;
        let probes = folder.vectors(
            "probes.npy",
            (self.probes, dims),
            &model,
            |probe, vector| {
                let person = self.probe_person(people, probe);
                model.photo(person, generator(self.seed, Stream::ProbePhoto, probe), vector);
            },
            &mut |_| check(cancel),
        )?;
        folder.probe_subjects((0..self.probes).map(|probe| {
            (probe < self.mated()).then(|| people.name(self.probe_person(people, probe)))
        }))?;
        if let Some(k) = truth {
            let probes: Array2<f32> = truth::read_all(&probes)?;
            let rows = truth::exact_top(&embeddings, &probes, k, progress, cancel)?;
            folder.truth(&rows, (self.probes, k))?;
        }
        Ok(Written {
            faces: self.faces,
            dims,
            subjects: people.len(),
            largest_subject: people.largest(),
            groups: self.groups(),
            probes: self.probes,
            mated_probes: self.mated(),
        })
    }

    fn mated(&self) -> u64 {
        self.probes.div_ceil(2)
    }

    fn groups(&self) -> u64 {
        if self.isolated { 0 } else { (self.faces / FACES_PER_GROUP).max(1) }
    }

    /// Mated probes show the person on a random face, others people whose numbers come after all
    /// those in the gallery.
    fn probe_person(&self, people: &People, probe: u64) -> u64 {
        use rand::RngExt;
        if probe < self.mated() {
            let mut rng = generator(self.seed, Stream::ProbePerson, probe);
            people.at_slot(rng.random_range(0..people.faces()))
        } else {
            people.len() + probe
        }
    }
}

fn check(cancel: &Cancel) -> Result<(), SynthError> {
    if cancel.is_cancelled() {
        return Err(SynthError::Cancelled);
    }
    Ok(())
}
