//! All pairs of faces of a gallery that are alike: duplicate enrolments, one photo under two names.
//!
//! In comes a gallery and a similarity; out goes a stream of [`Pair`]s, each once, always in the
//! same order. Memory follows the number of threads, never that of pairs.
//!
//! ```text
//! survey    a sample of the faces against all, exactly, and a larger one by codes where those
//!    |      have too few pairs: which cells hold them
//!    |      -> the least promise at which a cell is looked into, for the hit rate asked for
//! units     up to 256 faces of one cell: turned together, and the cells that promise enough
//!    |      for any of them
//! compare   each cell once for all who look into it: sketches, then codes of those that a
//!    |      sketch cannot rule out, then vectors of those that a code cannot
//! pairs     by the vectors' similarity -> CSV, JSON lines or Parquet
//! ```
//!
//! Faces lie cell by cell. Of two faces, the one that lies first looks for the other: half of all
//! cells need not be ranked, and no pair is met twice. Sketches and codes have a known error (Gao &
//! Long, "RaBitQ", 2024), which says who can be ruled out.

use crate::gallery::GalleryError;
use crate::{Cancel, Error, FaceId, Gallery, Progress, SearchError};

mod compare;
mod error;
mod kind;
mod reach;
mod spool;
mod survey;
mod units;
mod write;

pub use error::PairsError;
pub use kind::Kind;
pub use reach::Reach;
pub use write::{Format, PairWriter, check_place};
pub(crate) use write::{of_csv, of_parquet, properties, write_whole};

use compare::Faces;
use units::Units;

/// Up to this many faces every one is scored by its vector, as it takes but a moment.
const FEW: u64 = crate::search::FEW as u64;

/// Two faces that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// The face with the lower id.
    pub first: FaceId,
    /// The other.
    pub second: FaceId,
    /// Cosine of their embeddings, in \[-1, 1\].
    pub similarity: f32,
    /// Where their attributes lie.
    places: (u32, u32),
}

impl Pair {
    /// Where the two vectors lie.
    pub(crate) fn slots(&self, gallery: &Gallery) -> [u32; 2] {
        [self.places.0, self.places.1].map(|place| gallery.0.segment.slot(place))
    }

    /// The pair of the faces in two places.
    fn of(gallery: &Gallery, places: (u32, u32), similarity: f32) -> Self {
        let id = |place| FaceId(gallery.0.segment.face_id(place));
        let (a, b) = places;
        let (places, first, second) = match (id(a), id(b)) {
            (first, second) if first <= second => ((a, b), first, second),
            (second, first) => ((b, a), first, second),
        };
        Self { first, second, similarity, places }
    }
}

/// A search for all pairs of a gallery, described.
///
/// ```
/// use lookalike::pairs::Pairs;
/// use lookalike::{Build, Cancel, Error, Gallery, Silent};
///
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("people.gallery");
/// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
/// # Build::new(&place, format!("{sample}/embeddings.npy"))
/// #     .manifest(format!("{sample}/manifest.csv"))
/// #     .run(&Silent, &Cancel::new())?;
/// let gallery = Gallery::open(&place)?;
/// let mut most_alike = 0.0_f32;
/// let found = Pairs::new(0.98).run(
///     &gallery,
///     |pairs| {
///         most_alike = pairs.iter().map(|pair| pair.similarity).fold(most_alike, f32::max);
///         Ok::<(), Error>(())
///     },
///     &Silent,
///     &Cancel::new(),
/// )?;
/// assert!(found.pairs > 0 && most_alike >= 0.98);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pairs {
    at_least: f32,
    hit_rate: f64,
}

/// What a search for pairs found, and how.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Number of pairs.
    pub pairs: u64,
    /// How they were looked for.
    pub reach: Reach,
}

/// What a search for pairs has to say as it goes on.
enum Step<'a> {
    /// More pairs of the unit at hand.
    Pairs(&'a [Pair]),
    /// The unit is finished.
    Finished(u32),
}

