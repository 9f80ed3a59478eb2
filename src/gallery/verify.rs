//! Reading everything and checking everything.
//!
//! In comes a gallery's folder; out goes a list of what is wrong with it, empty for a sound one.
//! Any changed, missing or added byte in any file is found by the file's BLAKE3 hash; the section
//! checksums then say where in the file it is.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::catalogue::{self, Catalogue, FileInfo, SegmentInfo};
use super::format::{FileKind, NONE};
use super::graph::GraphView;
use super::segment::{BinaryFile, Lookup};
use super::{Gallery, GalleryError};
use crate::Progress;
use crate::calibration;
use crate::cells::Cells;

/// What [`verify`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Files read.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; empty for a sound gallery.
    pub faults: Vec<GalleryError>,
}

/// Reads every byte of a gallery and checks it against the checksums, then checks that what the
/// files say of each other holds.
///
/// ```
/// use lookalike::{Build, Cancel, Silent, gallery};
///
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("people.gallery");
/// # let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
/// # Build::new(&place, format!("{sample}/embeddings.npy"))
/// #     .manifest(format!("{sample}/manifest.csv"))
/// #     .run(&Silent, &Cancel::new())?;
/// let verified = gallery::verify(&place, &Silent)?;
/// assert!(verified.faults.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Only when `gallery.json` itself cannot be read or trusted; everything else is a fault in the
/// list.
pub fn verify(path: impl AsRef<Path>, progress: &dyn Progress) -> Result<Verified, GalleryError> {
    let path = path.as_ref();
    let catalogue = Catalogue::read(path)?;
    let mut verified = Verified::default();
    let files = catalogue.files.len()
        + catalogue.segments.iter().map(|segment| segment.files.len()).sum::<usize>();
    progress.begin("verify", Some(files as u64));
    for info in &catalogue.files {
        check_file(path, info, &mut verified);
        progress.advance(1);
    }
    for segment in &catalogue.segments {
        check_segment(path, &catalogue, segment, &mut verified, progress);
    }
    match calibration::read(path) {
        Ok(found) => verified.files += usize::from(found.is_some()),
        Err(fault) => verified.faults.push(fault),
    }
    check_strangers(path, &catalogue, &mut verified)?;
    if verified.faults.is_empty() {
        match Gallery::open(path) {
            Ok(gallery) => {
                check_content(&gallery, &mut verified);
                verified.faults.extend(gallery.calibration().err());
            }
            Err(fault) => verified.faults.push(fault),
        }
    }
    progress.end();
    Ok(verified)
}

fn check_segment(
    gallery: &Path,
    catalogue: &Catalogue,
    segment: &SegmentInfo,
    verified: &mut Verified,
    progress: &dyn Progress,
) {
    let folder = gallery.join("segments").join(&segment.name);
    for info in &segment.files {
        let before = verified.faults.len();
        check_file(&folder, info, verified);
        let kind = FileKind::ALL.into_iter().find(|kind| kind.file_name() == info.name);
        if let (true, Some(kind)) = (verified.faults.len() > before, kind)
            && let Some(place) = damaged_section(&folder, kind, segment.faces, catalogue.dims)
        {
            verified.faults.push(place);
        }
        progress.advance(1);
    }
}

fn check_file(folder: &Path, info: &FileInfo, verified: &mut Verified) {
    let path = folder.join(&info.name);
    match FileInfo::of(&path) {
        Ok(found) => {
            verified.files += 1;
            verified.bytes += found.bytes;
            let reason = if found.bytes != info.bytes {
                format!("it has {} bytes, gallery.json says {}", found.bytes, info.bytes)
            } else if found.blake3 != info.blake3 {
                "its content does not match its checksum".to_owned()
            } else {
                return;
            };
            verified.faults.push(GalleryError::damaged(&path, reason));
        }
        Err(fault) => verified.faults.push(fault),
    }
}

/// Which section of a damaged file the damage is in.
fn damaged_section(folder: &Path, kind: FileKind, faces: u64, dims: usize) -> Option<GalleryError> {
    let file = match BinaryFile::open(folder, kind, faces, dims) {
        Ok(file) => file,
        Err(fault) => return Some(fault),
    };
    let damaged = file.header().table.iter().find(|entry| {
        let range = entry.offset as usize..(entry.offset + entry.length) as usize;
        file.data().get(range).is_none_or(|bytes| xxh3_64(bytes) != entry.checksum)
    })?;
    let reason = format!(
        "section {:#04x} ({} bytes from {}) does not match its checksum",
        damaged.tag, damaged.length, damaged.offset
    );
    Some(GalleryError::damaged(file.path(), reason))
}

