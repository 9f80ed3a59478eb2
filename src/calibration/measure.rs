//! Measuring what strangers and mates look like in a gallery.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use rand::seq::index;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{Calibration, SHOWN, sorted};
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
struct Strangers {
    most: (f32, Person),
    similarities: Vec<f32>,
}

/// Calibrates a gallery: searches for up to 10,000 of its faces, exhaustively, each without the
/// faces of its own subject. Where no face has a subject, each is taken for a person of its own.
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
    let mut found: BTreeMap<Person, Strangers> = BTreeMap::new();
    progress.begin("strangers", Some(probes.len() as u64));
    let mut rest = probes.as_slice();
    while let Some(first) = rest.first() {
        // The last of a batch has the most of its own: it says how many answers each holds.
        let fits = |count: &usize| (rest[count - 1].own + 1) * count <= HELD;
        let most = rest.len().min(BATCH);
        let count = (1..=most).rev().find(fits).unwrap_or(1);
        let (probes, after) = rest.split_at(count);
        rest = after;
        let top = probes.last().map_or(first.own, |last| last.own) + 1;
        let query = Query::new().top(top).exhaustive().cancel(cancel.clone());
        let embeddings = probes.iter().map(|probe| embedding(gallery, probe.place));
        let embeddings: Vec<Embedding> = embeddings.collect::<Result<_, _>>()?;
        let answers = gallery.search_batch(&embeddings, &query)?;
        for (probe, answer) in probes.iter().zip(answers) {
            if let Some((similarity, stranger)) = most_similar_stranger(gallery, probe, &answer?)? {
                let entry = found.entry(probe.person.clone()).or_insert_with(|| Strangers {
                    most: (f32::NEG_INFINITY, stranger.clone()),
                    similarities: Vec::new(),
                });
                entry.similarities.push(similarity);
                if similarity > entry.most.0 {
                    entry.most = (similarity, stranger);
                }
            }
        }
        progress.advance(probes.len() as u64);
    }
    progress.end();
    let calibration = Calibration {
        faces: gallery.len(),
        dims: gallery.dims(),
        model: gallery.model().map(str::to_owned),
        unlabelled,
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
fn independent(found: BTreeMap<Person, Strangers>) -> Vec<Vec<f32>> {
    let mut groups = Vec::with_capacity(found.len());
    for (person, strangers) in &found {
        let other = found.get_key_value(&strangers.most.1);
        let mutual = other.filter(|(_, theirs)| theirs.most.1 == *person);
        match mutual {
            // The first of the two is there already, or takes the second along.
            Some((other, _)) if other < person => {}
            Some((_, theirs)) => {
                groups.push([&strangers.similarities[..], &theirs.similarities].concat());
            }
            None => groups.push(strangers.similarities.clone()),
        }
    }
    groups
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

/// The first of an answer that is not of the probe's person, and how similar it is.
fn most_similar_stranger(
    gallery: &Gallery,
    probe: &Probe,
    answer: &[Match<'_>],
) -> Result<Option<(f32, Person)>, SearchError> {
    for found in answer {
        let place = gallery.place(found.face_id)?;
        let person = match gallery.0.segment.attributes.text(column::SUBJECT, place)? {
            Some(subject) => Person::Named(subject.to_owned()),
            None => Person::Unnamed(place),
        };
        if person != probe.person {
            return Ok(Some((found.similarity, person)));
        }
    }
    Ok(None)
}
