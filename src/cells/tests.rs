//! Cells as a whole: that nothing is lost, nothing depends on chance or threads, and that promise
//! is worth something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::kernels::Kernels;
use crate::synth::{Profile, Synth};
use crate::{Cancel, Silent};

fn learnt(sample: &[f32], dims: usize, cells: usize) -> Centroids {
    learn(sample, dims, cells, 7, &Silent, &Cancel::new()).unwrap()
}

/// Cells of two levels.
fn learnt_by_group(sample: &[f32], dims: usize, cells: usize, seed: u64) -> Centroids {
    learn::learn_beyond(8, sample, dims, cells, seed, &Silent, &Cancel::new()).unwrap()
}

fn assigned(centroids: &Centroids, rows: &[f32]) -> Vec<u32> {
    let mut out = Vec::new();
    centroids.assign(rows, &mut out);
    out
}

/// Rows of small whole numbers: many repeat and many tie.
fn rows(dims: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-3_i8..=3).prop_map(f32::from), 0..90 * dims).prop_map(
        move |mut values| {
            values.truncate(values.len() / dims * dims);
            values
        },
    )
}

/// Seeded rows around a few directions.
fn scattered(count: usize, dims: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut rows: Vec<f32> = (0..count * dims).map(|_| next()).collect();
    for (at, row) in rows.chunks_exact_mut(dims).enumerate() {
        row[at % 5 % dims] += 1.5;
    }
    rows
}

/// Centroids in bytes, to be looked at as a search does.
struct Rounded(Vec<u8>, Vec<f32>);

impl Rounded {
    fn of(values: &[f32], dims: usize) -> Self {
        let (levels, steps) = round(values, dims);
        Self(levels, steps)
    }

