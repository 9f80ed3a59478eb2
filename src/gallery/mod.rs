//! Galleries on disk.

pub mod map;
