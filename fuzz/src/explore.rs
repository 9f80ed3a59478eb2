//! Everything that can be asked of an open gallery, whatever its files hold.

use lookalike::{Embedding, FaceId, Filter, Gallery, Matches, Query};

/// Filters on columns of every kind that a sample has.
const FILTERS: [&str; 8] = [
    "live = true",
    "age < 40",
    "score >= 2.5",
    "taken > 2024-02-10",
    "note != 'note 3'",
    "source = 'press.example'",
    "box_left <= 10",
    "same_photo_as > 0",
];
/// Faces that are looked at one by one.
const LOOKED_AT: usize = 64;

/// What to ask with: a probe's numbers, a beam, a similarity in hundredths, a filter's place.
#[derive(arbitrary::Arbitrary, Debug)]
pub struct Question {
    probe: [i8; 8],
    top: u8,
    beam: u8,
    at_least: i8,
    filter: u8,
}

impl Question {
    /// One that finds something in a sound gallery.
    pub const PLAIN: Self =
        Self { probe: [3, -1, 4, 1, -5, 9, 2, 6], top: 5, beam: 8, at_least: 0, filter: 1 };

    fn probe(&self, dims: usize) -> Option<Embedding> {
        let values: Vec<f32> = self.probe.iter().cycle().take(dims).map(|&v| v.into()).collect();
        Embedding::new(values).ok()
    }
}

/// Reads and searches all there is.
pub fn explore(gallery: &Gallery, question: &Question) {
    look_at(gallery);
    search(gallery, question);
}

fn look_at(gallery: &Gallery) {
    let mut ids = vec![FaceId(0), FaceId(u64::MAX)];
    for face in gallery.faces().take(LOOKED_AT).flatten() {
        assert_eq!(face.attributes.len(), gallery.attributes().len());
        ids.push(face.face_id);
        if let Some(key) = &face.key {
            let _ = gallery.face_by_key(key);
        }
        if let Some(hash) = &face.image_hash {
            let _ = gallery.faces_of_image(hash);
        }
        if let Some(subject) = &face.subject {
            let _ = gallery.faces_of_subject(subject);
        }
    }
    for id in ids {
        let _ = gallery.face(id);
        let _ = gallery.thumbnail(id);
        let _ = gallery.embedding(id);
    }
}

fn search(gallery: &Gallery, question: &Question) {
    let Some(probe) = question.probe(gallery.dims()) else { return };
    let top = usize::from(question.top).max(1);
    let beam = usize::from(question.beam).max(1);
    let least = f32::from(question.at_least.clamp(-100, 100)) / 100.0;
    let filter = FILTERS[usize::from(question.filter) % FILTERS.len()];
    let filter: Filter = filter.parse().expect("a filter that reads");
    let plain = Query::new().top(top);
    let queries = [
        plain.clone(),
        plain.clone().exhaustive(),
        plain.clone().beam(beam),
        plain.clone().share(1.0),
        plain.clone().share(0.3),
        plain.clone().share(1.0).filter(filter.clone()),
        plain.clone().beam(beam).group_by_subject(),
        plain.clone().beam(beam).filter(filter.clone()),
        plain.clone().exhaustive().filter(filter).group_by_subject(),
        Query::new().at_least(least),
        Query::new().at_least(least).beam(beam),
    ];
    for query in queries {
        if let Ok(matches) = gallery.search(&probe, &query) {
            check(&matches);
            let Some(first) = matches.first() else { continue };
            let _ = first.face();
            let _ = first.thumbnail();
            let _ = gallery.similarity(&probe, first.face_id);
            if let Ok(matches) = gallery.search_face(first.face_id, &query) {
                check(&matches);
            }
        }
    }
    let _ = gallery.similarity_with_subject(&probe, "s1");
    let _ = gallery.search_batch(&[probe.clone(), probe.clone()], &plain);
    let _ = gallery.search_batch(&[probe.clone(), probe], &plain.share(1.0));
}

/// What holds of every answer.
fn check(matches: &Matches<'_>) {
    for found in matches {
        assert!((-1.0..=1.0).contains(&found.similarity), "similarity {}", found.similarity);
    }
    let ordered = matches.windows(2).all(|pair| {
        let (a, b) = (&pair[0], &pair[1]);
        a.similarity > b.similarity || (a.similarity == b.similarity && a.face_id <= b.face_id)
    });
    assert!(ordered, "{:?}", matches.iter().map(|m| (m.similarity, m.face_id)).collect::<Vec<_>>());
}
