//! Writing the attributes, batch by batch.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder,
    Int64Builder, StringBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, SchemaRef};

use super::{Attribute, BATCH_ROWS, Kind, Row, Value, schema};
use crate::gallery::GalleryError;
use crate::gallery::write::create_private;

/// Takes rows in place order and writes them as batches.
pub(crate) struct AttributeWriter {
    out: FileWriter<BufWriter<File>>,
    path: PathBuf,
    schema: SchemaRef,
    kinds: Vec<Kind>,
    rows: Vec<Row>,
}

impl AttributeWriter {
    pub(crate) fn create(path: &Path, attributes: &[Attribute]) -> Result<Self, GalleryError> {
        let schema = Arc::new(schema(attributes));
        let out = BufWriter::with_capacity(1 << 18, create_private(path)?);
        let out = FileWriter::try_new(out, &schema).map_err(|e| failed(path, e))?;
        Ok(Self {
            out,
            path: path.to_owned(),
            schema,
            kinds: attributes.iter().map(|attribute| attribute.kind).collect(),
            rows: Vec::with_capacity(BATCH_ROWS),
        })
    }

    pub(crate) fn push(&mut self, row: Row) -> Result<(), GalleryError> {
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), GalleryError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        RecordBatch::try_new(self.schema.clone(), columns(&rows, &self.kinds))
            .and_then(|batch| self.out.write(&batch))
            .map_err(|e| failed(&self.path, e))
    }

    /// Writes what is left and makes the file durable.
    pub(crate) fn finish(mut self) -> Result<(), GalleryError> {
        self.flush()?;
        self.out.finish().map_err(|e| failed(&self.path, e))?;
        let mut out = self.out.into_inner().map_err(|e| failed(&self.path, e))?;
        out.flush()
            .and_then(|()| out.get_ref().sync_all())
            .map_err(|source| GalleryError::io("write", &self.path, source))
    }
}

fn failed(path: &Path, error: ArrowError) -> GalleryError {
    match error {
        ArrowError::IoError(_, source) => GalleryError::io("write", path, source),
        other => GalleryError::damaged(path, other.to_string()),
    }
}

fn columns(rows: &[Row], kinds: &[Kind]) -> Vec<ArrayRef> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(super::OWN.len() + kinds.len());
    columns.push(Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.face_id))));
    columns.push(texts(rows, |row| row.image.as_deref()));
    columns.push(texts(rows, |row| row.subject.as_deref()));
    columns.push(texts(rows, |row| row.source.as_deref()));
    columns.push(texts(rows, |row| row.key.as_deref()));
    columns.push(floats(rows, |row| row.bounds.map(|b| b.left)));
    columns.push(floats(rows, |row| row.bounds.map(|b| b.top)));
    columns.push(floats(rows, |row| row.bounds.map(|b| b.right)));
    columns.push(floats(rows, |row| row.bounds.map(|b| b.bottom)));
    columns.push(floats(rows, |row| Some(row.norm)));
    columns.push(hashes(rows));
    let mut same = UInt64Builder::with_capacity(rows.len());
    rows.iter().for_each(|row| same.append_option(row.same_photo_as));
    columns.push(Arc::new(same.finish()));
    for (i, &kind) in kinds.iter().enumerate() {
        columns.push(values(rows, i, kind));
    }
    columns
}

fn texts<'a>(rows: &'a [Row], text: impl Fn(&'a Row) -> Option<&'a str>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_option(text(row)));
    Arc::new(builder.finish())
}

fn floats(rows: &[Row], float: impl Fn(&Row) -> Option<f32>) -> ArrayRef {
    let mut builder = Float32Builder::with_capacity(rows.len());
    rows.iter().for_each(|row| builder.append_option(float(row)));
    Arc::new(builder.finish())
}

fn hashes(rows: &[Row]) -> ArrayRef {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(rows.len(), 32);
    for row in rows {
        match &row.image_hash {
            // Thirty-two bytes always fit a column of thirty-two.
            Some(hash) => builder.append_value(hash).unwrap_or_default(),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// The i-th attribute's column; a value of another kind than the column's is null.
fn values(rows: &[Row], i: usize, kind: Kind) -> ArrayRef {
    let value = |row: &Row| row.values.get(i).cloned().unwrap_or(Value::Null);
    macro_rules! column {
        ($builder:ty, $($pattern:pat => $value:expr),+) => {{
            let mut builder = <$builder>::new();
            for row in rows {
                match value(row) {
                    $($pattern => builder.append_value($value),)+
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    match kind {
        Kind::Bool => column!(BooleanBuilder, Value::Bool(v) => v),
        Kind::Int => column!(Int64Builder, Value::Int(v) => v),
        Kind::Float => column!(Float64Builder, Value::Float(v) => v, Value::Int(v) => v as f64),
        Kind::Date => column!(Date32Builder, Value::Date(v) => v),
        Kind::Text => column!(StringBuilder, Value::Text(v) => v),
    }
}
