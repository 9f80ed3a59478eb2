//! A gallery's space, learned from a sample of its faces.
//!
//! In come unit vectors; out go their mean, the matrix R, and the shape of code that tells their
//! similarities best in the bytes there are. Every fourth face, up to 256 of them, is held out and
//! stands for probes: what a shape gets wrong is measured on faces that the space has not seen, with
//! codes and estimates as a search makes them. Always: the same sample and seed give the same space,
//! whatever the number of threads; no sample is too small or too uniform.

use half::f16;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::Space;
use super::basis::{gaussian, orthonormalise, product, random_rows};
use super::spectrum::Spectrum;
use crate::codes::{CodedProbe, Shape, SketchScale, decode, encode, factors};
use crate::kernels::Kernels;

/// Faces looked at, up to 512 dimensions and beyond.
const MAX_SAMPLE: usize = 20_480;
const MAX_LONG_SAMPLE: usize = 8192;
const LONG: usize = 512;
/// Faces held out as probes.
const PROBES: usize = 256;
/// Faces that every probe is compared with, and those most similar to it.
const ANYBODY: usize = 2000;
const NEAREST: usize = 16;

/// Mates made up for every probe, and their cosine with it, both less the mean: the median of real
/// ones. A gallery need not hold mates of its own faces, but it is them that searches are for.
const MATES: usize = 4;
const MATE_COSINE: f32 = 0.65;

/// What was learned from a sample.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    /// Mean and matrix, for codes of `shape`.
    pub(crate) space: Space,
    /// How codes spend their bytes.
    pub(crate) shape: Shape,
    /// How many dimensions hold 99.99 % of the variance (beyond 512, at least so many).
    pub(crate) carrying: usize,
    /// What was measured for every shape considered; empty where the sample had too few faces.
    pub(crate) errors: Vec<ShapeError>,
    /// What sketches of `shape` mean.
    pub(crate) sketch: SketchScale,
    /// Standard deviation of the similarities of two faces; 0 where the sample had too few.
    pub(crate) similarity_spread: f64,
}

/// Root mean square of what estimates of similarities are off by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapeError {
    /// The shape of the codes.
    pub(crate) shape: Shape,
    /// Between a probe and anybody.
    pub(crate) anybody: f64,
    /// Between a probe and the faces most similar to it.
    pub(crate) nearest: f64,
    /// Between a probe and its mates.
    pub(crate) mates: f64,
}

impl ShapeError {
    /// All three weigh the same: mates are who is searched for, and errors among the others fill a
    /// beam with faces that only seem near.
    fn all(&self) -> f64 {
        let squares = [self.anybody, self.nearest, self.mates].map(|error| error * error);
        (squares.iter().sum::<f64>() / 3.0).sqrt()
    }
}

/// Learns from `sample`, unit vectors of `dims` numbers one after the other, for codes of
/// `code_bytes`. `None` where there are no codes of that size or no dimensions.
pub(crate) fn learn(sample: &[f32], dims: usize, code_bytes: usize, seed: u64) -> Option<Learned> {
    learn_among(sample, dims, &candidates(dims, code_bytes), seed)
}

/// [`learn`], with only these shapes to choose from.
pub(super) fn learn_among(
    sample: &[f32],
    dims: usize,
    candidates: &[Shape],
    seed: u64,
) -> Option<Learned> {
    if dims == 0 {
        return None;
    }
    let mut shape = *candidates.last()?;
    let split = Split::of(sample, dims);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mean, spectrum) = split.principal(dims, &mut rng);
    let mut spaces = Vec::new();
    for &candidate in candidates {
        let matrix = matrix(&spectrum, dims, candidate.dims(), &mut rng);
        let matrix = matrix.into_iter().map(f16::from_f32).collect();
        let space = Space::from_parts(dims, candidate.dims(), mean.clone(), matrix)?;
        spaces.push((candidate, space));
    }
    let (mut errors, mut similarity_spread) = (Vec::new(), 0.0);
    if let Some(pairs) = Pairs::of(&split, &mean) {
        errors.extend(spaces.iter().map(|(shape, space)| pairs.error(*shape, space)));
        // The last one where all are alike: most dimensions, fewest surprises.
        let best = errors.iter().rev().min_by(|a, b| a.all().total_cmp(&b.all()));
        shape = best.map_or(shape, |best| best.shape);
        similarity_spread = pairs.similarity_spread();
    }
    let (_, space) = spaces.into_iter().find(|(candidate, _)| *candidate == shape)?;
    let sketch = split.sketch_scale(&space, shape);
    let carrying = spectrum.carrying();
    Some(Learned { space, shape, carrying, errors, sketch, similarity_spread })
}

/// Shapes worth measuring, the fewest dimensions first: those that leave dimensions out, and the
/// first that does not.
fn candidates(dims: usize, code_bytes: usize) -> Vec<Shape> {
    let shapes = Shape::BITS.iter().rev().filter_map(|&bits| Shape::new(bits, code_bytes));
    let mut candidates = Vec::new();
    for shape in shapes {
        candidates.push(shape);
        if shape.dims() >= dims {
            break;
        }
    }
    candidates
}

