//! The mapped codes: the space, a row a face, the sketches of 64 faces a block, and the order of the
//! faces: the cells, and the maps between slots and places.

use std::ops::Range;
use std::sync::OnceLock;

use half::f16;

use super::GalleryError;
use super::format::Section;
use super::segment::BinaryFile;
use crate::cells::{Cells, Levels};
use crate::codes::{Shape, SketchScale};
use crate::kernels::sketches::{self, BLOCK_BYTES};
use crate::space::Space;

/// Faces in a block of sketches.
pub(crate) const BLOCK_FACES: u32 = sketches::BLOCK_FACES as u32;

/// Codes on disk.
#[derive(Debug)]
pub(crate) struct CodeFile {
    file: BinaryFile,
    shape: Shape,
    scale: SketchScale,
    dims: usize,
    mean: Range<usize>,
    matrix: Range<usize>,
    rows: Range<usize>,
    sketches: Range<usize>,
    places: Range<usize>,
    slots: Range<usize>,
    cells: CellRanges,
    /// Read when the first probe needs it.
    space: OnceLock<Option<Space>>,
}

/// Where the sections of the cells lie.
#[derive(Debug)]
struct CellRanges {
    starts: Range<usize>,
    centroids: LevelRanges,
    group_starts: Range<usize>,
    group_centroids: LevelRanges,
}

/// Where centroids lie.
#[derive(Debug)]
struct LevelRanges {
    levels: Range<usize>,
    steps: Range<usize>,
}

impl LevelRanges {
    fn of(file: &BinaryFile, levels: Section, steps: Section) -> Result<Self, GalleryError> {
        let (levels, steps) = (file.range::<u8>(levels, None)?, file.range::<f32>(steps, None)?);
        Ok(Self { levels, steps })
    }

    fn view<'a>(&self, file: &'a BinaryFile) -> Levels<'a> {
        Levels { levels: file.items(&self.levels), steps: file.items(&self.steps) }
    }
}

impl CellRanges {
    fn of(file: &BinaryFile) -> Result<Self, GalleryError> {
        let levels = |levels, steps| LevelRanges::of(file, levels, steps);
        Ok(Self {
            starts: file.range::<u32>(Section::CellStarts, None)?,
            centroids: levels(Section::CellLevels, Section::CellSteps)?,
            group_starts: file.range::<u32>(Section::GroupStarts, None)?,
            group_centroids: levels(Section::GroupLevels, Section::GroupSteps)?,
        })
    }
}

/// Codes as a search sees them: slices of the mapped file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodesView<'a> {
    pub(crate) faces: u32,
    pub(crate) shape: Shape,
    pub(crate) scale: SketchScale,
    pub(crate) space: &'a Space,
    /// A code and its factors a face.
    pub(crate) rows: &'a [u8],
    /// Whole blocks; the places after the last face are zero.
    pub(crate) sketches: &'a [u8],
}

impl CodeFile {
    pub(crate) fn open(file: BinaryFile, faces: u64, dims: usize) -> Result<Self, GalleryError> {
        let params = file.range::<u32>(Section::CodeParams, Some(4))?;
        let shape = match file.items::<u32>(&params) {
            &[bits, bytes, ..] => Shape::new(bits, bytes as usize),
            _ => None,
        };
        let Some(shape) = shape else {
            return Err(GalleryError::damaged(
                file.path(),
                "the shape of its codes is unknown".to_owned(),
            ));
        };
        let scale = file.range::<f32>(Section::SketchScale, Some(4))?;
        let scale = match file.items::<f32>(&scale) {
            &[gain, bias, error, spread] => SketchScale { gain, bias, error, spread },
            _ => SketchScale::default(),
        };
        let values = (dims as u64).checked_mul(shape.dims() as u64);
        let rows = faces.checked_mul(shape.row_bytes() as u64);
        let blocks = faces.div_ceil(u64::from(BLOCK_FACES)) * BLOCK_BYTES as u64;
        Ok(Self {
            shape,
            scale,
            dims,
            mean: file.range::<f32>(Section::SpaceMean, Some(dims as u64))?,
            matrix: file.range::<f16>(Section::SpaceMatrix, values)?,
            rows: file.range::<u8>(Section::Codes, rows)?,
            sketches: file.range::<u8>(Section::Sketches, Some(blocks))?,
            places: file.range::<u32>(Section::Places, Some(faces))?,
            slots: file.range::<u32>(Section::Slots, Some(faces))?,
            cells: CellRanges::of(&file)?,
            file,
            space: OnceLock::new(),
        })
    }

    /// The place of each slot's face, as the file has it.
    pub(crate) fn places(&self) -> &[u32] {
        self.file.items(&self.places)
    }

    /// The slot of each place's face, as the file has it.
    pub(crate) fn slots(&self) -> &[u32] {
        self.file.items(&self.slots)
    }

    /// The cells.
    pub(crate) fn cells(&self) -> Result<Cells<'_>, GalleryError> {
        let CellRanges { starts, centroids, group_starts, group_centroids } = &self.cells;
        let groups = (group_centroids.view(&self.file), self.file.items(group_starts));
        Cells::new(self.shape.dims(), centroids.view(&self.file), self.file.items(starts))
            .and_then(|cells| cells.with_groups(groups.0, groups.1))
            .ok_or_else(|| {
                GalleryError::damaged(self.file.path(), "its cells do not fit".to_owned())
            })
    }

    pub(crate) fn view(&self, faces: u32) -> Result<CodesView<'_>, GalleryError> {
        let read = || {
            let (mean, matrix) = (self.file.items(&self.mean), self.file.items(&self.matrix));
            Space::from_parts(self.dims, self.shape.dims(), mean.to_vec(), matrix.to_vec())
        };
        let Some(space) = self.space.get_or_init(read) else {
            return Err(GalleryError::damaged(
                self.file.path(),
                "its space holds no numbers".to_owned(),
            ));
        };
        Ok(CodesView {
            faces,
            shape: self.shape,
            scale: self.scale,
            space,
            rows: self.file.items(&self.rows),
            sketches: self.file.items(&self.sketches),
        })
    }
}
