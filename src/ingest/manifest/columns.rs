//! The columns of a manifest, and how a line is put together from them.
//!
//! In come the names of columns as they appear; out goes a [`Layout`] that knows which are known
//! and which are attributes, and makes a [`Line`] of anything that gives out cells.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::error::ManifestError;
use super::{Attribute, Bounds, Line, MAX_COLUMNS, Position};
use crate::gallery::{Kind, Value};

/// Columns that the gallery adds itself.
const RESERVED: [&str; 4] = ["face_id", "norm", "image_hash", "same_photo_as"];
const BOX: [&str; 4] = ["box_left", "box_top", "box_right", "box_bottom"];
const TEXTS: [&str; 4] = ["image", "subject", "source", "key"];

/// What a column is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Row,
    Text,
    Box,
    Attribute,
}

impl Role {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "row" => Self::Row,
            _ if TEXTS.contains(&name) => Self::Text,
            _ if BOX.contains(&name) => Self::Box,
            _ => Self::Attribute,
        }
    }
}

/// The known column that `name` differs from in capitals alone.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let known = TEXTS.into_iter().chain(BOX).chain(["row"]);
    known.into_iter().find(|known| *known != name && known.eq_ignore_ascii_case(name))
}

/// The names of columns in order of appearance, each checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    /// Adds a column and returns its place.
    pub(super) fn add(&mut self, path: &Path, name: &str) -> Result<usize, ManifestError> {
        let place = self.names.len();
        let path = || path.to_path_buf();
        let column = || name.to_owned();
        if place == MAX_COLUMNS {
            return Err(ManifestError::TooManyColumns { path: path() });
        }
        if name.trim().is_empty() {
            return Err(ManifestError::Unnamed { path: path(), place: place + 1 });
        }
        if name.trim() != name {
            return Err(ManifestError::Padded { path: path(), column: column() });
        }
        if RESERVED.contains(&name) {
            return Err(ManifestError::Reserved { path: path(), column: column() });
        }
        if self.places.insert(column(), place).is_some() {
            return Err(ManifestError::Duplicate { path: path(), column: column() });
        }
        self.names.push(column());
        Ok(place)
    }

    /// All of `names`.
    pub(super) fn of<'a>(
        path: &Path,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ManifestError> {
        let mut columns = Self::default();
        for name in names {
            columns.add(path, name)?;
        }
        Ok(columns)
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// The cells of one line.
pub(super) trait Cells {
    /// The cell at `place` as text, None if it is empty; the error says why it is no text.
    fn text(&self, place: usize) -> Result<Option<Cow<'_, str>>, String>;

    /// The cell at `place` as a value of `kind`, which is the kind its column was found to have.
    fn value(&self, place: usize, kind: Kind) -> Result<Value, String>;
}

/// Where each part of a line stands.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) columns: Columns,
    pub(super) row: Option<usize>,
    texts: [Option<usize>; 4],
    bounds: [Option<usize>; 4],
    places: Vec<usize>,
    pub(super) attributes: Vec<Attribute>,
    /// What the embeddings are called, where they are in the same file.
    pub(super) embeddings: Option<String>,
}

impl Layout {
    /// `kinds` has a kind for each column, known ones included.
    pub(super) fn new(columns: Columns, kinds: &[Kind]) -> Self {
        let (places, attributes) = columns
            .names()
            .iter()
            .zip(kinds)
            .enumerate()
            .filter(|(_, (name, _))| Role::of(name) == Role::Attribute)
            .map(|(place, (name, &kind))| (place, Attribute { name: name.clone(), kind }))
            .unzip();
        Self {
            row: columns.place("row"),
            texts: TEXTS.map(|name| columns.place(name)),
            bounds: BOX.map(|name| columns.place(name)),
            places,
            attributes,
            columns,
            embeddings: None,
        }
    }

    pub(super) fn has_images(&self) -> bool {
        self.texts[0].is_some()
    }

    pub(super) fn has_subjects(&self) -> bool {
        self.texts[1].is_some()
    }

    /// Makes a line of its cells; the error says why it must be rejected.
    pub(super) fn line(&self, number: u64, cells: &impl Cells) -> Result<Line, String> {
        let row = match self.row {
            Some(place) => Some(row_of(cells.text(place)?.as_deref())?),
            None => None,
        };
        let text = |which: usize| match self.texts[which] {
            Some(place) => match cells.text(place) {
                Ok(text) => Ok(text.map(Cow::into_owned)),
                Err(reason) => Err(format!("column {:?}: {reason}", TEXTS[which])),
            },
            None => Ok(None),
        };
        let (bounds, box_fault) = match self.bounds_of(cells) {
            Ok(bounds) => (bounds, None),
            Err(fault) => (None, Some(fault)),
        };
        let mut attributes = Vec::with_capacity(self.places.len());
        for (&place, attribute) in self.places.iter().zip(&self.attributes) {
            let value = cells.value(place, attribute.kind);
            attributes.push(value.map_err(|e| format!("column {:?}: {e}", attribute.name))?);
        }
        Ok(Line {
            number,
            // Only the reader knows; it is told once the line is made.
            position: Position::Line(0),
            row,
            image: text(0)?,
            subject: text(1)?,
            source: text(2)?,
            key: text(3)?,
            bounds,
            box_fault,
            attributes,
        })
    }

    /// The box of a line, None if it has none; the error says what is wrong with it.
    fn bounds_of(&self, cells: &impl Cells) -> Result<Option<Bounds>, String> {
        let mut texts = [const { None }; 4];
        for (text, place) in texts.iter_mut().zip(self.bounds) {
            if let Some(place) = place {
                *text = cells.text(place)?;
            }
        }
        if texts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut sides = [0.0_f32; 4];
        for ((side, text), name) in sides.iter_mut().zip(texts).zip(BOX) {
            let text =
                text.ok_or_else(|| format!("{name} is missing, a box needs all four sides"))?;
            *side = text
                .trim()
                .parse()
                .ok()
                .filter(|side: &f32| side.is_finite())
                .ok_or_else(|| format!("{name} is {}, expected a number", shown(&text)))?;
        }
        let [left, top, right, bottom] = sides;
        if left >= right {
            return Err(format!("box_left {left} is not left of box_right {right}"));
        }
        if top >= bottom {
            return Err(format!("box_top {top} is not above box_bottom {bottom}"));
        }
        Ok(Some(Bounds { left, top, right, bottom }))
    }
}

fn row_of(text: Option<&str>) -> Result<u64, String> {
    let Some(text) = text else {
        return Err("the row is empty, expected the number of a row of the embeddings".into());
    };
    let digits = text.trim();
    // u64's own parser would take a sign.
    let row = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None };
    row.ok_or_else(|| format!("the row is {}, expected a whole number from 0", shown(text)))
}

/// The beginning of a cell in quotes, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
