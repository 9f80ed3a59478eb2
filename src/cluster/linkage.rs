//! Average linkage: the two clusters whose faces are most alike on average become one, until none
//! are alike enough.
//!
//! A cluster is known by one of its faces, its *head*. Beside each cluster stand those it is joined
//! to, and how alike they are on average: of two clusters that become one, the mean with a third
//! follows from theirs (Lance & Williams 1967), or, where only one of them was joined to it, from
//! the sum of each cluster's vectors, whose product is the sum over all their pairs.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::apart::{Apart, share_a_mark};
use super::heed;
use super::nearest::Nearest;
use crate::kernels::Kernels;
use crate::pairs::PairsError;
use crate::{Cancel, FaceId, Gallery, Progress};

/// Faces of a cluster from which the sum of its vectors is kept; below, they are read again.
const SUMMED: u32 = 6;
/// Links taken between looks at the cancel flag.
const BETWEEN_LOOKS: usize = 1 << 16;

/// Bytes a face that the sums of clusters take at worst.
pub(super) fn sum_bytes(dims: usize) -> u64 {
    const ENTRY: usize = 64;
    (dims * size_of::<f32>() + ENTRY) as u64 / u64::from(SUMMED)
}

/// Clusters being put together.
pub(super) struct Linkage<'g> {
    gallery: &'g Gallery,
    kernels: Kernels,
    at_least: f32,
    /// By head: the heads of clusters it is joined to, ascending, and the mean similarity.
    joined: Vec<Vec<(u32, f32)>>,
    /// By head: how many faces; 0 for what is no head any more.
    sizes: Vec<u32>,
    /// The next face of the same cluster, the first after the last.
    next: Vec<u32>,
    sums: HashMap<u32, Vec<f32>>,
    marks: HashMap<u32, Vec<u32>>,
    bound: Vec<Vec<u32>>,
    links: BinaryHeap<Link>,
}

/// Two clusters that may become one, as alike as they were when it was noted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Link {
    similarity: f32,
    heads: (u32, u32),
}

impl Eq for Link {}

impl Ord for Link {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equals the lowest heads come first, so that equal galleries give equal clusters.
        self.similarity.total_cmp(&other.similarity).then(other.heads.cmp(&self.heads))
    }
}

impl PartialOrd for Link {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'g> Linkage<'g> {
    pub(super) fn new(gallery: &'g Gallery, nearest: Nearest, apart: Apart, at_least: f32) -> Self {
        let faces = gallery.len() as u32;
        let Apart { marks, bound } = apart;
        Self {
            gallery,
            kernels: Kernels::best(),
            at_least,
            joined: nearest.into_lists(),
            sizes: vec![1; faces as usize],
            next: (0..faces).collect(),
            sums: HashMap::new(),
            marks,
            bound,
            links: BinaryHeap::new(),
        }
    }

