//! The arithmetic of the lookup loop, in the widest instructions the processor has.
//!
//! In come slices of equal length, out comes their dot product: on unit vectors, the cosine
//! similarity. Beside it stand the kernels of [`codes`],
//! of [`sketches`] and of [`panels`]. The instruction set is
//! chosen once ([`Kernels::best`]); holding a [`Kernels`] proves that the processor has what its
//! functions need. Every kernel is tested against the scalar ones,
//! which are portable and written so that compilers vectorise them.
//!
//! One kernel gives the same bits for the same two vectors wherever it is called from, so a walk
//! and an exhaustive search agree on every similarity.

#![allow(unsafe_code)]

use std::sync::OnceLock;

use half::f16;

use codes::CodeKernels;
use panels::PanelScores;
use sketches::SketchScan;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod codes;
pub mod panels;
mod rows;
mod scalar;
pub mod sketches;

pub use codes::Bits;
pub use rows::CodeRows;

/// An instruction set that has kernels of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// Portable code, vectorised as far as the compiler's baseline goes.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512F; all but dot products need more of it, and take AVX2 where it is not there.
    Avx512,
}

impl Isa {
    /// Every instruction set, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

type Dot<T> = unsafe fn(&[f32], &[T]) -> f32;
type Dots = unsafe fn([&[f32]; 2], [&[f32]; 3]) -> [[f32; 3]; 2];

/// The kernels of one instruction set that this processor has.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    isa: Isa,
    dot: Dot<f32>,
    dot_f16: Dot<f16>,
    /// Of several at once, where that is faster than one after the other.
    dots: Option<Dots>,
    codes: CodeKernels,
    sketch_scan: SketchScan,
    panel_scores: PanelScores,
}

impl Kernels {
    /// The kernels of the widest instruction set this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| Isa::ALL.into_iter().rev().find_map(Self::of).unwrap_or(Self::SCALAR))
    }

    const SCALAR: Self = Self {
        isa: Isa::Scalar,
        dot: scalar::dot,
        dot_f16: scalar::dot_f16,
        dots: None,
        codes: scalar::CODES,
        sketch_scan: scalar::sketch_scan,
        panel_scores: scalar::panel_scores,
    };

    /// The kernels of one instruction set, or `None` where the processor lacks it.
    pub fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Scalar => Some(Self::SCALAR),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c"))
            .then_some(Self {
                isa,
                dot: avx2::dot,
                dot_f16: avx2::dot_f16,
                dots: None,
                codes: avx2::CODES,
                sketch_scan: avx2::sketch_scan,
                panel_scores: avx2::panel_scores,
            }),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f").then(|| {
                let narrower = Self::of(Isa::Avx2).unwrap_or(Self::SCALAR);
                let whole = has_integer_avx512();
                Self {
                    isa,
                    dot: avx512::dot,
                    dot_f16: avx512::dot_f16,
                    dots: Some(avx512::dots),
                    codes: if whole { avx512::CODES } else { narrower.codes },
                    sketch_scan: if whole { avx512::sketch_scan } else { narrower.sketch_scan },
                    panel_scores: if whole { avx512::panel_scores } else { narrower.panel_scores },
                }
            }),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }

    /// Which instruction set these are for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Dot product of two vectors of equal length (of their common length, were they not).
    #[inline]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        let dims = a.len().min(b.len());
        // SAFETY: a `Kernels` exists only after its instruction set was detected, and the kernels
        // need slices of equal length, which these are.
        unsafe { (self.dot)(&a[..dims], &b[..dims]) }
    }

    /// Dot product of an f32 vector with one stored in half precision.
    #[inline]
    pub fn dot_f16(&self, a: &[f32], b: &[f16]) -> f32 {
        let dims = a.len().min(b.len());
        // SAFETY: as in `dot`.
        unsafe { (self.dot_f16)(&a[..dims], &b[..dims]) }
    }

    /// Dot products of each of two vectors with each of three others, the same bits as those of
    /// [`dot`](Self::dot): what is read for one of them serves the others. Of vectors of unequal
    /// lengths, as much is taken as the shortest has.
    #[inline]
    pub fn dots(&self, a: [&[f32]; 2], b: [&[f32]; 3]) -> [[f32; 3]; 2] {
        let dims = a.iter().chain(&b).map(|vector| vector.len()).min().unwrap_or(0);
        let (a, b) = (a.map(|vector| &vector[..dims]), b.map(|vector| &vector[..dims]));
        match self.dots {
            // SAFETY: as in `dot`.
            Some(dots) => unsafe { dots(a, b) },
            None => a.map(|a| b.map(|b| self.dot(a, b))),
        }
    }
}

/// What the kernels of whole numbers need beyond AVX-512F: Ice Lake, Zen 4 and later.
#[cfg(target_arch = "x86_64")]
fn has_integer_avx512() -> bool {
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq")
        && is_x86_feature_detected!("bmi2")
}

/// Asks the processor to bring a slice into its second-level cache: more is on its way at once than
/// into the first.
#[inline]
pub fn prefetch<T>(items: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let start = items.as_ptr().cast::<i8>();
        let end = size_of_val(items);
        let mut at = 0;
        while at < end {
            // SAFETY: `at` lies within the slice, so the address is in bounds of its allocation;
            // a prefetch reads nothing that the program can see.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(start.add(at)) };
            at += 64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = items;
}

#[cfg(test)]
mod tests;