    fn view(&self) -> Levels<'_> {
        Levels { levels: &self.0, steps: &self.1 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_row_is_in_one_cell(
        (dims, rows) in (1_usize..9).prop_flat_map(|dims| (Just(dims), rows(dims))),
        cells in 0_usize..40,
    ) {
        let centroids = learnt(&rows, dims, cells);
        prop_assert!(centroids.cells() >= 1 && centroids.cells() <= cells.max(1));
        prop_assert!(centroids.values().iter().all(|value| value.is_finite()));
        let assignments = assigned(&centroids, &rows);
        let (permutation, starts) = order(&assignments, centroids.cells());
        prop_assert_eq!(starts.len(), centroids.cells() + 1);
        prop_assert_eq!(starts[0], 0);
        prop_assert_eq!(starts[centroids.cells()] as usize, rows.len() / dims);
        prop_assert!(starts.windows(2).all(|bounds| bounds[0] <= bounds[1]));
        prop_assert_eq!(permutation.iter().collect::<HashSet<_>>().len(), rows.len() / dims);
        for (cell, bounds) in starts.windows(2).enumerate() {
            let members = &permutation[bounds[0] as usize..bounds[1] as usize];
            prop_assert!(members.iter().all(|&row| assignments[row as usize] as usize == cell));
            prop_assert!(members.is_sorted());
        }
    }

    #[test]
    fn the_most_similar_centroid_wins(
        (dims, rows) in (1_usize..9).prop_flat_map(|dims| (Just(dims), rows(dims))),
    ) {
        let centroids = learnt(&rows, dims, 12);
        for (row, cell) in rows.chunks_exact(dims).zip(assigned(&centroids, &rows)) {
            let score = |centroid: &[f32]| -> f32 {
                row.iter().zip(centroid).map(|(a, b)| a * b).sum()
            };
            let scores: Vec<f32> = centroids.values().chunks_exact(dims).map(score).collect();
            // Half a level of each value, of the row and of the centroid, either way.
            let rounding = row.iter().map(|v| v.abs()).sum::<f32>() / 127.0
                + row.iter().fold(0.0_f32, |most, v| most.max(v.abs())) * (dims as f32) / 127.0;
            prop_assert!(scores.iter().all(|&other| other <= scores[cell as usize] + rounding));
        }
    }

    #[test]
    fn ranking_is_that_of_a_full_sort(
        (dims, centroids) in (1_usize..9).prop_flat_map(|dims| (Just(dims), rows(dims))),
        wanted in 0_usize..100,
    ) {
        let cells = centroids.len() / dims;
        let rounded = Rounded::of(&centroids, dims);
        let starts: Vec<u32> = (0..=cells as u32).collect();
        let view = Cells::new(dims, rounded.view(), &starts).unwrap();
        // Whole numbers that a byte holds as they are, so that rounding changes no order.
        let probe: Vec<f32> = (0..dims).map(|at| [127.0, -127.0, 3.0][at % 3]).collect();
        let kernels = Kernels::best();
        let score = |cell: u32| {
            let cell = cell as usize;
            let levels = rounded.0[cell * 64..][..dims].iter().map(|&l| i32::from(l) - 128);
            let sum: i32 = levels.zip(&probe).map(|(level, &p)| level * p as i32).sum();
            sum as f32 * rounded.1[cell]
        };
        let mut expected: Vec<u32> = (0..cells as u32).collect();
        expected.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        expected.truncate(wanted);
        let mut ranking = Ranking::default();
        prop_assert_eq!(view.rank(kernels, &probe, wanted, &mut ranking), &expected[..]);
    }

    #[test]
    fn bounds_that_make_no_sense_name_no_slot(starts in prop::collection::vec(0_u32..20, 1..9)) {
        let centroids = Rounded::of(&vec![1.0; starts.len() - 1], 1);
        let view = Cells::new(1, centroids.view(), &starts).unwrap();
        let groups = view.with_groups(centroids.view(), &starts).unwrap();
        let last = starts[starts.len() - 1];
        for cell in 0..12 {
            let slots = view.slots(cell);
            prop_assert!(slots.start <= slots.end && slots.end <= last);
            prop_assert!(groups.cells_of(cell as usize).end <= view.len());
        }
        let (mut ranking, probe) = (Ranking::default(), [1.0]);
        let ranked = groups.rank_beyond(0, Kernels::best(), &probe, 1, &mut ranking);
        prop_assert!(ranked.iter().all(|&cell| (cell as usize) < view.len()));
    }
}

#[test]
fn a_row_scores_the_same_wherever_it_lies() {
    let dims = 512;
    let (rows, centroids) = (scattered(270, dims), scattered(23, dims));
    let rows = nearest::Rows::of(&rows, dims);
    let centroids = nearest::Packed::of(&centroids, dims);
    let together = nearest::nearest(&rows, &centroids);
    for block in [1, 2, 7, 19] {
        let mut scores = Vec::new();
        let apart = rows
            .levels
            .chunks(block * dims)
            .flat_map(|rows| nearest::nearest_of_block(rows, &centroids, &mut scores));
        assert!(apart.eq(together.iter().copied()), "blocks of {block}");
    }
}

#[test]
fn one_direction_is_one_cell() {
    for (dims, rows) in [(1, vec![2.0; 50]), (4, vec![0.5; 400]), (3, vec![0.0; 90])] {
        let centroids = learnt(&rows, dims, 10);
        assert_eq!(centroids.cells(), 1, "{dims} dimensions");
        assert!(assigned(&centroids, &rows).iter().all(|&cell| cell == 0));
    }
}

#[test]
fn nothing_to_learn_from_is_one_cell() {
    for dims in [0, 1, 8] {
        let centroids = learnt(&[], dims, 10);
        assert_eq!(centroids.cells(), 1);
        assert_eq!(
            assigned(&centroids, &vec![1.0; dims * 3]),
            vec![0; if dims > 0 { 3 } else { 0 }]
        );
    }
    let (permutation, starts) = order(&[], 1);
    assert_eq!((permutation, starts), (vec![], vec![0, 0]));
}

#[test]
fn lengths_that_disagree_are_refused() {
    let centroids = Rounded::of(&[1.0; 6], 2);
    let view = centroids.view();
    assert!(Cells::new(2, view, &[0, 1, 2]).is_none());
    assert!(Cells::new(2, view, &[]).is_none());
    assert!(Cells::new(2, Levels { levels: &view.levels[1..], ..view }, &[0, 1, 2, 3]).is_none());
    let cells = Cells::new(2, view, &[0, 1, 2, 3]).unwrap();
    assert!(cells.with_groups(view, &[0, 3]).is_none());
    assert!(cells.with_groups(Levels::default(), &[]).is_some());
}

#[test]
fn a_raised_flag_ends_learning() {
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(learn(&scattered(500, 4), 4, 10, 0, &Silent, &cancel).is_none());
    assert!(learn(&scattered(5000, 4), 4, 1500, 0, &Silent, &cancel).is_none());
    assert!(learn::learn_beyond(8, &scattered(500, 4), 4, 60, 0, &Silent, &cancel).is_none());
}

#[test]
fn threads_and_blocks_change_nothing() {
    let dims = 9;
    let rows = scattered(6000, dims);
    for (cells, by_group) in [(50, false), (1500, false), (1500, true)] {
        let learnt = |seed: u64| match by_group {
            true => learnt_by_group(&rows, dims, cells, seed),
            false => learn(&rows, dims, cells, seed, &Silent, &Cancel::new()).unwrap(),
        };
        let run = |threads: usize, block: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let centroids = learnt(7);
                let mut out = Vec::new();
                rows.chunks(block * dims).for_each(|rows| centroids.assign(rows, &mut out));
                (centroids, out)
            })
        };
        let one = run(1, 6000);
        assert_eq!(one.0.group_starts().is_empty(), cells == 50);
        assert_eq!(one, run(3, 977));
        assert_ne!(one.0, learnt(8), "the seed counts");
    }
}