impl Pairs {
    /// All pairs at or above this similarity, in \[-1, 1\].
    pub fn new(at_least: f32) -> Self {
        Self { at_least, hit_rate: crate::search::DEFAULT_HIT_RATE }
    }

    /// The share of the pairs that must be found, in (0, 1], 0.99 unless said: as measured on a
    /// sample of the gallery's faces, so that its lower 95 % bound holds; of all pairs, of those of
    /// two subjects and of those of faces with up to three, as [`Reach::Measured`] has it. At 1 every
    /// two faces are compared by their vectors.
    #[must_use]
    pub fn hit_rate(mut self, rate: f64) -> Self {
        self.hit_rate = rate;
        self
    }

    /// Hands `take` all pairs, some at a time, on the threads of the current rayon pool. The same
    /// gallery gives the same pairs in the same order on any number of threads.
    ///
    /// # Errors
    /// When the similarity or the hit rate cannot be, the gallery's files are damaged, it is
    /// cancelled, or `take` fails.
    pub fn run<E: From<Error>>(
        &self,
        gallery: &Gallery,
        mut take: impl FnMut(&[Pair]) -> Result<(), E>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Found, E> {
        let reach = self.reach(gallery, progress, cancel)?;
        let mut count = 0;
        let take = &mut |step: Step<'_>| match step {
            Step::Pairs(pairs) => {
                count += pairs.len() as u64;
                take(pairs)
            }
            Step::Finished(_) => Ok(()),
        };
        self.run_from(gallery, &reach, 0, take, progress, cancel)?;
        Ok(Found { pairs: count, reach })
    }

    /// Whether what is asked for can be.
    ///
    /// # Errors
    /// When the similarity is outside \[-1, 1\] or the hit rate outside (0, 1].
    pub fn check(&self) -> Result<(), Error> {
        if !(-1.0..=1.0).contains(&self.at_least) {
            return Err(SearchError::Threshold(self.at_least).into());
        }
        if !(self.hit_rate > 0.0 && self.hit_rate <= 1.0) {
            return Err(SearchError::HitRate(self.hit_rate).into());
        }
        Ok(())
    }

    /// How far to look on this gallery.
    fn reach(
        &self,
        gallery: &Gallery,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Reach, Error> {
        self.check()?;
        if gallery.len() <= FEW || self.hit_rate >= 1.0 {
            return Ok(Reach::Exhaustive);
        }
        let faces = Faces::of(gallery)?;
        Ok(survey::survey(&faces, self.at_least, self.hit_rate, progress, cancel)?)
    }

    /// The pairs of all units from `first` on.
    fn run_from<E: From<Error>>(
        &self,
        gallery: &Gallery,
        reach: &Reach,
        first: u32,
        take: &mut dyn FnMut(Step<'_>) -> Result<(), E>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), E> {
        let faces = Faces::of(gallery).map_err(Error::from)?;
        progress.begin("pairs", Some(gallery.len()));
        for (number, unit) in (0..).zip(Units::of(&faces)) {
            if number >= first {
                let pairs = |found: &mut Vec<compare::Alike>| {
                    let segment = &gallery.0.segment;
                    let mut pairs: Vec<Pair> = found
                        .drain(..)
                        .map(|alike| {
                            let places = alike.slots.map(|slot| segment.place(slot));
                            Pair::of(gallery, places.into(), alike.similarity.min(1.0))
                        })
                        .collect();
                    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
                    take(Step::Pairs(&pairs))
                };
                unit.run(&faces, reach, self.at_least, pairs, cancel)?;
                take(Step::Finished(number))?;
            }
            progress.advance(u64::from(unit.slots.end - unit.slots.start));
        }
        progress.end();
        Ok(())
    }
}

/// An error once the work is cancelled.
fn heed(cancel: &Cancel) -> Result<(), PairsError> {
    if cancel.is_cancelled() { Err(PairsError::Cancelled) } else { Ok(()) }
}

impl Faces<'_> {
    fn of(gallery: &Gallery) -> Result<Faces<'_>, GalleryError> {
        Faces::new(&gallery.0.segment)
    }
}
