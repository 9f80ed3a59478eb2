//! Finding the columns of a filter, and giving its values their kind.

use super::{Condition, Expression, FilterError, Test};
use crate::gallery::attributes::{self, Attribute, Kind, Value, column};
use crate::gallery::date;

/// An expression whose columns are found and whose values have their kinds.
#[cfg_attr(test, derive(Debug))]
pub(super) enum Bound {
    All(Vec<Bound>),
    Any(Vec<Bound>),
    Not(Box<Bound>),
    Condition {
        /// Which column of the table.
        column: usize,
        test: Test<Value>,
    },
}

pub(super) fn bind(
    expression: &Expression,
    attributes: &[Attribute],
) -> Result<Bound, FilterError> {
    let each = |parts: &[Expression]| -> Result<Vec<Bound>, FilterError> {
        parts.iter().map(|part| bind(part, attributes)).collect()
    };
    Ok(match expression {
        Expression::All(parts) => Bound::All(each(parts)?),
        Expression::Any(parts) => Bound::Any(each(parts)?),
        Expression::Not(part) => Bound::Not(Box::new(bind(part, attributes)?)),
        Expression::Condition(condition) => bind_condition(condition, attributes)?,
    })
}

fn bind_condition(condition: &Condition, attributes: &[Attribute]) -> Result<Bound, FilterError> {
    let name = &condition.column;
    let own = attributes::OWN.iter().position(|own| own == name);
    let own = own.filter(|&at| at != column::IMAGE_HASH);
    let other = || attributes.iter().position(|attribute| attribute.name == *name);
    let (column, kind) = if let Some(at) = own {
        (at, own_kind(at))
    } else if let Some(at) = other() {
        (attributes::OWN.len() + at, attributes[at].kind)
    } else {
        let columns = columns(attributes);
        return Err(FilterError::NoSuchColumn { column: name.clone(), columns });
    };
    let typed = |value: &String| {
        typed(value, kind).ok_or_else(|| FilterError::Value {
            column: name.clone(),
            value: value.clone(),
            kind: kind.name(),
            columns: columns(attributes),
        })
    };
    let test = match &condition.test {
        Test::Compare(operator, value) => Test::Compare(*operator, typed(value)?),
        Test::OneOf(values) => Test::OneOf(values.iter().map(typed).collect::<Result<_, _>>()?),
        Test::Between(low, high) => Test::Between(typed(low)?, typed(high)?),
        Test::Null => Test::Null,
    };
    Ok(Bound::Condition { column, test })
}

fn own_kind(at: usize) -> Kind {
    match at {
        column::FACE_ID | column::SAME_PHOTO_AS => Kind::Int,
        column::IMAGE..=column::KEY => Kind::Text,
        _ => Kind::Float,
    }
}

/// The columns of a gallery with their kinds, for an error that helps.
fn columns(attributes: &[Attribute]) -> String {
    let own = (0..attributes::OWN.len())
        .filter(|&at| at != column::IMAGE_HASH)
        .map(|at| format!("{} ({})", attributes::OWN[at], own_kind(at).name()));
    let others = attributes.iter().map(|a| format!("{} ({})", a.name, a.kind.name()));
    own.chain(others).collect::<Vec<_>>().join(", ")
}

fn typed(text: &str, kind: Kind) -> Option<Value> {
    match kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        // A whole number may be compared with a broken one.
        Kind::Int => {
            let float = || text.parse().ok().filter(|v: &f64| v.is_finite()).map(Value::Float);
            text.parse().ok().map(Value::Int).or_else(float)
        }
        Kind::Float => text.parse().ok().filter(|v: &f64| !v.is_nan()).map(Value::Float),
        Kind::Date => date::parse(text).map(Value::Date),
        Kind::Text => Some(Value::Text(text.to_owned())),
    }
}
