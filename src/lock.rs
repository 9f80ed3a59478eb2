//! Locks on open files and folders, so that one process at a time works on them.

use std::fs::{self, File, TryLockError};
use std::path::Path;

/// A lock, held until it is dropped.
pub(crate) struct Lock(File);

impl Lock {
    /// Locks what was opened at a path; `None` where somebody else holds it, or whoever did until now
    /// has put something else there. Where the system has no locks, nobody is kept out.
    pub(crate) fn of(file: File, path: &Path) -> Option<Self> {
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let lock = Self(file);
        is_at(&lock.0, path).then_some(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting holds a copy of the
        // descriptor for a moment, and the lock with it. What cannot be unlocked is closed next.
        let _ = self.0.unlock();
    }
}

#[cfg(unix)]
fn is_at(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let mark = |found: fs::Metadata| (found.dev(), found.ino());
    let there = fs::metadata(path).map(mark);
    there.is_ok_and(|there| open.metadata().is_ok_and(|open| mark(open) == there))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_lock_ends_although_a_started_process_still_has_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::open(folder.path()).unwrap();
        let file = open();
        let copy = file.try_clone().unwrap();
        let held = Lock::of(file, folder.path()).unwrap();
        assert!(Lock::of(open(), folder.path()).is_none());
        drop(held);
        assert!(Lock::of(open(), folder.path()).is_some());
        drop(copy);
    }

    #[cfg(unix)]
    #[test]
    fn what_was_put_elsewhere_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let old = File::open(&path).unwrap();
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        assert!(Lock::of(old.try_clone().unwrap(), &path).is_none());
        fs::write(&path, "").unwrap();
        assert!(Lock::of(old, &path).is_none());
    }
}
