//! Who must not be one person, and who must.
//!
//! Two faces of one image are two people, unless they are one face that was enrolled twice: their
//! boxes overlap by half of what they cover together or more (the usual measure of detectors;
//! Everingham et al. 2010), or one of them has no box and their embeddings are equal. Faces are of
//! one image if its bytes are the same, or, where they could not be read, its path. What a user
//! marked as not the same comes before all of this.

use std::collections::{BTreeMap, HashMap};

use crate::gallery::attributes::column;
use crate::gallery::{Bounds, GalleryError};
use crate::{Cancel, Error, FaceId, Gallery};

use super::{ClusterError, heed};

/// The part of what two boxes cover together that both cover, from which they are of one face.
const ONE_FACE: f32 = 0.5;
/// Faces between looks at the cancel flag.
const BETWEEN_LOOKS: u32 = 8192;

/// Marks and bonds of faces, by slot.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// The marks of a face, ascending: no two faces of one person have one in common, unless they
    /// are bound.
    pub(super) marks: HashMap<u32, Vec<u32>>,
    /// Faces that are one, the first of them ahead.
    pub(super) bound: Vec<Vec<u32>>,
}

/// A face as far as its image tells it from others.
struct Seen {
    slot: u32,
    bounds: Option<Bounds>,
}

/// Finds them in a gallery.
pub(super) fn find(
    gallery: &Gallery,
    not_same: &[(FaceId, FaceId)],
    cancel: &Cancel,
) -> Result<Apart, Error> {
    let mut apart = Apart::default();
    let mut next = 0_u32;
    for &(one, other) in not_same {
        if one == other {
            return Err(ClusterError::Itself(one).into());
        }
        for face in [one, other] {
            apart.marks.entry(gallery.slot(face)?).or_default().push(next);
        }
        next += 1;
    }
    for image in images(gallery, cancel)? {
        let seen: Vec<&Seen> = image.iter().collect();
        let faces = faces_of_image(gallery, &seen, &apart.marks, cancel)?;
        if faces.len() > 1 {
            for &slot in faces.iter().flatten() {
                apart.marks.entry(slot).or_default().push(next);
            }
            next += 1;
        }
        apart.bound.extend(faces.into_iter().filter(|face| face.len() > 1));
    }
    Ok(apart)
}

/// The faces of each image that has several, in order of face id.
fn images(gallery: &Gallery, cancel: &Cancel) -> Result<Vec<Vec<Seen>>, Error> {
    let segment = &gallery.0.segment;
    // 16 bytes of a hash tell images apart, and are all that is kept of each.
    let mut prints: Vec<([u8; 16], u32)> = Vec::new();
    for (&place, number) in segment.places_by_id().iter().zip(0_u32..) {
        if number % BETWEEN_LOOKS == 0 {
            heed(cancel)?;
        }
        prints.extend(print(gallery, place)?.map(|print| (print, number)));
    }
    prints.sort_unstable();
    let mut images = BTreeMap::new();
    for same in prints.chunk_by(|(one, _), (other, _)| one == other).filter(|same| same.len() > 1) {
        let mut faces = Vec::with_capacity(same.len());
        for (_, number) in same {
            let place = segment.places_by_id().get(*number as usize).copied().unwrap_or(u32::MAX);
            let bounds = segment.attributes.row(place)?.bounds;
            faces.push(Seen { slot: segment.slot(place), bounds });
        }
        images.insert(same.first().map(|(_, number)| *number), faces);
    }
    Ok(images.into_values().collect())
}

/// What tells the image of a face from others.
fn print(gallery: &Gallery, place: u32) -> Result<Option<[u8; 16]>, GalleryError> {
    let attributes = &gallery.0.segment.attributes;
    let hash = match attributes.image_hash(place)? {
        Some(hash) => Some(hash),
        None => {
            let path = attributes.text(column::IMAGE, place)?.filter(|path| !path.is_empty());
            path.map(|path| *blake3::hash(path.as_bytes()).as_bytes())
        }
    };
    Ok(hash.and_then(|hash| hash.first_chunk().copied()))
}

/// The different faces of an image, each with the slots it was enrolled in. A face is an earlier one
/// again where it is the same as all that were taken for that.
fn faces_of_image(
    gallery: &Gallery,
    seen: &[&Seen],
    marks: &HashMap<u32, Vec<u32>>,
    cancel: &Cancel,
) -> Result<Vec<Vec<u32>>, Error> {
    let mut faces: Vec<Vec<&Seen>> = Vec::new();
    for &new in seen {
        heed(cancel)?;
        let is_same = |known: &&Seen| {
            let marks_of = |slot| marks.get(&slot).map(Vec::as_slice).unwrap_or_default();
            is_one_face(gallery, known, new)
                && !share_a_mark(marks_of(known.slot), marks_of(new.slot))
        };
        match faces.iter_mut().find(|face| face.iter().all(is_same)) {
            Some(face) => face.push(new),
            None => faces.push(vec![new]),
        }
    }
    Ok(faces.into_iter().map(|face| face.iter().map(|seen| seen.slot).collect()).collect())
}

fn is_one_face(gallery: &Gallery, one: &Seen, other: &Seen) -> bool {
    match (one.bounds, other.bounds) {
        (Some(one), Some(other)) => overlap(one, other) >= ONE_FACE,
        _ => gallery.0.segment.vector(one.slot) == gallery.0.segment.vector(other.slot),
    }
}

/// What both boxes cover, of what they cover together.
fn overlap(one: Bounds, other: Bounds) -> f32 {
    if one == other {
        return 1.0;
    }
    let area = |bounds: Bounds| {
        (bounds.right - bounds.left).max(0.0) * (bounds.bottom - bounds.top).max(0.0)
    };
    let both = area(Bounds {
        left: one.left.max(other.left),
        top: one.top.max(other.top),
        right: one.right.min(other.right),
        bottom: one.bottom.min(other.bottom),
    });
    let together = area(one) + area(other) - both;
    if together > 0.0 { both / together } else { 0.0 }
}

/// Whether two ascending lists have something in common.
pub(super) fn share_a_mark(one: &[u32], other: &[u32]) -> bool {
    let (few, many) = if one.len() < other.len() { (one, other) } else { (other, one) };
    few.iter().any(|mark| many.binary_search(mark).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_overlap_by_what_they_share() {
        let bounds = |left, right| Bounds { left, top: 0.0, right, bottom: 10.0 };
        assert_eq!(overlap(bounds(0.0, 10.0), bounds(0.0, 10.0)), 1.0);
        assert_eq!(overlap(bounds(0.0, 10.0), bounds(5.0, 15.0)), 1.0 / 3.0);
        assert_eq!(overlap(bounds(0.0, 10.0), bounds(10.0, 20.0)), 0.0);
        assert_eq!(overlap(bounds(0.0, 10.0), bounds(0.0, 5.0)), 0.5);
        // A box without an area is the same as itself alone.
        assert_eq!(overlap(bounds(1.0, 1.0), bounds(1.0, 1.0)), 1.0);
        assert_eq!(overlap(bounds(1.0, 1.0), bounds(2.0, 2.0)), 0.0);
    }

    #[test]
    fn marks_in_common() {
        assert!(share_a_mark(&[1, 5, 9], &[0, 2, 4, 5]));
        assert!(!share_a_mark(&[1, 5, 9], &[0, 2, 4]) && !share_a_mark(&[], &[1]));
    }
}
