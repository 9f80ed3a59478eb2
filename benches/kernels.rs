//! Nanoseconds a dot product, for each instruction set this processor has.
//!
//! Vectors lie in the first-level cache, so that the arithmetic is measured and not the memory.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use lookalike::kernels::{Isa, Kernels};

fn dot(criterion: &mut Criterion) {
    for dims in [128_usize, 512] {
        let a: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..dims).map(|i| (i as f32 * 0.73).cos()).collect();
        let halves: Vec<f16> = b.iter().map(|&v| f16::from_f32(v)).collect();
        let mut group = criterion.benchmark_group(format!("dot-{dims}"));
        for kernels in Isa::ALL.into_iter().filter_map(Kernels::of) {
            let isa = kernels.isa().name();
            group.throughput(Throughput::Bytes(dims as u64 * 4));
            group.bench_function(BenchmarkId::new("f32", isa), |bencher| {
                bencher.iter(|| kernels.dot(std::hint::black_box(&a), std::hint::black_box(&b)));
            });
            group.throughput(Throughput::Bytes(dims as u64 * 2));
            group.bench_function(BenchmarkId::new("f16", isa), |bencher| {
                bencher.iter(|| {
                    kernels.dot_f16(std::hint::black_box(&a), std::hint::black_box(&halves))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, dot);
criterion_main!(benches);