/// Files that no list names: harmless to searches, but they may hold what should be gone.
fn check_strangers(
    gallery: &Path,
    catalogue: &Catalogue,
    verified: &mut Verified,
) -> Result<(), GalleryError> {
    let mut known: HashSet<_> = [catalogue::FILE_NAME, catalogue::CHECKSUM_NAME, "segments"]
        .map(|name| gallery.join(name))
        .into();
    known.insert(gallery.join(calibration::FILE_NAME));
    known.extend(catalogue.files.iter().map(|info| gallery.join(&info.name)));
    let segments = gallery.join("segments");
    for segment in &catalogue.segments {
        let folder = segments.join(&segment.name);
        known.extend(segment.files.iter().map(|info| folder.join(&info.name)));
        known.insert(folder);
    }
    let mut folders = vec![gallery.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|source| GalleryError::io("read", &folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| GalleryError::io("read", &folder, source))?;
            let path = entry.path();
            if !known.contains(&path) {
                verified.faults.push(GalleryError::Stranger { path });
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// What checksums cannot see: files that are each as written but do not fit each other.
fn check_content(gallery: &Gallery, verified: &mut Verified) {
    let mut fault = |what: String| {
        verified.faults.push(GalleryError::damaged(gallery.path(), what));
    };
    let segment = &gallery.0.segment;
    let faces = segment.faces();
    for place in 0..faces {
        if segment.place_of_id(segment.face_id(place)) != Some(place) {
            fault(format!("place {place} and its face id do not lead to each other"));
        }
        match segment.attributes.row(place) {
            Ok(row) if row.face_id == segment.face_id(place) => {}
            Ok(row) => fault(format!("place {place} has the attributes of face {}", row.face_id)),
            Err(error) => fault(error.to_string()),
        }
        if let Err(error) = segment.thumbnail(place) {
            fault(error.to_string());
        }
        // With as many slots as places, this makes each map the inverse of the other.
        if segment.place(segment.slot(place)) != place {
            fault(format!("place {place} and its slot do not lead to each other"));
        }
    }
    match segment.codes.cells() {
        Ok(cells) => cells_fault(&cells, faces).into_iter().for_each(&mut fault),
        Err(error) => fault(error.to_string()),
    }
    segment.read_in_order();
    for slot in 0..faces {
        let squares: f64 = segment.vector(slot).iter().map(|&v| f64::from(v).powi(2)).sum();
        // Said so that a NaN is not of unit length either.
        let is_unit = (squares.sqrt() - 1.0).abs() < 1e-2;
        if !is_unit {
            fault(format!("the vector of slot {slot} is not of unit length"));
        }
    }
    for place in 0..faces {
        if let Some(what) = lookup_fault(gallery, place) {
            fault(what);
        }
    }
    if let Some(graph) = &segment.graph
        && let Some(what) = graph_fault(&graph.view(), faces)
    {
        fault(what);
    }
}

/// Whether a face is found by its key, its subject and its image.
fn lookup_fault(gallery: &Gallery, place: u32) -> Option<String> {
    let segment = &gallery.0.segment;
    let row = segment.attributes.row(place).ok()?;
    let hashes = [
        (Lookup::Key, row.key.as_deref().map(Lookup::of_text)),
        (Lookup::Subject, row.subject.as_deref().map(Lookup::of_text)),
        (Lookup::Image, row.image_hash.as_ref().map(Lookup::of_image)),
    ];
    hashes.into_iter().find_map(|(lookup, hash)| {
        let missing = !segment.is_listed(lookup, hash?, place);
        missing.then(|| format!("place {place} is not found by its {lookup:?}"))
    })
}

/// Whether the cells follow each other from the first face to the last, and groups hold all cells.
fn cells_fault(cells: &Cells<'_>, faces: u32) -> Option<String> {
    let is_whole = |starts: &[u32], end: usize| {
        starts.first() == Some(&0)
            && starts.last().is_some_and(|&last| last as usize == end)
            && starts.is_sorted()
    };
    if !is_whole(cells.starts(), faces as usize) {
        return Some("the cells do not hold every face once".to_owned());
    }
    let groups = cells.group_starts();
    (!groups.is_empty() && !is_whole(groups, cells.len()))
        .then(|| "the groups do not hold every cell once".to_owned())
}

/// Whether links lead to faces and the upper layers lead down to them.
fn graph_fault(graph: &GraphView<'_>, faces: u32) -> Option<String> {
    let wild = graph.layer0.iter().filter(|&&link| link != NONE && link >= faces).count();
    if wild > 0 {
        return Some(format!("{wild} links of layer 0 lead to no face"));
    }
    let top = graph.upper.last().map(|layer| graph.slots.get(layer.start).copied());
    if top.is_some_and(|slot| slot != Some(graph.entry)) {
        return Some("the entry point is not the first node of the highest layer".to_owned());
    }
    for (at, layer) in graph.upper.iter().enumerate() {
        for place in layer.clone() {
            let slot = graph.slots.get(place).copied().unwrap_or(NONE);
            let down = graph.down.get(place).copied().unwrap_or(NONE);
            let below = match at.checked_sub(1).and_then(|below| graph.upper.get(below)) {
                Some(below) if (down as usize) < below.len() => {
                    graph.slots.get(below.start + down as usize).copied()
                }
                Some(_) => None,
                None => Some(down),
            };
            let links = graph.upper_neighbours(place);
            let stray = links.iter().any(|&link| link as usize >= layer.len());
            if slot >= faces || below != Some(slot) || stray {
                return Some(format!("node {place} of the upper layers leads astray"));
            }
        }
    }
    None
}
