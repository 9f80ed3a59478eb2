//! What is known of each face, as an Arrow IPC file that other tools read as it is.
//!
//! One row a face, in place order: the gallery's own columns first ([`OWN`]), then the manifest's
//! other columns, typed. Rows come in batches of [`BATCH_ROWS`] (the last one shorter), so that a
//! place's batch is found by division; a reader decodes only the batches it needs.

use std::fmt;

use arrow_schema::{DataType, Field, Schema};

use super::date;

mod read;
#[cfg(feature = "build")]
mod write;

pub(crate) use read::{AttributeFile, value};
#[cfg(feature = "build")]
pub(crate) use write::AttributeWriter;

/// Rows of a batch in the file.
pub(crate) const BATCH_ROWS: usize = 8192;
/// The longest text a face may carry, in bytes, so that a batch stays within Arrow's 32-bit offsets.
pub const MAX_TEXT: usize = 64 << 10;
/// The file's name in a segment's folder.
pub(crate) const FILE_NAME: &str = "attributes.arrow";

/// The gallery's own columns, in the order of the file.
pub(crate) const OWN: [&str; 12] = [
    "face_id",
    "image",
    "subject",
    "source",
    "key",
    "box_left",
    "box_top",
    "box_right",
    "box_bottom",
    "norm",
    "image_hash",
    "same_photo_as",
];

/// Where each own column stands.
pub(crate) mod column {
    pub(crate) const FACE_ID: usize = 0;
    pub(crate) const IMAGE: usize = 1;
    pub(crate) const SUBJECT: usize = 2;
    pub(crate) const SOURCE: usize = 3;
    pub(crate) const KEY: usize = 4;
    pub(crate) const BOX: usize = 5;
    pub(crate) const NORM: usize = 9;
    pub(crate) const IMAGE_HASH: usize = 10;
    pub(crate) const SAME_PHOTO_AS: usize = 11;
}

/// What a column of attributes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// True or false.
    Bool,
    /// A 64-bit signed integer.
    Int,
    /// A 64-bit float.
    Float,
    /// A calendar date without a time.
    Date,
    /// UTF-8 text.
    Text,
}

impl Kind {
    /// Its name as shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Date => "date",
            Self::Text => "text",
        }
    }
}

/// One value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not known.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Text.
    Text(String),
}

/// As in a manifest: dates as `YYYY-MM-DD`, nothing for what is not known.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Date(days) => f.pad(&date::write((*days).into())),
            Self::Text(text) => f.pad(text),
        }
    }
}

/// The box of a face in pixels of the upright image (after EXIF orientation), as a face detector
/// gave it: it may reach over the image's edges.
///
/// The origin is the upper left corner; `right` and `bottom` are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// Left edge, in pixels from the image's left.
    pub left: f32,
    /// Upper edge, in pixels from the image's top.
    pub top: f32,
    /// Right edge, in pixels from the image's left.
    pub right: f32,
    /// Lower edge, in pixels from the image's top.
    pub bottom: f32,
}

/// A column that came from the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// The row of one face.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// Face id.
    pub(crate) face_id: u64,
    /// Path of the image as the manifest gives it.
    pub(crate) image: Option<String>,
    /// The person, where known.
    pub(crate) subject: Option<String>,
    /// Where the face came from.
    pub(crate) source: Option<String>,
    /// The caller's own id.
    pub(crate) key: Option<String>,
    /// Where the face is in the image.
    pub(crate) bounds: Option<Bounds>,
    /// Length of the embedding before it was normalised.
    pub(crate) norm: f32,
    /// BLAKE3 of the image file's bytes.
    pub(crate) image_hash: Option<[u8; 32]>,
    /// The first face with the same photo and box, under another subject or source.
    pub(crate) same_photo_as: Option<u64>,
    /// One value an attribute.
    pub(crate) values: Vec<Value>,
}

/// The Arrow schema of a gallery with these attributes.
pub(crate) fn schema(attributes: &[Attribute]) -> Schema {
    let own = OWN.iter().enumerate().map(|(i, &name)| {
        let data_type = match i {
            column::FACE_ID | column::SAME_PHOTO_AS => DataType::UInt64,
            column::IMAGE..=column::KEY => DataType::Utf8,
            column::IMAGE_HASH => DataType::FixedSizeBinary(32),
            _ => DataType::Float32,
        };
        Field::new(name, data_type, !matches!(i, column::FACE_ID | column::NORM))
    });
    let others = attributes
        .iter()
        .map(|attribute| Field::new(&attribute.name, arrow_type(attribute.kind), true));
    Schema::new(own.chain(others).collect::<Vec<_>>())
}

fn arrow_type(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Date => DataType::Date32,
        Kind::Text => DataType::Utf8,
    }
}

fn kind_of(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Int64 => Some(Kind::Int),
        DataType::Float64 => Some(Kind::Float),
        DataType::Date32 => Some(Kind::Date),
        DataType::Utf8 => Some(Kind::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