    /// The person of each face, by slot: the lowest face id of its cluster.
    pub(super) fn run(
        mut self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Vec<FaceId>, PairsError> {
        for face in std::mem::take(&mut self.bound) {
            self.bind(&face);
        }
        for (joined, head) in self.joined.iter().zip(0..) {
            let links = joined.iter().filter(|(other, _)| head < *other);
            self.links.extend(links.map(|&(other, similarity)| link(head, other, similarity)));
        }
        progress.begin("linking", None);
        let (mut taken, mut enough) = (0_usize, self.links.len() + BETWEEN_LOOKS);
        while let Some(Link { similarity, heads: (one, other) }) = self.links.pop() {
            taken += 1;
            if taken.is_multiple_of(BETWEEN_LOOKS) {
                heed(cancel)?;
            }
            if self.similarity(one, other) != Some(similarity) {
                continue;
            }
            if self.are_apart(one, other) {
                // For good: what they become keeps their marks.
                self.part(one, other);
                self.part(other, one);
            } else {
                self.unite(one, other);
            }
            if self.links.len() > enough {
                self.sweep();
                enough = self.links.len() + self.links.len() / 2 + BETWEEN_LOOKS;
            }
        }
        progress.end();
        Ok(self.people())
    }

    /// Drops links of clusters that have become others since.
    fn sweep(&mut self) {
        let mut links = std::mem::take(&mut self.links);
        links.retain(|link| self.similarity(link.heads.0, link.heads.1) == Some(link.similarity));
        links.shrink_to_fit();
        self.links = links;
    }

    /// Makes one cluster of faces that are one, whatever they look like. Marks that they have in
    /// common tell them from others, not from each other.
    fn bind(&mut self, face: &[u32]) {
        let Some((&first, rest)) = face.split_first() else { return };
        let known = |slot: &u32| (*slot as usize) < self.sizes.len();
        if !face.iter().all(known) {
            return;
        }
        let mut head = first;
        for &slot in rest {
            head = self.unite(head, slot);
        }
    }

    /// The mean similarity of two clusters that are joined.
    fn similarity(&self, one: u32, other: u32) -> Option<f32> {
        let joined = self.joined.get(one as usize)?;
        let at = joined.binary_search_by_key(&other, |(head, _)| *head).ok()?;
        joined.get(at).map(|(_, similarity)| *similarity)
    }

    fn are_apart(&self, one: u32, other: u32) -> bool {
        match (self.marks.get(&one), self.marks.get(&other)) {
            (Some(one), Some(other)) => share_a_mark(one, other),
            _ => false,
        }
    }

    /// Takes a cluster off the list of another.
    fn part(&mut self, from: u32, other: u32) {
        let joined = &mut self.joined[from as usize];
        if let Ok(at) = joined.binary_search_by_key(&other, |(head, _)| *head) {
            joined.remove(at);
        }
    }

    /// Makes one cluster of two, and gives its head.
    fn unite(&mut self, one: u32, other: u32) -> u32 {
        // The longer list stays where it is.
        let longer = self.joined[one as usize].len() >= self.joined[other as usize].len();
        let (head, gone) = if longer { (one, other) } else { (other, one) };
        let (of_head, of_gone) = (
            std::mem::take(&mut self.joined[head as usize]),
            std::mem::take(&mut self.joined[gone as usize]),
        );
        let sizes = (self.sizes[head as usize] as f32, self.sizes[gone as usize] as f32);
        let mean = |a: f32, b: f32| (sizes.0 * a + sizes.1 * b) / (sizes.0 + sizes.1);
        let mut joined = Vec::with_capacity(of_head.len().max(of_gone.len()));
        for (third, a, b) in merged(&of_head, &of_gone) {
            if third == head || third == gone {
                continue;
            }
            let similarity = match (a, b) {
                (Some(a), Some(b)) => mean(a, b),
                (Some(a), None) => mean(a, self.mean_of(gone, third)),
                (None, Some(b)) => mean(self.mean_of(head, third), b),
                (None, None) => continue,
            };
            if b.is_some() {
                self.part(third, gone);
            }
            if similarity >= self.at_least {
                self.note(third, head, similarity);
                joined.push((third, similarity));
                self.links.push(link(head, third, similarity));
            } else {
                self.part(third, head);
            }
        }
        joined.shrink_to_fit();
        self.joined[head as usize] = joined;
        self.add_up(head, gone);
        head
    }

    /// Notes how alike a cluster is to another on its list.
    fn note(&mut self, at: u32, other: u32, similarity: f32) {
        let joined = &mut self.joined[at as usize];
        match joined.binary_search_by_key(&other, |(head, _)| *head) {
            Ok(place) => joined[place].1 = similarity,
            Err(place) => joined.insert(place, (other, similarity)),
        }
    }

    /// The mean similarity of the faces of two clusters.
    fn mean_of(&self, one: u32, other: u32) -> f32 {
        let pairs = self.sizes[one as usize] as f32 * self.sizes[other as usize] as f32;
        let similarity = self.kernels.dot(&self.sum(one), &self.sum(other)) / pairs;
        if similarity.is_nan() { f32::NEG_INFINITY } else { similarity }
    }

    /// The sum of a cluster's vectors.
    fn sum(&self, head: u32) -> Cow<'_, [f32]> {
        if let Some(sum) = self.sums.get(&head) {
            return Cow::Borrowed(sum);
        }
        let mut sum = self.gallery.0.segment.vector(head);
        let mut face = self.next[head as usize];
        while face != head {
            let vector = self.gallery.0.segment.vector(face);
            sum.to_mut().iter_mut().zip(vector.iter()).for_each(|(sum, value)| *sum += value);
            face = self.next[face as usize];
        }
        sum
    }

    /// Puts the faces, sums and marks of one cluster to those of another.
    fn add_up(&mut self, head: u32, gone: u32) {
        let size = self.sizes[head as usize] + self.sizes[gone as usize];
        if size >= SUMMED {
            let mut sum = self.sum(head).into_owned();
            sum.iter_mut().zip(self.sum(gone).iter()).for_each(|(sum, value)| *sum += value);
            self.sums.remove(&gone);
            self.sums.insert(head, sum);
        }
        (self.sizes[head as usize], self.sizes[gone as usize]) = (size, 0);
        // Two rings become one where their links are exchanged.
        self.next.swap(head as usize, gone as usize);
        if let Some(marks) = self.marks.remove(&gone) {
            let own = self.marks.entry(head).or_default();
            own.extend(marks);
            own.sort_unstable();
            own.dedup();
        }
    }

    fn people(&self) -> Vec<FaceId> {
        let segment = &self.gallery.0.segment;
        let id = |slot: u32| FaceId(segment.face_id(segment.place(slot)));
        let mut people = vec![FaceId(u64::MAX); self.sizes.len()];
        for (&size, head) in self.sizes.iter().zip(0..) {
            if size == 0 {
                continue;
            }
            let ring = std::iter::successors(Some(head), |&face| {
                Some(self.next[face as usize]).filter(|&next| next != head)
            });
            let ring: Vec<u32> = ring.collect();
            let person = ring.iter().map(|&slot| id(slot)).min().unwrap_or_else(|| id(head));
            ring.iter().for_each(|&slot| people[slot as usize] = person);
        }
        people
    }
}

fn link(one: u32, other: u32, similarity: f32) -> Link {
    Link { similarity, heads: (one.min(other), one.max(other)) }
}

/// Two lists in ascending order as one: who is on them, and what each says.
fn merged(one: &[(u32, f32)], other: &[(u32, f32)]) -> Vec<(u32, Option<f32>, Option<f32>)> {
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    loop {
        let order = match (one.peek(), other.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return merged,
        };
        let a = if order.is_le() { one.next() } else { None };
        let b = if order.is_ge() { other.next() } else { None };
        if let Some((head, _)) = a.or(b) {
            merged.push((*head, a.map(|a| a.1), b.map(|b| b.1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_in_order() {
        let merged = merged(&[(1, 0.1), (4, 0.4)], &[(0, 0.0), (4, 0.5), (9, 0.9)]);
        let expected = [
            (0, None, Some(0.0)),
            (1, Some(0.1), None),
            (4, Some(0.4), Some(0.5)),
            (9, None, Some(0.9)),
        ];
        assert_eq!(merged, expected);
    }
}
