//! Templates: the faces of a subject as one vector.
//!
//! In come the slots of a subject's faces; out goes their mean, each weighted by its norm, as a unit
//! vector. Weighted so, it is the mean of the embeddings as the model gave them. Models of the ArcFace
//! family give photos of low quality short embeddings (Kim, Jain & Liu, "AdaFace", 2022), and MagFace
//! (Meng et al. 2021) is trained to, so a blurred photo counts for less.

use std::borrow::Cow;

use super::similarity::Exact;
use crate::gallery::GalleryError;
use crate::gallery::segment::{Segment, Vectors};

/// Makes one template after the other.
#[derive(Debug, Default)]
pub(super) struct Fuser {
    sum: Vec<f64>,
    template: Vec<f32>,
}

impl Fuser {
    /// The template of these faces: that of one face is its vector. Where faces cancel each other out,
    /// the first stands for all.
    pub(super) fn fuse(
        &mut self,
        segment: &Segment,
        slots: &[u32],
    ) -> Result<&[f32], GalleryError> {
        self.sum.clear();
        self.template.clear();
        let first = slots.first().map_or(Cow::Borrowed(&[][..]), |&slot| segment.vector(slot));
        if slots.len() > 1 {
            self.sum.resize(first.len(), 0.0);
            for &slot in slots {
                let norm = f64::from(segment.attributes.norm(segment.place(slot))?);
                // Only damage makes another.
                let weight = if norm.is_finite() && norm > 0.0 { norm } else { 0.0 };
                for (sum, &value) in self.sum.iter_mut().zip(segment.vector(slot).iter()) {
                    *sum += weight * f64::from(value);
                }
            }
            let length = self.sum.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            if length.is_normal() {
                self.template.extend(self.sum.iter().map(|sum| (sum / length) as f32));
                return Ok(&self.template);
            }
        }
        self.template.extend_from_slice(&first);
        Ok(&self.template)
    }
}

/// Similarity of a probe with a template.
pub(super) fn similarity(probe: &[f32], template: &[f32]) -> f32 {
    Exact::new(probe, Vectors::F32(template)).similarity(0).max(-1.0)
}
