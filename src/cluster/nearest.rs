//! Of each face the nearest others, and a few drawn at random, out of a stream of pairs.
//!
//! Photos of one person that were taken together are each other's nearest; those drawn at random join
//! such bursts, of whatever size, where they are alike.

use xxhash_rust::xxh3::xxh3_64;

/// Others that a face keeps at least, and at most: clusters of more faces hold together by their
/// means.
pub(super) const KEPT: (usize, usize) = (8, 32);
/// One in so many of those it keeps is drawn at random.
const DRAWN: usize = 4;

/// The nearest others of each face, by slot.
pub(super) struct Nearest {
    /// Others that a face keeps.
    kept: usize,
    /// So many places a face: the nearest, then those drawn.
    places: Vec<(u32, f32)>,
    /// How many there are of either.
    counts: Vec<[u8; 2]>,
}

impl Nearest {
    /// Where each face keeps so many others.
    pub(super) fn new(faces: usize, kept: usize) -> Self {
        Self { kept, places: vec![(0, 0.0); faces * kept], counts: vec![[0; 2]; faces] }
    }

    /// Takes a pair: each keeps the other if it is among the nearest.
    pub(super) fn take(&mut self, [one, other]: [u32; 2], similarity: f32) {
        if one != other {
            self.keep(one, other, similarity);
            self.keep(other, one, similarity);
        }
    }

    fn keep(&mut self, face: u32, other: u32, similarity: f32) {
        let own = face as usize;
        let nearest = self.nearest();
        let Some(counts) = self.counts.get_mut(own) else { return };
        let Some(kept) = self.places.get_mut(own * self.kept..(own + 1) * self.kept) else {
            return;
        };
        let (nearest, drawn) = kept.split_at_mut(nearest);
        let new = (other, similarity);
        // Of equals the first stays, so that the order of pairs settles who.
        put(nearest, &mut counts[0], new, |(_, similarity)| *similarity);
        put(drawn, &mut counts[1], new, |(other, _)| lot(face, *other));
    }

    /// Of those that a face keeps, how many are the nearest.
    fn nearest(&self) -> usize {
        self.kept - self.kept / DRAWN
    }

    /// Each face's list of those it keeps or is kept by, in order of slot.
    pub(super) fn into_lists(self) -> Vec<Vec<(u32, f32)>> {
        let faces = self.counts.len();
        let mut lists = vec![Vec::new(); faces];
        for (face, (&[nearest, drawn], kept)) in
            (0_u32..).zip(self.counts.iter().zip(self.places.chunks(self.kept)))
        {
            let (nearest, drawn) = (usize::from(nearest), usize::from(drawn));
            let those =
                kept.iter().take(nearest).chain(kept.iter().skip(self.nearest()).take(drawn));
            for &(other, similarity) in those {
                let (own, others) = (face as usize, other as usize);
                if others < faces {
                    lists[own].push((other, similarity));
                    lists[others].push((face, similarity));
                }
            }
        }
        for list in &mut lists {
            list.sort_unstable_by_key(|(other, _)| *other);
            list.dedup_by_key(|(other, _)| *other);
            list.shrink_to_fit();
        }
        lists
    }
}

/// Puts `new` into a list of which the first `count` are in use, if it is worth more than the least
/// of them or there is room.
fn put(
    list: &mut [(u32, f32)],
    count: &mut u8,
    new: (u32, f32),
    worth: impl Fn(&(u32, f32)) -> f32,
) {
    if let Some(free) = list.get_mut(usize::from(*count)) {
        *free = new;
        *count += 1;
    } else if let Some(last) = list.iter_mut().min_by(|a, b| worth(a).total_cmp(&worth(b)))
        && worth(&new) > worth(last)
    {
        *last = new;
    }
}

/// What a pair draws: the same for both faces, whatever the order of pairs.
fn lot(one: u32, other: u32) -> f32 {
    let pair = u64::from(one.min(other)) << 32 | u64::from(one.max(other));
    (xxh3_64(&pair.to_le_bytes()) >> 40) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_keeps_the_nearest_and_is_kept_by_those_whose_nearest_it_is() {
        let mut nearest = Nearest::new(100, 32);
        for other in 1..100 {
            nearest.take([0, other], other as f32 / 100.0);
        }
        nearest.take([5, 5], 1.0);
        nearest.take([5, 500], 1.0);
        let lists = nearest.into_lists();
        // Each of the others keeps face 0, so it has all of them.
        assert_eq!(lists[0].len(), 99);
        assert_eq!(lists[5], [(0, 0.05)]);
        let mut crowd = Nearest::new(80, 32);
        for one in 0..80 {
            for other in one + 1..80 {
                crowd.take([one, other], 1.0 - (other - one) as f32 / 100.0);
            }
        }
        let lists = crowd.into_lists();
        let others: Vec<u32> = lists[40].iter().map(|(other, _)| *other).collect();
        // The nearest, and some from further away.
        assert!((28..=52).all(|other| other == 40 || others.contains(&other)), "{others:?}");
        assert!(others.iter().any(|other| !(24..=56).contains(other)), "{others:?}");
    }
}
