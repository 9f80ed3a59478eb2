//! Who is on which face.
//!
//! In come the number of faces and how photos are spread over people; out goes, for any row, the
//! person on it and that person's name. Kept are only the numbers of people with 1, 2, 3, ...
//! photos, so memory does not grow with the gallery: photos are laid out in slots, all people with
//! one photo first, then those with two, and rows are a seeded permutation of slots. Always: every
//! row has one person, and the photos of all people add up to the faces.

use std::collections::BTreeMap;

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Zeta, Zipf};

use super::SynthError;
use super::seeds::{Shuffle, Stream, generator};

/// Exponent of photos a person where people cluster, and the most photos one may have.
const CLUSTERED: (f64, f64) = (2.0, 200.0);
/// Exponent of photos a person where most have a single one.
const ISOLATED: f64 = 3.0;

/// People with equally many photos, side by side in the slots.
#[derive(Clone, Copy, Debug)]
struct Run {
    first_slot: u64,
    first_person: u64,
    /// Photos of each.
    size: u64,
    /// Asked for by size: the number of earlier people asked for with this size.
    sized: Option<u64>,
}

/// The people of a gallery.
#[derive(Debug)]
pub(super) struct People {
    runs: Vec<Run>,
    faces: u64,
    sized: u64,
    people: u64,
    order: Shuffle,
    names: Shuffle,
}

impl People {
    /// Spreads `faces` photos: first one person for each of `sized`, then by chance. Chance is asked
    /// once a person, so the time grows with the gallery though the memory does not.
    pub(super) fn new(
        faces: u64,
        sized: &[u64],
        isolated: bool,
        seed: u64,
    ) -> Result<Self, SynthError> {
        let wanted = sized
            .iter()
            .try_fold(0_u64, |sum, &size| sum.checked_add(size))
            .filter(|&sum| sum <= faces && !sized.contains(&0))
            .ok_or_else(|| SynthError::SubjectSizes { sizes: sized.to_vec(), faces })?;
        let mut layout = Layout::default();
        let mut same_size = BTreeMap::<u64, u64>::new();
        for &size in sized {
            let earlier = same_size.entry(size).or_default();
            layout.add(size, 1, Some(*earlier));
            *earlier += 1;
        }
        for (size, count) in by_chance(faces - wanted, isolated, seed) {
            layout.add(size, count, None);
        }
        let sized = sized.len() as u64;
        Ok(Self {
            faces,
            sized,
            people: layout.person,
            order: Shuffle::new(faces, seed, Stream::FaceOrder),
            names: Shuffle::new((layout.person - sized).max(1), seed, Stream::Names),
            runs: layout.runs,
        })
    }

    /// Number of people.
    pub(super) fn len(&self) -> u64 {
        self.people
    }

    /// Most photos of one person.
    pub(super) fn largest(&self) -> u64 {
        self.runs.iter().map(|run| run.size).max().unwrap_or(0)
    }

    /// Number of photos.
    pub(super) fn faces(&self) -> u64 {
        self.faces
    }

    /// The photo at `row`: its slot, which no other row has, and its person.
    pub(super) fn at_row(&self, row: u64) -> (u64, u64) {
        let slot = self.order.at(row);
        (slot, self.at_slot(slot))
    }

    /// The person on the photo in `slot`.
    pub(super) fn at_slot(&self, slot: u64) -> u64 {
        let run = self.run(|run| run.first_slot <= slot);
        run.map_or(0, |run| run.first_person + (slot - run.first_slot) / run.size)
    }

    /// What the manifest calls a person. Numbers are shuffled, so they say nothing of how many
    /// photos the person has.
    pub(super) fn name(&self, person: u64) -> String {
        match self.run(|run| run.first_person <= person) {
            Some(Run { size, sized: Some(earlier), .. }) => format!("sized-{size}-{earlier}"),
            _ => format!("person-{:07}", self.names.at(person - self.sized)),
        }
    }