/// R: random directions within the span of the leading axes, or, with dimensions to spare, of all.
fn matrix(
    spectrum: &Spectrum,
    dims: usize,
    coded: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<f32> {
    if coded >= dims {
        // The rows of the transpose are orthonormal, so its columns are.
        let columns = random_rows(dims, coded, rng);
        return (0..coded).flat_map(|i| columns.chunks_exact(coded).map(move |c| c[i])).collect();
    }
    let known = spectrum.axes.len().min(coded * dims);
    let mut axes = spectrum.axes[..known].to_vec();
    if known < coded * dims {
        // More than were looked for: the others are as good as any.
        axes.extend(gaussian(coded * dims - known, rng));
        orthonormalise(&mut axes, dims, rng);
    }
    product(&random_rows(coded, coded, rng), &axes, coded)
}

/// A sample's faces, some of them held out.
struct Split<'a> {
    faces: Vec<&'a [f32]>,
    probes: Vec<&'a [f32]>,
}

impl<'a> Split<'a> {
    fn of(sample: &'a [f32], dims: usize) -> Self {
        let most = if dims > LONG { MAX_LONG_SAMPLE } else { MAX_SAMPLE };
        let rows: Vec<&[f32]> = spread(sample.chunks_exact(dims), most).collect();
        let held_out = (rows.len() / 4).min(PROBES);
        let every = rows.len().checked_div(held_out).unwrap_or(usize::MAX);
        let (mut faces, mut probes) = (Vec::new(), Vec::new());
        for (i, row) in rows.into_iter().enumerate() {
            if probes.len() < held_out && i % every == 0 {
                probes.push(row);
            } else {
                faces.push(row);
            }
        }
        Self { faces, probes }
    }

    /// The mean of the faces, and how they lie around it.
    fn principal(&self, dims: usize, rng: &mut Xoshiro256PlusPlus) -> (Vec<f32>, Spectrum) {
        let mut sums = vec![0.0_f64; dims];
        for face in &self.faces {
            sums.iter_mut().zip(*face).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        let count = self.faces.len().max(1) as f64;
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        let centred = self.faces.iter().flat_map(|face| face.iter().zip(&mean));
        let centred: Vec<f32> = centred.map(|(v, mean)| v - mean).collect();
        let spectrum = Spectrum::of(&centred, dims, rng);
        (mean, spectrum)
    }

    fn sketch_scale(&self, space: &Space, shape: Shape) -> SketchScale {
        let kernels = Kernels::best();
        let faces: Vec<&[f32]> = spread(self.faces.iter().copied(), ANYBODY).collect();
        let biases: Vec<f32> = faces.iter().map(|face| space.bias(&kernels, face)).collect();
        SketchScale::learn(&space.project_many(&faces.concat()), &biases, shape)
    }
}

/// At most `most` items, evenly spread over all.
fn spread<T>(items: impl ExactSizeIterator<Item = T>, most: usize) -> impl Iterator<Item = T> {
    let count = items.len();
    let kept = count.min(most);
    let mut next = 0;
    items.enumerate().filter_map(move |(i, item)| {
        // The j-th kept item is the one at j * count / kept.
        let keep = next < kept && i == next * count / kept;
        next += usize::from(keep);
        keep.then_some(item)
    })
}

/// Probes, faces to compare them with, and how similar they are.
struct Pairs<'a> {
    probes: Vec<ProbePairs<'a>>,
    /// The first of them are compared with every probe.
    faces: Vec<&'a [f32]>,
    /// Each probe's, one probe after the other.
    mates: Vec<Vec<f32>>,
}

/// One probe's pairs: faces by number, with their similarity.
struct ProbePairs<'a> {
    probe: &'a [f32],
    anybody: Vec<(usize, f32)>,
    nearest: Vec<(usize, f32)>,
    /// Among the mates rather than the faces.
    mates: Vec<(usize, f32)>,
}

