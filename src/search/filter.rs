//! Filters: which faces a search may answer with, by what is known of them.
//!
//! In comes `COLUMN OP VALUE`; out goes the selection of the faces that pass. Operators are `=`,
//! `!=`, `<`, `<=`, `>` and `>=`; a value is a bare word or quoted as in SQL (`'it''s'`), a column
//! a bare word or in double quotes. As in SQL, a face whose value is not known passes no filter.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt64Type};

use super::selection::Selection;
use super::stop::Stop;
use super::{SearchError, selection};
use crate::gallery::attributes::{self, Attribute, AttributeFile, Kind, Value, column};
use crate::gallery::date;

/// A condition on one column of what is known of each face.
///
/// ```
/// use lookalike::Filter;
/// let filter: Filter = "source = 'press-archive.example'".parse()?;
/// assert_eq!(filter.column(), "source");
/// assert!("source ~ x".parse::<Filter>().is_err());
/// # Ok::<(), lookalike::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    column: String,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Longer signs first, so that `<=` is not read as `<`.
    const SIGNS: [(&str, Self); 6] = [
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

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

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It is not of the form `COLUMN OP VALUE`.
    #[error(
        "filter {text:?}: {reason}; write COLUMN OP VALUE with = != < <= > or >=, as in \"source = 'press-archive.example'\""
    )]
    Syntax {
        /// The filter.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The gallery has no such column.
    #[error("filter on {column:?}: no such column; there are {columns}")]
    NoSuchColumn {
        /// The column asked for.
        column: String,
        /// The columns there are, with their kinds.
        columns: String,
    },
    /// The value is not of the column's kind.
    #[error("filter on {column:?}: {value:?} is no {kind}")]
    Value {
        /// The column.
        column: String,
        /// The value given.
        value: String,
        /// What the column holds.
        kind: &'static str,
    },
}

impl Filter {
    /// The column it is about.
    pub fn column(&self) -> &str {
        &self.column
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Operator::SIGNS.iter().find(|(_, found)| *found == self.operator);
        let sign = sign.map_or("=", |(sign, _)| sign);
        // A name with what ends a bare one was given in quotes, and so holds none itself.
        let quote = if self.column.contains(ends_a_name) { "\"" } else { "" };
        let value = self.value.replace('\'', "''");
        write!(f, "{quote}{}{quote} {sign} '{value}'", self.column)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let wrong =
            |reason: &str| FilterError::Syntax { text: text.to_owned(), reason: reason.to_owned() };
        let (column, rest) = take_column(text.trim()).ok_or_else(|| wrong("no column name"))?;
        let rest = rest.trim_start();
        let (sign, operator) = Operator::SIGNS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| wrong("no operator after the column name"))?;
        let value = take_value(rest[sign.len()..].trim())
            .ok_or_else(|| wrong("the value is missing, or its quotes do not close at the end"))?;
        Ok(Self { column, operator, value })
    }
}

/// A column's name, in double quotes or up to the operator, and what follows.
fn take_column(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let end = text.find(ends_a_name).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Whether a column's name without quotes ends before this character.
fn ends_a_name(c: char) -> bool {
    c.is_whitespace() || "=!<>".contains(c)
}

/// A value: quoted as in SQL, or a bare word.
fn take_value(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        // Quotes inside come in pairs: one alone would have closed the value.
        let parts: Vec<&str> = inner.split("''").collect();
        let whole = parts.iter().all(|part| !part.contains('\''));
        return whole.then(|| parts.join("'"));
    }
    let bare =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "'\"=<>!".contains(c));
    bare.then(|| text.to_owned())
}

/// A filter with its column found and its value typed.
struct Bound {
    column: usize,
    operator: Operator,
    value: Value,
}

/// The faces that pass every filter, by place.
pub(crate) fn select(
    file: &AttributeFile,
    faces: u32,
    filters: &[Filter],
    stop: &Stop,
) -> Result<Selection, SearchError> {
    let bound: Vec<Bound> =
        filters.iter().map(|filter| bind(filter, file.attributes())).collect::<Result<_, _>>()?;
    let mut selection = selection::Selection::all(faces);
    for index in 0..file.batches() {
        stop.check()?;
        let batch = file.batch(index)?;
        let first = index * attributes::BATCH_ROWS;
        for filter in &bound {
            for row in 0..batch.num_rows() {
                if !passes(batch, row, filter) {
                    selection.remove((first + row) as u32);
                }
            }
        }
    }
    Ok(selection)
}