    /// The last run of which `before` holds; it holds of a beginning of the list.
    fn run(&self, before: impl Fn(&Run) -> bool) -> Option<Run> {
        let at = self.runs.partition_point(before);
        at.checked_sub(1).and_then(|i| self.runs.get(i)).copied()
    }
}

#[derive(Default)]
struct Layout {
    runs: Vec<Run>,
    slot: u64,
    person: u64,
}

impl Layout {
    fn add(&mut self, size: u64, count: u64, sized: Option<u64>) {
        self.runs.push(Run { first_slot: self.slot, first_person: self.person, size, sized });
        self.slot += size * count;
        self.person += count;
    }
}

/// How many people have how many photos; the last one drawn takes what is left.
fn by_chance(faces: u64, isolated: bool, seed: u64) -> BTreeMap<u64, u64> {
    let mut rng = generator(seed, Stream::Sizes, 0);
    let draw: Box<dyn Fn(&mut Xoshiro256PlusPlus) -> f64> = if isolated {
        // The exponent is a constant above 1, which is all the distribution asks.
        match Zeta::new(ISOLATED) {
            Ok(zeta) => Box::new(move |rng| zeta.sample(rng)),
            Err(_) => Box::new(|_| 1.0),
        }
    } else {
        match Zipf::new(CLUSTERED.1, CLUSTERED.0) {
            Ok(zipf) => Box::new(move |rng| zipf.sample(rng)),
            Err(_) => Box::new(|_| 1.0),
        }
    };
    let mut counts = BTreeMap::new();
    let mut left = faces;
    while left > 0 {
        let size = (draw(&mut rng) as u64).clamp(1, left);
        *counts.entry(size).or_default() += 1;
        left -= size;
    }
    counts
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn photos_by_name(people: &People) -> BTreeMap<String, u64> {
        let mut photos = BTreeMap::new();
        for row in 0..people.faces() {
            let (_, person) = people.at_row(row);
            assert!(person < people.len());
            *photos.entry(people.name(person)).or_default() += 1;
        }
        photos
    }

    #[test]
    fn sizes_asked_for_are_honoured() {
        let people = People::new(2000, &[300, 7, 300], false, 5).unwrap();
        let photos = photos_by_name(&people);
        assert_eq!(photos["sized-300-0"], 300);
        assert_eq!(photos["sized-300-1"], 300);
        assert_eq!(photos["sized-7-0"], 7);
        assert_eq!(photos.len() as u64, people.len());
        assert_eq!(people.largest(), 300);
    }

    #[test]
    fn sizes_beyond_the_faces_are_refused() {
        for sizes in [&[11][..], &[5, 6], &[0], &[u64::MAX, 2]] {
            assert!(People::new(10, sizes, true, 0).is_err(), "{sizes:?}");
        }
        assert_eq!(People::new(10, &[4, 6], true, 0).unwrap().len(), 2);
    }

    #[test]
    fn photos_a_person_follow_the_stated_law() {
        // Share of people with one photo: 1/zeta(3) = 0.832, and 1/1.640 (cut at 200) = 0.610.
        for (isolated, share) in [(true, 0.832), (false, 0.610)] {
            let people = People::new(40_000, &[], isolated, 3).unwrap();
            let photos = photos_by_name(&people);
            let single = photos.values().filter(|&&n| n == 1).count() as f64;
            assert!((single / people.len() as f64 - share).abs() < 0.02);
            assert!(isolated || people.largest() <= 200);
        }
    }

    proptest! {
        #[test]
        fn every_person_has_photos(faces in 1_u64..500, isolated: bool, seed: u64) {
            let people = People::new(faces, &[], isolated, seed).unwrap();
            let photos = photos_by_name(&people);
            prop_assert_eq!(photos.len() as u64, people.len());
            prop_assert_eq!(photos.values().sum::<u64>(), faces);
        }
    }
}
