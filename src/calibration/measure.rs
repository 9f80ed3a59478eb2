//! Measuring what strangers and mates look like in a gallery.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use rand::seq::index;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{Calibration, SHOWN, Strangers, sorted};
use crate::gallery::GalleryError;
use crate::gallery::attributes::column;
use crate::{Cancel, Embedding, Error, FaceId, Gallery, Match, Progress, Query, SearchError};

/// Probes, where there are as many faces.
const PROBES: usize = 10_000;
/// Faces looked at for each probe until as many with a subject are found.
const LOOKED_AT: usize = 8;
/// Probes of one subject, at most.
const OF_ONE: usize = 32;
/// Probes searched for together at most, and answers held at a time, about.
const BATCH: usize = 512;
const HELD: usize = 1 << 20;
/// Faces of strangers looked at for each probe. Of so many people, a hundredth has one but for one
/// probe in thirty thousand; where the faces are of fewer, the last stands for those beyond, and it
/// is counted how often.
const STRANGERS: usize = 1024;
/// Draws of a tenth and of a hundredth of the people for each probe.
const DRAWS: usize = 4;
/// Probes that it takes at least to say anything about one search in ten.
const LEAST: usize = 400;

/// Why a gallery cannot be calibrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// Too few people to tell how alike strangers may be.
    #[error(
        "a calibration takes at least {least} faces of people who are told apart, and somebody else for each; this gallery has {probes}"
    )]
    TooFew {
        /// Those there are.
        probes: usize,
        /// Those it takes.
        least: usize,
    },
    /// Too many faces are there under several names.
    #[error(
        "one face in ten or more has a copy under another subject, so that no threshold tells people apart: join the subjects that rejects.csv flags and build the gallery again"
    )]
    Copies,
}

/// Whose a face is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Person {
    /// A subject.
    Named(String),
    /// The face in this place, of which nobody says who it is.
    Unnamed(u32),
}

/// A face that is searched for.
struct Probe {
    place: u32,
    person: Person,
    /// Faces of its subject, itself among them.
    own: usize,
}

/// The most similar stranger of a person's probes, and how similar each of theirs is.
struct Found {
    most: (f32, Person),
    strangers: Strangers,
}

/// Calibrates a gallery: searches for up to 10,000 of its faces, exhaustively, each without the
/// faces of its own subject. Where fewer than 400 faces with a subject are met, and more without, each
/// face is taken for a person of its own.
///
/// # Errors
/// When the gallery has too few faces, its files are damaged, or it is cancelled.
pub fn calibrate(
    gallery: &Gallery,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Calibration, Error> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let (mut probes, unlabelled) = draw(gallery, &mut random)?;
    let mates = mates(gallery, &probes, &mut random)?;
    // Those with as many faces of their own are searched for together, for just so many.
    probes.sort_by_key(|probe| probe.own);
    let mut found: BTreeMap<Person, Found> = BTreeMap::new();
    progress.begin("strangers", Some(probes.len() as u64));
    let (mut draws, mut beyond) = (0, 0);
    let mut rest = probes.as_slice();
    while let Some(first) = rest.first() {
        // The last of a batch has the most of its own: it says how many answers each holds.
        let fits = |count: &usize| (rest[count - 1].own + STRANGERS) * count <= HELD;
        let most = rest.len().min(BATCH);
        let count = (1..=most).rev().find(fits).unwrap_or(1);
        let (probes, after) = rest.split_at(count);
        rest = after;
        let top = probes.last().map_or(first.own, |last| last.own) + STRANGERS;
        let query = Query::new().top(top).exhaustive().cancel(cancel.clone());
        let embeddings = probes.iter().map(|probe| embedding(gallery, probe.place));
        let embeddings: Vec<Embedding> = embeddings.collect::<Result<_, _>>()?;
        let answers = gallery.search_batch(&embeddings, &query)?;
        for (probe, answer) in probes.iter().zip(answers) {
            let answer = answer?;
            let (similarities, first) = strangers(gallery, probe, &answer)?;
            let Some(first) = first else { continue };
            let most = (similarities[0], first);
            let entry = found
                .entry(probe.person.clone())
                .or_insert_with(|| Found { most: most.clone(), strangers: Strangers::default() });
            if most.0 > entry.most.0 {
                entry.most = most;
            }
            let lacked = entry.strangers.add(&similarities, &mut random);
            draws += 2 * DRAWS;
            beyond += if answer.len() < top { 0 } else { lacked };
        }
        progress.advance(probes.len() as u64);
    }
    progress.end();
    let calibration = Calibration {
        faces: gallery.len(),
        dims: gallery.dims(),
        model: gallery.model().map(str::to_owned),
        carried: false,
        earlier: None,
        unlabelled,
        beyond: beyond as f64 / draws.max(1) as f64,
        strangers: independent(found),
        mates,
    };
    let probes = calibration.probes();
    if probes < LEAST {
        return Err(CalibrateError::TooFew { probes, least: LEAST }.into());
    }
    if calibration.threshold(SHOWN[0], gallery.len()).is_none() {
        return Err(CalibrateError::Copies.into());
    }
    Ok(calibration)
}