fn bind(filter: &Filter, attributes: &[Attribute]) -> Result<Bound, FilterError> {
    let own = attributes::OWN.iter().position(|name| *name == filter.column);
    let own = own.filter(|&at| at != column::IMAGE_HASH);
    let other = || attributes.iter().position(|attribute| attribute.name == filter.column);
    let (column, kind) = if let Some(at) = own {
        (at, own_kind(at))
    } else if let Some(at) = other() {
        (attributes::OWN.len() + at, attributes[at].kind)
    } else {
        return Err(FilterError::NoSuchColumn {
            column: filter.column.clone(),
            columns: columns(attributes),
        });
    };
    let value = typed(&filter.value, kind).ok_or_else(|| FilterError::Value {
        column: filter.column.clone(),
        value: filter.value.clone(),
        kind: kind.name(),
    })?;
    Ok(Bound { column, operator: filter.operator, value })
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

fn passes(batch: &RecordBatch, row: usize, filter: &Bound) -> bool {
    let array = batch.column(filter.column).as_ref();
    if array.is_null(row) {
        return false;
    }
    let order = if let Some(texts) = array.as_string_opt::<i32>() {
        match &filter.value {
            Value::Text(value) => Some(texts.value(row).cmp(value.as_str())),
            _ => None,
        }
    } else if let Some(floats) = array.as_primitive_opt::<Float32Type>() {
        // What a user writes as 0.1 is meant to equal a stored 0.1f32.
        match filter.value {
            Value::Float(value) => floats.value(row).partial_cmp(&(value as f32)),
            _ => None,
        }
    } else if let Some(ids) = array.as_primitive_opt::<UInt64Type>() {
        compare(&Value::Int(i64::try_from(ids.value(row)).unwrap_or(i64::MAX)), &filter.value)
    } else {
        compare(&attributes::value(array, row), &filter.value)
    };
    order.is_some_and(|order| filter.operator.holds(order))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> (String, Operator, String) {
        let filter: Filter = text.parse().unwrap();
        (filter.column, filter.operator, filter.value)
    }

    #[test]
    fn forms_that_are_understood() {
        let of = |c: &str, o, v: &str| (c.to_owned(), o, v.to_owned());
        assert_eq!(parsed("source=x"), of("source", Operator::Equal, "x"));
        assert_eq!(parsed(" a >= 1.5 "), of("a", Operator::GreaterOrEqual, "1.5"));
        assert_eq!(parsed("a!='it''s'"), of("a", Operator::NotEqual, "it's"));
        assert_eq!(
            parsed("\"taken on\" < 2024-01-01"),
            of("taken on", Operator::Less, "2024-01-01")
        );
        assert_eq!(parsed("a=''"), of("a", Operator::Equal, ""));
        assert_eq!(parsed("a = -3"), of("a", Operator::Equal, "-3"));
        assert_eq!(parsed("a='\0'''"), of("a", Operator::Equal, "\0'"));
        let shown = "\"taken on\"=1".parse::<Filter>().unwrap().to_string();
        assert_eq!(parsed(&shown), of("taken on", Operator::Equal, "1"));
    }

    #[test]
    fn forms_that_are_refused() {
        for text in ["", "a", "=1", "a=", "a = b c", "a='x", "a='x'y'", "a ~ 1", "\"\"=1", "a==1"] {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains("COLUMN OP VALUE"), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_column_is_answered_with_those_there_are() {
        let attributes = [Attribute { name: "age".to_owned(), kind: Kind::Int }];
        let error = bind(&"agee=3".parse().unwrap(), &attributes).err().unwrap().to_string();
        assert!(error.contains("subject (text)") && error.contains("age (int)"), "{error}");
        let error = bind(&"age=x".parse().unwrap(), &attributes).err().unwrap().to_string();
        assert!(error.contains("\"x\" is no int"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(column in "[^\"]{1,9}", value in "(.|\u{0}|\n|'){0,20}") {
            let filter = Filter { column, operator: Operator::LessOrEqual, value };
            prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".*") {
            let _ = text.parse::<Filter>();
        }
    }
}
