//! Of each face the nearest others, out of a stream of pairs.

/// Others a face keeps: 256 bytes. Clusters of more faces hold together by their means.
const KEPT: usize = 32;

/// The nearest others of each face, by slot.
pub(super) struct Nearest {
    /// `KEPT` places a face.
    places: Vec<(u32, f32)>,
    counts: Vec<u8>,
}

impl Nearest {
    pub(super) fn new(faces: usize) -> Self {
        Self { places: vec![(0, 0.0); faces * KEPT], counts: vec![0; faces] }
    }

    /// Takes a pair: each keeps the other if it is among the nearest.
    pub(super) fn take(&mut self, [one, other]: [u32; 2], similarity: f32) {
        if one != other {
            self.keep(one, other, similarity);
            self.keep(other, one, similarity);
        }
    }

    fn keep(&mut self, face: u32, other: u32, similarity: f32) {
        let face = face as usize;
        let Some(count) = self.counts.get_mut(face) else { return };
        let Some(kept) = self.places.get_mut(face * KEPT..(face + 1) * KEPT) else { return };
        if let Some(free) = kept.get_mut(usize::from(*count)) {
            *free = (other, similarity);
            *count += 1;
            return;
        }
        // Of equals the first stays, so that the order of pairs settles who.
        if let Some(last) = kept.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1))
            && similarity > last.1
        {
            *last = (other, similarity);
        }
    }

    /// Each face's list of those it keeps or is kept by, in order of slot.
    pub(super) fn into_lists(self) -> Vec<Vec<(u32, f32)>> {
        let faces = self.counts.len();
        let mut lists = vec![Vec::new(); faces];
        for (face, (&count, kept)) in
            (0_u32..).zip(self.counts.iter().zip(self.places.chunks(KEPT)))
        {
            for &(other, similarity) in &kept[..usize::from(count)] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_keeps_the_nearest_and_is_kept_by_those_whose_nearest_it_is() {
        let mut nearest = Nearest::new(100);
        for other in 1..100 {
            nearest.take([0, other], other as f32 / 100.0);
        }
        nearest.take([5, 5], 1.0);
        nearest.take([5, 500], 1.0);
        let lists = nearest.into_lists();
        // Each of the others keeps face 0, so it has all of them.
        assert_eq!(lists[0].len(), 99);
        assert_eq!(lists[5], [(0, 0.05)]);
        let mut crowd = Nearest::new(80);
        for one in 0..80 {
            for other in one + 1..80 {
                crowd.take([one, other], 1.0 - (other - one) as f32 / 100.0);
            }
        }
        let lists = crowd.into_lists();
        let others: Vec<u32> = lists[40].iter().map(|(other, _)| *other).collect();
        assert_eq!(others, (24..=56).filter(|&other| other != 40).collect::<Vec<_>>());
    }
}
