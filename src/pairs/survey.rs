//! How far to look, by measurement: a sample of the faces is compared with all, exactly; where
//! those have too few pairs to prove anything, a larger one by codes.
//!
//! Of the pairs that are found so, each is put to the test as a search for pairs would: does the
//! face that lies first look into the other's cell, and does it find it there? From that follows
//! the highest promise at which the hit rate still holds, and what it saves. It is to hold for all
//! pairs, and for those that people look for and that hardly count among all: of faces with few
//! pairs, and of two subjects.

use std::collections::HashMap;

use rand::seq::index;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;

use super::compare::{Alike, Faces, Looking, Scratch};
use super::reach::MEASURED;
use super::{Cancel, PairsError, Progress, Reach, heed};
use crate::cells::ProbeLevels;

/// Comparisons of a survey, about, and the least and most faces it takes for that; of small galleries
/// no more than a part.
const COMPARISONS: u64 = 3 << 29;
const SAMPLE: (u64, u64) = (1000, 2000);
const PART: u64 = 4;
/// Where their pairs are too few: one face in so many more, and the most, by sketch and code.
const MORE: (usize, usize) = (50, 1 << 16);
/// Faces of a sample that go through the gallery together.
const TOGETHER: usize = 32;
/// Vectors that they are compared with in turns: they stay in the second-level cache.
const BLOCK: u32 = 128;
/// Codes that they are compared with in turns.
const BLOCK_OF_CODES: u32 = 4096;
/// Pairs of a face that are put to the test; more of them stand for the others.
const TESTED: usize = 32;
/// Promises of cells that are kept to tell what a limit saves, and faces of whom they are at least.
const KEPT: usize = 1 << 22;
const LEAST_KEPT: usize = 64;
/// Missed parts of the pairs to try, in parts of what may be missed.
const STEPS: u32 = 64;
/// A share of the comparisons above which ranking cells saves nothing.
const WORTHLESS: f64 = 0.6;
/// Pairs of a face that are few.
const FEW_PAIRS: u64 = 3;
/// Faces with such pairs that it takes to say anything of their hit rate.
const SOME: usize = 30;
/// Standard deviations from a mean to its one-sided 95 % bound.
const BOUND: f64 = 1.645;

/// One pair of a face of the sample.
struct Tested {
    /// What the cell of the face that lies behind promises the other one; without limit where both
    /// lie in one.
    promise: f32,
    /// Whether it is found where it is looked for, with each of the errors that may be allowed for.
    found: [bool; MEASURED.len()],
    /// The same where nothing is measured.
    surely: bool,
    /// Whether the faces are of two subjects.
    of_two: bool,
}

/// A face of the sample.
struct Sampled {
    /// Pairs it has.
    pairs: u64,
    tested: Vec<Tested>,
    /// What the cells behind its own promise, and their faces, falling; of some of the sample.
    cells: Option<Vec<(f32, u32)>>,
}

/// Settles how far to look for the pairs at or above a similarity.
pub(super) fn survey(
    faces: &Faces<'_>,
    at_least: f32,
    hit_rate: f64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Reach, PairsError> {
    let all = u64::from(faces.count);
    let count = (COMPARISONS / all.max(1)).clamp(SAMPLE.0, SAMPLE.1).min(all / PART) as usize;
    let more = MORE.1.min(faces.count as usize / MORE.0);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let slots: Vec<u32> = index::sample(&mut random, faces.count as usize, count + more)
        .into_iter()
        .map(|slot| slot as u32)
        .collect();
    let (slots, further) = slots.split_at(count);
    let look = |step: &str, slots: &[u32], by: Reach| {
        progress.begin(step, Some(slots.len() as u64));
        let sampled: Vec<Vec<Sampled>> = slots
            .par_chunks(TOGETHER)
            .enumerate()
            .map(|(number, slots)| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(number as u64);
                let shares = number * TOGETHER < (KEPT / faces.cells.len().max(1)).max(LEAST_KEPT);
                let shares = shares && by == Reach::Exhaustive;
                let found = sample(faces, slots, (by, at_least, shares), &mut random, cancel)?;
                progress.advance(slots.len() as u64);
                Ok(found)
            })
            .collect::<Result<_, PairsError>>()?;
        progress.end();
        Ok::<Vec<Sampled>, PairsError>(sampled.into_iter().flatten().collect())
    };
    let mut sampled = look("survey", slots, Reach::Exhaustive)?;
    let settled = settle(&sampled, faces.count, hit_rate);
    if settled != Reach::Whole {
        return Ok(settled);
    }
    // Likely they have too few pairs, and comparing all by codes would take far longer than more of
    // them. What codes miss of those no bound counts, so it is taken off.
    let Some(surely) = found_by_codes(&sampled).filter(|&surely| surely > hit_rate) else {
        return Ok(settled);
    };
    sampled.extend(look("further survey", further, Reach::Whole)?);
    let mut settled = settle(&sampled, faces.count, hit_rate / surely);
    if let Reach::Measured { hit_rate, lower, .. } = &mut settled {
        *hit_rate *= surely;
        *lower *= surely;
    }
    Ok(settled)
}

