//! Parquet: a column of lists of floating-point numbers.
//!
//! In comes a mapped file; out go the rows of one column, decoded once into a temporary file. Only
//! that column is read, in batches whose size follows the length of its lists. What the file claims
//! is checked by [`limits`](super::parquet_limits) before it is decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::rows::{RowWriter, SpooledRows};
use super::{EmbeddingsError, parquet_limits};
use crate::gallery::map::Mapping;

const FORMAT: &str = "parquet";
const ACCEPTED: &str = "lists (of any kind) of float16, float32 or float64";
/// Numbers that a batch holds about.
const BATCH_VALUES: u64 = 1 << 20;
/// The most rows a batch holds.
const BATCH_ROWS: u64 = 4096;

/// Decodes the column `name` of a mapped file, or its only one with lists of numbers.
pub(super) fn open(
    path: &Path,
    map: Mapping,
    name: Option<&str>,
) -> Result<SpooledRows, EmbeddingsError> {
    let bytes = map.into_bytes();
    // The decoder asserts some of what it expects of a file; a damaged one must not end the process.
    catch_unwind(AssertUnwindSafe(|| decode(path, bytes, name)))
        .unwrap_or_else(|_| Err(damaged(path, "its decoder gave up on damaged contents")))
}

fn damaged(path: &Path, reason: impl ToString) -> EmbeddingsError {
    EmbeddingsError::header(path, FORMAT, reason.to_string())
}

fn decode(path: &Path, bytes: Bytes, name: Option<&str>) -> Result<SpooledRows, EmbeddingsError> {
    parquet_limits::check_schema(&bytes).map_err(|reason| damaged(path, reason))?;
    // Without the Arrow schema that some writers embed, every kind of list reads as `List`.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)
        .map_err(|e| damaged(path, e))?;
    let column = choose(path, builder.schema(), name)?;
    let schema = builder.parquet_schema();
    let leaf = (0..schema.num_columns())
        .find(|&leaf| schema.get_column_root_idx(leaf) == column)
        .ok_or_else(|| damaged(path, "its schema names a column that is not there"))?;
    let longest = parquet_limits::check_column(&bytes, builder.metadata(), leaf)
        .map_err(|reason| damaged(path, reason))?;
    let batch = (BATCH_VALUES / longest.max(1)).clamp(1, BATCH_ROWS);
    let claimed = builder.metadata().file_metadata().num_rows();
    let mask = ProjectionMask::roots(schema, [column]);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(batch as usize)
        .build()
        .map_err(|e| damaged(path, e))?;

    let mut rows = RowWriter::new(path)?;
    let mut values = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| damaged(path, e))?;
        push_batch(path, &batch, &mut values, &mut rows)?;
    }
    if i64::try_from(rows.rows()) != Ok(claimed) {
        let reason = format!("{} rows where its footer says {claimed}", rows.rows());
        return Err(damaged(path, reason));
    }
    rows.finish()
}

/// Place of the column to read.
fn choose(path: &Path, schema: &Schema, name: Option<&str>) -> Result<usize, EmbeddingsError> {
    let path = path.to_owned();
    let lists: Vec<usize> =
        (0..schema.fields().len()).filter(|&i| is_floats(schema.field(i).data_type())).collect();
    let named = |i: &usize| schema.field(*i).name().clone();
    if let Some(name) = name {
        let Ok(found) = schema.index_of(name) else {
            return Err(EmbeddingsError::NoSuchArray {
                path,
                name: name.to_owned(),
                names: lists.iter().map(named).collect(),
            });
        };
        if !lists.contains(&found) {
            let kind = schema.field(found).data_type();
            return Err(EmbeddingsError::NotFloat {
                path,
                got: format!("{kind} in its column {name}"),
                accepted: ACCEPTED,
            });
        }
        return Ok(found);
    }
    match lists[..] {
        [only] => Ok(only),
        [] => Err(EmbeddingsError::NoArray {
            path,
            expected: "a column of lists of float16, float32 or float64",
        }),
        _ => Err(EmbeddingsError::ManyArrays { path, names: lists.iter().map(named).collect() }),
    }
}

fn is_floats(kind: &DataType) -> bool {
    use DataType::{Float16, Float32, Float64, List};
    matches!(kind, List(item) if matches!(item.data_type(), Float16 | Float32 | Float64))
}

fn push_batch(
    path: &Path,
    batch: &RecordBatch,
    values: &mut Vec<f32>,
    rows: &mut RowWriter,
) -> Result<(), EmbeddingsError> {
    let lists = batch.columns().first().and_then(|c| c.as_list_opt::<i32>());
    let lists = lists.ok_or_else(|| damaged(path, "its column is not one of lists"))?;
    for row in 0..lists.len() {
        if lists.is_null(row) {
            rows.push_fault("the embedding is null")?;
            continue;
        }
        let list = lists.value(row);
        if let Some(at) = (0..list.len()).find(|&i| list.is_null(i)) {
            rows.push_fault(&format!("value {at} is null"))?;
            continue;
        }
        take(&list, values).ok_or_else(|| damaged(path, "its lists are not of numbers"))?;
        rows.push(values)?;
    }
    Ok(())
}

/// Takes the numbers of a list as f32.
fn take(list: &ArrayRef, values: &mut Vec<f32>) -> Option<()> {
    values.clear();
    if let Some(list) = list.as_primitive_opt::<Float32Type>() {
        values.extend_from_slice(list.values());
    } else if let Some(list) = list.as_primitive_opt::<Float64Type>() {
        values.extend(list.values().iter().map(|&v| v as f32));
    } else {
        let list = list.as_primitive_opt::<Float16Type>()?;
        values.extend(list.values().iter().map(|v| v.to_f32()));
    }
    Some(())
}
