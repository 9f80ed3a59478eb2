//! The folder a gallery is built in, and what of an interrupted build can be used again.
//!
//! `GALLERY.building` holds `build.json`: what is being built from what, and the steps finished. A
//! build of the same from the same goes on after them; any other begins anew. One process at a
//! time: the folder is locked while a build is at work, until after it stands in its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::code::Coded;
use super::faces::Ingested;
use super::{Build, BuildError, REJECTS, SEGMENT, is_gallery};
use crate::calibration::{self, CalibrateError, Calibration};
use crate::gallery::format::FORMAT;
use crate::gallery::write::{create_private_dir, publish, sync_dir, write_atomically};
use crate::gallery::{Catalogue, GraphInfo, catalogue};
use crate::lock::Lock;
use crate::search::Promise;
use crate::{Cancel, Error, Gallery, Progress};

const STATE: &str = "build.json";
/// What a build makes in its folder, beside temporary files of the same names with an ending.
const MADE: [&str; 6] = [
    STATE,
    catalogue::FILE_NAME,
    catalogue::CHECKSUM_NAME,
    calibration::FILE_NAME,
    REJECTS,
    "segments",
];

/// The steps that are finished, with what they gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) faces: Option<Ingested>,
    pub(super) coded: Option<Coded>,
    pub(super) measured: Option<Measured>,
    /// Whether it was calibrated as the gallery it replaces was.
    #[serde(default)]
    pub(super) calibrated: bool,
}

/// What the graph's step gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) graph: Option<GraphInfo>,
    pub(super) promise: Option<Promise>,
}

/// The content of `build.json`.
#[derive(Serialize, Deserialize)]
struct State {
    /// What is built from what.
    recipe: String,
    finished: Finished,
}

/// The building folder, taken by this process.
pub(super) struct Place {
    folder: PathBuf,
    gallery: PathBuf,
    recipe: String,
    pub(super) finished: Finished,
    _lock: Option<Lock>,
}

impl Place {
    /// Takes the building folder of a build, with what an earlier run of it finished.
    ///
    /// `way` tells apart builds that make different galleries of the same settings.
    pub(super) fn take(
        build: &Build,
        way: &str,
        progress: &dyn Progress,
    ) -> Result<Self, BuildError> {
        let mut gallery = build.gallery.clone();
        if fs::symlink_metadata(&gallery).is_ok() {
            // First, since replacing it must not be offered where it would be refused.
            if !is_gallery(&gallery) {
                return Err(BuildError::NotAGallery { path: gallery });
            }
            if !build.replace {
                return Err(BuildError::Exists { path: gallery });
            }
            // Through a symbolic link, what it leads to is replaced, not the link.
            gallery = fs::canonicalize(&gallery)
                .map_err(|source| BuildError::io("find", &gallery, source))?;
        }
        // A mistyped path would else become a chain of folders.
        let parent = gallery.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            let parent = parent.to_owned();
            return Err(BuildError::NoParent { path: gallery, parent });
        }
        let mut folder = gallery.clone().into_os_string();
        folder.push(".building");
        let folder = PathBuf::from(folder);
        let state = folder.join(STATE);
        create_private_dir(&folder)?;
        let lock = lock(&folder)?;
        // Without a state it was just begun, or all but published, or is what a replacement left.
        if fs::symlink_metadata(&state).is_err() && !is_ours(&folder) {
            return Err(BuildError::BuildingTaken { path: folder });
        }
        make_private(&folder)?;
        let recipe = recipe(build, way);
        let earlier = fs::read(&state)
            .ok()
            .and_then(|json| serde_json::from_slice::<State>(&json).ok())
            .filter(|state| state.recipe == recipe)
            .map(|state| state.finished);
        let finished = Finished::default();
        let mut place = Self { folder, gallery, recipe, finished, _lock: lock };
        match earlier {
            Some(finished) if finished.faces.is_some() => {
                progress.note("going on with an interrupted build");
                place.finished = finished;
            }
            _ => {
                place.empty()?;
                place.finish(Finished::default())?;
                create_private_dir(&place.segment())?;
            }
        }
        Ok(place)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The segment's folder.
    pub(super) fn segment(&self) -> PathBuf {
        self.folder.join("segments").join(SEGMENT)
    }

