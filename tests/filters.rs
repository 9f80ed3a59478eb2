//! A filter lets through exactly the faces that it describes, whatever the kind of the column and
//! however few pass, and the search is exact among those.

#![cfg(feature = "build")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, Random, exact, ids};
use lookalike::gallery::{Kind, Value};
use lookalike::{Error, FaceId, Filter, FilterError, Gallery, Query, SearchError};

const FACES: usize = 400;
const DIMS: usize = 16;

/// What is known of each made-up face; every seventh is null, each column at other faces.
struct Known {
    rank: Option<i64>,
    score: Option<f64>,
    taken: Option<String>,
    frontal: Option<bool>,
    place: Option<String>,
}

fn known(face: usize) -> Known {
    let unless = |at: usize| (face % 7 != at).then_some(face);
    Known {
        rank: unless(0).map(|i| i as i64 - 100),
        score: unless(1).map(|i| i as f64 / 8.0 - 10.0),
        taken: unless(2).map(|i| format!("20{:02}-{:02}-11", i % 25, i % 12 + 1)),
        frontal: unless(3).map(|i| i % 3 == 0),
        place: unless(4)
            .map(|i| ["Aachen", "it's", "zoo gate", "7", "Ärztehaus"][i % 5].to_owned()),
    }
}

fn filtered_gallery() -> (Place, Vec<Vec<f32>>, Gallery) {
    let rows = Random(31).vectors(FACES, DIMS);
    let mut text = "subject,source,key,rank,score,taken,frontal,place\n".to_owned();
    for face in 0..FACES {
        let k = known(face);
        let cell = |value: Option<String>| value.unwrap_or_default();
        let subject = (face % 2 == 0).then(|| format!("s{}", face % 20));
        text.push_str(&format!(
            "{},archive-{},k{face},{},{},{},{},{}\n",
            cell(subject),
            face % 3,
            cell(k.rank.map(|v| v.to_string())),
            cell(k.score.map(|v| format!("{v:.3}"))),
            cell(k.taken),
            cell(k.frontal.map(|v| v.to_string())),
            cell(k.place),
        ));
    }
    let place = Place::of(&rows).manifest(&text);
    let gallery = place.built();
    (place, rows, gallery)
}

/// Ids of all the faces that pass, ascending.
fn passing(gallery: &Gallery, filters: &[&str]) -> Vec<u64> {
    let mut query = Query::new().at_least(-1.0);
    for filter in filters {
        query = query.filter(filter.parse::<Filter>().unwrap());
    }
    let mut found = ids(gallery, &[1.0; DIMS], &query);
    found.sort_unstable();
    found
}

fn those(holds: impl Fn(usize, &Known) -> bool) -> Vec<u64> {
    (0..FACES).filter(|&face| holds(face, &known(face))).map(|face| face as u64).collect()
}

#[test]
fn columns_have_the_kind_of_their_cells() {
    let (_place, _, gallery) = filtered_gallery();
    let kinds: Vec<_> = gallery.attributes().iter().map(|a| (a.name.as_str(), a.kind)).collect();
    let expected = [
        ("rank", Kind::Int),
        ("score", Kind::Float),
        ("taken", Kind::Date),
        ("frontal", Kind::Bool),
        ("place", Kind::Text),
    ];
    assert_eq!(kinds, expected);
    let values = gallery.face(FaceId(7)).unwrap().attributes;
    assert_eq!(values[0], Value::Null);
    assert_eq!(values[1..3], [Value::Float(7.0 / 8.0 - 10.0), Value::Date(13_736)]);
    assert_eq!(values[3..], [Value::Bool(false), Value::Text("zoo gate".to_owned())]);
}