/// The part of the pairs that codes find with all that is allowed for; `None` where too few faces have
/// any to say.
fn found_by_codes(sampled: &[Sampled]) -> Option<f64> {
    let found = hit_rate(sampled, |pair| pair.surely, |_, _| true);
    (found.faces >= SOME).then_some(found.rate)
}

/// Compares a few faces with all, and puts their pairs to the test.
fn sample(
    faces: &Faces<'_>,
    slots: &[u32],
    (reach, at_least, shares): (Reach, f32, bool),
    random: &mut Xoshiro256PlusPlus,
    cancel: &Cancel,
) -> Result<Vec<Sampled>, PairsError> {
    let everyone = |&slot: &u32| Looking { from: 0, ..faces.looking(slot) };
    let looking: Vec<Looking<'_>> = slots.iter().map(everyone).collect();
    let each: Vec<&Looking<'_>> = looking.iter().collect();
    let sieve = reach.sieve(at_least);
    // How many pairs each has, and some of them, drawn with equal chances (Vitter 1985).
    let mut kept: HashMap<u32, (u64, Vec<Alike>)> = HashMap::new();
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let mut from = 0;
    while from < faces.count {
        heed(cancel)?;
        let block = if sieve.is_some() { BLOCK_OF_CODES } else { BLOCK };
        let to = from.saturating_add(block).min(faces.count);
        faces.compare(&each, &(from..to), (sieve, at_least), &mut scratch, &mut found);
        for Alike { slots: [slot, other], similarity } in found.drain(..) {
            if slot == other {
                continue;
            }
            let (pairs, kept) = kept.entry(slot).or_default();
            *pairs += 1;
            let alike = Alike { slots: [slot.min(other), slot.max(other)], similarity };
            if kept.len() < TESTED {
                kept.push(alike);
            } else if let Some(place) = kept.get_mut(random.random_range(0..*pairs) as usize) {
                *place = alike;
            }
        }
        from = to;
    }
    let test = |face: Looking<'_>| {
        heed(cancel)?;
        let (pairs, kept) = kept.remove(&face.slot).unwrap_or_default();
        let tested = kept.iter().map(|alike| test(faces, &face, *alike, at_least)).collect();
        let cells = shares.then(|| cells_behind(faces, &face));
        Ok(Sampled { pairs, tested, cells })
    };
    looking.into_iter().map(test).collect()
}

/// Whether a pair of `face` would be found, and what it takes.
fn test(faces: &Faces<'_>, face: &Looking<'_>, alike: Alike, at_least: f32) -> Tested {
    let [first, second] = alike.slots;
    let other;
    let looking = if face.slot == first {
        face
    } else {
        other = faces.looking(first);
        &other
    };
    let cell = cell_of(faces, second);
    let mut promise = f32::INFINITY;
    if cell != cell_of(faces, first) {
        let probe = ProbeLevels::of(looking.coded.turned());
        let (mut sums, cells) = (Vec::new(), cell..cell + 1);
        let take = |_, found| promise = found;
        faces.cells.promises(faces.kernels, &probe, cells, &mut sums, take);
    }
    let slots = second..second + 1;
    let is_found = |reach: Reach| {
        let mut found = Vec::new();
        let scratch = &mut Scratch::default();
        faces.compare(&[looking], &slots, (reach.sieve(at_least), at_least), scratch, &mut found);
        !found.is_empty()
    };
    let found = MEASURED.map(|(confidence, _)| is_found(measured(confidence)));
    let surely = is_found(Reach::Whole);
    Tested { promise, found, surely, of_two: faces.are_of_two(alike.slots) }
}

/// The cell of a slot.
fn cell_of(faces: &Faces<'_>, slot: u32) -> usize {
    faces.cells.starts().partition_point(|&start| start <= slot).saturating_sub(1)
}

