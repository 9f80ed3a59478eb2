//! Answers of subjects, held against brute force: the best faces of the best subjects, by their best
//! face or by their template, as many as were asked for.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use common::{Place, Random, embedding, lookalike, run};
use lookalike::search::{Basis, Reason, SubjectScore};
use lookalike::{Builder, Embedding, Error, FaceId, Gallery, Match, Query, SearchError};
use proptest::prelude::*;

const DIMS: usize = 16;

/// A gallery and what brute force knows of it.
struct Known {
    gallery: Gallery,
    rows: Vec<Vec<f32>>,
    subjects: Vec<Option<String>>,
    _place: Place,
}

/// One person with many photos, people with three, some of nobody known, copies, of unlike lengths.
fn known(faces: usize, crowd: usize, seed: u64) -> Known {
    let mut random = Random(seed);
    let person = random.vector(DIMS);
    let (mut rows, mut subjects): (Vec<Vec<f32>>, Vec<_>) = (Vec::new(), Vec::new());
    for face in 0..faces {
        let other = face - face.min(crowd);
        let (row, subject) = match face {
            face if face < crowd => (random.near(&person, 0.3), Some("crowd".to_owned())),
            _ if other % 5 == 4 => (rows[random.below(rows.len())].clone(), None),
            _ if other % 11 == 7 => (random.near(&person, 0.4), Some(format!("s{}", other / 3))),
            _ => (random.vector(DIMS), Some(format!("s{}", other / 3))),
        };
        let length = 0.2 + random.below(50) as f32 / 10.0;
        rows.push(row.iter().map(|value| value * length).collect());
        subjects.push(subject);
    }
    let lines = subjects.iter().zip(0..).map(|(subject, row): (&Option<String>, usize)| {
        format!("{},{}\n", subject.as_deref().unwrap_or_default(), row % 3)
    });
    let text = format!("subject,third\n{}", lines.collect::<String>());
    let place = Place::of(&rows).manifest(&text);
    run(&place.build().builder(Builder::None)).unwrap();
    Known { gallery: place.open(), rows, subjects, _place: place }
}

static SMALL: LazyLock<Known> = LazyLock::new(|| known(700, 260, 301));

/// What is asked for beside the probe.
#[derive(Clone, Debug)]
struct Asked {
    k: Option<usize>,
    each: usize,
    least: Option<f32>,
    /// Only faces whose number leaves this rest when divided by three.
    third: Option<usize>,
    without: Option<usize>,
    score: SubjectScore,
}

impl Asked {
    fn query(&self) -> Query {
        let mut query =
            Query::new().group_by_subject().per_subject(self.each).subject_score(self.score);
        if let Some(k) = self.k {
            query = query.top(k);
        }
        if let Some(least) = self.least {
            query = query.at_least(least);
        }
        match self.third {
            Some(third) => query.filter(format!("third = {third}").parse().unwrap()),
            None => query,
        }
    }
}

/// A subject by brute force: its similarity, its first face id, its best faces.
type Group = (f64, u64, Vec<(u64, f32)>);

impl Known {
    /// The answer by brute force, without an end.
    fn answer(&self, probe: &Embedding, asked: &Asked) -> Vec<Group> {
        let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
        for face in 0..self.rows.len() {
            if asked.third.is_some_and(|third| face % 3 != third) || asked.without == Some(face) {
                continue;
            }
            let name = self.subjects[face].clone().unwrap_or_else(|| format!("face {face}"));
            groups.entry(name).or_default().push(face);
        }
        let least = asked.least.unwrap_or(-1.0);
        let by_template = asked.score == SubjectScore::Template;
        let group = |faces: Vec<usize>| -> Group {
            let similarity = |face| self.gallery.similarity(probe, FaceId(face)).unwrap();
            let first = faces[0] as u64;
            let template = cosine(probe, faces.iter().map(|&face| &self.rows[face]));
            let faces = faces.into_iter().map(|face| (face as u64, similarity(face as u64)));
            let mut faces: Vec<(u64, f32)> =
                faces.filter(|face| by_template || face.1 >= least).collect();
            faces.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            faces.truncate(asked.each);
            match faces.first() {
                Some(&best) if !by_template => (f64::from(best.1), best.0, faces),
                _ => (template, first, faces),
            }
        };
        let mut groups: Vec<Group> = groups.into_values().map(group).collect();
        groups.retain(|group| group.0 >= f64::from(least) && !group.2.is_empty());
        groups.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        groups
    }
}

