//! The faces that pass a query's filters, as one bit a face.

use std::sync::{Arc, Mutex, PoisonError};

use super::filter::Filter;

/// Which slots pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    bits: Vec<u64>,
    count: u32,
}

impl Selection {
    /// Every slot of `faces`.
    pub(crate) fn all(faces: u32) -> Self {
        let mut selection = Self { bits: vec![0; (faces as usize).div_ceil(64)], count: faces };
        for slot in 0..faces {
            selection.bits[slot as usize / 64] |= 1 << (slot % 64);
        }
        selection
    }

    /// Whether a slot passes.
    #[inline]
    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.bits.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: u32) {
        if self.contains(slot) {
            self.bits[slot as usize / 64] &= !(1 << (slot % 64));
            self.count -= 1;
        }
    }

    /// How many pass.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// The selection of the filters used last: services repeat theirs, and one costs a pass over
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
