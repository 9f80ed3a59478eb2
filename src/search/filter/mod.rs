//! Filters: which faces a search may answer with, by what is known of them.
//!
//! In comes an expression; out goes the selection of the faces that pass.
//!
//! ```text
//! expression = term, { "or", term }
//! term       = factor, { "and", factor }
//! factor     = "not", factor | "(", expression, ")" | condition
//! condition  = COLUMN, ("=" | "!=" | "<" | "<=" | ">" | ">="), VALUE
//!            | COLUMN, ["not"], "in", "(", VALUE, { ",", VALUE }, ")"
//!            | COLUMN, ["not"], "between", VALUE, "and", VALUE
//!            | COLUMN, "is", ["not"], "null"
//! ```
//!
//! A value is a bare word or quoted as in SQL (`'it''s'`), a column a bare word or in double quotes;
//! words of the grammar are written in any case. As in SQL, what is not known is neither equal to
//! anything nor different: a condition on it neither holds nor fails, nor does its contrary, and a
//! face passes where the whole expression holds. Both ends of `between` are within.

use std::fmt;
use std::str::FromStr;

use super::{SearchError, selection, stop};

mod bind;
mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use evaluate::{passes, select};

/// A condition on what is known of each face, or several joined by `and`, `or` and `not`.
///
/// ```
/// use lookalike::Filter;
/// let filter: Filter = "source = 'press-archive.example'".parse()?;
/// let filter: Filter = "(source in (a, b) or taken >= 2024-01-01) and not width < 64".parse()?;
/// assert_eq!(filter.columns(), ["source", "taken", "width"]);
/// assert!("source ~ x".parse::<Filter>().is_err());
/// # Ok::<(), lookalike::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

/// What a filter says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Condition(Condition),
}

/// What is asked of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    column: String,
    test: Test<String>,
}

/// What a value has to be, beside values of its own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test<T> {
    Compare(Operator, T),
    OneOf(Vec<T>),
    Between(T, T),
    Null,
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

    fn sign(self) -> &'static str {
        Self::SIGNS.iter().find(|(_, found)| *found == self).map_or("=", |(sign, _)| sign)
    }
}

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It does not follow the grammar.
    #[error(
        "filter {text:?}, at character {at}: {reason}; write COLUMN OP VALUE with = != < <= > or >=, COLUMN in (VALUE, ...), COLUMN between VALUE and VALUE or COLUMN is null, joined by and, or, not and brackets, as in \"source = 'press-archive.example' and year >= 2020\""
    )]
    Syntax {
        /// The filter.
        text: String,
        /// Which character of it is the first that does not fit, from 1.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
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
    #[error("filter on {column:?}: {value:?} is no {kind}; there are {columns}")]
    Value {
        /// The column.
        column: String,
        /// The value given.
        value: String,
        /// What the column holds.
        kind: &'static str,
        /// The columns there are, with their kinds.
        columns: String,
    },
}

impl Filter {
    /// The columns it is about, in the order they are met, each once.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        self.0.columns(&mut columns);
        columns
    }
}

impl Expression {
    fn columns<'a>(&'a self, columns: &mut Vec<&'a str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.columns(columns));
            }
            Self::Not(part) => part.columns(columns),
            Self::Condition(Condition { column, .. }) => {
                if !columns.contains(&column.as_str()) {
                    columns.push(column);
                }
            }
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::expression(text).map(Self).map_err(|parse::Fault { at, reason }| {
            let at = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
            FilterError::Syntax { text: text.to_owned(), at, reason }
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// In the words of the grammar, with a bracket around every part that is joined from others.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                let join = if at > 0 { word } else { "" };
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "{join}({part})")?,
                    _ => write!(f, "{join}{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
            Self::Not(part) => match **part {
                Self::All(_) | Self::Any(_) => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
            Self::Condition(condition) => condition.fmt(f),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
        // A name that could be read otherwise was given in quotes, and so holds none itself.
        let quote = if parse::is_bare_name(&self.column) { "" } else { "\"" };
        write!(f, "{quote}{}{quote} ", self.column)?;
        match &self.test {
            Test::Compare(operator, value) => write!(f, "{} {}", operator.sign(), quoted(value)),
            Test::OneOf(values) => {
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                write!(f, "in ({})", values.join(", "))
            }
            Test::Between(low, high) => write!(f, "between {} and {}", quoted(low), quoted(high)),
            Test::Null => write!(f, "is null"),
        }
    }
}
