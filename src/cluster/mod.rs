//! People out of unlabelled faces.
//!
//! In comes a gallery and a similarity S; out go [`Clusters`]: which faces are one person. Always:
//! two different faces of one image are never one person, nor are two that a user marked as not the
//! same; a face that was enrolled twice from one image is.
//!
//! ```text
//! pairs      all pairs at or above S; of each face the nearest, and some drawn at random
//!    | apart     who must not, and who must, be one person
//!    | linkage   the two clusters most alike become one, until none are alike enough
//!    v
//! clusters -> a manifest for `build`, and how they agree with known subjects
//! ```
//!
//! The method is average linkage (UPGMA; Sokal & Michener 1958): two clusters are as alike as their
//! faces on average, those below S included. One stranger who looks like somebody does not chain two
//! people together, as it would in connected components. A mean of S takes one pair of S, so only
//! clusters that a pair joins need be looked at; of a face's pairs the nearest and some drawn at random
//! stand for all.

use std::path::Path;

use crate::pairs::{Found, Pairs, PairsError};
use crate::{Cancel, Error, FaceId, Gallery, Progress};

mod apart;
mod error;
mod linkage;
mod manifest;
mod nearest;
mod not_same;
mod scores;

pub use error::ClusterError;
pub use not_same::read_not_same;
pub use scores::{Agreement, Scores};

use linkage::Linkage;
use nearest::Nearest;

/// A clustering of a gallery, described.
///
/// ```
/// use lookalike::cluster::Clustering;
/// use lookalike::{Build, Cancel, FaceId, Gallery, Silent};
///
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("people.gallery");
/// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
/// # Build::new(&place, format!("{sample}/embeddings.npy"))
/// #     .manifest(format!("{sample}/manifest.csv"))
/// #     .run(&Silent, &Cancel::new())?;
/// let gallery = Gallery::open(&place)?;
/// let clusters = Clustering::new(0.95).run(&gallery, &Silent, &Cancel::new())?;
/// assert_eq!(clusters.person(&gallery, FaceId(13))?, clusters.person(&gallery, FaceId(12))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clustering {
    pairs: Pairs,
    at_least: f32,
    not_same: Vec<(FaceId, FaceId)>,
    memory: u64,
}

/// Memory to stay below, unless told.
const MEMORY: u64 = 4 << 30;
/// Bytes a face is taken to need whatever it keeps, and for each other face that it keeps: more than
/// any gallery that was measured took, as lists and links grow with the photos of a person.
const FACE_BYTES: (u64, u64) = (160, 112);

/// Which faces of a gallery are one person.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// By place, the lowest face id of the cluster.
    people: Vec<FaceId>,
    /// Number of clusters.
    count: u64,
    /// How many others each face was compared by: 32, or fewer where memory did not allow for them.
    pub others: usize,
    /// The pairs they were made of, and how those were looked for.
    pub found: Found,
}

impl Clustering {
    /// Clusters whose faces are this similar on average, in \[-1, 1\], are one person.
    pub fn new(at_least: f32) -> Self {
        Self { pairs: Pairs::new(at_least), at_least, not_same: Vec::new(), memory: MEMORY }
    }

    /// The share of the pairs at or above that similarity that must be found; see
    /// [`Pairs::hit_rate`].
    #[must_use]
    pub fn hit_rate(mut self, rate: f64) -> Self {
        self.pairs = self.pairs.hit_rate(rate);
        self
    }

    /// Pairs of faces that are not of one person, whatever they look like.
    #[must_use]
    pub fn not_same(mut self, pairs: impl IntoIterator<Item = (FaceId, FaceId)>) -> Self {
        self.not_same.extend(pairs);
        self
    }

