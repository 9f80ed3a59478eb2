//! The faces that a user marked as not the same.

use std::path::Path;

use super::ClusterError;
use crate::gallery::GalleryError;
use crate::{Error, FaceId, Gallery};

/// Names of the two columns.
const NAMES: [[&str; 2]; 2] = [["face_id_1", "face_id_2"], ["key_1", "key_2"]];

/// Reads pairs of faces that are not of one person: CSV, of which the first two columns of each line
/// name a face each, by its key or, where no face has that key, by its face id. A first line may
/// have the names that `pairs` gives these columns, so that a part of what it wrote can be given as it
/// is.
///
/// # Errors
/// When the file cannot be read, or a line does not name two faces of the gallery.
pub fn read_not_same(gallery: &Gallery, path: &Path) -> Result<Vec<(FaceId, FaceId)>, Error> {
    let fault = |reason| ClusterError::NotSame { path: path.to_owned(), reason };
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path);
    let mut reader = reader.map_err(|e| fault(e.to_string()))?;
    let mut pairs = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|e| fault(e.to_string()))?;
        let line = record.position().map_or(number as u64 + 1, csv::Position::line);
        let (Some(one), Some(other)) = (record.get(0), record.get(1)) else {
            return Err(fault(format!("line {line} names one face, it takes two")).into());
        };
        match (face(gallery, one)?, face(gallery, other)?) {
            (Some(one), Some(other)) if one == other => {
                return Err(fault(format!("line {line} names face {one} twice")).into());
            }
            (Some(one), Some(other)) => pairs.push((one, other)),
            (None, None) if number == 0 && NAMES.contains(&[one.trim(), other.trim()]) => {}
            (found, _) => {
                let missing = if found.is_none() { one } else { other };
                let reason =
                    format!("line {line}: no face of this gallery has the key or id {missing:?}");
                return Err(fault(reason).into());
            }
        }
    }
    Ok(pairs)
}

/// The face that a text names.
fn face(gallery: &Gallery, text: &str) -> Result<Option<FaceId>, GalleryError> {
    let text = text.trim();
    match gallery.face_by_key(text) {
        Ok(face) => return Ok(Some(face.face_id)),
        Err(GalleryError::NoSuchFace { .. }) => {}
        Err(error) => return Err(error),
    }
    let id = text.parse().ok().filter(|&id| gallery.0.segment.place_of_id(id).is_some());
    Ok(id.map(FaceId))
}
