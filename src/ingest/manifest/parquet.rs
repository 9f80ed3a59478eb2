//! Manifests in Parquet.
//!
//! In come bytes; out come batches of rows whose columns have types that a manifest knows. Texts are
//! read as views, so that one long text in a dictionary is in memory once, however many rows name
//! it. The first pass decodes the whole file: damage is found before anything is built on it. Damage
//! that the Parquet reader panics at is caught and is an error like any other; a schema that it would
//! overflow the stack at is refused before it sees it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::ChunkReader;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use super::columns::{Cells, Columns, Layout, Role};
use super::error::ManifestError;
use super::source::{Input, MAX_RECORD, Source};
use super::{Line, Position, Scan};
use crate::gallery::date;
use crate::gallery::{Kind, Value};
use crate::ingest::embeddings::parquet_limits::{TAIL, check_schema};

const BATCH: usize = 1024;

/// Reads every row once: that it can be decoded, and whether the unsigned columns fit an i64.
pub(super) fn scan(source: &Source, without_lists: bool) -> Result<Scan, ManifestError> {
    let mut parquet = Parquet::open(source.path(), source.input()?, without_lists)?;
    let fields = parquet.schema.fields().clone();
    let columns = Columns::of(source.path(), fields.iter().map(|f| f.name().as_str()))?;
    let mut kinds = Vec::with_capacity(fields.len());
    for field in &fields {
        kinds.push(kind_of(source.path(), field)?);
    }
    let mut lines = 0;
    while let Some(batch) = parquet.batch()? {
        lines += batch.num_rows() as u64;
        for (column, kind) in batch.columns().iter().zip(&mut kinds) {
            if let Some(numbers) = column.as_primitive_opt::<UInt64Type>()
                && numbers.iter().flatten().any(|n| i64::try_from(n).is_err())
            {
                *kind = Kind::Text;
            }
        }
    }
    if lines != parquet.rows {
        let reason = format!("it holds {lines} rows, its footer says {}", parquet.rows);
        return Err(ManifestError::Parquet { path: parquet.path, reason });
    }
    Ok(Scan { layout: Layout::new(columns, &kinds), lines })
}

/// A Parquet file, read batch by batch.
pub(super) struct Parquet {
    path: PathBuf,
    schema: SchemaRef,
    rows: u64,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    next: usize,
    /// Rows of the batches before this one.
    before: u64,
}

impl Parquet {
    /// `without_lists` leaves out columns of lists, which are refused else.
    pub(super) fn open(
        path: &Path,
        input: Input,
        without_lists: bool,
    ) -> Result<Self, ManifestError> {
        match input {
            Input::File(file) => caught(path, || Self::of(path, file, without_lists)),
            Input::Spool(bytes) => caught(path, || Self::of(path, bytes, without_lists)),
        }
    }

