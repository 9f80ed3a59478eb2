//! Which faces pass, a batch of the table at a time.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::BooleanBuffer;

use super::bind::{Bound, bind};
use super::selection::Selection;
use super::stop::Stop;
use super::{Filter, Operator, SearchError, Test};
use crate::gallery::attributes::{self, AttributeFile, Value};

/// The faces that pass every filter, by place.
pub(crate) fn select(
    file: &AttributeFile,
    faces: u32,
    filters: &[Filter],
    stop: &Stop,
) -> Result<Selection, SearchError> {
    let bound: Vec<Bound> = filters
        .iter()
        .map(|filter| bind(&filter.0, file.attributes()))
        .collect::<Result<_, _>>()?;
    let mut selection = Selection::all(faces);
    for index in 0..file.batches() {
        stop.check()?;
        let batch = file.batch(index)?;
        let first = index * attributes::BATCH_ROWS;
        for filter in &bound {
            for row in (!&passing(filter, batch)).set_indices() {
                selection.remove((first + row) as u32);
            }
        }
    }
    Ok(selection)
}

/// Whether a face passes a filter.
pub(crate) fn passes(
    file: &AttributeFile,
    place: u32,
    filter: &Filter,
) -> Result<bool, SearchError> {
    let bound = bind(&filter.0, file.attributes())?;
    let (batch, row) = file.locate(place)?;
    let there = row < batch.num_rows();
    Ok(there && passing(&bound, &batch.slice(row, 1)).value(0))
}

/// The rows of a batch that pass.
pub(super) fn passing(filter: &Bound, batch: &RecordBatch) -> BooleanBuffer {
    truth(filter, batch).holds
}

/// What an expression says of each row: it holds, it fails, or nobody knows.
struct Truth {
    holds: BooleanBuffer,
    fails: BooleanBuffer,
}

impl Truth {
    /// It holds for every row.
    fn all(rows: usize) -> Self {
        Self { holds: BooleanBuffer::new_set(rows), fails: BooleanBuffer::new_unset(rows) }
    }

    fn and(self, other: &Self) -> Self {
        Self { holds: &self.holds & &other.holds, fails: &self.fails | &other.fails }
    }

    fn not(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }
}

fn truth(filter: &Bound, batch: &RecordBatch) -> Truth {
    let rows = batch.num_rows();
    match filter {
        Bound::All(parts) => {
            parts.iter().fold(Truth::all(rows), |all, part| all.and(&truth(part, batch)))
        }
        // Some hold where not all fail.
        Bound::Any(parts) => {
            let fail = |all: Truth, part| all.and(&truth(part, batch).not());
            parts.iter().fold(Truth::all(rows), fail).not()
        }
        Bound::Not(part) => truth(part, batch).not(),
        Bound::Condition { column, test } => {
            let array = batch.column(*column).as_ref();
            let known = match array.nulls() {
                Some(nulls) => nulls.inner().clone(),
                None => BooleanBuffer::new_set(rows),
            };
            if matches!(test, Test::Null) {
                return Truth { holds: !&known, fails: known };
            }
            let holds = BooleanBuffer::collect_bool(rows, |row| {
                known.value(row) && test.holds(|value| order(array, row, value))
            });
            Truth { fails: &known & &!&holds, holds }
        }
    }
}

impl Test<Value> {
    /// Whether a value passes whose order beside another is known.
    fn holds(&self, order: impl Fn(&Value) -> Option<Ordering>) -> bool {
        match self {
            Self::Compare(operator, value) => {
                order(value).is_some_and(|found| operator.holds(found))
            }
            Self::OneOf(values) => values.iter().any(|value| order(value) == Some(Ordering::Equal)),
            Self::Between(low, high) => {
                order(low).is_some_and(Ordering::is_ge) && order(high).is_some_and(Ordering::is_le)
            }
            Self::Null => false,
        }
    }
}

impl Operator {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// The order of a row's value, which is known, beside another.
fn order(array: &dyn Array, row: usize, asked: &Value) -> Option<Ordering> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let Value::Text(asked) = asked else { return None };
        Some(texts.value(row).cmp(asked))
    } else if let Some(floats) = array.as_primitive_opt::<Float32Type>() {
        // What a user writes as 0.1 is meant to equal a stored 0.1f32.
        let Value::Float(asked) = asked else { return None };
        floats.value(row).partial_cmp(&(*asked as f32))
    } else if let Some(ids) = array.as_primitive_opt::<UInt64Type>() {
        compare(&Value::Int(i64::try_from(ids.value(row)).unwrap_or(i64::MAX)), asked)
    } else {
        compare(&attributes::value(array, row), asked)
    }
}

fn compare(found: &Value, asked: &Value) -> Option<Ordering> {
    match (found, asked) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
