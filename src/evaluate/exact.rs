//! The exact top k of each probe: what every answer is held against.
//!
//! In come probes, and either the gallery to search exhaustively or lists of faces found elsewhere;
//! out comes an [`Exact`]. Always: as many faces a probe as were asked for, or as there are, in
//! order of similarity.

use std::collections::HashSet;

use super::EvaluateError;
use super::score::Top;
use crate::search::{Filter, SearchError};
use crate::{Embedding, Error, FaceId, Gallery, Progress, Query, VectorType};

/// Probes between two words on the progress.
const BATCH: usize = 256;
/// How far below the k-th similarity a face still ties with it.
const TIE: f32 = 1e-6;
/// By how much listed faces may be out of order: what half precision adds to a similarity.
const ORDER: f32 = 1e-3;

/// The exact answers to probes.
#[derive(Clone, Debug)]
pub struct Exact {
    k: usize,
    tops: Vec<Top>,
    limits: Limits,
}

/// What of a query decides which faces may be answers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Limits {
    filters: Vec<Filter>,
    at_least: Option<f32>,
    by_subject: bool,
}

impl Limits {
    fn of(query: &Query) -> Self {
        Self {
            filters: query.filters.clone(),
            at_least: query.at_least,
            by_subject: query.by_subject,
        }
    }
}

impl Exact {
    /// Searches the gallery exhaustively, on the threads of the current rayon pool, for the `k`
    /// best faces that pass the query's filters; its plan does not matter.
    ///
    /// # Errors
    /// When `k` is 0, a probe does not fit the gallery, the query asks for what cannot be, or the
    /// search is stopped.
    pub fn of(
        gallery: &Gallery,
        probes: &[Embedding],
        k: usize,
        query: &Query,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let mut asked = query.clone().top(k).exhaustive();
        (asked.beam, asked.plan) = (None, None);
        let mut tops = Vec::with_capacity(probes.len());
        progress.begin("exact", Some(probes.len() as u64));
        for batch in probes.chunks(BATCH) {
            for answer in gallery.search_batch(batch, &asked)? {
                let found = answer?.found;
                let least = found.last().map_or(f32::INFINITY, |last| last.similarity - TIE);
                let (ids, similarities) =
                    found.into_iter().map(|face| (face.face_id, face.similarity)).unzip();
                tops.push(Top { ids, similarities, least, most: f32::INFINITY });
            }
            progress.advance(batch.len() as u64);
        }
        progress.end();
        Ok(Self { k, tops, limits: Limits::of(query) })
    }

    /// Takes answers found elsewhere, without a filter: `columns` face ids a probe, one probe after
    /// the other, most similar first, as rows of the embeddings the gallery was built of.
    ///
    /// Faces that are not in the gallery (rejected rows) are passed over, the next ones move up.
    ///
    /// # Errors
    /// When `k` is 0, there are not as many lists as probes, a list is too short or not in order of
    /// similarity, or what it holds are no face ids.
    pub fn listed(
        gallery: &Gallery,
        probes: &[Embedding],
        k: usize,
        columns: usize,
        ids: &[i64],
    ) -> Result<Self, Error> {
        if k == 0 {
            return Err(SearchError::TopZero.into());
        }
        let rows = ids.len() / columns.max(1);
        if rows != probes.len() || !ids.len().is_multiple_of(columns.max(1)) {
            return Err(EvaluateError::Rows { probes: probes.len(), rows }.into());
        }
        let wanted = usize::try_from(gallery.len()).map_or(k, |faces| k.min(faces));
        if columns < wanted {
            return Err(EvaluateError::Columns { columns, k }.into());
        }
        let tops = probes
            .iter()
            .zip(ids.chunks(columns.max(1)))
            .enumerate()
            .map(|(number, (probe, row))| listed_top(gallery, number, probe, row, wanted))
            .collect::<Result<_, Error>>()?;
        Ok(Self { k, tops, limits: Limits::default() })
    }

    /// Faces asked for a probe.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The exact top faces of each probe, most similar first: k of them, or as many as there are.
    pub fn faces(&self) -> impl ExactSizeIterator<Item = &[FaceId]> {
        self.tops.iter().map(|top| top.ids.as_slice())
    }

    pub(super) fn tops(&self) -> &[Top] {
        &self.tops
    }

    /// The filters that the faces have to pass.
    pub(super) fn filters(&self) -> &[Filter] {
        &self.limits.filters
    }

    /// Refuses probes and queries that these are not the answers to.
    pub(super) fn check(&self, probes: usize, query: &Query) -> Result<(), EvaluateError> {
        if self.tops.len() != probes {
            return Err(EvaluateError::Rows { probes, rows: self.tops.len() });
        }
        if self.limits != Limits::of(query) {
            return Err(EvaluateError::OtherQuery);
        }
        Ok(())
    }
}

/// The first `wanted` faces of a list that the gallery has.
fn listed_top(
    gallery: &Gallery,
    number: usize,
    probe: &Embedding,
    row: &[i64],
    wanted: usize,
) -> Result<Top, Error> {
    let mut ids = Vec::with_capacity(wanted);
    let mut similarities = Vec::with_capacity(wanted);
    let mut seen = HashSet::with_capacity(wanted);
    let mut kth = f32::INFINITY;
    for &id in row {
        if ids.len() == wanted {
            break;
        }
        let not_an_id = |_| EvaluateError::NotAFaceId { probe: number, id };
        let id = FaceId(u64::try_from(id).map_err(not_an_id)?);
        if !seen.insert(id) {
            return Err(EvaluateError::Twice { probe: number, id: id.0 }.into());
        }
        if gallery.place(id).is_err() {
            continue;
        }
        let similarity = gallery.similarity(probe, id)?;
        if similarity > kth + ORDER {
            let millionths = ((similarity - kth) * 1e6) as u32;
            return Err(EvaluateError::Order { probe: number, id: id.0, millionths }.into());
        }
        kth = kth.min(similarity);
        ids.push(id);
        similarities.push(similarity);
    }
    if ids.len() < wanted {
        let known = ids.len();
        return Err(EvaluateError::TooFewKnown { probe: number, known, k: wanted }.into());
    }
    // Rounding may lift a face over the k-th; only vectors as they were given can prove that one
    // that is not listed belongs there.
    let rounded = gallery.catalogue().vectors == VectorType::F16;
    let most = if rounded { kth + TIE } else { f32::INFINITY };
    Ok(Top { ids, similarities, least: kth - TIE, most })
}
