//! Many rows with many centroids: a matrix product in whole numbers.
//!
//! Centroids lie in panels of 16, so that a register holds four dimensions of each: byte
//! 64 j + 4 c + d of a panel is dimension 4 j + d of centroid c. Four values of a row are multiplied
//! with all of them at once, and each centroid keeps its sum in a lane of its own, so that nothing
//! is added across a register. Products are exact: every instruction set gives the same bits.

use std::ops::Range;

use super::Kernels;

/// Centroids in a panel.
pub const PANEL: usize = 16;
/// Dimensions whose products are added up in one lane at once.
pub const QUAD: usize = 4;
/// The level of a centroid that stands for 0.
pub const ZERO: u8 = 128;

/// Rows whose idle sums are taken at once.
const ROWS: usize = 64;

/// Needs an idle sum a row, and as many scores as rows times centroids.
pub(super) type PanelScores = unsafe fn(Panels<'_>, &[i8], &[i32], &mut [f32]);

/// Centroids in panels: a dimension's value is (level - 128) times the centroid's step.
///
/// Always holds: there are whole panels of centroids, of `dims` levels each, and `dims` is a
/// multiple of 4 and not 0.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    dims: usize,
    levels: &'a [u8],
    steps: &'a [f32],
}

impl<'a> Panels<'a> {
    /// Panels of centroids of `dims` levels, with a step each; `None` where the lengths do not
    /// agree, or are not multiples of 4 dimensions and 16 centroids.
    pub fn new(dims: usize, levels: &'a [u8], steps: &'a [f32]) -> Option<Self> {
        let whole = dims > 0 && dims.is_multiple_of(QUAD) && steps.len().is_multiple_of(PANEL);
        let fits = steps.len().checked_mul(dims) == Some(levels.len());
        (whole && fits).then_some(Self { dims, levels, steps })
    }

    /// Levels of a centroid.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// How many centroids there are.
    pub fn count(&self) -> usize {
        self.steps.len()
    }

    /// Some of the panels, those that exist.
    pub fn part(&self, panels: Range<usize>) -> Self {
        let end = panels.end.min(self.count() / PANEL);
        let (from, to) = (panels.start.min(end) * PANEL, end * PANEL);
        let levels = &self.levels[from * self.dims..to * self.dims];
        Self { dims: self.dims, levels, steps: &self.steps[from..to] }
    }

    pub(super) fn levels(&self) -> &'a [u8] {
        self.levels
    }

    pub(super) fn steps(&self) -> &'a [f32] {
        self.steps
    }
}

/// What the levels that stand for 0 add to a row's sums.
fn idle(row: &[i8]) -> i32 {
    // Wrapping, as checked sums are not vectorised.
    let sum = row.iter().fold(0_i32, |sum, &level| sum.wrapping_add(level.into()));
    sum.wrapping_mul(ZERO.into())
}

impl Kernels {
    /// The similarity of each row with each centroid, row after row, up to a factor that is the
    /// same for all of a row: the sum of level times (level - 128), times the centroid's step.
    ///
    /// `rows` holds as many levels a row as a centroid has; a last, incomplete row is left out.
    /// Sums are exact up to 65,000 dimensions and wrap beyond.
    #[inline]
    pub fn panel_scores(&self, panels: Panels<'_>, rows: &[i8], scores: &mut Vec<f32>) {
        let count = rows.len() / panels.dims;
        let rows = &rows[..count * panels.dims];
        scores.resize(count * panels.count(), 0.0);
        if panels.count() == 0 {
            return;
        }
        let blocks = rows.chunks(ROWS * panels.dims);
        for (rows, scores) in blocks.zip(scores.chunks_mut(ROWS * panels.count())) {
            let mut idles = [0; ROWS];
            let count = rows.len() / panels.dims;
            for (sum, row) in idles.iter_mut().zip(rows.chunks_exact(panels.dims)) {
                *sum = idle(row);
            }
            // SAFETY: a `Kernels` exists only after its instruction set was detected, and there are
            // as many idle sums and scores as the kernels need.
            unsafe { (self.panel_scores)(panels, rows, &idles[..count], scores) }
        }
    }
}
