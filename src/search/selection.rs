//! The faces that pass a query's filters, as one bit a face.
//!
//! Filters go over attributes, which lie in order of place; searches ask by slot. So a selection is
//! made by place and turned into slots once.

use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use super::filter::Filter;

/// Which faces pass, by one of their two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    bits: Vec<u64>,
    count: u32,
}

impl Selection {
    /// Every one of `faces`.
    pub(crate) fn all(faces: u32) -> Self {
        let mut bits = vec![u64::MAX; (faces as usize).div_ceil(64)];
        if let (Some(last), true) = (bits.last_mut(), !faces.is_multiple_of(64)) {
            *last = (1 << (faces % 64)) - 1;
        }
        Self { bits, count: faces }
    }

    /// The same faces by their other number, which `map` gives for each; a number that the map does
    /// not lead to another of the faces drops out.
    pub(crate) fn mapped(&self, map: &[u32]) -> Self {
        let mut mapped = Self { bits: vec![0; self.bits.len()], count: 0 };
        for (&to, from) in map.iter().zip(0..) {
            if self.contains(from) && (to as usize) < map.len() && !mapped.contains(to) {
                mapped.set(to);
                mapped.count += 1;
            }
        }
        mapped
    }

    fn set(&mut self, number: u32) {
        self.bits[number as usize / 64] |= 1 << (number % 64);
    }

    /// Whether a face passes.
    #[inline]
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.bits.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Those that pass, in order. Where few do, most words are passed over at once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + Clone {
        let some = |word: u64| (word != 0).then_some(word);
        self.bits.iter().zip(0..).flat_map(move |(&word, at)| {
            let words = iter::successors(some(word), move |word| some(word & (word - 1)));
            words.map(move |word| at * 64 + word.trailing_zeros())
        })
    }

    /// Takes a face out.
    pub(crate) fn remove(&mut self, number: u32) {
        if self.contains(number) {
            self.bits[number as usize / 64] &= !(1 << (number % 64));
            self.count -= 1;
        }
    }

    /// How many pass.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// The selection, by slot, of the filters used last: services repeat theirs, and one costs a pass over
/// columns of the whole gallery.
#[derive(Debug, Default)]
pub(crate) struct SelectionCache(Mutex<Option<(Vec<Filter>, Arc<Selection>)>>);

impl SelectionCache {
    pub(crate) fn get(&self, filters: &[Filter]) -> Option<Arc<Selection>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(key, _)| key == filters).map(|(_, found)| found.clone())
    }

    pub(crate) fn put(&self, filters: &[Filter], selection: Arc<Selection>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((filters.to_vec(), selection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_pass_come_in_order() {
        let mut selection = Selection::all(200);
        for number in (0..200).filter(|number| ![0, 63, 64, 130, 199].contains(number)) {
            selection.remove(number);
        }
        assert_eq!(selection.iter().collect::<Vec<_>>(), [0, 63, 64, 130, 199]);
        assert_eq!(Selection::all(70).iter().collect::<Vec<_>>(), (0..70).collect::<Vec<_>>());
        assert_eq!(Selection::all(0).iter().count(), 0);
    }
}