    fn of<T: ChunkReader + 'static>(
        path: &Path,
        from: T,
        without_lists: bool,
    ) -> Result<Self, ManifestError> {
        let failed = |e: ParquetError| damaged(path, &e);
        check_schema(&footer(&from).map_err(failed)?).map_err(|reason| ManifestError::Parquet {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        })?;
        let options = ArrowReaderOptions::new();
        let found = ArrowReaderMetadata::load(&from, options.clone()).map_err(failed)?;
        let mut kept = Vec::new();
        for (place, field) in found.schema().fields().iter().enumerate() {
            if !(without_lists && is_list(field.data_type())) {
                kind_of(path, field)?;
                kept.push(place);
            }
        }
        let schema = as_views(found.schema());
        let rows = u64::try_from(found.metadata().file_metadata().num_rows()).unwrap_or(0);
        let projected = schema.project(&kept).map_err(|e| damaged(path, &e))?;
        let wanted = options.with_schema(schema);
        let metadata =
            ArrowReaderMetadata::try_new(found.metadata().clone(), wanted).map_err(failed)?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), kept);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(from, metadata)
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(failed)?;
        let schema = Arc::new(projected);
        Ok(Self { path: path.to_path_buf(), schema, rows, reader, batch: None, next: 0, before: 0 })
    }

    /// The next batch; after an error there is nothing more to be read.
    fn batch(&mut self) -> Result<Option<RecordBatch>, ManifestError> {
        let (path, reader) = (&self.path, &mut self.reader);
        caught(path, || reader.next().transpose().map_err(|e| damaged(path, &e)))
    }

    /// Where the line that was read last stands.
    pub(super) fn position(&self) -> Position {
        Position::Row((self.before + self.next as u64).saturating_sub(1))
    }

    /// The next line, put together as `layout` says.
    pub(super) fn line(
        &mut self,
        number: u64,
        layout: &Layout,
    ) -> Result<Option<Result<Line, String>>, ManifestError> {
        loop {
            if let Some(batch) = &self.batch
                && self.next < batch.num_rows()
            {
                let cells = Row { batch, row: self.next };
                self.next += 1;
                return Ok(Some(layout.line(number, &cells)));
            }
            self.before += self.batch.as_ref().map_or(0, RecordBatch::num_rows) as u64;
            self.next = 0;
            self.batch = self.batch()?;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

/// The bytes from the footer on; all of a file too short for what its tail says.
fn footer(from: &impl ChunkReader) -> Result<Bytes, ParquetError> {
    let len = from.len();
    let get = |bytes: u64| from.get_bytes(len - bytes, bytes as usize);
    let tail = get(len.min(TAIL as u64))?;
    let footer = tail.first_chunk().map_or(0, |footer| u32::from_le_bytes(*footer));
    get(len.min(TAIL as u64 + u64::from(footer)))
}

/// Runs a step of the Parquet reader, which panics at some damaged files.
fn caught<T>(
    path: &Path,
    step: impl FnOnce() -> Result<T, ManifestError>,
) -> Result<T, ManifestError> {
    // What the step may leave half done is not used again: every caller gives up at an error.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        let reason = "it is damaged".to_owned();
        Err(ManifestError::Parquet { path: path.to_path_buf(), reason })
    })
}

fn damaged(path: &Path, error: &dyn std::error::Error) -> ManifestError {
    ManifestError::Parquet { path: path.to_path_buf(), reason: error.to_string() }
}

/// The type of the values, whether they stand in a dictionary or not.
fn plain_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_list(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::ListView(_) | T::LargeListView(_)
    )
}

/// The kind of a column, refused if it cannot be what its name says.
fn kind_of(path: &Path, field: &Field) -> Result<Kind, ManifestError> {
    use DataType as T;
    let data_type = plain_type(field.data_type());
    let kind = match data_type {
        T::Boolean => Some(Kind::Bool),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => Some(Kind::Int),
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => Some(Kind::Int),
        T::Float16 | T::Float32 | T::Float64 => Some(Kind::Float),
        T::Date32 => Some(Kind::Date),
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Timestamp(..) | T::Null => Some(Kind::Text),
        _ => None,
    };
    let role = Role::of(field.name());
    let fits = match role {
        Role::Row => matches!(kind, Some(Kind::Int | Kind::Text)),
        Role::Box => matches!(kind, Some(Kind::Int | Kind::Float | Kind::Text)),
        Role::Text | Role::Attribute => true,
    };
    kind.filter(|_| fits).ok_or_else(|| ManifestError::ColumnType {
        path: path.to_path_buf(),
        column: field.name().clone(),
        got: data_type.to_string(),
        expected: match role {
            Role::Row => "integers",
            Role::Box => "numbers",
            Role::Text | Role::Attribute => {
                "bool, integers, floats, date32, timestamp or utf8 (plain or in a dictionary)"
            }
        },
    })
}

