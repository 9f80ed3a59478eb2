//! What long work says while it runs, and how it is stopped.
//!
//! The library never prints: it calls [`Progress`], which the command line turns into bars.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Receives what long work has to say. Every method has a default that says nothing.
pub trait Progress: Sync {
    /// A step begins; `total` is its number of items where known.
    fn begin(&self, step: &str, total: Option<u64>) {
        let _ = (step, total);
    }

    /// `done` more items of the running step are finished.
    fn advance(&self, done: u64) {
        let _ = done;
    }

    /// The running step is finished.
    fn end(&self) {}

    /// Something worth knowing that is not an error.
    fn note(&self, message: &str) {
        let _ = message;
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A flag that stops work from another thread: a build between two faces, a search between hops.
///
/// ```
/// use lookalike::Cancel;
/// let cancel = Cancel::new();
/// let elsewhere = cancel.clone();
/// elsewhere.cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag; work that watches it stops soon after with an error that says so.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
