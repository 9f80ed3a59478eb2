//! How far photos stray from their person, and how far the cloud sits from the origin.
//!
//! In come a profile's spectrum and direction of the mean; out go the two lengths that the model
//! needs: the noise that puts the median cosine of mates where it should be, and the offset that
//! makes the mean of the unit vectors as long as the profile says. Both are found by bisection on a
//! sample of pairs of photos whose chance is fixed, so they are properties of the profile and the
//! same for every seed of the user's.

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

use super::model::photo_noise;
use super::profile::MateCosine;
use super::seeds::{Stream, generator};
use super::{MEDIAN_MATE_COSINE, Profile};

const PAIRS: u64 = 4096;

/// The two lengths, in units of the standard deviation of people's centres.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// Of the noise of a photo of usual quality.
    pub(super) noise: f64,
    /// From the origin to the middle of the cloud.
    pub(super) offset: f64,
}

/// Finds both lengths for `profile`, whose mean points along `direction` in the principal axes.
pub(super) fn calibrate(profile: Profile, deviations: &[f32], direction: &[f32]) -> Lengths {
    let pairs: Vec<Pair> = (0..PAIRS)
        .map(|i| Pair::draw(i, deviations, direction))
        .collect();
    let mean = profile.mean_length();
    let offset_for = |noise: f64| {
        if mean == 0.0 {
            return 0.0;
        }
        bisect(0.0, 16.0, |offset| {
            mean_length(&pairs, Lengths { noise, offset }) < mean
        })
    };
    let noise = bisect(0.05, 3.0, |noise| {
        let lengths = Lengths {
            noise,
            offset: offset_for(noise),
        };
        median_mate(&pairs, lengths, profile) > MEDIAN_MATE_COSINE
    });
    Lengths {
        noise,
        offset: offset_for(noise),
    }
}

/// Where `more` turns from true to false between `low` and `high`.
fn bisect(mut low: f64, mut high: f64, more: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..22 {
        let middle = (low + high) / 2.0;
        if more(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// One photo of a pair: the dot products of its noise n with itself, its person's centre c and the
/// direction e of the mean, and how noisy the photo is.
struct Photo {
    nn: f64,
    cn: f64,
    en: f64,
    quality: f64,
}

/// Two photos of a person, as the dot products their cosine is made of.
struct Pair {
    cc: f64,
    ec: f64,
    photos: [Photo; 2],
    nn: f64,
}

impl Pair {
    fn draw(index: u64, deviations: &[f32], direction: &[f32]) -> Self {
        let mut rng = generator(0, Stream::Calibration, index);
        let vector = |rng: &mut Xoshiro256PlusPlus| -> Vec<f32> {
            let normal = |d: &f32| *d * Distribution::<f32>::sample(&StandardNormal, rng);
            deviations.iter().map(normal).collect()
        };
        let c = vector(&mut rng);
        let mut photo = || {
            let quality = photo_noise(&mut rng);
            let n = vector(&mut rng);
            let dots = Photo {
                nn: dot(&n, &n),
                cn: dot(&c, &n),
                en: dot(direction, &n),
                quality,
            };
            (dots, n)
        };
        let ((first, n1), (second, n2)) = (photo(), photo());
        Self {
            cc: dot(&c, &c),
            ec: dot(direction, &c),
            photos: [first, second],
            nn: dot(&n1, &n2),
        }
    }

    /// Cosine of the two photos, and of each with the direction of the mean.
    fn cosines(&self, lengths: Lengths) -> (f64, [f64; 2]) {
        let m = lengths.offset;
        let scales = self.photos.each_ref().map(|p| lengths.noise * p.quality);
        let along = |i: usize| m + self.ec + scales[i] * self.photos[i].en;
        let square = |i: usize| {
            let (p, s) = (&self.photos[i], scales[i]);
            2.0 * m * (self.ec + s * p.en) + m * m + self.cc + 2.0 * s * p.cn + s * s * p.nn
        };
        let both = m * along(0)
            + m * (along(1) - m)
            + self.cc
            + scales[0] * self.photos[0].cn
            + scales[1] * self.photos[1].cn
            + scales[0] * scales[1] * self.nn;
        let norms = [square(0).sqrt(), square(1).sqrt()];
        (
            both / (norms[0] * norms[1]),
            [along(0) / norms[0], along(1) / norms[1]],
        )
    }

    /// The pair with all chance pointing the other way: as likely, and its errors cancel in a mean.
    fn mirrored(&self) -> Self {
        Self {
            ec: -self.ec,
            photos: self.photos.each_ref().map(|p| Photo { en: -p.en, ..*p }),
            ..*self
        }
    }
}

fn mean_length(pairs: &[Pair], lengths: Lengths) -> f64 {
    let sum: f64 = pairs
        .iter()
        .map(|pair| {
            let (_, [a, b]) = pair.cosines(lengths);
            let (_, [c, d]) = pair.mirrored().cosines(lengths);
            a + b + c + d
        })
        .sum();
    sum / (4 * pairs.len()) as f64
}

fn median_mate(pairs: &[Pair], lengths: Lengths, profile: Profile) -> f64 {
    let mean = profile.mean_length();
    let mut cosines: Vec<f64> = pairs
        .iter()
        .map(|pair| {
            let (both, [a, b]) = pair.cosines(lengths);
            match profile.mate_cosine() {
                MateCosine::Raw => both,
                MateCosine::Centred => {
                    let square = |along: f64| 1.0 - 2.0 * mean * along + mean * mean;
                    let both = both - mean * (a + b) + mean * mean;
                    both / (square(a) * square(b)).sqrt()
                }
            }
        })
        .collect();
    let middle = cosines.len() / 2;
    *cosines.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum()
}
