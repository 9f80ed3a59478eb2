//! What the kernels cost, for each instruction set this processor has.
//!
//! Dot products: vectors in the first-level cache, so that the arithmetic is measured and not the
//! memory. Codes and sketches: in the first-level cache, and over a million faces beside what
//! reading the same bytes costs at the least. Throughput is nanoseconds a code and bytes a cycle.
//! Panels: 256 rows with 512 centroids, a code being a product of a row and a centroid.
//! Scattered vectors: those of half a gigabyte, as a rerank meets them, fetched so many ahead.

use std::hint::black_box;
use std::time::Duration;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use half::f16;
use lookalike::kernels::codes::Bits;
use lookalike::kernels::panels::Panels;
use lookalike::kernels::sketches::{BLOCK_BYTES, MAX_ENTRY, Sought, TABLE_BYTES};
use lookalike::kernels::{CodeRows, Isa, Kernels, prefetch};

#[path = "common/per_code.rs"]
mod per_code;
use per_code::PerCode;

const FACES: usize = 1 << 20;
const CODE_BYTES: usize = 64;
const STRIDE: usize = 72;
const SKETCH_BYTES: usize = 16;
/// Rows whose bytes stay in the first-level cache.
const FEW: usize = 256;

fn dot(criterion: &mut Criterion<PerCode>) {
    for dims in [128_usize, 512] {
        let a: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.73).cos()).collect();
        let halves: Vec<f16> = b.iter().map(|&v| f16::from_f32(v)).collect();
        let mut group = criterion.benchmark_group(format!("dot-{dims}"));
        for kernels in every() {
            let isa = kernels.isa().name();
            group.throughput(Throughput::Bytes(dims as u64 * 4));
            group.bench_function(BenchmarkId::new("f32", isa), |bencher| {
                bencher.iter(|| kernels.dot(black_box(&a), black_box(&b)));
            });
            group.throughput(Throughput::Bytes(dims as u64 * 4 * 6));
            group.bench_function(BenchmarkId::new("f32, two by three", isa), |bencher| {
                bencher.iter(|| kernels.dots(black_box([&a, &b]), black_box([&b, &a, &b])));
            });
            group.throughput(Throughput::Bytes(dims as u64 * 2));
            group.bench_function(BenchmarkId::new("f16", isa), |bencher| {
                bencher.iter(|| kernels.dot_f16(black_box(&a), black_box(&halves)));
            });
        }
        group.finish();
    }
}

fn scattered(criterion: &mut Criterion<PerCode>) {
    const DIMS: usize = 512;
    let rows = FACES / 4;
    let vectors: Vec<f32> = (0..rows * DIMS).map(|i| (i % 977) as f32).collect();
    let probe = &vectors[..DIMS];
    let met = shuffled(&(0..rows as u32).step_by(16).collect::<Vec<_>>());
    let vector = |slot: u32| &vectors[slot as usize * DIMS..][..DIMS];
    let kernels = Kernels::best();
    let mut group = quick(criterion, "scattered-vectors");
    group.throughput(throughput(met.len(), DIMS * size_of::<f32>()));
    for ahead in [0, 1, 2, 4, 8, 16] {
        group.bench_function(BenchmarkId::new("dot-512", format!("{ahead} ahead")), |bencher| {
            bencher.iter(|| {
                met.iter().enumerate().fold(0.0, |sum, (at, &slot)| {
                    if let Some(&later) = met.get(at + ahead).filter(|_| ahead > 0) {
                        prefetch(vector(later));
                    }
                    sum + kernels.dot(probe, vector(slot))
                })
            });
        });
    }
    group.finish();
}