#[test]
fn cells_are_of_like_size() {
    // Half of all rows lie in a twentieth of the space.
    let dims = 16;
    let mut rows = scattered(8000, dims);
    for row in rows.chunks_exact_mut(dims).take(4000) {
        row[0] += 6.0;
    }
    for (cells, by_group) in [(64, false), (1200, false), (1200, true)] {
        let centroids = match by_group {
            true => learnt_by_group(&rows, dims, cells, 7),
            false => learnt(&rows, dims, cells),
        };
        let (_, starts) = order(&assigned(&centroids, &rows), centroids.cells());
        let largest = starts.windows(2).map(|bounds| bounds[1] - bounds[0]).max().unwrap();
        assert!(largest as usize <= 4 * 8000 / cells, "{cells} cells: {largest}");
        assert!(centroids.cells() * 10 >= cells * 9, "{cells} cells: {}", centroids.cells());
    }
}

#[test]
fn groups_hold_all_cells_and_rank_nearly_as_all() {
    let dims = 8;
    let rows = scattered(9000, dims);
    for centroids in [learnt(&rows, dims, 2000), learnt_by_group(&rows, dims, 2000, 7)] {
        check_groups(&rows, dims, &centroids);
    }
}

fn check_groups(rows: &[f32], dims: usize, centroids: &Centroids) {
    let starts = centroids.group_starts();
    assert_eq!(starts[starts.len() - 1] as usize, centroids.cells());
    assert!(centroids.cells() <= 2000);
    assert!(starts.windows(2).all(|bounds| bounds[0] < bounds[1]));
    assert_eq!(starts.len() - 1, centroids.group_values().len() / dims);
    let values = Rounded::of(centroids.values(), dims);
    let groups = Rounded::of(centroids.group_values(), dims);
    let slots: Vec<u32> = (0..=centroids.cells() as u32).collect();
    let view = Cells::new(dims, values.view(), &slots).unwrap();
    let view = view.with_groups(groups.view(), starts).unwrap();
    let (mut flat, mut grouped) = (Ranking::default(), Ranking::default());
    let (kernels, mut same) = (Kernels::best(), 0);
    for probe in rows.chunks_exact(dims).take(50) {
        let all = view.rank(kernels, probe, 40, &mut flat);
        let some = view.rank_beyond(0, kernels, probe, 40, &mut grouped);
        assert_eq!(some.len(), 40);
        same += all.iter().filter(|cell| some.contains(cell)).count();
        // More than a share of the cells is ranked from all of them.
        let all = view.rank(kernels, probe, 1000, &mut flat);
        assert_eq!(all, view.rank_beyond(0, kernels, probe, 1000, &mut grouped));
    }
    assert!(same >= 50 * 40 * 9 / 10, "{same} of 2000");
}

#[test]
fn the_number_of_cells_follows_the_faces() {
    for (faces, cells) in [(0, 1), (1, 1), (700, 1), (1 << 20, 2048)] {
        assert_eq!(cells_for(faces), cells);
        assert!(sample_for(faces) <= faces);
    }
}

/// Rows and probes of a synthetic gallery, unit vectors, with the subject of each.
fn synthetic(faces: u64, probes: u64) -> [(Vec<f32>, Vec<String>); 2] {
    let folder = tempfile::tempdir().unwrap();
    let synth = Synth { probes: 2 * probes, seed: 5, ..Synth::new(Profile::ArcFace512, faces) };
    synth.write(folder.path(), None, &Silent, &Cancel::new()).unwrap();
    [("embeddings.npy", "manifest.csv"), ("probes.npy", "probes.csv")].map(|(vectors, names)| {
        let file = std::fs::File::open(folder.path().join(vectors)).unwrap();
        let mut rows: Vec<f32> =
            npyz::NpyFile::new(std::io::BufReader::new(file)).unwrap().into_vec().unwrap();
        rows.chunks_exact_mut(512).for_each(lloyd::to_unit);
        let mut csv = csv::Reader::from_path(folder.path().join(names)).unwrap();
        (rows, csv.records().map(|row| row.unwrap()[0].to_owned()).collect())
    })
}

#[test]
fn mates_lie_in_the_promising_cells() {
    let [(rows, subjects), (probes, wanted)] = synthetic(6000, 60);
    let centroids = learnt(&rows, 512, 100);
    let (permutation, starts) = order(&assigned(&centroids, &rows), centroids.cells());
    let values = Rounded::of(centroids.values(), 512);
    let view = Cells::new(512, values.view(), &starts).unwrap();
    let mut ranking = Ranking::default();
    let (mut shares, mut early) = (Vec::new(), 0);
    for (probe, wanted) in probes.chunks_exact(512).zip(&wanted).take(60) {
        let (mut visited, mut best) = (0, 1.0_f64);
        for &cell in view.rank(Kernels::best(), probe, view.len(), &mut ranking) {
            let slots = view.slots(cell);
            visited += slots.len();
            for slot in slots {
                if subjects[permutation[slot as usize] as usize] == *wanted {
                    let share = visited as f64 / 6000.0;
                    best = best.min(share);
                    shares.push(share);
                }
            }
        }
        early += usize::from(best <= 0.1);
    }
    // In random order mates would lie half way through.
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    assert!(mean < 0.15, "{mean}");
    assert!(early >= 48, "{early} of 60");
}
