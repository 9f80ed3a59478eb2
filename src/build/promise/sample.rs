//! Who is searched for, and what should be found.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::seq::index;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;

use super::super::BuildError;
use super::disturb::Disturb;
use crate::gallery::attributes::column;
use crate::search::{Exact, MOST_PROMISED, Match, PROMISED, Query, Selection};
use crate::{Cancel, Embedding, Gallery, Progress};

/// Faces searched for, where the exact answers do not take too long.
const MATED: usize = 4000;
/// Faces to one that is searched for, at least: more of a small gallery would say little more.
const FACES_A_CASE: usize = 4;
/// Fewer say too little of a hit rate of 0.99.
const LEAST_MATED: usize = 500;
/// Comparisons that finding the exact answers may take.
const COMPARISONS: u64 = 4_000_000_000;
/// Probes of nobody, who only tell what a search costs.
const NON_MATED: usize = 300;
/// One face in this many may be held out at most: a graph that lacks more is another graph.
const HIDDEN: u64 = 10;
/// Pairs of faces of one subject that mates are learned from.
const PAIRS: usize = 2000;
/// Fewer pairs say too little of what mates look like.
const LEAST_PAIRS: usize = 30;
/// Mates of a probe that are looked at where every face above a threshold is asked for, about: with
/// more, the few people with thousands of photos would speak for all.
const MATES: usize = 30;
/// The parts of the mates that are less alike than each of the thresholds that this is measured at.
const RANGES: [f32; 5] = [0.05, 0.25, 0.5, 0.75, 0.9];
/// Probes answered exactly at a time.
const BATCH: usize = 64;
/// What the centred cosine of mates is taken for where no subject has two faces: its quantiles, in
/// even steps. Three public face models have medians of 0.55 to 0.66 and 5 % below 0.19 to 0.4.
const ASSUMED: [f32; 11] = [0.15, 0.44, 0.51, 0.57, 0.61, 0.65, 0.69, 0.73, 0.77, 0.82, 0.92];

/// Who is searched for, and what should be found.
pub(in super::super) struct Sample {
    pub(super) cases: Vec<Case>,
    /// What is asked for, for each probe.
    pub(super) goals: Vec<Goal>,
    /// Whether what mates look like had to be assumed.
    pub(super) estimated: bool,
    /// All faces but those that are probes, where some are.
    pub(super) shown: Option<Arc<Selection>>,
}

/// Which faces a plan has to find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// The nearest, so many of them.
    Top(usize),
    /// All at or above a similarity.
    AtLeast(f32),
}

/// One probe.
pub(super) struct Case {
    pub(super) probe: Embedding,
    of: Of,
    /// The probe's own slot, where it is a face of the gallery.
    own: Option<u32>,
    /// Slots of the mates among what is asked for, by goal.
    pub(super) wanted: Vec<Vec<u32>>,
    /// Mates, as many as are looked at, and their similarities.
    mates: Vec<(u32, f32)>,
    /// Similarity of the nearest face.
    nearest: f32,
}

/// Which faces are mates.
enum Of {
    Subject(String),
    Face(u32),
    Nobody,
}

