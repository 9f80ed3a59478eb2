//! The way in.

pub mod manifest;
pub mod rejects;
#[allow(dead_code)] // The build is its only user.
pub(crate) mod seen;

pub use manifest::{
    Attribute, Bounds, Kind, Line, LineFault, Lines, Manifest, ManifestError, Value,
};
pub use rejects::{Counts, Rejects, Severity};
