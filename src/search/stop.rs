//! When a search has to end early: a deadline, a cancel flag.

use std::time::Instant;

use super::SearchError;
use crate::Cancel;

/// What ends a search early.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Option<Cancel>,
}

impl Stop {
    /// An error once it is time to stop.
    pub(crate) fn check(&self) -> Result<(), SearchError> {
        if self.cancel.as_ref().is_some_and(Cancel::is_cancelled) {
            return Err(SearchError::Cancelled);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(SearchError::DeadlinePassed);
        }
        Ok(())
    }
}
