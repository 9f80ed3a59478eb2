//! JSON lines: an embedding a line.
//!
//! In come mapped lines, each an array of numbers or an object with such a field; out go the rows.
//! The n-th line is the n-th row, whatever is wrong with it; only blank lines at the very end do not
//! count. A line is parsed in place and never copied, and one too long is not parsed at all. What is
//! wrong with a line is told by types and places: its values are biometrics and stay out of messages.

use std::fmt;
use std::path::Path;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::error::Category;

use super::EmbeddingsError;
use super::rows::{RowWriter, SpooledRows};
use crate::MAX_DIMS;

/// The field that holds the numbers, unless another is named.
pub(in crate::ingest) const FIELD: &str = "embedding";
/// Bytes of the longest line that is parsed: every number in full, and room for other fields.
const MAX_LINE: usize = MAX_DIMS * 32;

/// Decodes every line of `bytes` into a temporary file.
pub(super) fn open(
    path: &Path,
    bytes: &[u8],
    field: Option<&str>,
) -> Result<SpooledRows, EmbeddingsError> {
    let field = field.unwrap_or(FIELD);
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut rows = RowWriter::new(path)?;
    let mut values = Vec::new();
    let mut blank = 0_u64;
    for line in bytes.split(|&b| b == b'\n') {
        // A blank line is a row only if a row follows it.
        if line.trim_ascii().is_empty() {
            blank += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut blank) {
            rows.push_fault("the line is blank")?;
        }
        match parse(line, field, &mut values) {
            Ok(()) => rows.push(&values)?,
            Err(reason) => rows.push_fault(&reason)?,
        }
    }
    rows.finish()
}

fn parse(line: &[u8], field: &str, values: &mut Vec<f32>) -> Result<(), String> {
    if line.len() > MAX_LINE {
        return Err(format!("the line has {} bytes; read are at most {MAX_LINE}", line.len()));
    }
    let mut json = serde_json::Deserializer::from_slice(line);
    Line { field, values }.deserialize(&mut json).and_then(|()| json.end()).map_err(|e| {
        // The parser sees one line and calls it the first; the column alone is true.
        let text = e.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        match e.classify() {
            Category::Data => format!("{what} (column {})", e.column()),
            _ => format!("the line is not JSON: {what} (column {})", e.column()),
        }
    })
}

/// Refuses values by their type: serde's own text would hold the value.
macro_rules! refuse {
    ($($visit:ident($value:ty): $name:literal)*) => {
        $(fn $visit<E: Error>(self, _: $value) -> Result<Self::Value, E> {
            Err(E::invalid_type(Unexpected::Other($name), &self))
        })*
    };
}

/// Takes a line's numbers into `values`.
struct Line<'a> {
    field: &'a str,
    values: &'a mut Vec<f32>,
}

impl<'de> DeserializeSeed<'de> for Line<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Line<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        write!(f, "an array of numbers or an object with a field {field:?}")
    }

    refuse! {
        visit_bool(bool): "boolean"
        visit_i64(i64): "number"
        visit_u64(u64): "number"
        visit_f64(f64): "number"
        visit_str(&str): "string"
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Numbers(self.values).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.field {
                map.next_value::<IgnoredAny>()?;
            } else if found {
                let field = self.field;
                return Err(A::Error::custom(format_args!("the field {field:?} twice")));
            } else {
                found = true;
                map.next_value_seed(Numbers(self.values))?;
            }
        }
        if found {
            Ok(())
        } else {
            let field = self.field;
            Err(A::Error::custom(format_args!("no field {field:?}")))
        }
    }
}

/// Takes an array of numbers.
struct Numbers<'a>(&'a mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Numbers<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // Told which type it is to be, the parser would refuse another in words of its own.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Numbers<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    refuse! {
        visit_bool(bool): "boolean"
        visit_i64(i64): "number"
        visit_u64(u64): "number"
        visit_f64(f64): "number"
        visit_str(&str): "string"
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.clear();
        while let Some(Number(value)) = seq.next_element()? {
            self.0.push(value as f32);
        }
        Ok(())
    }
}

/// One number of an array.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;

        impl Visitor<'_> for One {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            refuse! {
                visit_bool(bool): "boolean"
                visit_str(&str): "string"
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
        }

        deserializer.deserialize_any(One)
    }
}
