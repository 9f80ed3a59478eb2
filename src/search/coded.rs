//! Similarities estimated from codes, and how far off they may be.

use super::walk::{Scored, Scores};
use crate::codes::{self, CodedProbe, Factors};
use crate::gallery::codes::CodesView;
use crate::kernels::codes::NO_SUM;
use crate::kernels::{Bits, CodeRows, Kernels, prefetch};

/// A probe in the gallery's space and the codes it is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Coded<'a> {
    kernels: Kernels,
    bits: Bits,
    probe: &'a CodedProbe,
    view: CodesView<'a>,
}

impl<'a> Coded<'a> {
    /// `probe` was set for the same view.
    pub(crate) fn new(probe: &'a CodedProbe, view: CodesView<'a>) -> Self {
        let bits = Bits::of(view.shape.bits()).unwrap_or(Bits::One);
        Self { kernels: Kernels::best(), bits, probe, view }
    }

    pub(super) fn probe(&self) -> &'a CodedProbe {
        self.probe
    }

    pub(super) fn view(&self) -> &CodesView<'a> {
        &self.view
    }

    pub(super) fn kernels(&self) -> Kernels {
        self.kernels
    }

    #[inline]
    fn row(&self, slot: u32) -> &'a [u8] {
        let bytes = self.view.shape.row_bytes();
        let from = slot as usize * bytes;
        self.view.rows.get(from..from + bytes).unwrap_or_default()
    }

    #[inline]
    fn factors(&self, slot: u32) -> Factors {
        codes::factors(self.row(slot), self.view.shape)
    }

    /// One standard deviation of the estimate of a face's similarity.
    #[inline]
    pub(crate) fn error(&self, slot: u32) -> f32 {
        self.probe.estimate(0, self.factors(slot)).error
    }
}

impl Scores for Coded<'_> {
    fn faces(&self) -> u32 {
        self.view.faces
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        prefetch(self.row(slot));
    }

    fn score(&self, slots: &[u32], scored: &mut Scored) {
        let shape = self.view.shape;
        let Scored { sums, similarities } = scored;
        let rows = CodeRows::new(self.view.rows, shape.row_bytes(), shape.bytes());
        self.kernels.levels_dot_rows(self.bits, rows, slots, self.probe.levels(), sums);
        similarities.clear();
        let estimates = slots.iter().zip(sums.iter()).map(|(&slot, &sum)| {
            let (scale, bias) = codes::scale_and_bias(self.row(slot), shape);
            let estimate = self.probe.similarity(sum, scale, bias);
            // A damaged factor may give NaN, which has no place in an order.
            if sum == NO_SUM || estimate.is_nan() { f32::NEG_INFINITY } else { estimate }
        });
        similarities.extend(estimates);
    }
}
