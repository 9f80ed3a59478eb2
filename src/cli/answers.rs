//! What came of the probes: searching for a batch of them, and what is known of the faces found.

use lookalike::gallery::Face;
use lookalike::search::{Basis, Counters, Explanation};
use lookalike::{Embedding, Error, FaceId, Gallery, Matches, Query, SearchError};
use rayon::prelude::*;

use super::Failure;
use super::probe_sets::Fuse;
use super::probes::{Probe, Seek};

/// What came of a probe.
pub(crate) struct Answer {
    pub(crate) probe: Probe,
    pub(crate) found: Vec<Found>,
    pub(crate) thumbnails: Vec<Option<Vec<u8>>>,
    pub(crate) error: Option<String>,
    pub(crate) counters: Option<Counters>,
    pub(crate) about: Option<About>,
    pub(crate) why: Vec<Explanation>,
}

/// What an answer says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) basis: Basis,
    pub(crate) threshold: Option<f32>,
    /// The rate that the threshold stands for, where a calibration gave it.
    pub(crate) fpir: Option<f64>,
    pub(crate) faces: u64,
}

/// A face found for a probe.
pub(crate) struct Found {
    pub(crate) face: Face,
    pub(crate) similarity: f32,
    /// Its rank, or that of its subject; from 1.
    pub(crate) rank: usize,
    /// How alike its subject's template is, where those are compared.
    pub(crate) subject_similarity: Option<f32>,
}

impl Probe {
    /// The face searched for, where it is one of the gallery.
    pub(crate) fn face_id(&self) -> Option<u64> {
        match self.seek {
            Seek::Face(id) => Some(id.0),
            _ => None,
        }
    }
}

/// What was found for a probe, or why nothing could be.
pub(super) type Answered<'g> = (Probe, Result<Matches<'g>, String>);

/// Searches for a batch of probes.
pub(super) fn answer<'g>(
    gallery: &'g Gallery,
    query: &Query,
    fuse: Fuse,
    probes: Vec<Probe>,
) -> Result<Vec<Answered<'g>>, Failure> {
    let vectors: Vec<Embedding> = probes
        .iter()
        .filter_map(|probe| match &probe.seek {
            Seek::Vector(vector) => Some(vector.clone()),
            _ => None,
        })
        .collect();
    let mut found = gallery.search_batch(&vectors, query)?.into_iter();
    let search = |probe: &Probe| match &probe.seek {
        Seek::Set(probes) => Some(gallery.search_set(probes, query, fuse.into())),
        _ => None,
    };
    let fused: Vec<_> = probes.par_iter().filter_map(search).collect();
    let mut fused = fused.into_iter();
    probes
        .into_iter()
        .map(|probe| {
            let matches = match &probe.seek {
                Seek::Vector(_) => match found.next() {
                    Some(Ok(matches)) => Ok(matches),
                    // Ctrl-C is not the fault of a probe.
                    Some(Err(error @ SearchError::Cancelled)) => return Err(error.into()),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err("it was not searched for".to_owned()),
                },
                Seek::Set(_) => match fused.next() {
                    Some(Err(error @ Error::Search(SearchError::Cancelled))) => {
                        return Err(error.into());
                    }
                    Some(found) => found.map_err(|error| error.to_string()),
                    None => Err("it was not searched for".to_owned()),
                },
                Seek::Face(id) => Ok(gallery.search_face(*id, query)?),
                Seek::Nothing(reason) => Err(reason.clone()),
            };
            Ok((probe, matches))
        })
        .collect()
}

/// Why the faces that were asked about are, or are not, in an answer.
pub(super) fn explain(
    gallery: &Gallery,
    query: &Query,
    probe: &Probe,
    matches: &Result<Matches<'_>, String>,
    faces: &[FaceId],
) -> Result<Vec<Explanation>, Failure> {
    let (Ok(matches), false) = (matches, faces.is_empty()) else { return Ok(Vec::new()) };
    let embedding = match &probe.seek {
        Seek::Vector(vector) => vector.clone(),
        Seek::Face(id) => gallery.embedding(*id)?,
        // A set has no one similarity with a face; the command line refuses it.
        Seek::Nothing(_) | Seek::Set(_) => return Ok(Vec::new()),
    };
    Ok(gallery.explain(&embedding, query, matches, faces)?)
}

/// Fetches what is known of the faces found for one probe.
pub(crate) fn fill(
    probe: Probe,
    matches: Result<Matches<'_>, String>,
    with_pictures: bool,
) -> Result<Answer, Failure> {
    let mut answer = Answer {
        probe,
        found: Vec::new(),
        thumbnails: Vec::new(),
        error: None,
        counters: None,
        about: None,
        why: Vec::new(),
    };
    match matches {
        Ok(matches) => {
            let Matches { basis, threshold, faces, counters, .. } = matches;
            answer.counters = Some(counters);
            answer.about = Some(About { basis, threshold, fpir: None, faces });
            for (group, rank) in matches.groups().zip(1..) {
                for found in group {
                    answer.found.push(Found {
                        face: found.face()?,
                        similarity: found.similarity,
                        rank,
                        subject_similarity: found.subject_similarity,
                    });
                    if with_pictures {
                        answer.thumbnails.push(found.thumbnail()?.map(<[u8]>::to_vec));
                    }
                }
            }
        }
        Err(reason) => answer.error = Some(reason),
    }
    Ok(answer)
}
