//! Made-up faces: copies of faces that are as unlike them as asked for, and faces of nobody.

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::super::BuildError;
use crate::Gallery;

/// Faces whose directions make up a disturbance: so many that it is hardly like any one of them. A
/// sum of eight is more like each than strangers are.
const DISTURBERS: usize = 64;

/// Copies of faces that are as unlike them as asked for.
pub(super) struct Disturb<'g> {
    gallery: &'g Gallery,
    mean: &'g [f32],
}

impl<'g> Disturb<'g> {
    pub(super) fn new(gallery: &'g Gallery) -> Result<Self, BuildError> {
        let segment = &gallery.0.segment;
        let codes = segment.codes.view(segment.faces())?;
        Ok(Self { gallery, mean: codes.space.mean() })
    }

    fn centred(&self, slot: u32) -> Vec<f32> {
        let vector = self.gallery.0.segment.vector(slot);
        vector.iter().zip(self.mean).map(|(v, m)| v - m).collect()
    }

    pub(super) fn centred_cosine(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (self.centred(a), self.centred(b));
        let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
        if lengths > 0.0 { dot(&a, &b) / lengths } else { 1.0 }
    }

    /// A direction that the faces have and no person.
    fn direction(&self, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let mut sum = vec![0.0; self.mean.len()];
        for _ in 0..DISTURBERS {
            let other = self.centred(random.random_range(0..self.gallery.len()) as u32);
            let sign = if random.random() { 1.0 } else { -1.0 };
            sum.iter_mut().zip(&other).for_each(|(sum, v)| *sum += sign * v);
        }
        sum
    }

    /// A face's copy whose centred cosine with it is `alike`.
    pub(super) fn copy(&self, slot: u32, alike: f32, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let own = self.centred(slot);
        let square = dot(&own, &own);
        let mut away = self.direction(random);
        let along = if square > 0.0 { dot(&away, &own) / square } else { 0.0 };
        away.iter_mut().zip(&own).for_each(|(away, own)| *away -= along * own);
        let length = dot(&away, &away).sqrt();
        let turn = if length > 0.0 {
            (1.0 - alike * alike).max(0.0).sqrt() * square.sqrt() / length
        } else {
            0.0
        };
        let copy = own.iter().zip(&away).map(|(own, away)| alike * own + turn * away);
        copy.zip(self.mean).map(|(v, m)| v + m).collect()
    }

    /// Somebody who is not in the gallery.
    pub(super) fn nobody(&self, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        let face = random.random_range(0..self.gallery.len()) as u32;
        self.copy(face, 0.0, random)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
