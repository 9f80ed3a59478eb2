//! A column of a probe manifest, by its name.

use lookalike::ingest::{Line, Manifest};

use super::Failure;

/// A column of a manifest.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Image,
    Subject,
    Source,
    Key,
    /// This attribute.
    Attribute(usize),
}

impl Column {
    /// The column that `flag` names.
    pub(super) fn find(manifest: &Manifest, flag: &str, name: &str) -> Result<Self, Failure> {
        let is_there = manifest.columns().iter().any(|column| column == name);
        let found = match name {
            "image" => Some(Self::Image),
            "subject" => Some(Self::Subject),
            "source" => Some(Self::Source),
            "key" => Some(Self::Key),
            _ => {
                let mut attributes = manifest.attributes().iter();
                attributes.position(|one| one.name == name).map(Self::Attribute)
            }
        };
        found.filter(|_| is_there).ok_or_else(|| {
            Failure::Usage(format!(
                "{flag} {name}: {} has no such column that probes can be grouped by; it has {}. \
                 What is known of the probes stands there, not in the gallery",
                manifest.path().display(),
                manifest.columns().join(", ")
            ))
        })
    }

    /// What a line says; `None` where it says nothing.
    pub(super) fn of(self, line: &Line) -> Option<String> {
        let text = match self {
            Self::Image => line.image.clone(),
            Self::Subject => line.subject.clone(),
            Self::Source => line.source.clone(),
            Self::Key => line.key.clone(),
            Self::Attribute(at) => line.attributes.get(at).map(ToString::to_string),
        };
        text.filter(|text| !text.trim().is_empty())
    }
}
