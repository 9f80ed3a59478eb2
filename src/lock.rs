//! Locks on open files and folders, so that one process at a time works on them.

use std::fs::{File, TryLockError};

/// A lock, held until it is dropped.
pub(crate) struct Lock(File);

impl Lock {
    /// Locks what is open; `None` where somebody else holds it. Where the system has no locks,
    /// nobody is kept out.
    pub(crate) fn of(file: File) -> Option<Self> {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            _ => Some(Self(file)),
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting holds a copy of the
        // descriptor for a moment, and the lock with it. What cannot be unlocked is closed next.
        let _ = self.0.unlock();
    }
}
