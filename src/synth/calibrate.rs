//! How far photos stray from their person.
//!
//! In comes a spectrum and where the median cosine of mates should be; out goes the noise that puts
//! it there, found by bisection on a sample of pairs of photos. The sample's chance is fixed, so the
//! noise is a property of the profile and the same for every seed of the user's.

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

use super::model::photo_noise;
use super::seeds::{Stream, generator};

const PAIRS: u64 = 4096;

/// The noise of a photo of usual quality, in standard deviations of people's centres, with which the
/// median cosine of two photos of a person, less the gallery's mean, is `median`.
pub(super) fn noise(deviations: &[f32], median: f64) -> f64 {
    let pairs: Vec<Pair> = (0..PAIRS).map(|i| Pair::draw(i, deviations)).collect();
    let (mut low, mut high) = (0.05, 3.0);
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if median_cosine(&pairs, middle) > median {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

fn median_cosine(pairs: &[Pair], noise: f64) -> f64 {
    let mut cosines: Vec<f64> = pairs.iter().map(|pair| pair.cosine(noise)).collect();
    let middle = cosines.len() / 2;
    *cosines.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// One photo of a pair: the dot products of its noise n with itself and with its person's centre c,
/// and how noisy the photo is.
struct Photo {
    nn: f64,
    cn: f64,
    quality: f64,
}

/// Two photos of a person, as the dot products their cosine is made of.
struct Pair {
    cc: f64,
    photos: [Photo; 2],
    nn: f64,
}

impl Pair {
    fn draw(index: u64, deviations: &[f32]) -> Self {
        let mut rng = generator(0, Stream::Calibration, index);
        let vector = |rng: &mut Xoshiro256PlusPlus| -> Vec<f32> {
            let normal = |d: &f32| *d * Distribution::<f32>::sample(&StandardNormal, rng);
            deviations.iter().map(normal).collect()
        };
        let c = vector(&mut rng);
        let mut photo = || {
            let quality = photo_noise(&mut rng);
            let n = vector(&mut rng);
            let dots = Photo { nn: dot(&n, &n), cn: dot(&c, &n), quality };
            (dots, n)
        };
        let ((first, n1), (second, n2)) = (photo(), photo());
        Self { cc: dot(&c, &c), photos: [first, second], nn: dot(&n1, &n2) }
    }

    fn cosine(&self, noise: f64) -> f64 {
        let [p, q] = &self.photos;
        let (s, t) = (noise * p.quality, noise * q.quality);
        let square = |photo: &Photo, s: f64| self.cc + 2.0 * s * photo.cn + s * s * photo.nn;
        let both = self.cc + s * p.cn + t * q.cn + s * t * self.nn;
        both / (square(p, s) * square(q, t)).sqrt()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}