fn codes(criterion: &mut Criterion<PerCode>) {
    let bytes = noise(FACES * STRIDE);
    let all = CodeRows::new(&bytes, STRIDE, CODE_BYTES);
    let few = CodeRows::new(&bytes[..FEW * STRIDE], STRIDE, CODE_BYTES);
    let in_order: Vec<u32> = (0..FEW as u32).collect();
    // The survivors of a scan, one face in a hundred; and the same as a walk meets them.
    let survivors: Vec<u32> = (0..FACES as u32 / 100).map(|i| i * 100 + i % 97).collect();
    let met = shuffled(&survivors);
    let mut group = quick(criterion, "codes");
    memory(&mut group, "read-codes", &bytes);
    for kernels in every() {
        let isa = kernels.isa().name();
        for bits in Bits::ALL {
            let probe: Vec<i8> =
                noise(bits.chunk_dims()).into_iter().map(|v| v.cast_signed().max(-127)).collect();
            let name = |what: &str| BenchmarkId::new(format!("{what}-{}bit", bits.bits()), isa);
            let mut sums = Vec::new();
            group.throughput(throughput(FEW, CODE_BYTES));
            group.bench_function(name("one-l1"), |bencher| {
                bencher.iter(|| {
                    let codes = (0..FEW).map(|row| &bytes[row * STRIDE..][..CODE_BYTES]);
                    codes.fold(0, |sum, code| sum ^ kernels.levels_dot(bits, code, &probe))
                });
            });
            group.bench_function(name("slots-l1"), |bencher| {
                bencher.iter(|| {
                    kernels.levels_dot_rows(bits, few, &in_order, black_box(&probe), &mut sums);
                });
            });
            group.throughput(throughput(FACES, CODE_BYTES));
            group.bench_function(name("range-1m"), |bencher| {
                bencher.iter(|| {
                    kernels.levels_dot_range(bits, all, 0..FACES as u32, &probe, &mut sums);
                });
            });
            group.throughput(throughput(survivors.len(), CODE_BYTES));
            group.bench_function(name("survivors"), |bencher| {
                bencher.iter(|| kernels.levels_dot_rows(bits, all, &survivors, &probe, &mut sums));
            });
            for list in [8, 32] {
                group.bench_function(name(&format!("walk-by-{list}")), |bencher| {
                    bencher.iter(|| {
                        for list in met.chunks(list) {
                            kernels.levels_dot_rows(bits, all, list, &probe, &mut sums);
                            black_box(&sums);
                        }
                    });
                });
            }
        }
        let (signs, mut distances) = (noise(CODE_BYTES), Vec::new());
        for (what, rows) in [("l1", few), ("1m", all)] {
            group.throughput(throughput(rows.count(), CODE_BYTES));
            group.bench_function(BenchmarkId::new(format!("hamming-{what}"), isa), |bencher| {
                bencher.iter(|| {
                    kernels.hamming_rows(rows, 0..FACES as u32, black_box(&signs), &mut distances);
                });
            });
        }
    }
    group.finish();
}

fn sketches(criterion: &mut Criterion<PerCode>) {
    let blocks = noise(FACES * SKETCH_BYTES);
    let mut tables = [0; TABLE_BYTES];
    for (entry, value) in tables.iter_mut().zip(noise(TABLE_BYTES)) {
        *entry = value % (MAX_ENTRY + 1);
    }
    let mut group = quick(criterion, "sketches");
    memory(&mut group, "read-sketches", &blocks);
    for kernels in every() {
        let isa = kernels.isa().name();
        let mut slots = Vec::new();
        // From memory, what comes 64 KiB later is fetched meanwhile.
        let all = (&blocks[..], &blocks[64 * BLOCK_BYTES..]);
        let few = (&blocks[..16 * BLOCK_BYTES], &blocks[..0]);
        for (what, (some, next)) in [("l1", few), ("1m", all)] {
            group.throughput(throughput(some.len() / SKETCH_BYTES, SKETCH_BYTES));
            for percent in [0, 1, 5] {
                let floor = floor_passing(&blocks, &tables, percent);
                let name = format!("scan-{percent}%-{what}");
                group.bench_function(BenchmarkId::new(name, isa), |bencher| {
                    bencher.iter(|| {
                        slots.clear();
                        let tables = black_box(&tables);
                        let probe = Sought { tables, floor, slots: &mut slots };
                        kernels.sketch_scan(some, 0, &mut [probe], next);
                    });
                });
            }
        }
    }
    // What sign against sign would cost on sketches laid out one after the other.
    group.throughput(throughput(FACES, SKETCH_BYTES));
    let mut distances = vec![0_u32; FACES];
    let probe = u128::from_ne_bytes(std::array::from_fn(|i| (i as u8).wrapping_mul(37)));
    group.bench_function("signs-1m", |bencher| {
        bencher.iter(|| differing(&blocks, black_box(probe), &mut distances));
    });
    group.finish();
}

