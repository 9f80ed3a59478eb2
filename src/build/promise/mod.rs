//! Measuring what plans deliver on a gallery, for its promise.
//!
//! In comes the gallery as far as it is built; out goes a [`Promise`](crate::search::Promise). A
//! sample of faces is searched for. Where a face's subject has others, it is the probe, and is left
//! out of the graph until it was searched for: a face that is linked already finds its own mates
//! too easily. Where it is the only one, or subjects are unknown, the probe is made up: a disturbed
//! copy of the face, as alike as mates are.

mod bound;
mod disturb;
mod measure;
mod sample;

pub(super) use measure::Measuring;
pub(super) use sample::Sample;