#[test]
fn every_operator_on_every_kind() {
    type Holds = fn(std::cmp::Ordering) -> bool;
    let (_place, _, gallery) = filtered_gallery();
    let operators: [(&str, Holds); 6] = [
        ("=", |o| o.is_eq()),
        ("!=", |o| o.is_ne()),
        ("<", |o| o.is_lt()),
        ("<=", |o| o.is_le()),
        (">", |o| o.is_gt()),
        (">=", |o| o.is_ge()),
    ];
    for (sign, holds) in operators {
        for rank in [-101, -100, -3, 0, 150, 299, 300] {
            let expected = those(|_, k| k.rank.is_some_and(|v| holds(v.cmp(&rank))));
            assert_eq!(passing(&gallery, &[&format!("rank {sign} {rank}")]), expected, "{sign}");
        }
        let expected =
            those(|_, k| k.rank.is_some_and(|v| holds((v as f64).partial_cmp(&2.5).unwrap())));
        assert_eq!(passing(&gallery, &[&format!("rank{sign}2.5")]), expected, "{sign}");
        for score in [-10.0, 0.125, 7.75, 1e30] {
            let expected =
                those(|_, k| k.score.is_some_and(|v| holds(v.partial_cmp(&score).unwrap())));
            assert_eq!(passing(&gallery, &[&format!("score {sign} {score}")]), expected, "{sign}");
        }
        for day in ["1999-12-31", "2000-02-11", "2012-07-01", "2024-01-11"] {
            let expected = those(|_, k| k.taken.as_deref().is_some_and(|v| holds(v.cmp(day))));
            assert_eq!(passing(&gallery, &[&format!("taken {sign} {day}")]), expected, "{sign}");
        }
        for value in [true, false] {
            let expected = those(|_, k| k.frontal.is_some_and(|v| holds(v.cmp(&value))));
            let filter = format!("frontal {sign} {value}");
            assert_eq!(passing(&gallery, &[&filter]), expected, "{filter}");
        }
        for (value, quoted) in [
            ("it's", "'it''s'"),
            ("zoo gate", "'zoo gate'"),
            ("7", "7"),
            ("Ärztehaus", "Ärztehaus"),
        ] {
            let expected = those(|_, k| k.place.as_deref().is_some_and(|v| holds(v.cmp(value))));
            let filter = format!("place {sign} {quoted}");
            assert_eq!(passing(&gallery, &[&filter]), expected, "{filter}");
        }
    }
}

#[test]
fn what_is_not_known_passes_no_filter() {
    let (_place, _, gallery) = filtered_gallery();
    for column in ["rank", "score", "place", "frontal"] {
        let value = match column {
            "frontal" => "true",
            "place" => "Aachen",
            _ => "3",
        };
        let of = |sign| passing(&gallery, &[&format!("{column} {sign} {value}")]).len();
        let nulls = match column {
            "rank" => (0..FACES).filter(|f| f % 7 == 0).count(),
            "score" => (0..FACES).filter(|f| f % 7 == 1).count(),
            "frontal" => (0..FACES).filter(|f| f % 7 == 3).count(),
            _ => (0..FACES).filter(|f| f % 7 == 4).count(),
        };
        assert_eq!(of("=") + of("!="), FACES - nulls, "{column}");
        assert_eq!(of("<") + of(">="), FACES - nulls, "{column}");
    }
    assert_eq!(passing(&gallery, &["subject != nobody"]), those(|face, _| face % 2 == 0));
}

#[test]
fn the_known_columns_are_filtered_too() {
    let (_place, _, gallery) = filtered_gallery();
    assert_eq!(passing(&gallery, &["subject = s4"]), those(|face, _| face % 20 == 4));
    assert_eq!(passing(&gallery, &["source='archive-1'"]), those(|face, _| face % 3 == 1));
    assert_eq!(passing(&gallery, &["key = k37"]), [37]);
    assert_eq!(passing(&gallery, &["face_id < 3"]), [0, 1, 2]);
    assert_eq!(passing(&gallery, &["norm > 0"]).len(), FACES);
}

#[test]
fn several_filters_are_joined_by_and() {
    let (_place, _, gallery) = filtered_gallery();
    let expected = those(|face, k| {
        k.rank.is_some_and(|v| v >= 50) && k.frontal == Some(true) && face % 3 == 0
    });
    assert!(!expected.is_empty());
    let filters = ["rank >= 50", "frontal = true", "source = archive-0"];
    assert_eq!(passing(&gallery, &filters), expected);
    assert!(passing(&gallery, &["rank > 5", "rank < 5"]).is_empty());
}

