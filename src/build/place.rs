//! The folder a gallery is built in, and what of an interrupted build can be used again.
//!
//! `GALLERY.building` holds `build.json`: what is being built from what, and the steps finished. A
//! build of the same from the same goes on after them; any other begins anew. One process at a
//! time: `lock` is locked while a build is at work.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::faces::Ingested;
use super::{Build, BuildError, SEGMENT, is_gallery};
use crate::Progress;
use crate::gallery::GraphInfo;
use crate::gallery::format::FORMAT;
use crate::gallery::write::{
    create_private, create_private_dir, publish, sync_dir, write_atomically,
};

pub(super) const STATE: &str = "build.json";
pub(super) const LOCK: &str = "lock";

/// The steps that are finished, with what they gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) faces: Option<Ingested>,
    pub(super) graph: Option<GraphInfo>,
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
    _lock: File,
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
            if !build.replace {
                return Err(BuildError::Exists { path: gallery });
            }
            if !is_gallery(&gallery) {
                return Err(BuildError::NotAGallery { path: gallery });
            }
            // Through a symbolic link, what it leads to is replaced, not the link.
            gallery = fs::canonicalize(&gallery)
                .map_err(|source| BuildError::io("find", &gallery, source))?;
        }
        let mut folder = gallery.clone().into_os_string();
        folder.push(".building");
        let folder = PathBuf::from(folder);
        let state = folder.join(STATE);
        let there = fs::symlink_metadata(&folder).is_ok();
        // An empty folder, or one with a lock alone, is one that an earlier build just began; a
        // gallery beside the gallery is the old one, whose removal was interrupted.
        let ours = || is_fresh(&folder) || (is_gallery(&folder) && is_gallery(&gallery));
        if there && fs::symlink_metadata(&state).is_err() && !ours() {
            return Err(BuildError::BuildingTaken { path: folder });
        }
        create_private_dir(&folder)?;
        make_private(&folder)?;
        let lock = create_private(&folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BuildError::Locked { path: folder }),
            // A file system without locks: then nobody is kept out.
            Err(TryLockError::Error(_)) => {}
        }
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
        self.finished = finished;
        let state = State { recipe: self.recipe.clone(), finished: self.finished.clone() };
        let path = self.folder.join(STATE);
        let json = serde_json::to_vec_pretty(&state)
            .map_err(|source| BuildError::io("write", &path, source.into()))?;
        Ok(write_atomically(&path, &json)?)
    }

    /// Removes what earlier runs left, apart from the lock.
    fn empty(&self) -> Result<(), BuildError> {
        let failed = |source| BuildError::io("empty", &self.folder, source);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() == LOCK {
                continue;
            }
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

    /// Puts what was built into the gallery's place and takes out what belongs to building alone.
    ///
    /// Until the rename the folder can be told as a build's; the lock is held until all is done.
    pub(super) fn publish(self, replace: bool) -> Result<(), BuildError> {
        publish(&self.folder, &self.gallery, replace)?;
        for name in [STATE, LOCK] {
            let path = self.gallery.join(name);
            fs::remove_file(&path).map_err(|source| BuildError::io("remove", &path, source))?;
        }
        Ok(sync_dir(&self.gallery)?)
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

fn is_fresh(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                name == LOCK || name.to_string_lossy().starts_with(STATE)
            })
        })
    })
}

/// Everything that decides what a build gives: settings, and the inputs by path, length and time
/// of change. Standard input has no such marks, so a build from it never goes on.
fn recipe(build: &Build, way: &str) -> String {
    let mark = |path: &Option<&Path>| {
        let Some(path) = path else { return "none".to_owned() };
        let Ok(metadata) = fs::metadata(path) else {
            let unique = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
            return format!("{} {:?}", path.display(), unique.unwrap_or_default());
        };
        let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        format!("{} {} {:?}", path.display(), metadata.len(), changed)
    };
    format!(
        "{way}, format {FORMAT}, lookalike {}, embeddings {} array {:?} manifest {} images {} \
         require {} strict {} vectors {:?} builder {:?} {:?}",
        env!("CARGO_PKG_VERSION"),
        mark(&Some(&build.embeddings)),
        build.array,
        mark(&build.manifest.as_deref()),
        mark(&build.images.as_deref()),
        build.require_images,
        build.strict,
        build.vectors,
        build.builder,
        build.params,
    )
}