fn cells_behind(faces: &Faces<'_>, face: &Looking<'_>) -> Vec<(f32, u32)> {
    let probe = ProbeLevels::of(face.coded.turned());
    let behind = cell_of(faces, face.slot) + 1..faces.cells.len();
    let (mut sums, mut cells) = (Vec::new(), Vec::with_capacity(behind.len()));
    let take = |cell: usize, promise| {
        let slots = faces.cells.slots(cell as u32);
        cells.push((promise, slots.end - slots.start));
    };
    faces.cells.promises(faces.kernels, &probe, behind, &mut sums, take);
    cells.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    cells
}

/// What is put to the test.
fn measured(confidence: f32) -> Reach {
    let (promise, share, hit_rate, lower, sample, pairs) = (None, 1.0, 1.0, 1.0, 0, 0);
    Reach::Measured { promise, confidence, share, hit_rate, lower, sample, pairs }
}

/// What keeps the hit rate and takes least: of each error allowed for, with the highest promise.
fn settle(sampled: &[Sampled], faces: u32, asked: f64) -> Reach {
    let reached = MEASURED.into_iter().enumerate().filter_map(|(level, (confidence, longer))| {
        let reach = highest(sampled, faces, asked, (level, confidence))?;
        let Reach::Measured { share, .. } = reach else { return None };
        Some((share * longer, reach))
    });
    let least = reached.min_by(|a, b| a.0.total_cmp(&b.0));
    least.map_or(Reach::Whole, |(_, reach)| reach)
}

/// The highest promise that keeps the hit rate; `None` where none does.
fn highest(
    sampled: &[Sampled],
    faces: u32,
    asked: f64,
    (level, confidence): (usize, f32),
) -> Option<Reach> {
    let pairs = sampled.iter().map(|face| face.pairs).sum();
    let mut promises: Vec<f32> =
        sampled.iter().flat_map(|face| face.tested.iter().map(|pair| pair.promise)).collect();
    promises.sort_unstable_by(f32::total_cmp);
    let may_miss = promises.len() as f64 * (1.0 - asked);
    // Those that miss most and save most first.
    let promises = (0..=STEPS).rev().filter_map(|step| {
        promises.get((may_miss * f64::from(step) / f64::from(STEPS)) as usize).copied()
    });
    let limits = promises.filter(|promise| promise.is_finite()).map(Some).chain([None]);
    for limit in limits {
        let (hit_rate, lower) = least(sampled, limit.unwrap_or(f32::NEG_INFINITY), level, asked);
        if lower < asked {
            continue;
        }
        let share = limit.map_or(1.0, |promise| share(sampled, faces, promise));
        let (promise, share) = if share > WORTHLESS { (None, 1.0) } else { (limit, share) };
        let sample = sampled.len() as u32;
        return Some(Reach::Measured {
            promise,
            confidence,
            share,
            hit_rate,
            lower,
            sample,
            pairs,
        });
    }
    None
}

/// The least part that is found of all pairs, of those of faces with few, and of those of two
/// subjects, and the least lower bound. Where not twice as many faces have such pairs as would prove
/// what is asked for if nothing were missed, what is observed has to do.
fn least(sampled: &[Sampled], promise: f32, level: usize, asked: f64) -> (f64, f64) {
    let found = |pair: &Tested| pair.found[level] && pair.promise >= promise;
    let enough = 2.0 * BOUND * BOUND / (1.0 - asked);
    let all = hit_rate(sampled, found, |_, _| true);
    let (mut rate, mut lower) = (all.rate, all.lower);
    let of_few = hit_rate(sampled, found, |face, _| face.pairs <= FEW_PAIRS);
    let of_two = hit_rate(sampled, found, |_, pair| pair.of_two);
    for part in [of_few, of_two].iter().filter(|part| part.faces >= SOME) {
        rate = rate.min(part.rate);
        lower = lower.min(if part.draws >= enough { part.lower } else { part.rate });
    }
    (rate, lower)
}

/// What is found of some pairs.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    rate: f64,
    /// Its lower bound.
    lower: f64,
    /// Faces that have such pairs.
    faces: usize,
    /// As many as these are worth: some have more pairs than others.
    draws: f64,
}