    /// Makes known which steps are finished.
    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), BuildError> {
        if finished != Finished::default() {
            // What a step wrote is there for good before the step counts as finished.
            sync_dir(&self.segment())?;
        }
        self.finished = finished;
        let state = State { recipe: self.recipe.clone(), finished: self.finished.clone() };
        let path = self.folder.join(STATE);
        let json = serde_json::to_vec_pretty(&state)
            .map_err(|source| BuildError::io("write", &path, source.into()))?;
        Ok(write_atomically(&path, &json)?)
    }

    /// Removes what earlier runs left.
    fn empty(&self) -> Result<(), BuildError> {
        let failed = |source| BuildError::io("empty", &self.folder, source);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            } else {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes the folder after a failure; what cannot be removed stays for the next build.
    pub(super) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Calibrates the gallery that is all but built where the one that it replaces was calibrated:
    /// without thresholds, searches that found nobody would answer with strangers.
    pub(super) fn calibrate_again(
        &mut self,
        built: &Catalogue,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), BuildError> {
        let is_fitting =
            |found: &Calibration| (found.dims, &found.model) == (built.dims, &built.model);
        let earlier = match calibration::read(&self.gallery) {
            Ok(None) => return self.remove_calibration(),
            Ok(found) => found.filter(is_fitting),
            // Of another version, or damaged: that there is one says what is wanted.
            Err(_) => None,
        };
        let known = earlier.as_ref().map(Calibration::as_earlier);
        let is_done = |found: &Calibration| is_fitting(found) && found.earlier == known;
        if self.finished.calibrated
            && matches!(calibration::read(&self.folder), Ok(Some(found)) if is_done(&found))
        {
            return Ok(());
        }
        self.remove_calibration()?;
        let gallery = Gallery::of(&self.folder, built.clone(), false)?;
        let found = match calibration::calibrate(&gallery, progress, cancel) {
            Ok(found) => Calibration { earlier: known, ..found },
            Err(Error::Search(error)) => return Err(error.into()),
            Err(Error::Gallery(error)) => return Err(error.into()),
            Err(error) => {
                progress.note(&format!("not calibrated as the gallery before was: {error}"));
                // Thresholds carried to another size are better than strangers for answers.
                match (error, earlier) {
                    (Error::Calibrate(CalibrateError::TooFew { .. }), Some(earlier)) => {
                        progress.note("the thresholds of that gallery are carried over");
                        Calibration { carried: true, earlier: known, ..earlier }
                    }
                    _ => return Ok(()),
                }
            }
        };
        found.store(&self.folder)?;
        self.finish(Finished { calibrated: true, ..self.finished.clone() })
    }

    /// Removes the calibration that a build may have left before it was interrupted.
    pub(super) fn remove_calibration(&self) -> Result<(), BuildError> {
        for ending in ["", ".new"] {
            let path = self.folder.join(format!("{}{ending}", calibration::FILE_NAME));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BuildError::io("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes out what belongs to the building alone and puts the folder into the gallery's place;
    /// it stays locked until that is done.
    pub(super) fn publish(&self, replace: bool) -> Result<(), BuildError> {
        let path = self.folder.join(STATE);
        fs::remove_file(&path).map_err(|source| BuildError::io("remove", &path, source))?;
        Ok(publish(&self.folder, &self.gallery, replace)?)
    }
}

/// Closes a folder that was there already to everybody but its owner.
fn make_private(folder: &Path) -> Result<(), BuildError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|source| BuildError::io("close", folder, source))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Locks the folder itself, so that the lock goes with it when it is published.
fn lock(folder: &Path) -> Result<Option<Lock>, BuildError> {
    let locked = || BuildError::Locked { path: folder.to_owned() };
    let lock = match File::open(folder) {
        Ok(lock) => lock,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Err(locked()),
        // Where folders cannot be opened or have no locks, nobody is kept out.
        Err(_) => return Ok(None),
    };
    // Whoever had the lock until now may have published the folder.
    Lock::of(lock, folder).map(Some).ok_or_else(locked)
}

/// Whether nothing is in a folder but what builds make.
fn is_ours(folder: &Path) -> bool {
    let made =
        |name: &str| MADE.iter().any(|made| name.strip_suffix(".new").unwrap_or(name) == *made);
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| made(&entry.file_name().to_string_lossy())))
    })
}

/// Everything that decides what a build gives: settings, and the inputs by path, length and time
/// of change. Standard input has no such marks, nor has an index that is handed over, so a build from
/// either never goes on.
fn recipe(build: &Build, way: &str) -> String {
    let unique = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let way = if way == "build" { way.to_owned() } else { format!("{way} {:?}", unique()) };
    let mark = |path: &Option<&Path>| {
        let Some(path) = path else { return "none".to_owned() };
        let Ok(metadata) = fs::metadata(path) else {
            return format!("{} {:?}", path.display(), unique());
        };
        let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        format!("{} {} {:?}", path.display(), metadata.len(), changed)
    };
    format!(
        "{way}, format {FORMAT}, lookalike {}, embeddings {} array {:?} manifest {} images {} \
         require {} strict {} vectors {:?} codes {} builder {:?} {:?}",
        env!("CARGO_PKG_VERSION"),
        mark(&Some(&build.embeddings)),
        build.array,
        mark(&build.manifest.as_deref()),
        mark(&build.images.as_deref()),
        build.require_images,
        build.strict,
        build.vectors,
        build.code_bytes,
        build.builder,
        build.params,
    )
}