/// The similarities of those who say something of their own: two people who are each other's most
/// similar stranger say the same thing twice.
fn independent(mut found: BTreeMap<Person, Found>) -> Vec<Strangers> {
    let mut groups = Vec::with_capacity(found.len());
    while let Some((person, Found { most, mut strangers })) = found.pop_first() {
        let is_mutual = |theirs: &Found| theirs.most.1 == person;
        if found.get(&most.1).is_some_and(is_mutual)
            && let Some(theirs) = found.remove(&most.1)
        {
            strangers.all.extend(theirs.strangers.all);
            strangers.tenth.extend(theirs.strangers.tenth);
            strangers.hundredth.extend(theirs.strangers.hundredth);
        }
        groups.push(strangers);
    }
    groups
}

impl Strangers {
    /// Adds a probe, to which so similar are the strangers most similar to it, the most similar first.
    /// Gives for how many draws they were too few.
    fn add(&mut self, similarities: &[f32], random: &mut Xoshiro256PlusPlus) -> usize {
        let mut lacking = 0;
        self.all.extend(similarities.first());
        for (part, share) in [(&mut self.tenth, 0.1_f64), (&mut self.hundredth, 0.01)] {
            for draw in 0..DRAWS {
                // How many more similar ones such a part of the people lacks: geometrically
                // distributed, in even strata.
                let lacked = (draw as f64 + random.random::<f64>()) / DRAWS as f64;
                let rank = ((1.0 - lacked).ln() / (1.0 - share).ln()) as usize;
                lacking += usize::from(rank >= similarities.len());
                part.extend(similarities.get(rank).or(similarities.last()));
            }
        }
        lacking
    }
}

/// Faces with a subject, drawn by chance, no more than `OF_ONE` of each; any faces where too few have
/// one. And the part of the faces that have none.
fn draw(
    gallery: &Gallery,
    random: &mut Xoshiro256PlusPlus,
) -> Result<(Vec<Probe>, f64), GalleryError> {
    let faces = gallery.len() as usize;
    let attributes = &gallery.0.segment.attributes;
    let (mut named, mut unnamed) = (Vec::new(), Vec::new());
    // Faces of each subject, and how many of them are probes.
    let mut subjects: HashMap<&str, (usize, usize)> = HashMap::new();
    let (mut looked_at, mut nameless) = (0, 0);
    for place in index::sample(random, faces, faces.min(PROBES * LOOKED_AT)) {
        let place = place as u32;
        looked_at += 1;
        let Some(subject) = attributes.text(column::SUBJECT, place)? else {
            nameless += 1;
            unnamed.push(Probe { place, person: Person::Unnamed(place), own: 1 });
            continue;
        };
        let (own, probes) = match subjects.entry(subject) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert((gallery.places_of_subject(subject)?.len(), 0)),
        };
        *probes += 1;
        if *probes <= OF_ONE {
            named.push(Probe { place, person: Person::Named(subject.to_owned()), own: *own });
        }
        if named.len() == PROBES {
            break;
        }
    }
    unnamed.truncate(PROBES);
    let unlabelled = f64::from(nameless) / f64::from(looked_at.max(1));
    let enough = named.len() >= LEAST.min(unnamed.len());
    Ok((if enough { named } else { unnamed }, unlabelled))
}

