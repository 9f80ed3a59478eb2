//! What kind of finding a pair is.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Pair;
use crate::Gallery;
use crate::gallery::GalleryError;
use crate::gallery::attributes::column;

/// What kind of finding a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Both faces are in images of the same bytes, whoever they are said to be.
    SameImage,
    /// Other images, the same subject.
    SameSubject,
    /// Other images, two subjects.
    DifferentSubjects,
    /// Other images, and one face or both without a subject.
    Unknown,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::SameImage, Self::SameSubject, Self::DifferentSubjects, Self::Unknown];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameImage => "same-image",
            Self::SameSubject => "same-subject",
            Self::DifferentSubjects => "different-subjects",
            Self::Unknown => "unknown",
        }
    }

    /// The place of its count.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            format!("no kind {name:?}; there are {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// A pair with what is known of its faces, of each the first one first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described<'g> {
    pub(super) pair: Pair,
    pub(super) kind: Kind,
    pub(super) subjects: [Option<&'g str>; 2],
    pub(super) images: [Option<&'g str>; 2],
    pub(super) keys: [Option<&'g str>; 2],
}

impl<'g> Described<'g> {
    pub(super) fn of(gallery: &'g Gallery, pair: Pair) -> Result<Self, GalleryError> {
        let attributes = &gallery.0.segment.attributes;
        let (first, second) = pair.places;
        let both = |column| -> Result<[Option<&'g str>; 2], GalleryError> {
            Ok([attributes.text(column, first)?, attributes.text(column, second)?])
        };
        let subjects = both(column::SUBJECT)?;
        let hash = attributes.image_hash(first)?;
        let kind = if hash.is_some() && hash == attributes.image_hash(second)? {
            Kind::SameImage
        } else {
            match subjects {
                [Some(one), Some(other)] if one == other => Kind::SameSubject,
                [Some(_), Some(_)] => Kind::DifferentSubjects,
                _ => Kind::Unknown,
            }
        };
        let (images, keys) = (both(column::IMAGE)?, both(column::KEY)?);
        Ok(Self { pair, kind, subjects, images, keys })
    }
}