/// What is found of some pairs: faces are drawn, not pairs, so those of one face count together.
fn hit_rate(
    sampled: &[Sampled],
    is_found: impl Fn(&Tested) -> bool,
    counts: impl Fn(&Sampled, &Tested) -> bool,
) -> Part {
    // Of each face, so many pairs, and so many of them found.
    let each: Vec<(f64, f64)> = sampled
        .iter()
        .map(|face| {
            let those = face.tested.iter().filter(|pair| counts(face, pair));
            let found = those.clone().filter(|pair| is_found(pair));
            let one = face.pairs as f64 / face.tested.len().max(1) as f64;
            (those.count() as f64 * one, found.count() as f64 * one)
        })
        .collect();
    let pairs: f64 = each.iter().map(|(pairs, _)| pairs).sum();
    let squares: f64 = each.iter().map(|(pairs, _)| pairs * pairs).sum();
    if pairs == 0.0 {
        return Part::default();
    }
    let rate = each.iter().map(|(_, found)| found).sum::<f64>() / pairs;
    let residuals: f64 = each.iter().map(|(pairs, found)| (found - rate * pairs).powi(2)).sum();
    // Where next to nothing was missed the residuals say little, and Wilson's bound decides: for as
    // many draws as faces of unlike weight are worth (Kish 1965).
    let draws = pairs * pairs / squares;
    let z = BOUND * BOUND / draws;
    let middle = (rate + z / 2.0) / (1.0 + z);
    let wilson = middle - (z * rate * (1.0 - rate) + z * z / 4.0).sqrt() / (1.0 + z);
    let faces = each.iter().filter(|(pairs, _)| *pairs > 0.0).count();
    let lower = wilson.min(rate - BOUND * residuals.sqrt() / pairs);
    Part { rate, lower, faces, draws }
}

/// The part of all comparisons that is left.
fn share(sampled: &[Sampled], faces: u32, promise: f32) -> f64 {
    let visited = |cells: &Vec<(f32, u32)>| {
        let visited = cells.iter().take_while(|(found, _)| *found >= promise);
        visited.map(|(_, faces)| f64::from(*faces)).sum::<f64>()
    };
    let visited: Vec<f64> =
        sampled.iter().filter_map(|face| face.cells.as_ref()).map(visited).collect();
    let mean = visited.iter().sum::<f64>() / visited.len().max(1) as f64;
    mean / (f64::from(faces) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face with so many pairs, of which some are found, of two subjects or of one.
    fn face(pairs: usize, found: usize, of_two: bool) -> Sampled {
        let found = |at| [at < found; MEASURED.len()];
        let tested = |at| Tested { promise: 0.5, found: found(at), surely: true, of_two };
        Sampled { pairs: pairs as u64, tested: (0..pairs).map(tested).collect(), cells: None }
    }

    #[test]
    fn pairs_that_hardly_count_among_all_count_by_themselves() {
        let many = || (0..1000).map(|_| face(30, 30, false));
        let with = |count: usize, missed: usize, pairs: usize, of_two| -> Vec<Sampled> {
            let found = |at| if at < missed { 0 } else { pairs };
            many().chain((0..count).map(|at| face(pairs, found(at), of_two))).collect()
        };
        for (pairs, of_two) in [(1, false), (5, true)] {
            // Too few say nothing.
            assert!(least(&with(SOME - 1, 10, pairs, of_two), 0.0, 0, 0.99).0 > 0.99);
            let (rate, lower) = least(&with(500, 50, pairs, of_two), 0.0, 0, 0.99);
            assert_eq!((rate, lower), (0.9, 0.9));
            let (rate, lower) = least(&with(600, 60, pairs, of_two), 0.0, 0, 0.99);
            assert!(rate == 0.9 && (0.86..0.89).contains(&lower), "{rate} {lower}");
        }
        // As many of one subject, of faces with many, are a small part of all.
        assert!(least(&with(100, 10, 5, false), 0.0, 0, 0.99).0 > 0.99);
        assert_eq!(least(&with(400, 0, 1, true), 0.6, 0, 0.99).0, 0.0);
    }

    #[test]
    fn codes_are_held_to_what_vectors_found() {
        let mut sampled: Vec<_> = (0..SOME - 1).map(|_| face(4, 4, false)).collect();
        sampled.push(face(0, 0, false));
        assert_eq!(found_by_codes(&sampled), None);
        sampled.push(face(4, 4, false));
        assert_eq!(found_by_codes(&sampled), Some(1.0));
        sampled[0].tested[1].surely = false;
        assert_eq!(found_by_codes(&sampled), Some(1.0 - 1.0 / (4 * SOME) as f64));
    }
}
