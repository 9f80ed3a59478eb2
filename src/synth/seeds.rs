//! Chance that can be asked again.
//!
//! In come the user's seed, what is drawn, and a number (a person, a photo, a group); out goes a
//! generator that starts at the same place each time, so nothing that was drawn need be kept and
//! nothing depends on which thread drew it. A [`Shuffle`] is the same for orders: a permutation
//! that is computed rather than stored.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// What a generator is for; two purposes never share their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Rotation = 1,
    Calibration,
    Sizes,
    FaceOrder,
    Names,
    GroupSizes,
    Group,
    Person,
    Photo,
    Particulars,
    ProbePerson,
    ProbePhoto,
}

/// A generator for the `index`-th draw of a purpose.
pub(super) fn generator(seed: u64, stream: Stream, index: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(mix(key(seed, stream) ^ index))
}

fn key(seed: u64, stream: Stream) -> u64 {
    mix(mix(seed) ^ stream as u64)
}

/// Spreads every bit over all others and never maps two numbers to one (the finaliser of
/// splitmix64, Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const ROUNDS: u64 = 6;

/// A seeded permutation of 0..n in constant memory.
///
/// A Feistel network permutes the next power of four; a result outside the range is put through
/// again until it falls inside, which happens in at most four tries on average.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shuffle {
    n: u64,
    half_bits: u32,
    keys: [u64; ROUNDS as usize],
}

impl Shuffle {
    /// A permutation of 0..n, n at most 2^62.
    pub(super) fn new(n: u64, seed: u64, stream: Stream) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut keys = [0; ROUNDS as usize];
        for (round, k) in (0..).zip(&mut keys) {
            *k = mix(key(seed, stream) ^ round);
        }
        Self { n, half_bits: bits.div_ceil(2).max(1), keys }
    }

    /// Where `index`, below n, goes.
    pub(super) fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.n);
        let mut place = self.once(index);
        while place >= self.n {
            place = self.once(place);
        }
        place
    }

    fn once(&self, value: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for k in self.keys {
            (left, right) = (right, left ^ (mix(right ^ k) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;

    proptest! {
        #[test]
        fn a_shuffle_hits_every_place_once(n in 1_u64..3000, seed: u64) {
            let shuffle = Shuffle::new(n, seed, Stream::FaceOrder);
            let mut hit = vec![false; n as usize];
            for i in 0..n {
                let place = shuffle.at(i) as usize;
                prop_assert!(!std::mem::replace(&mut hit[place], true));
            }
        }
    }

    #[test]
    fn a_shuffle_moves_things() {
        let shuffle = Shuffle::new(1000, 7, Stream::FaceOrder);
        let far = (0..999).filter(|&i| shuffle.at(i).abs_diff(shuffle.at(i + 1)) > 50);
        assert!(far.count() > 800);
    }

    #[test]
    fn generators_differ_by_each_part_of_their_key() {
        let first = |seed, stream, index| generator(seed, stream, index).random::<u64>();
        let base = first(1, Stream::Person, 1);
        assert_eq!(base, first(1, Stream::Person, 1));
        assert_ne!(base, first(2, Stream::Person, 1));
        assert_ne!(base, first(1, Stream::Photo, 1));
        assert_ne!(base, first(1, Stream::Person, 2));
    }
}
