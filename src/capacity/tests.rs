use super::*;

fn reads(codes: f64, vectors: f64) -> Reads {
    Reads { hops: codes / 8.0, cells: 0.0, sketches: 0.0, codes, vectors }
}

/// A gallery whose walk reads `codes` codes a probe.
fn built(faces: u64, codes: f64) -> Built {
    let both = reads(codes, 20.0);
    let microseconds = both.microseconds_of_walk() * 2.0;
    Built {
        commit: "0000000".to_owned(),
        profile: "arcface-512".to_owned(),
        isolated: false,
        faces,
        dims: 512,
        codes: 88.0,
        graph: 136.0,
        rest: 100.0,
        code_seconds: faces as f64 * 1e-4,
        graph_seconds: faces as f64 * 3e-4,
        promise_seconds: 100.0,
        points: vec![Point {
            way: Way::Walk,
            setting: 64.0,
            hit_rate: 0.99,
            mated: both,
            non_mated: both,
            microseconds,
            batched_microseconds: microseconds,
        }],
    }
}

/// Codes grow as the square root of the faces.
fn measured() -> Measured {
    let galleries = [10_000, 40_000, 160_000].map(|n| built(n, 10.0 * (n as f64).sqrt()));
    Measured { machine: String::new(), k: 10, hit_rate: 0.99, galleries: galleries.to_vec() }
}

fn asked(faces: u64) -> Asked<'static> {
    Asked { profile: "arcface-512", isolated: false, faces, dims: 512, way: Way::Walk }
}

fn near(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-6
}

#[test]
fn a_power_law_comes_back() {
    let law = |n: f64| (n, 3.0 * n.powf(0.4));
    let fitted = PowerLaw::fit(&[law(1e5), law(3e5), law(1e6)]).expect("a law");
    assert!(near(fitted.exponent, 0.4) && near(fitted.at(1e9), law(1e9).1));
    // One size says no more than that there is more of it with more faces.
    assert_eq!(PowerLaw::fit(&[(100.0, 5.0)]).map(|law| law.exponent), Some(1.0));
    assert_eq!(PowerLaw::fit(&[(100.0, 0.0)]), None);
    assert_eq!(PowerLaw::fit(&[]), None);
}

#[test]
fn what_was_measured_is_foretold_as_it_was() {
    let (measured, server) = (measured(), Server::new(1, 1 << 40));
    let told = Forecast::new(&measured, &asked(160_000), &server).expect("a forecast");
    let point = &measured.galleries[2].points[0];
    assert!(near(told.milliseconds * 1e3, point.microseconds));
    assert!(near(told.reads.codes, 4000.0));
    assert_eq!((told.cold, told.measured), (0.0, (10_000, 160_000)));
    assert!(near(told.build, 160_000.0 * 4e-4));
    assert!(near(told.resident, 160_000.0 * 224.0));
}

#[test]
fn a_hundred_times_the_faces_take_ten_times_the_codes() {
    let server = Server::new(1, 1 << 50);
    let told = Forecast::new(&measured(), &asked(16_000_000), &server).expect("a forecast");
    assert!(near(told.reads.codes, 40_000.0) && near(told.reads.vectors, 20.0));
}

#[test]
fn nothing_is_read_more_often_than_it_is_there() {
    // The law says 31 codes of ten faces.
    let told = Forecast::new(&measured(), &asked(10), &Server::new(1, 1 << 40)).expect("one");
    assert_eq!((told.reads.codes, told.reads.vectors), (10.0, 10.0));
}

#[test]
fn vectors_that_do_not_fit_come_from_disk() {
    let faces = 1_000_000_000;
    let large = Forecast::new(&measured(), &asked(faces), &Server::new(64, 4 << 40)).expect("one");
    let small =
        Forecast::new(&measured(), &asked(faces), &Server::new(64, 256 << 30)).expect("one");
    assert_eq!(large.cold, 0.0);
    assert!(small.cold > 0.9 * small.reads.vectors);
    assert!(small.milliseconds > large.milliseconds && small.probes < large.probes);
    assert!(near(small.resident, large.resident));
}

#[test]
fn the_links_that_a_scan_follows_count() {
    let told = |hops: f64| {
        let mut gallery = built(100_000, 1000.0);
        let point = &mut gallery.points[0];
        point.way = Way::Scan;
        point.mated = Reads { hops, sketches: 1e5, ..point.mated };
        point.non_mated = point.mated;
        let measured = Measured { galleries: vec![gallery], ..measured() };
        let asked = Asked { way: Way::Scan, ..asked(1_000_000_000) };
        Forecast::new(&measured, &asked, &Server::new(64, 256 << 30)).expect("a forecast")
    };
    let (with, without) = (told(16.0), told(0.0));
    assert!(near(with.disk - without.disk, 136e9), "its bytes, though none of them are walked");
    assert!(with.build > without.build && near(with.resident, without.resident));
    // Links to come from disk, each after the one before it.
    assert!(with.cold > without.cold && with.milliseconds > without.milliseconds);
}

#[test]
fn what_is_like_nothing_measured_is_not_foretold() {
    let server = Server::new(1, 1 << 30);
    for asked in [
        Asked { profile: "another", ..asked(1000) },
        Asked { isolated: true, ..asked(1000) },
        Asked { way: Way::Scan, ..asked(1000) },
    ] {
        assert_eq!(Forecast::new(&measured(), &asked, &server), None);
    }
}

#[test]
fn what_is_shipped_can_be_read() {
    let shipped = Measured::shipped().expect("measured.json");
    assert!(shipped.galleries.iter().all(|built| !built.points.is_empty()));
    assert!(!shipped.galleries.is_empty());
}
