//! The faces that a user marked as not the same.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::ClusterError;
use crate::gallery::GalleryError;
use crate::{Error, FaceId, Gallery};

/// What the first two columns of a file name faces by.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Id,
    Key,
    /// No line says so: by either, as long as that is one face.
    Either,
}

/// Reads pairs of faces that are not of one person: CSV, of which the first two columns of each line
/// name a face each. A first line of `face_id_1,face_id_2` says that these are face ids, as in what
/// `pairs` writes, of `key_1,key_2` that they are keys; without one they may be either, but not what
/// is the key of one face and the id of another. `-` is standard input.
///
/// # Errors
/// When the file cannot be read, or a line does not name two faces of the gallery.
pub fn read_not_same(gallery: &Gallery, path: &Path) -> Result<Vec<(FaceId, FaceId)>, Error> {
    let fault = |reason| ClusterError::NotSame { path: path.to_owned(), reason };
    let file: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|e| fault(e.to_string()))?)
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let (mut by, mut pairs) = (By::Either, Vec::new());
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|e| fault(e.to_string()))?;
        let line = record.position().map_or(number as u64 + 1, csv::Position::line);
        let (Some(one), Some(other)) = (record.get(0), record.get(1)) else {
            let reason = format!("line {line} names one face, it takes two, with a comma between");
            return Err(fault(reason).into());
        };
        if number == 0 {
            match [one.trim(), other.trim()] {
                ["face_id_1", "face_id_2"] => by = By::Id,
                ["key_1", "key_2"] => by = By::Key,
                _ => {}
            }
            if by != By::Either {
                continue;
            }
        }
        let known = |text| {
            face(gallery, text, by)?.map_or(Ok(None), |found| match found {
                [one, other] if one != other => Err(Error::from(fault(format!(
                    "line {line}: {text:?} is the key of face {one} and the id of face {other}; say \
                     which is meant by a first line of key_1,key_2 or face_id_1,face_id_2"
                )))),
                [one, _] => Ok(Some(one)),
            })
        };
        match (known(one)?, known(other)?) {
            (Some(one), Some(other)) if one == other => {
                return Err(fault(format!("line {line} names face {one} twice")).into());
            }
            (Some(one), Some(other)) => pairs.push((one, other)),
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

/// The face that a text names, by key and by id; twice the same where it names it by one of them.
fn face(gallery: &Gallery, text: &str, by: By) -> Result<Option<[FaceId; 2]>, GalleryError> {
    let text = text.trim();
    let key = match gallery.face_by_key(text) {
        _ if by == By::Id => None,
        Ok(face) => Some(face.face_id),
        Err(GalleryError::NoSuchFace { .. }) => None,
        Err(error) => return Err(error),
    };
    let id = text.parse().ok().filter(|&id| gallery.0.segment.place_of_id(id).is_some());
    let id = id.map(FaceId).filter(|_| by != By::Key);
    Ok(key.or(id).zip(id.or(key)).map(<[FaceId; 2]>::from))
}