/// The schema to read with: dictionaries resolved, every text a view.
fn as_views(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = match plain_type(field.data_type()) {
                DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
                other => other.clone(),
            };
            field.as_ref().clone().with_data_type(data_type)
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A cell in the widest type of its sort.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond an i64.
    Large(u64),
    Float(f64),
    Date(i32),
    Text(Cow<'a, str>),
}

struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn native<T: ArrowPrimitiveType>(&self, array: &dyn Array) -> Option<T::Native> {
        array.as_primitive_opt::<T>().map(|array| array.value(self.row))
    }

    fn scalar(&self, place: usize) -> Result<Scalar<'_>, String> {
        use DataType as T;
        let array: &dyn Array = self.batch.column(place);
        if array.is_null(self.row) {
            return Ok(Scalar::Null);
        }
        let int = |int: i64| Scalar::Int(int);
        let scalar = match array.data_type() {
            T::Null => Some(Scalar::Null),
            T::Boolean => array.as_boolean_opt().map(|a| Scalar::Bool(a.value(self.row))),
            T::Int8 => self.native::<Int8Type>(array).map(|i| int(i.into())),
            T::Int16 => self.native::<Int16Type>(array).map(|i| int(i.into())),
            T::Int32 => self.native::<Int32Type>(array).map(|i| int(i.into())),
            T::Int64 => self.native::<Int64Type>(array).map(int),
            T::UInt8 => self.native::<UInt8Type>(array).map(|i| int(i.into())),
            T::UInt16 => self.native::<UInt16Type>(array).map(|i| int(i.into())),
            T::UInt32 => self.native::<UInt32Type>(array).map(|i| int(i.into())),
            T::UInt64 => self
                .native::<UInt64Type>(array)
                .map(|i| i64::try_from(i).map_or(Scalar::Large(i), Scalar::Int)),
            T::Float16 => self.native::<Float16Type>(array).map(|f| Scalar::Float(f.into())),
            T::Float32 => self.native::<Float32Type>(array).map(|f| Scalar::Float(f.into())),
            T::Float64 => self.native::<Float64Type>(array).map(Scalar::Float),
            T::Date32 => self.native::<Date32Type>(array).map(Scalar::Date),
            T::Timestamp(unit, zone) => {
                let utc = zone.is_some();
                return self.time(array, *unit, utc).map(|t| Scalar::Text(t.into()));
            }
            _ => array.as_string_view_opt().map(|a| Scalar::Text(a.value(self.row).into())),
        };
        match scalar {
            // pandas writes a missing number as NaN.
            Some(Scalar::Float(f)) if f.is_nan() => Ok(Scalar::Null),
            Some(Scalar::Text(text)) if text.is_empty() => Ok(Scalar::Null),
            Some(Scalar::Text(text)) if text.len() > MAX_RECORD => {
                Err(format!("a text of {} bytes, at most {MAX_RECORD} are read", text.len()))
            }
            Some(scalar) => Ok(scalar),
            None => Err(format!("cannot read a value of type {}", array.data_type())),
        }
    }

    fn time(&self, array: &dyn Array, unit: TimeUnit, utc: bool) -> Result<String, String> {
        let ticks = match unit {
            TimeUnit::Second => self.native::<TimestampSecondType>(array),
            TimeUnit::Millisecond => self.native::<TimestampMillisecondType>(array),
            TimeUnit::Microsecond => self.native::<TimestampMicrosecondType>(array),
            TimeUnit::Nanosecond => self.native::<TimestampNanosecondType>(array),
        };
        ticks
            .and_then(|ticks| date::write_time(ticks, unit, utc))
            .ok_or_else(|| "a time outside the years 1 to 9999".into())
    }
}

impl Cells for Row<'_> {
    fn text(&self, place: usize) -> Result<Option<Cow<'_, str>>, String> {
        Ok(match self.scalar(place)? {
            Scalar::Null => None,
            Scalar::Bool(b) => Some(b.to_string().into()),
            Scalar::Int(i) => Some(i.to_string().into()),
            Scalar::Large(i) => Some(i.to_string().into()),
            // With a point, as it would stand in a CSV file.
            Scalar::Float(f) => Some(format!("{f:?}").into()),
            Scalar::Date(days) => Some(date::write(days.into()).into()),
            Scalar::Text(text) => Some(text),
        })
    }

    fn value(&self, place: usize, kind: Kind) -> Result<Value, String> {
        match (self.scalar(place)?, kind) {
            (Scalar::Null, _) => Ok(Value::Null),
            (Scalar::Bool(b), Kind::Bool) => Ok(Value::Bool(b)),
            (Scalar::Int(i), Kind::Int) => Ok(Value::Int(i)),
            (Scalar::Int(i), Kind::Text) => Ok(Value::Text(i.to_string())),
            (Scalar::Large(i), Kind::Text) => Ok(Value::Text(i.to_string())),
            (Scalar::Float(f), Kind::Float) => Ok(Value::Float(f)),
            (Scalar::Date(days), Kind::Date) => Ok(Value::Date(days)),
            (Scalar::Text(text), Kind::Text) => Ok(Value::Text(text.into_owned())),
            _ => Err(super::changed_kind("the value", kind)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_reader_is_an_error() {
        let path = Path::new("m.parquet");
        let error = caught(path, || -> Result<(), _> { panic!("provoked by a test") });
        assert!(matches!(error, Err(ManifestError::Parquet { .. })));
    }
}