impl<'a> Pairs<'a> {
    fn of(split: &Split<'a>, mean: &[f32]) -> Option<Self> {
        let kernels = Kernels::best();
        let faces = &split.faces;
        if faces.is_empty() || split.probes.is_empty() {
            return None;
        }
        let anybody: Vec<usize> = spread(0..faces.len(), ANYBODY).collect();
        let mates: Vec<Vec<f32>> = (0..MATES * split.probes.len())
            .map(|i| {
                mate(
                    split.probes[i / MATES],
                    faces[i * faces.len() / (MATES * split.probes.len())],
                    mean,
                )
            })
            .collect();
        let probes = split.probes.par_iter().enumerate().map(|(number, probe)| {
            let own = MATES * number..MATES * (number + 1);
            let own = own.map(|mate| (mate, kernels.dot(probe, &mates[mate]))).collect();
            let similarities = faces.iter().map(|face| kernels.dot(probe, face));
            let mut all: Vec<(usize, f32)> = similarities.enumerate().collect();
            let pairs = anybody.iter().map(|&face| all[face]).collect();
            let nearest = NEAREST.min(all.len());
            all.select_nth_unstable_by(nearest - 1, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(nearest);
            ProbePairs { probe, anybody: pairs, nearest: all, mates: own }
        });
        let probes = probes.collect();
        let mut pairs = Self { probes, faces: faces.clone(), mates };
        pairs.keep_used();
        Some(pairs)
    }

    /// Leaves out faces that no pair names, and numbers the others anew.
    fn keep_used(&mut self) {
        let named = |pairs: &ProbePairs<'_>| -> Vec<usize> {
            pairs.anybody.iter().chain(&pairs.nearest).map(|pair| pair.0).collect()
        };
        let mut used: Vec<usize> = self.probes.iter().flat_map(named).collect();
        used.sort_unstable();
        used.dedup();
        let mut places = vec![0; self.faces.len()];
        for (place, &face) in used.iter().enumerate() {
            places[face] = place;
        }
        for pairs in &mut self.probes {
            for pair in pairs.anybody.iter_mut().chain(&mut pairs.nearest) {
                pair.0 = places[pair.0];
            }
        }
        self.faces = used.iter().map(|&face| self.faces[face]).collect();
    }

    /// Standard deviation of the similarities of probes with anybody.
    fn similarity_spread(&self) -> f64 {
        let all =
            || self.probes.iter().flat_map(|probe| &probe.anybody).map(|pair| f64::from(pair.1));
        let count = all().count().max(1) as f64;
        let mean = all().sum::<f64>() / count;
        (all().map(|similarity| (similarity - mean).powi(2)).sum::<f64>() / count).sqrt()
    }

    /// What estimates are off by, with codes of `shape` in `space`.
    fn error(&self, shape: Shape, space: &Space) -> ShapeError {
        let kernels = Kernels::best();
        let code = |faces: &[&[f32]]| -> Vec<Coded> {
            faces.par_chunks(256).flat_map(|faces| coded(faces, shape, space)).collect()
        };
        let faces = code(&self.faces);
        let mates = code(&self.mates.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let squares = self.probes.par_iter().map_init(CodedProbe::default, |probe, pairs| {
            probe.set(space, &kernels, pairs.probe, shape);
            let mean = |coded: &[Coded], pairs: &[(usize, f32)]| {
                let squares = pairs.iter().map(|&(face, similarity)| {
                    let face = &coded[face];
                    let estimate = probe.estimate(sum(&face.levels, probe.levels()), face.factors);
                    f64::from(estimate.similarity - similarity).powi(2)
                });
                squares.sum::<f64>() / pairs.len() as f64
            };
            let (anybody, nearest) = (mean(&faces, &pairs.anybody), mean(&faces, &pairs.nearest));
            [anybody, nearest, mean(&mates, &pairs.mates)]
        });
        let squares: Vec<[f64; 3]> = squares.collect();
        let root = |part: usize| {
            (squares.iter().map(|s| s[part]).sum::<f64>() / squares.len() as f64).sqrt()
        };
        ShapeError { shape, anybody: root(0), nearest: root(1), mates: root(2) }
    }
}

/// A mate for a probe: of the probe's looks as much as mates share, of a stranger's the rest.
fn mate(probe: &[f32], stranger: &[f32], mean: &[f32]) -> Vec<f32> {
    let rest = (1.0 - MATE_COSINE * MATE_COSINE).sqrt();
    let both = probe.iter().zip(stranger).zip(mean);
    let mixed = both.map(|((q, o), mean)| mean + MATE_COSINE * (q - mean) + rest * (o - mean));
    let mut mate: Vec<f32> = mixed.collect();
    let length = mate.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length.is_normal() {
        mate.iter_mut().for_each(|v| *v /= length);
    }
    mate
}

/// A face's code, unpacked.
struct Coded {
    levels: Vec<u8>,
    factors: crate::codes::Factors,
}

fn coded(faces: &[&[f32]], shape: Shape, space: &Space) -> Vec<Coded> {
    let kernels = Kernels::best();
    let turned = space.project_many(&faces.concat());
    let mut row = vec![0; shape.row_bytes()];
    let faces = turned.chunks_exact(shape.dims()).zip(faces);
    let coded = faces.map(|(z, face)| {
        encode(z, space.bias(&kernels, face), shape, &mut row);
        let mut levels = vec![0; shape.dims()];
        decode(&row, shape, &mut levels);
        Coded { levels, factors: factors(&row, shape) }
    });
    coded.collect()
}

/// What the kernels add up over packed levels.
fn sum(levels: &[u8], probe: &[i8]) -> i32 {
    let terms = levels.iter().zip(probe).map(|(&v, &q)| i32::from(v) * i32::from(q));
    terms.fold(0, i32::wrapping_add)
}