impl Sample {
    /// Draws whom to search for. `gallery` needs no graph yet. Unless `holds_out`, every probe is
    /// made up, as no face is left out of the graph.
    pub(in super::super) fn draw(
        gallery: &Gallery,
        seed: u64,
        holds_out: bool,
    ) -> Result<Self, BuildError> {
        let faces = gallery.len();
        let affordable = (COMPARISONS / faces.max(1)) as usize;
        let mated = affordable.clamp(LEAST_MATED, MATED).min(faces as usize / FACES_A_CASE);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut drawn = Vec::with_capacity(mated);
        let segment = &gallery.0.segment;
        let disturb = Disturb::new(gallery)?;
        let (mut pairs, mut photos) = (Vec::new(), HashMap::new());
        for place in index::sample(&mut random, faces as usize, mated) {
            let (place, slot) = (place as u32, segment.slot(place as u32));
            let Some(subject) = segment.attributes.text(column::SUBJECT, place)? else {
                drawn.push((slot, None));
                continue;
            };
            // Looked up once a subject: one name may stand for a large part of the gallery.
            let photos = match photos.entry(subject) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(gallery.places_of_subject(subject)?),
            };
            if photos.len() < 2 {
                drawn.push((slot, None));
                continue;
            }
            let mate = photos[random.random_range(0..photos.len())];
            if pairs.len() < PAIRS && mate != place {
                pairs.push(disturb.centred_cosine(slot, segment.slot(mate)));
            }
            drawn.push((slot, Some(subject)));
        }
        drop(photos);
        pairs.sort_unstable_by(f32::total_cmp);
        let estimated = pairs.len() < LEAST_PAIRS;
        let alike: &[f32] = if estimated { &ASSUMED } else { &pairs };
        let mut cases = Vec::with_capacity(mated + NON_MATED);
        let mut shown = Selection::all(faces as u32);
        let most_hidden = if holds_out { faces / HIDDEN } else { 0 };
        for (slot, subject) in drawn {
            let (probe, of, own) = match subject {
                Some(subject) if holds_out => {
                    // Copies in place of more would tell of other people than the gallery has.
                    if faces - u64::from(shown.count()) >= most_hidden {
                        break;
                    }
                    shown.remove(slot);
                    let vector = segment.vector(slot).into_owned();
                    (Embedding::new(vector), Of::Subject(subject.to_owned()), Some(slot))
                }
                _ => {
                    let copy = disturb.copy(slot, quantile(alike, random.random()), &mut random);
                    (Embedding::new(copy), Of::Face(slot), None)
                }
            };
            // A damaged vector makes no probe.
            if let Ok(probe) = probe {
                cases.push(Case::new(probe, of, own));
            }
        }
        for _ in 0..NON_MATED {
            if let Ok(probe) = Embedding::new(disturb.nobody(&mut random)) {
                cases.push(Case::new(probe, Of::Nobody, None));
            }
        }
        let hides = u64::from(shown.count()) < faces;
        let goals = PROMISED.map(Goal::Top).to_vec();
        Ok(Self { cases, goals, estimated, shown: hides.then(|| Arc::new(shown)) })
    }

    /// The similarity below which what was found may well be nobody's mate: that of the nearest
    /// face of all but one in a hundred of the probes of nobody.
    pub(super) fn doubtful(&self) -> f32 {
        let nobody = self.cases.iter().filter(|case| case.is_of_nobody());
        let mut nearest: Vec<f32> = nobody.map(|case| case.nearest).collect();
        nearest.sort_unstable_by(f32::total_cmp);
        if nearest.is_empty() { 1.0 } else { quantile(&nearest, 0.99) }
    }

    /// Slots that are to be left out of the graph while walks are measured.
    pub(in super::super) fn held_out(&self) -> HashSet<u32> {
        self.cases.iter().filter_map(|case| case.own).collect()
    }

    /// Finds the exact answers, by scoring every face.
    pub(in super::super) fn find_exact(
        &mut self,
        gallery: &Gallery,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), BuildError> {
        let query = Query::new().top(MOST_PROMISED).exhaustive().cancel(cancel.clone());
        progress.begin("exact", Some(self.cases.len() as u64));
        for cases in self.cases.chunks_mut(BATCH * rayon::current_num_threads()) {
            let probes: Vec<Embedding> = cases.iter().map(|case| case.probe.clone()).collect();
            let answers = gallery.search_all(&probes, &query, self.shown.clone())?;
            for (case, answer) in cases.iter_mut().zip(answers) {
                let answer = answer?;
                case.nearest = answer.first().map_or(0.0, |found| found.similarity);
                case.mark(gallery, &answer)?;
            }
            progress.advance(probes.len() as u64);
        }
        progress.end();
        self.set_ranges(gallery, cancel)
    }

    /// Adds the thresholds from which every face is asked for: quantiles of what mates look like.
    fn set_ranges(&mut self, gallery: &Gallery, cancel: &Cancel) -> Result<(), BuildError> {
        // Looked up once a subject: one name may stand for a large part of the gallery.
        let subjects: HashSet<&str> = self.cases.iter().filter_map(Case::subject).collect();
        let mut photos = HashMap::with_capacity(subjects.len());
        for subject in subjects {
            if cancel.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            photos.insert(subject.to_owned(), some_photos(gallery, subject)?);
        }
        let shown = self.shown.clone();
        self.cases.par_iter_mut().for_each(|case| case.compare(gallery, &photos, shown.as_deref()));
        // One mate a probe: some people have thousands of photos.
        let of_one = |case: &Case| case.mates.get(case.mates.len() / 2).map(|mate| mate.1);
        let mut alike: Vec<f32> = self.cases.iter().filter_map(of_one).collect();
        alike.sort_unstable_by(f32::total_cmp);
        if alike.is_empty() {
            return Ok(());
        }
        for share in RANGES {
            let at_least = quantile(&alike, share).clamp(-1.0, 1.0);
            self.goals.push(Goal::AtLeast(at_least));
            for case in &mut self.cases {
                let alike = case.mates.iter().filter(|mate| mate.1 >= at_least);
                case.wanted.push(alike.map(|mate| mate.0).collect());
            }
        }
        Ok(())
    }
}

