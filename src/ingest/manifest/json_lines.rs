//! Manifests in JSON lines: one object a line, a field a column.
//!
//! In come bytes; out come objects, or the reason why a line is none. Numbers are taken as they are
//! written, so that no digit is lost on the way. Blank lines are skipped and not counted; a missing
//! field, a null and an empty text are all an empty cell.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::{Cells, Columns, Layout};
use super::error::ManifestError;
use super::infer::Forms;
use super::source::{BOM, Input, LineRead, MAX_RECORD, Source, read_line};
use super::value::parse;
use super::{Line, Position, Scan};
use crate::gallery::{Kind, Value};

/// Reads every line once: which columns there are, what they hold and how many lines there are.
/// The field `embeddings` is left out.
pub(super) fn scan(source: &Source, embeddings: Option<&str>) -> Result<Scan, ManifestError> {
    let path = source.path();
    let mut reader = JsonLines::open(path, source.input()?);
    let mut columns = Columns::default();
    let mut forms: Vec<Forms> = Vec::new();
    let mut lines = 0;
    while let Some(text) = reader.read()? {
        if lines == 0 && text.as_ref().is_ok_and(|text| text.starts_with('[')) {
            return Err(ManifestError::JsonArray { path: path.to_path_buf() });
        }
        lines += 1;
        for (name, cell) in text.and_then(object).unwrap_or_default() {
            if embeddings == Some(&name) {
                continue;
            }
            let place = match columns.place(&name) {
                Some(place) => place,
                None => {
                    forms.push(Forms::default());
                    columns.add(path, &name)?
                }
            };
            match (&mut forms[place], &cell) {
                (_, Cell::Null) => (),
                (forms, Cell::Plain(text)) => forms.add(text),
                (forms, Cell::Text(text)) => forms.add_text(text),
                (forms, Cell::Nested(text)) => forms.add_text(text),
            }
        }
    }
    if lines == 0 {
        return Err(ManifestError::Empty { path: path.to_path_buf() });
    }
    let kinds: Vec<Kind> = forms.into_iter().map(Forms::kind).collect();
    Ok(Scan { layout: Layout::new(columns, &kinds), lines })
}

/// A file of JSON lines.
pub(super) struct JsonLines {
    path: PathBuf,
    from: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    /// Lines read, blank ones too.
    read: u64,
}

impl JsonLines {
    pub(super) fn open(path: &Path, input: Input) -> Self {
        Self {
            path: path.to_path_buf(),
            from: BufReader::with_capacity(1 << 16, input.into_read()),
            line: Vec::new(),
            read: 0,
        }
    }

    /// The next line that is not blank: None at the end, the reason if it is to be rejected.
    fn read(&mut self) -> Result<Option<Result<&str, String>>, ManifestError> {
        loop {
            let read = read_line(&mut self.from, &mut self.line)
                .map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let first = self.read == 0;
            self.read += u64::from(read != LineRead::End);
            match read {
                LineRead::End => return Ok(None),
                LineRead::TooLong => {
                    return Ok(Some(Err(format!("longer than {MAX_RECORD} bytes"))));
                }
                LineRead::Whole => (),
            }
            if first && self.line.starts_with(BOM) {
                self.line.drain(..BOM.len());
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let text = str::from_utf8(self.line.trim_ascii());
        Ok(Some(text.map_err(|_| "not UTF-8; save the manifest as UTF-8".into())))
    }

    /// Where the line that was read last stands.
    pub(super) fn position(&self) -> Position {
        Position::Line(self.read)
    }

    /// The next line, put together as `layout` says.
    pub(super) fn line(
        &mut self,
        number: u64,
        layout: &Layout,
    ) -> Result<Option<Result<Line, String>>, ManifestError> {
        let text = self.read()?;
        Ok(text.map(|text| {
            let mut cells = Vec::new();
            cells.resize_with(layout.columns.len(), || Cell::Null);
            for (name, cell) in text.and_then(object)? {
                if layout.embeddings.as_ref() == Some(&name) {
                    continue;
                }
                let place = layout.columns.place(&name).ok_or_else(|| {
                    format!("the column {name:?} was not there before: the manifest has changed")
                })?;
                cells[place] = cell;
            }
            layout.line(number, &Fields(cells))
        }))
    }
}

/// The value of a field.
enum Cell<'a> {
    Null,
    /// A number, `true` or `false`, as it is written.
    Plain(&'a str),
    Text(Cow<'a, str>),
    /// An array or an object, as it is written.
    Nested(&'a str),
}

/// Reads an object; the error says why the line is none.
fn object(line: &str) -> Result<Vec<(String, Cell<'_>)>, String> {
    let not_json = |error: serde_json::Error| {
        let message = error.to_string();
        // The reader knows this line only; its "line 1" would mislead.
        let what = message.split(" at line ").next().unwrap_or_default();
        format!("not a JSON object at byte {}: {what}", error.column())
    };
    let fields: RawFields<'_> = serde_json::from_str(line).map_err(not_json)?;
    let mut names = HashSet::with_capacity(fields.0.len());
    if let Some((name, _)) = fields.0.iter().find(|(name, _)| !names.insert(name)) {
        return Err(format!("the field {name:?} is there twice"));
    }
    drop(names);
    let cells = fields.0.into_iter();
    cells.map(|(name, raw)| Ok((name, Cell::of(raw)?))).collect()
}

impl<'a> Cell<'a> {
    fn of(raw: &'a RawValue) -> Result<Self, String> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b'{' | b'[') => Self::Nested(text),
            Some(b'"') => Self::Text(match plain(text) {
                Some(inside) => Cow::Borrowed(inside),
                None => serde_json::from_str::<String>(text)
                    .map_err(|_| "a text has an escape that is no character".to_string())?
                    .into(),
            }),
            _ => Self::Plain(text),
        })
    }
}

/// What stands between the quotes of a text without escapes.
fn plain(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('\\')).then_some(inside)
}

/// The fields of an object with their values unread.
struct RawFields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(RawFields(fields))
            }
        }

        from.deserialize_map(Object)
    }
}

/// The cells of a line, one a column.
struct Fields<'a>(Vec<Cell<'a>>);

impl Cells for Fields<'_> {
    fn text(&self, place: usize) -> Result<Option<Cow<'_, str>>, String> {
        let text = match self.0.get(place) {
            None | Some(Cell::Null) => return Ok(None),
            Some(Cell::Plain(text)) => *text,
            Some(Cell::Text(text)) => text,
            Some(Cell::Nested(_)) => return Err("a list or an object, expected a text".into()),
        };
        Ok(Some(text).filter(|text| !text.is_empty()).map(Cow::Borrowed))
    }

    fn value(&self, place: usize, kind: Kind) -> Result<Value, String> {
        let text = match self.0.get(place) {
            None | Some(Cell::Null) => return Ok(Value::Null),
            Some(Cell::Plain(text) | Cell::Nested(text)) => *text,
            Some(Cell::Text(text)) => text,
        };
        parse(text, kind).ok_or_else(|| super::changed_kind(text, kind))
    }
}
