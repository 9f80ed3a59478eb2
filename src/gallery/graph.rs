//! The mapped graph: neighbour lists of a fixed degree, upper layers by place.

use std::ops::Range;

use super::GalleryError;
use super::format::{NONE, Section};
use super::segment::BinaryFile;

/// Layers above layer 0 are few; more than this is no graph of ours.
pub(crate) const MAX_LAYERS: usize = 64;
/// The most links a face may have on one layer.
pub(crate) const MAX_DEGREE: usize = 4096;

/// A graph on disk.
#[derive(Debug)]
pub(crate) struct GraphFile {
    file: BinaryFile,
    entry: u32,
    degree: usize,
    upper_degree: usize,
    layer0: Range<usize>,
    slots: Range<usize>,
    down: Range<usize>,
    links: Range<usize>,
    /// Nodes of each upper layer, by place in the sections of upper layers.
    upper: Vec<Range<usize>>,
}

/// A graph as the walk sees it: slices of the mapped file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GraphView<'a> {
    /// The slot every walk begins at.
    pub(crate) entry: u32,
    pub(crate) degree: usize,
    /// `degree` slots a face, [`NONE`] after the last.
    pub(crate) layer0: &'a [u32],
    /// The highest layer last.
    pub(crate) upper: &'a [Range<usize>],
    pub(crate) upper_degree: usize,
    pub(crate) slots: &'a [u32],
    pub(crate) down: &'a [u32],
    pub(crate) links: &'a [u32],
}

impl GraphFile {
    pub(crate) fn open(file: BinaryFile, faces: u64) -> Result<Self, GalleryError> {
        let wrong = |reason: String| GalleryError::damaged(file.path(), reason);
        let params = file.range::<u32>(Section::GraphParams, Some(4))?;
        let params: [u32; 4] = match file.items(&params) {
            &[a, b, c, d] => [a, b, c, d],
            _ => return Err(wrong("its parameters cannot be read".to_owned())),
        };
        let (degree, upper_degree, entry) = (params[0] as usize, params[1] as usize, params[2]);
        let bounded =
            (1..=MAX_DEGREE).contains(&degree) && (1..=MAX_DEGREE).contains(&upper_degree);
        if !bounded || u64::from(entry) >= faces.max(1) {
            return Err(wrong(format!("degrees {degree} and {upper_degree}, entry {entry}")));
        }
        let sizes = file.range::<u32>(Section::UpperSizes, None)?;
        let sizes: &[u32] = file.items(&sizes);
        if sizes.len() > MAX_LAYERS {
            return Err(wrong(format!("{} layers", sizes.len())));
        }
        let mut nodes = 0_usize;
        let mut upper = Vec::with_capacity(sizes.len());
        for &size in sizes {
            upper.push(nodes..nodes + size as usize);
            nodes += size as usize;
        }
        Ok(Self {
            entry,
            degree,
            upper_degree,
            layer0: file.range::<u32>(Section::Layer0, faces.checked_mul(degree as u64))?,
            slots: file.range::<u32>(Section::UpperSlots, Some(nodes as u64))?,
            down: file.range::<u32>(Section::UpperDown, Some(nodes as u64))?,
            links: file.range::<u32>(
                Section::UpperLinks,
                (nodes as u64).checked_mul(upper_degree as u64),
            )?,
            upper,
            file,
        })
    }

    pub(crate) fn view(&self) -> GraphView<'_> {
        GraphView {
            entry: self.entry,
            degree: self.degree,
            layer0: self.file.items(&self.layer0),
            upper: &self.upper,
            upper_degree: self.upper_degree,
            slots: self.file.items(&self.slots),
            down: self.file.items(&self.down),
            links: self.file.items(&self.links),
        }
    }
}

impl<'a> GraphView<'a> {
    /// The neighbours of a face on layer 0; empty for a slot that is not there.
    #[inline]
    pub(crate) fn neighbours(&self, slot: u32) -> &'a [u32] {
        list(self.neighbours_raw(slot))
    }

    /// All places of a face's list on layer 0, unused ones too.
    #[inline]
    pub(crate) fn neighbours_raw(&self, slot: u32) -> &'a [u32] {
        let from = slot as usize * self.degree;
        self.layer0.get(from..from + self.degree).unwrap_or_default()
    }

    /// The neighbours of the node at a place of the upper layers.
    pub(crate) fn upper_neighbours(&self, place: usize) -> &'a [u32] {
        let from = place * self.upper_degree;
        list(self.links.get(from..from + self.upper_degree).unwrap_or_default())
    }
}

/// A list up to its first unused place.
#[inline]
fn list(places: &[u32]) -> &[u32] {
    let used = places.iter().position(|&place| place == NONE).unwrap_or(places.len());
    &places[..used]
}