/// The similarities of a pair of faces of each subject that has two.
fn mates(
    gallery: &Gallery,
    probes: &[Probe],
    random: &mut Xoshiro256PlusPlus,
) -> Result<Vec<f32>, Error> {
    let several = probes.iter().filter(|probe| probe.own > 1);
    let mut subjects: Vec<&str> = several
        .filter_map(|probe| match &probe.person {
            Person::Named(subject) => Some(subject.as_str()),
            Person::Unnamed(_) => None,
        })
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut similarities = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let places = gallery.places_of_subject(subject)?;
        let first = random.random_range(0..places.len());
        let second = (first + random.random_range(1..places.len())) % places.len();
        let other = FaceId(gallery.0.segment.face_id(places[second]));
        similarities.push(gallery.similarity(&embedding(gallery, places[first])?, other)?);
    }
    Ok(sorted(similarities.iter()))
}

fn embedding(gallery: &Gallery, place: u32) -> Result<Embedding, GalleryError> {
    gallery.embedding(FaceId(gallery.0.segment.face_id(place)))
}

/// How similar the people of an answer are other than the probe's own, each by the most similar
/// face, and who the first is.
fn strangers(
    gallery: &Gallery,
    probe: &Probe,
    answer: &[Match<'_>],
) -> Result<(Vec<f32>, Option<Person>), SearchError> {
    let (mut similarities, mut first) = (Vec::new(), None);
    let mut met = HashSet::with_capacity(answer.len());
    for found in answer {
        let place = found.place();
        let subject = gallery.0.segment.attributes.text(column::SUBJECT, place)?;
        let is_own = match &probe.person {
            Person::Named(own) => subject == Some(own),
            Person::Unnamed(own) => place == *own,
        };
        if is_own || subject.is_some_and(|subject| !met.insert(subject)) {
            continue;
        }
        let named = || subject.map(|subject| Person::Named(subject.to_owned()));
        first.get_or_insert_with(|| named().unwrap_or(Person::Unnamed(place)));
        similarities.push(found.similarity);
    }
    Ok((similarities, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_people_has_the_nth_with_falling_chances() {
        let similarities: Vec<f32> = (0..3000).map(|rank| -(rank as f32)).collect();
        let (mut strangers, probes) = (Strangers::default(), 5000);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..probes {
            assert_eq!(strangers.add(&similarities, &mut random), 0);
        }
        assert_eq!(strangers.all, vec![0.0; probes]);
        for (part, share) in [(&strangers.tenth, 0.1), (&strangers.hundredth, 0.01)] {
            let draws = part.len() as f64;
            let first = part.iter().filter(|&&rank| rank == 0.0).count() as f64 / draws;
            assert!((first / share - 1.0).abs() < 0.15, "{share}: {first}");
            // The mean of a geometric distribution.
            let (mean, expected) =
                (-part.iter().map(|&rank| f64::from(rank)).sum::<f64>() / draws, 1.0 / share - 1.0);
            assert!((mean / expected - 1.0).abs() < 0.03, "{share}: {mean}");
        }
        assert!(strangers.add(&[0.5], &mut random) >= DRAWS);
        assert_eq!(strangers.hundredth.last(), Some(&0.5));
    }
}
