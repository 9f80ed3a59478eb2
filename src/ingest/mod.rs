//! The way in.
