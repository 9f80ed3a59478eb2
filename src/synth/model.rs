//! Where the embeddings of people lie.
//!
//! In come a profile and a seed; out go photos of any person, drawn when they are asked for. A
//! person's centre is a draw from the profile's covariance, of which people of one group share a
//! part; a photo is the centre plus noise of the same covariance, more or less of it by the quality
//! of the photo. The mean of the gallery lies at a right angle to all of that, and every photo is
//! equally far from it: so the mean of the unit vectors is exactly as long as it should be, and
//! normalising adds no variance along it. Then the vector gets the model's length. Vectors are drawn
//! in the principal axes and turned to their final directions a block at a time. Always: the same
//! person and photo give the same vector, whoever asks.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut2};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Gamma, StandardNormal};

use super::Profile;
use super::calibrate;
use super::rotation::orthonormal_rows;
use super::seeds::{Stream, generator};

/// S.d. of the logarithm of a photo's noise.
const QUALITY_SPREAD: f64 = 0.5;
/// Of the variance of people's centres, the share that lies between groups.
const GROUP_SHARE: f64 = 0.35;
/// Shape of the Dirichlet distribution of group sizes.
const GROUP_SIZES: f64 = 0.5;
/// Groups whose means are kept; beyond (80 million faces) they are drawn anew for every face.
const KEPT_GROUPS: u64 = 1 << 15;

/// The distribution of embeddings of one gallery.
pub(super) struct Model {
    profile: Profile,
    seed: u64,
    /// Standard deviations along the principal axes.
    deviations: Vec<f32>,
    /// Noise of a photo of usual quality, in those.
    noise: f64,
    groups: Groups,
    /// Principal axes, one a row, in the coordinates of the embeddings; the last one is the
    /// direction of the mean where there is one.
    axes: Array2<f32>,
}

impl Model {
    /// The distribution for `profile`, with people in `groups` groups (0 or 1 for none).
    pub(super) fn new(profile: Profile, groups: u64, seed: u64) -> Self {
        let values = profile.eigenvalues();
        let deviations: Vec<f32> = values.iter().map(|v| v.sqrt() as f32).collect();
        let rows = deviations.len() + usize::from(profile.mean_length() > 0.0);
        let mut rotation = generator(seed, Stream::Rotation, 0);
        Self {
            profile,
            seed,
            noise: calibrate::noise(&deviations, profile.centred_mate_cosine()),
            groups: Groups::new(groups, deviations.len(), seed),
            axes: orthonormal_rows(rows, profile.dims(), &mut rotation),
            deviations,
        }
    }

    /// Numbers that a vector has before it is turned to its final direction.
    pub(super) fn rank(&self) -> usize {
        self.axes.nrows()
    }

    /// Draws a photo of `person` into `vector`, in the principal axes, with the model's length.
    pub(super) fn photo(&self, person: u64, mut chance: Xoshiro256PlusPlus, vector: &mut [f32]) {
        let (around, along) = vector.split_at_mut(self.deviations.len());
        let mut own = generator(self.seed, Stream::Person, person);
        let own_share = self.groups.start(&mut own, around);
        let quality = photo_noise(&mut chance);
        let noise = (self.noise * quality) as f32;
        let mut square = 0.0_f64;
        for (v, d) in around.iter_mut().zip(&self.deviations) {
            let centre = *v + own_share * normal(&mut own);
            *v = d * (centre + noise * normal(&mut chance));
            square += f64::from(*v) * f64::from(*v);
        }
        let (mean, norm) = (self.profile.mean_length(), self.profile.norm(quality));
        let scale = (norm * ((1.0 - mean * mean) / square).sqrt()) as f32;
        for v in around {
            *v *= scale;
        }
        along.fill((norm * mean) as f32);
    }

    /// Turns vectors from the principal axes to their final directions, one a row.
    pub(super) fn turn(&self, vectors: &Array2<f32>, out: &mut ArrayViewMut2<'_, f32>) {
        general_mat_mul(1.0, vectors, &self.axes, 0.0, out);
    }
}

/// How much noisier than usual a photo is: 1 in the median, lognormal.
pub(super) fn photo_noise(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    (QUALITY_SPREAD * z).exp()
}

fn normal(rng: &mut Xoshiro256PlusPlus) -> f32 {
    StandardNormal.sample(rng)
}

/// What people have in common with others of their group.
struct Groups {
    seed: u64,
    /// Share of the people in this group and all before it; empty where there are no groups.
    up_to: Vec<f64>,
    /// Mean of the groups by their size: taken off each, so that groups do not move the gallery's.
    middle: Vec<f32>,
    /// Means of the groups, as far as they are kept.
    kept: Vec<f32>,
    /// Standard deviation of what is a person's own.
    own: f32,
}

impl Groups {
    fn new(count: u64, rank: usize, seed: u64) -> Self {
        let mut groups =
            Self { seed, up_to: Vec::new(), middle: vec![0.0; rank], kept: Vec::new(), own: 1.0 };
        if count < 2 {
            return groups;
        }
        let weights = dirichlet(count, seed);
        // Taking the middle off leaves this much less between groups; people's own makes up for it.
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        groups.own = (1.0 - GROUP_SHARE * (1.0 - squares)).sqrt() as f32;
        let mut middle = vec![0.0_f64; rank];
        let mut mean = vec![0.0_f32; rank];
        let mut sum = 0.0;
        for (group, weight) in (0..).zip(&weights) {
            groups.draw(group, &mut mean);
            for (m, v) in middle.iter_mut().zip(&mean) {
                *m += weight * f64::from(*v);
            }
            sum += weight;
            groups.up_to.push(sum);
        }
        groups.middle = middle.iter().map(|&m| m as f32).collect();
        let mut kept = vec![0.0; count.min(KEPT_GROUPS) as usize * rank];
        for (group, mean) in (0..).zip(kept.chunks_exact_mut(rank)) {
            groups.draw(group, mean);
        }
        groups.kept = kept;
        groups
    }

    /// Puts a person, whose chance is `rng`, in a group: its mean goes to `centre`, in standard
    /// deviations; returned is that of what is the person's own.
    fn start(&self, rng: &mut Xoshiro256PlusPlus, centre: &mut [f32]) -> f32 {
        if self.up_to.is_empty() {
            centre.fill(0.0);
            return self.own;
        }
        let place: f64 = rng.random();
        let group = self.up_to.partition_point(|&up_to| up_to <= place).min(self.up_to.len() - 1);
        let rank = centre.len();
        match self.kept.get(group * rank..(group + 1) * rank) {
            Some(mean) => centre.copy_from_slice(mean),
            None => self.draw(group as u64, centre),
        }
        self.own
    }

    /// The mean of a group, in standard deviations.
    fn draw(&self, group: u64, mean: &mut [f32]) {
        let mut rng = generator(self.seed, Stream::Group, group);
        let share = (GROUP_SHARE as f32).sqrt();
        for (v, middle) in mean.iter_mut().zip(&self.middle) {
            *v = share * normal(&mut rng) - middle;
        }
    }
}

/// Shares of `count` groups, which sum to 1.
fn dirichlet(count: u64, seed: u64) -> Vec<f64> {
    let mut rng = generator(seed, Stream::GroupSizes, 0);
    let mut weights: Vec<f64> = match Gamma::new(GROUP_SIZES, 1.0) {
        Ok(gamma) => (0..count).map(|_| gamma.sample(&mut rng)).collect(),
        // The shape is a positive constant, which is all the distribution asks.
        Err(_) => vec![1.0; count as usize],
    };
    let sum: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    weights
}