#[test]
fn conditions_are_joined_in_one_expression() {
    let (_place, _, gallery) = filtered_gallery();
    let day = |k: &Known| k.taken.clone();
    let in_range =
        |k: &Known| day(k).is_some_and(|day| ("2003-05-11"..="2009-08-11").contains(&day.as_str()));
    let range = "taken between 2003-05-11 and 2009-08-11";
    assert_eq!(passing(&gallery, &[range]), those(|_, k| in_range(k)));
    // Neither within nor without, where no day is known.
    let outside = those(|_, k| day(k).is_some() && !in_range(k));
    assert_eq!(passing(&gallery, &[&format!("not {range}")]), outside);
    assert_eq!(passing(&gallery, &["taken is null"]), those(|_, k| day(k).is_none()));
    assert_eq!(
        passing(&gallery, &["place in (7, 'it''s')"]),
        those(|_, k| { k.place.as_deref().is_some_and(|place| ["7", "it's"].contains(&place)) })
    );
    assert_eq!(
        passing(&gallery, &["rank in (3, 4.5, -7) or score < -9"]),
        those(|_, k| {
            k.rank.is_some_and(|rank| [3, -7].contains(&rank)) || k.score.is_some_and(|s| s < -9.0)
        })
    );
    let text = "(source = archive-1 or subject = s4) and not (frontal = true or rank < 0)";
    let expected = those(|face, k| {
        (face % 3 == 1 || face % 20 == 4)
            && k.frontal.is_some_and(|frontal| !frontal)
            && k.rank.is_some_and(|rank| rank >= 0)
    });
    assert!(!expected.is_empty());
    assert_eq!(passing(&gallery, &[text]), expected);
}

#[test]
fn a_search_is_exact_among_those_that_pass_however_few() {
    let (_place, rows, gallery) = filtered_gallery();
    let mut random = Random(32);
    for count in [0, 1, 2, 3, 10, 11, 50, 200, 399, 400] {
        let probe = random.vector(DIMS);
        let truth = exact(&rows, &probe);
        // Those that pass are spread over the whole gallery of similarities.
        let filter: Filter = format!("face_id < {count}").parse().unwrap();
        let mut expected: Vec<u64> = (0..count).collect();
        expected.sort_by(|&a, &b| truth[b as usize].total_cmp(&truth[a as usize]));
        expected.truncate(10);
        for query in [Query::new(), Query::new().exhaustive(), Query::new().beam(10)] {
            let query = query.top(10).filter(filter.clone());
            let matches = gallery.search(&common::embedding(&probe), &query).unwrap();
            let found: Vec<u64> = matches.iter().map(|one| one.face_id.0).collect();
            assert_eq!(found, expected, "{count} pass");
            assert_eq!(matches.counters.passing, count);
        }
    }
}

#[test]
fn the_answer_to_one_filter_is_not_that_to_the_next() {
    let (_place, _, gallery) = filtered_gallery();
    for _ in 0..3 {
        assert_eq!(passing(&gallery, &["face_id = 5"]), [5]);
        assert_eq!(passing(&gallery, &["face_id = 6"]), [6]);
        assert_eq!(passing(&gallery, &["face_id >= 5", "face_id <= 6"]), [5, 6]);
    }
}

#[test]
fn a_filter_that_does_not_fit_the_gallery_says_what_would() {
    let (_place, _, gallery) = filtered_gallery();
    let error = |filter: &str| {
        let query = Query::new().filter(filter.parse().unwrap());
        match gallery.search(&common::embedding(&[1.0; DIMS]), &query) {
            Err(Error::Search(SearchError::Filter(error))) => error,
            other => panic!("{filter}: {other:?}"),
        }
    };
    let unknown = error("rnak = 3");
    assert!(matches!(unknown, FilterError::NoSuchColumn { .. }));
    assert!(unknown.to_string().contains("rank (int)"), "{unknown}");
    for filter in ["rank = x", "score = x", "taken = 2024-13-01", "frontal = 1", "score = NaN"] {
        assert!(matches!(error(filter), FilterError::Value { .. }), "{filter}");
    }
}
