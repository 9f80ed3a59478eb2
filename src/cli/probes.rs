//! Probes for a search: where they come from, and what is known of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lookalike::ingest::image::{ImageLimits, load};
use lookalike::ingest::{Embeddings, Manifest};
use lookalike::{BuildError, Embedding, FaceId, Gallery};

use super::Failure;
use super::column::Column;
use super::probe_sets::ProbeSets;

/// One thing to search for.
#[derive(Default)]
pub(crate) struct Probe {
    /// Its number in the output, from 0.
    pub(crate) number: u64,
    pub(crate) seek: Seek,
    /// Its file, or what else names it.
    pub(crate) name: String,
    /// Who it shows, where a manifest says so.
    pub(crate) caption: Option<String>,
    /// Its picture as JPEG, where there is one.
    pub(crate) thumbnail: Option<Vec<u8>>,
    /// The set it belongs to, or is.
    pub(crate) set: Option<String>,
    /// The numbers of the probes of a set.
    pub(crate) rows: Vec<u64>,
    /// The pictures of a set's other probes.
    pub(crate) more_thumbnails: Vec<Vec<u8>>,
}

/// What to search by.
pub(crate) enum Seek {
    Vector(Embedding),
    Face(FaceId),
    /// Several of one person.
    Set(Vec<Embedding>),
    /// It cannot be searched for.
    Nothing(String),
}

impl Default for Seek {
    fn default() -> Self {
        Self::Set(Vec::new())
    }
}

/// A file of probe embeddings, with the manifest and images that go with it.
pub(crate) struct ProbeFile {
    embeddings: Embeddings,
    manifest: Option<Manifest>,
    lines: Option<lookalike::ingest::Lines>,
    /// The column that says which set a probe belongs to.
    set: Option<Column>,
    images: Option<PathBuf>,
    next: u64,
}

impl ProbeFile {
    pub(crate) fn open(
        path: &Path,
        array: Option<&str>,
        manifest: Option<&Path>,
        images: Option<&Path>,
    ) -> Result<Self, Failure> {
        if let Some(path) = images.filter(|folder| !folder.is_dir()) {
            return Err(BuildError::NoSuchFolder { path: path.to_owned() }.into());
        }
        let embeddings = Embeddings::open(path, array)?;
        if embeddings.rows() == 0 {
            return Err(Failure::Failed(format!("{} has no probes", path.display())));
        }
        let open = |manifest| Manifest::open_beside(manifest, path, array);
        let manifest = manifest.map(open).transpose()?;
        if let Some(manifest) = &manifest
            && manifest.lines() != embeddings.rows()
        {
            return Err(Failure::Failed(format!(
                "{} has {} rows and {} has {} lines: they must agree",
                path.display(),
                embeddings.rows(),
                manifest.path().display(),
                manifest.lines()
            )));
        }
        let lines = manifest.as_ref().map(Manifest::iter).transpose()?;
        let images = images.map(Path::to_owned);
        Ok(Self { embeddings, manifest, lines, set: None, images, next: 0 })
    }

    /// The probes, with those as one that have the same value in a column of the manifest.
    pub(crate) fn into_sets(mut self, column: &str) -> Result<ProbeSets, Failure> {
        let mut probes = HashMap::new();
        if let Some(manifest) = &self.manifest {
            let column = Column::find(manifest, "--probe-set", column)?;
            for line in manifest.iter()?.flatten() {
                if let Some(set) = column.of(&line) {
                    *probes.entry(set).or_default() += 1;
                }
            }
            self.set = Some(column);
        }
        Ok(ProbeSets::new(self, probes))
    }

    /// Dimensions of the probes.
    pub(crate) fn dims(&self) -> usize {
        self.embeddings.dims()
    }

    fn probe(&mut self) -> Option<Probe> {
        if self.next == self.embeddings.rows() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let mut values = vec![0.0; self.embeddings.dims()];
        let read = self.embeddings.read(number, &mut values).map_err(|e| e.to_string());
        let vector = read.and_then(|()| Embedding::new(values).map_err(|e| e.to_string()));
        // A manifest's line that cannot be read leaves the probe without a name, not unanswered.
        let line = self.lines.as_mut().and_then(Iterator::next).and_then(Result::ok);
        let image = line.as_ref().and_then(|line| line.image.clone());
        let thumbnail = self.images.as_deref().zip(image.as_deref()).and_then(|(folder, image)| {
            let bounds = line.as_ref().and_then(|line| line.bounds.as_ref());
            load(folder, image, bounds, &ImageLimits::default()).thumbnail
        });
        Some(Probe {
            number,
            seek: vector.map_or_else(Seek::Nothing, Seek::Vector),
            name: image.unwrap_or_else(|| format!("probe {number}")),
            set: self.set.as_ref().zip(line.as_ref()).and_then(|(column, line)| column.of(line)),
            caption: line.and_then(|line| line.subject),
            thumbnail,
            ..Probe::default()
        })
    }
}

impl Iterator for ProbeFile {
    type Item = Probe;

    fn next(&mut self) -> Option<Probe> {
        self.probe()
    }
}

/// The faces of the gallery that are in an image file, told by its content.
pub(crate) fn of_image(gallery: &Gallery, path: &Path) -> Result<Vec<Probe>, Failure> {
    let mut hasher = blake3::Hasher::new();
    let stdin = path.as_os_str() == "-";
    if stdin {
        hasher.update_reader(std::io::stdin().lock())
    } else {
        // A pipe or a device might never end.
        if !std::fs::metadata(path).map_err(|e| Failure::file("read", path, e))?.is_file() {
            return Err(Failure::Failed(format!("{} is not a regular file", path.display())));
        }
        std::fs::File::open(path).and_then(|file| hasher.update_reader(file))
    }
    .map_err(|e| Failure::file("read", path, e))?;
    let faces = gallery.faces_of_image(hasher.finalize().as_bytes())?;
    if faces.is_empty() {
        let image = if stdin { "on standard input".into() } else { path.to_string_lossy() };
        return Err(Failure::Failed(format!(
            "no face of this gallery is from the image {image}; a new photo has to be searched by \
             its embedding (--probes), which a face model makes outside of lookalike"
        )));
    }
    faces.into_iter().enumerate().map(|(i, id)| of_face(gallery, id, i as u64)).collect()
}

/// A face of the gallery as a probe.
pub(crate) fn of_face(gallery: &Gallery, id: FaceId, number: u64) -> Result<Probe, Failure> {
    let face = gallery.face(id)?;
    let name = if face.image.is_empty() { format!("face {id}") } else { face.image };
    Ok(Probe {
        number,
        seek: Seek::Face(id),
        name,
        caption: face.subject,
        thumbnail: gallery.thumbnail(id)?.map(<[u8]>::to_vec),
        ..Probe::default()
    })
}