/// Rows with as many centroids as an assignment takes at once; bytes are those of the products.
fn panels(criterion: &mut Criterion<PerCode>) {
    const CENTROIDS: usize = 512;
    let mut group = quick(criterion, "panels");
    for dims in [128, 512] {
        let levels = noise(CENTROIDS * dims);
        let panels = Panels::new(dims, &levels, &[0.01; CENTROIDS]).expect("whole panels");
        let rows: Vec<i8> = noise(FEW * dims).into_iter().map(|value| value as i8).collect();
        let mut scores = Vec::new();
        group.throughput(throughput(FEW * CENTROIDS, dims));
        for kernels in every() {
            let name = BenchmarkId::new(format!("scores-{dims}"), kernels.isa().name());
            group.bench_function(name, |bencher| {
                bencher.iter(|| kernels.panel_scores(panels, black_box(&rows), &mut scores));
            });
        }
    }
    group.finish();
}

/// As the compiler vectorises it: `RUSTFLAGS=-Ctarget-cpu=native` lets it count bits in registers.
fn differing(sketches: &[u8], probe: u128, distances: &mut [u32]) {
    for (sketch, distance) in sketches.as_chunks::<16>().0.iter().zip(distances) {
        *distance = (u128::from_ne_bytes(*sketch) ^ probe).count_ones();
    }
}

/// The least that a pass over these bytes can cost: one sum of them all.
fn memory(group: &mut BenchmarkGroup<'_, PerCode>, name: &str, bytes: &[u8]) {
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut sums = [0_u64; 16];
            for block in black_box(bytes).as_chunks::<128>().0 {
                for (sum, value) in sums.iter_mut().zip(block.as_chunks::<8>().0) {
                    *sum = sum.wrapping_add(u64::from_ne_bytes(*value));
                }
            }
            sums
        });
    });
}

/// The lowest score that no more than so many in a hundred faces reach.
fn floor_passing(blocks: &[u8], tables: &[u8; TABLE_BYTES], percent: usize) -> u16 {
    let most = blocks.len() / SKETCH_BYTES * percent / 100;
    let floors: Vec<u16> = (0..=2048).collect();
    let too_many = |&floor: &u16| {
        let mut slots = Vec::new();
        let probe = Sought { tables, floor, slots: &mut slots };
        Kernels::best().sketch_scan(blocks, 0, &mut [probe], &[]);
        slots.len() > most
    };
    floors.partition_point(too_many) as u16
}

/// So many codes of so many bytes, factors left out.
fn throughput(codes: usize, bytes: usize) -> Throughput {
    Throughput::ElementsAndBytes { elements: codes as u64, bytes: (codes * bytes) as u64 }
}

fn every() -> impl Iterator<Item = Kernels> {
    Isa::ALL.into_iter().filter_map(Kernels::of)
}

fn quick<'a>(criterion: &'a mut Criterion<PerCode>, name: &str) -> BenchmarkGroup<'a, PerCode> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(400));
    group
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn shuffled(slots: &[u32]) -> Vec<u32> {
    let mut slots = slots.to_vec();
    slots.sort_by_key(|slot| slot.wrapping_mul(2_654_435_761));
    slots
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(PerCode::new());
    targets = dot, scattered, codes, sketches, panels
}
criterion_main!(benches);