/// Cosine of a probe and the sum of rows as they came: their mean, weighted by length.
fn cosine<'a>(probe: &Embedding, rows: impl Iterator<Item = &'a Vec<f32>>) -> f64 {
    let mut sum = [0.0_f64; DIMS];
    rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value)));
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    sum.iter().zip(probe.values()).map(|(&a, &b)| a * f64::from(b)).sum::<f64>() / length
}

fn shown(group: &[Match<'_>]) -> Vec<(u64, f32)> {
    group.iter().map(|face| (face.face_id.0, face.similarity)).collect()
}

fn asked() -> impl Strategy<Value = Asked> {
    let least = prop_oneof![2 => Just(None), 1 => (-0.5_f32..1.0).prop_map(Some)];
    let third = prop_oneof![2 => Just(None), 1 => (0_usize..3).prop_map(Some)];
    let without = prop_oneof![3 => Just(None), 1 => (0_usize..700).prop_map(Some)];
    let score = prop_oneof![Just(SubjectScore::Best), Just(SubjectScore::Template)];
    let k = prop_oneof![1 => Just(None), 3 => (1_usize..20).prop_map(Some), 1 => Just(Some(500))];
    (k, 1_usize..6, least, third, without, score).prop_map(
        |(k, each, least, third, without, score)| Asked { k, each, least, third, without, score },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn subjects_are_those_of_brute_force(asked in asked(), near in 0_usize..700, noise in 0_u64..9) {
        let known = &*SMALL;
        let Known { gallery, rows, .. } = known;
        let near = asked.without.unwrap_or(near);
        let noise = if asked.without.is_some() { 0.0 } else { noise as f32 / 4.0 };
        let (probe, found) = match asked.without {
            Some(face) => {
                let id = FaceId(face as u64);
                (gallery.embedding(id).unwrap(), gallery.search_face(id, &asked.query()).unwrap())
            }
            None => {
                let probe = embedding(&Random(near as u64).near(&rows[near], noise));
                let found = gallery.search(&probe, &asked.query()).unwrap();
                (probe, found)
            }
        };
        // What is complete misses nothing, so there is another reason for every face left out.
        let all: Vec<FaceId> = (0..rows.len() as u64).step_by(23).map(FaceId).collect();
        for told in gallery.explain(&probe, &asked.query(), &found, &all).unwrap() {
            let returned = found.iter().any(|face| face.face_id == told.face_id);
            prop_assert_eq!(returned, matches!(told.reason, Reason::Returned { .. }));
            prop_assert!(told.reason != Reason::Missed, "{}", told);
        }
        prop_assert_eq!(found.basis, Basis::Complete);
        let expected = known.answer(&probe, &asked);
        let wanted = match (asked.k, asked.least) {
            (Some(k), _) => k,
            (None, Some(_)) => usize::MAX,
            (None, None) => 10,
        };
        let groups: Vec<&[Match<'_>]> = found.groups().collect();
        if asked.score == SubjectScore::Best {
            let expected = expected.iter().take(wanted).map(|group| group.2.clone());
            let found: Vec<_> = groups.iter().map(|group| shown(group)).collect();
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        } else {
            // Sums are rounded, so that templates that are as good as alike may change places.
            let of: HashMap<u64, &Group> =
                expected.iter().map(|group| (group.2[0].0, group)).collect();
            let sure = expected.iter().filter(|group| {
                asked.least.is_none_or(|least| group.0 > f64::from(least) + 1e-5)
            });
            prop_assert!(groups.len() >= sure.count().min(wanted), "{}", groups.len());
            prop_assert!(groups.len() <= wanted);
            for (group, expected) in groups.iter().zip(&expected) {
                let similarity = f64::from(group[0].subject_similarity.unwrap());
                prop_assert!((similarity - expected.0).abs() < 1e-5, "{similarity} {expected:?}");
                let own = of[&group[0].face_id.0];
                prop_assert!((similarity - own.0).abs() < 1e-5);
                prop_assert_eq!(shown(group), own.2.clone());
            }
        }
        if asked.without.is_none() {
            let batch = gallery.search_batch(&[probe.clone(), probe], &asked.query()).unwrap();
            for answer in batch {
                prop_assert_eq!(shown(&answer.unwrap()), shown(&found));
            }
        }
    }
}

#[test]
fn a_crowd_leaves_room_for_as_many_others_as_were_asked_for() {
    let known = &*SMALL;
    let probe = embedding(&known.rows[7]);
    for share in [1.0, 0.2] {
        for (k, each) in [(2, 1), (10, 1), (20, 3), (150, 1)] {
            let query = Query::new().share(share).top(k).group_by_subject().per_subject(each);
            let found = known.gallery.search(&probe, &query).unwrap();
            let mut all = Query::new().exhaustive().group_by_subject().per_subject(each);
            all = all.top(k);
            let exact = known.gallery.search(&probe, &all).unwrap();
            let first = |group: &[Match<'_>]| group[0].face_id;
            let groups: Vec<FaceId> = found.groups().map(first).collect();
            let expected: HashSet<FaceId> = exact.groups().map(first).collect();
            assert_eq!((groups.len(), expected.len()), (k, k));
            let hits = groups.iter().filter(|face| expected.contains(face)).count();
            assert!(hits * 10 >= k * 9, "{hits} of {k}");
            let similarities = found.groups().map(|group| group[0].similarity);
            assert!(similarities.is_sorted_by(|a, b| a >= b));
            assert!(found.groups().all(|group| (1..=each).contains(&group.len())));
            let names = groups.iter().map(|face| known.subjects[face.0 as usize].as_ref());
            let named: Vec<&String> = names.flatten().collect();
            assert_eq!(named.iter().collect::<HashSet<_>>().len(), named.len());
            // Of 260 faces, the best.
            assert_eq!(named[0], "crowd");
            assert_eq!(
                shown(found.groups().next().unwrap()),
                shown(exact.groups().next().unwrap())
            );
        }
    }
}

#[test]
fn templates_found_by_faces_are_nearly_those_of_everybody() {
    let known = &*SMALL;
    let (mut hits, mut all) = (0, 0);
    for face in (0..700).step_by(35) {
        let probe = embedding(&Random(face).near(&known.rows[face as usize], 0.3));
        let query = Query::new().group_by_subject().subject_score(SubjectScore::Template);
        let found = known.gallery.search(&probe, &query.clone().share(1.0)).unwrap();
        let exact = known.gallery.search(&probe, &query.exhaustive()).unwrap();
        let of = |face: &Match<'_>| face.subject_similarity.unwrap().to_bits();
        let expected: HashSet<u32> = exact.iter().map(of).collect();
        assert_eq!((found.len(), exact.len()), (10, 10));
        hits += found.iter().filter(|face| expected.contains(&of(face))).count();
        all += exact.len();
    }
    assert!(hits * 10 >= all * 9, "{hits} of {all}");
}

#[test]
fn a_comparison_with_a_template_is_that_of_the_search() {
    let known = &*SMALL;
    let probe = embedding(&known.rows[3]);
    let query = Query::new().group_by_subject().subject_score(SubjectScore::Template).top(30);
    for found in &known.gallery.search(&probe, &query).unwrap() {
        if let Some(subject) = found.face().unwrap().subject {
            let similarity = known.gallery.similarity_with_template(&probe, &subject).unwrap();
            assert_eq!(Some(similarity), found.subject_similarity);
        }
    }
    let error = known.gallery.similarity_with_template(&probe, "nobody").unwrap_err();
    assert!(matches!(error, Error::Search(SearchError::NoSuchSubject(_))), "{error}");
}

#[test]
fn faces_that_cancel_each_other_out_have_a_template_all_the_same() {
    let mut rows = Random(303).vectors(20, DIMS);
    rows[1] = rows[0].iter().map(|value| -value).collect();
    let lines: String = (0..20).map(|row| format!("s{}\n", row / 2)).collect();
    let gallery = Place::of(&rows).manifest(&format!("subject\n{lines}")).built();
    let query = Query::new().group_by_subject().subject_score(SubjectScore::Template).top(20);
    let found = gallery.search(&embedding(&rows[0]), &query).unwrap();
    assert_eq!(found.len(), 10);
    assert_eq!((found[0].face_id, found[0].subject_similarity), (FaceId(0), Some(1.0)));
}

#[test]
fn faces_of_a_subject_need_grouping() {
    let gallery = &SMALL.gallery;
    let probe = embedding(&SMALL.rows[0]);
    for query in [Query::new().per_subject(2), Query::new().subject_score(SubjectScore::Template)] {
        let error = gallery.search(&probe, &query).unwrap_err();
        assert!(matches!(error, Error::Search(SearchError::NotGrouped)), "{error}");
    }
    let none = Query::new().group_by_subject().per_subject(0);
    let error = gallery.search(&probe, &none).unwrap_err();
    assert!(matches!(error, Error::Search(SearchError::PerSubjectZero)), "{error}");
}

#[test]
fn the_command_shows_faces_by_subject() {
    let place = Place::of(&[
        vec![1.0, 0.0, 0.0],
        vec![0.9, 0.1, 0.0],
        vec![0.7, 0.7, 0.0],
        vec![0.8, 0.0, 0.6],
        vec![0.0, 1.0, 0.0],
    ])
    .manifest("subject,image\nann,a.jpg\nann,b.jpg\nbob,c.jpg\n,d.jpg\nann,e.jpg\n");
    let gallery = place.built().path().to_str().unwrap().to_owned();
    let ask = |more: &[&str]| {
        let args = ["search", &gallery, "--face", "0", "--group-by", "subject"];
        lookalike(args.into_iter().chain(more.iter().copied()))
    };
    let lines = |out: &str| -> Vec<serde_json::Value> {
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let ran = ask(&["--format", "json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let plain = &lines(&ran.out)[0]["matches"];
    let of = |matches: &serde_json::Value, field: &str| -> Vec<serde_json::Value> {
        matches.as_array().unwrap().iter().map(|one| one[field].clone()).collect()
    };
    assert_eq!(of(plain, "face_id"), [1, 3, 2]);
    assert!(of(plain, "rank").iter().all(serde_json::Value::is_null));

    let ran = ask(&["--per-subject", "2", "--subject-score", "template", "--format", "json"]);
    let found = &lines(&ran.out)[0]["matches"];
    assert_eq!(of(found, "face_id"), [3, 2, 1, 4]);
    assert_eq!(of(found, "rank"), [1, 2, 3, 3]);
    let similarities = of(found, "subject_similarity");
    assert_eq!(similarities[2], similarities[3]);
    assert!(similarities.is_sorted_by(|a, b| a.as_f64() >= b.as_f64()));

    let ran = ask(&["--per-subject", "2"]);
    let ranks: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains("  face "))
        .map(|line| line[..5].trim())
        .collect();
    assert_eq!(ranks, ["1", "", "2", "3"], "{}", ran.out);
    let ran = ask(&["--subject-score", "template", "--format", "csv"]);
    let cells: Vec<usize> = ran.out.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(cells, [10; 4], "{}", ran.out);

    let ran = lookalike(["search", &gallery, "--face", "0", "--per-subject", "2"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("--group-by"), "{}", ran.err);
}
