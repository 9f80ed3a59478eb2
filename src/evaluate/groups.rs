//! The same figures for each group of probes, so that differences show.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{EvaluateError, Identification, Outcome};
use crate::{Cancel, Error};

/// Groups, at most: more are hardly what was meant.
pub const MOST_GROUPS: usize = 100;

/// Probes that have one thing in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// What they have in common; `None` where it is not known.
    pub value: Option<String>,
    /// Their figures, at the thresholds of all probes together: one threshold is what a service has,
    /// and whom it serves worse shows there.
    pub identification: Identification,
}

/// The figures of each group of outcomes, in the order of their values, those without one last.
/// `values` are those of the probes, in the order of the outcomes; `whole` are the figures of all
/// outcomes together.
///
/// # Errors
/// When there are not as many values as outcomes, more than [`MOST_GROUPS`] different ones, or it is
/// cancelled.
pub fn groups(
    outcomes: &[Outcome],
    values: &[Option<String>],
    whole: &Identification,
    k: usize,
    cancel: &Cancel,
) -> Result<Vec<Group>, Error> {
    let (probes, rows) = (outcomes.len(), values.len());
    if probes != rows {
        return Err(EvaluateError::Rows { probes, rows }.into());
    }
    let mut parts: BTreeMap<(bool, Option<&str>), Vec<Outcome>> = BTreeMap::new();
    for (outcome, value) in outcomes.iter().zip(values) {
        parts.entry((value.is_none(), value.as_deref())).or_default().push(*outcome);
        if parts.len() > MOST_GROUPS {
            return Err(EvaluateError::Groups { most: MOST_GROUPS }.into());
        }
    }
    let group = |((_, value), part): ((bool, Option<&str>), Vec<Outcome>)| {
        let identification = Identification::of_part(&part, whole, k, cancel)?;
        Ok(Group { value: value.map(str::to_owned), identification })
    };
    parts.into_iter().map(group).collect()
}
