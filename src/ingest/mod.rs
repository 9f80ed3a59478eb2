//! The way in.

mod bounds;
pub mod image;
pub(crate) mod pipeline;

pub use bounds::Bounds;
pub use pipeline::Cancelled;