    /// Bytes of memory to stay below, about, beside the pairs at hand; 4 GiB unless said. A face is
    /// taken to need about 4,000 bytes, more than any gallery that was measured took; with less, each
    /// keeps fewer of the faces most like it, and people with many photos may fall apart.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// How many others each face can keep.
    fn others(&self, gallery: &Gallery) -> Result<usize, ClusterError> {
        let (faces, sums) = (gallery.len().max(1), linkage::sum_bytes(gallery.dims()));
        let (least, most) = nearest::KEPT;
        let bytes = |others: usize| FACE_BYTES.0 + sums + others as u64 * FACE_BYTES.1;
        let fits = |others: &usize| faces.saturating_mul(bytes(*others)) <= self.memory;
        let needed = faces.saturating_mul(bytes(least));
        (least..=most).rev().find(fits).ok_or(ClusterError::Memory { needed, memory: self.memory })
    }

    /// Puts the faces of a gallery together. Equal galleries give equal clusters.
    ///
    /// # Errors
    /// When the similarity or the hit rate cannot be, a face that is not the same as another is not
    /// there, the memory does not do, the gallery's files are damaged, or it is cancelled.
    pub fn run(
        &self,
        gallery: &Gallery,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Clusters, Error> {
        let others = self.others(gallery)?;
        let apart = apart::find(gallery, &self.not_same, cancel)?;
        let mut nearest = Nearest::new(gallery.len() as usize, others);
        let take = |pairs: &[crate::pairs::Pair]| {
            for pair in pairs {
                let slots = pair.slots(gallery);
                nearest.take(slots, pair.similarity);
            }
            Ok::<(), Error>(())
        };
        let found = self.pairs.run(gallery, take, progress, cancel)?;
        let linkage = Linkage::new(gallery, nearest, apart, self.at_least);
        let people = linkage.run(progress, cancel)?;
        let by_slot = |place| people.get(gallery.0.segment.slot(place) as usize).copied();
        let people: Vec<FaceId> = (0..gallery.len() as u32)
            .map(|place| {
                // Where the map of places is damaged, a face is a person of its own.
                let own = || FaceId(gallery.0.segment.face_id(place));
                by_slot(place).unwrap_or_else(own)
            })
            .collect();
        let count = people
            .iter()
            .zip(0..)
            .filter(|(person, place)| person.0 == gallery.0.segment.face_id(*place));
        let count = count.count() as u64;
        Ok(Clusters { people, count, others, found })
    }
}

impl Clusters {
    /// Number of clusters, those of one face included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The person a face belongs to: the lowest face id of its cluster.
    ///
    /// # Errors
    /// When there is no such face in the gallery.
    pub fn person(&self, gallery: &Gallery, face_id: FaceId) -> Result<FaceId, Error> {
        let place = gallery.place(face_id)?;
        Ok(self.people.get(place as usize).copied().unwrap_or(face_id))
    }

    /// How the clusters agree with the subjects that are known; `None` where none is.
    ///
    /// # Errors
    /// When the subjects cannot be read.
    pub fn agreement(&self, gallery: &Gallery) -> Result<Option<Agreement>, Error> {
        Ok(scores::agreement(gallery, &self.people)?)
    }

    /// Writes a manifest of the gallery's faces to `out`, CSV or Parquet, whose `subject` is
    /// `person-` and the lowest face id of the cluster: with it, `build` makes a gallery of the same
    /// embeddings in which every face has a subject. Its other columns are the known ones of a
    /// manifest.
    ///
    /// # Errors
    /// When what is known of a face cannot be read, or `out` cannot be written.
    pub fn write(
        &self,
        gallery: &Gallery,
        out: &Path,
        format: crate::pairs::Format,
    ) -> Result<(), Error> {
        crate::pairs::write_whole(out, |file| self.write_to(gallery, file, format))
    }

    /// [`write`](Self::write) to anything that can be written to.
    ///
    /// # Errors
    /// The same.
    pub fn write_to(
        &self,
        gallery: &Gallery,
        out: impl std::io::Write + Send,
        format: crate::pairs::Format,
    ) -> Result<(), Error> {
        manifest::write(gallery, &self.people, out, format)
    }
}

/// An error once the work is cancelled.
fn heed(cancel: &Cancel) -> Result<(), PairsError> {
    if cancel.is_cancelled() { Err(PairsError::Cancelled) } else { Ok(()) }
}