impl Case {
    fn new(probe: Embedding, of: Of, own: Option<u32>) -> Self {
        Self { probe, of, own, wanted: Vec::new(), mates: Vec::new(), nearest: 0.0 }
    }

    pub(super) fn is_of_nobody(&self) -> bool {
        matches!(self.of, Of::Nobody)
    }

    /// Whose other photos are to be found, where a photo of somebody is the probe.
    pub(super) fn subject(&self) -> Option<&str> {
        match &self.of {
            Of::Subject(subject) => Some(subject),
            Of::Face(_) | Of::Nobody => None,
        }
    }

    /// The mates that are looked at where every face above a threshold is asked for, and how similar
    /// they are.
    pub(super) fn mates(&self) -> &[(u32, f32)] {
        &self.mates
    }

    pub(super) fn is_made_up(&self) -> bool {
        matches!(self.of, Of::Face(_))
    }

    /// Notes how alike the mates are; `photos` has some slots of each subject.
    fn compare(
        &mut self,
        gallery: &Gallery,
        photos: &HashMap<String, Vec<u32>>,
        shown: Option<&Selection>,
    ) {
        let exact = Exact::new(self.probe.values(), gallery.0.segment.vectors());
        let mates = match &self.of {
            Of::Subject(subject) => photos.get(subject).map_or(&[][..], Vec::as_slice),
            Of::Face(face) => std::slice::from_ref(face),
            Of::Nobody => &[],
        };
        // A copy is of a face that is in the graph, so that it is shown.
        let mates = mates.iter().filter(|&&slot| shown.is_none_or(|s| s.contains(slot)));
        self.mates = mates.map(|&slot| (slot, exact.similarity(slot))).collect();
    }

    /// Notes the mates among the exact answers.
    fn mark(&mut self, gallery: &Gallery, found: &[Match<'_>]) -> Result<(), BuildError> {
        self.wanted = vec![Vec::new(); PROMISED.len()];
        for (rank, found) in found.iter().enumerate() {
            let slot = found.slot();
            let is_mate = match &self.of {
                Of::Subject(subject) => {
                    let segment = &gallery.0.segment;
                    segment.attributes.text(column::SUBJECT, found.place())? == Some(subject)
                }
                Of::Face(face) => *face == slot,
                Of::Nobody => false,
            };
            for (wanted, k) in self.wanted.iter_mut().zip(PROMISED) {
                if is_mate && rank < k {
                    wanted.push(slot);
                }
            }
        }
        Ok(())
    }
}

/// Slots of a subject's photos, of many every so many.
fn some_photos(gallery: &Gallery, subject: &str) -> Result<Vec<u32>, BuildError> {
    let places = gallery.places_of_subject(subject)?;
    let step = (places.len() / MATES).max(1);
    Ok(places.into_iter().step_by(step).map(|place| gallery.0.segment.slot(place)).collect())
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f32], share: f32) -> f32 {
    let place = share * (sorted.len() - 1) as f32;
    let (below, rest) = (place as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + rest * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[1.0, 2.0], 0.0), 1.0);
        assert_eq!(quantile(&[1.0, 2.0], 1.0), 2.0);
        assert!((quantile(&[1.0, 2.0, 4.0], 0.75) - 3.0).abs() < 1e-6);
    }
}
