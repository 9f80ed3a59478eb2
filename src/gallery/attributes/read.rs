//! Reading the attributes in place: a batch is checked and decoded when it is first needed.
//!
//! Nothing here trusts the file. The footer and each message are verified flatbuffers; every range
//! they name is checked against the file before Arrow's decoder, which would panic on some of
//! them, gets to see it; the decoder then checks offsets and UTF-8.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, Footer};
use arrow_schema::{DataType, Schema, SchemaRef};

use super::{Attribute, BATCH_ROWS, Bounds, OWN, Row, Value, column, kind_of, schema};
use crate::gallery::GalleryError;
use crate::gallery::map::Mapping;

/// Bytes after the footer: its length and the magic.
const TRAILER: usize = 10;

/// The mapped attributes of a segment.
#[derive(Debug)]
pub(crate) struct AttributeFile {
    path: PathBuf,
    data: Buffer,
    schema: SchemaRef,
    decoder: FileDecoder,
    attributes: Vec<Attribute>,
    blocks: Vec<Block>,
    batches: Vec<OnceLock<RecordBatch>>,
    rows: usize,
}

impl AttributeFile {
    /// Opens the attributes of `rows` faces; reads the footer alone.
    pub(crate) fn open(path: &Path, rows: usize) -> Result<Self, GalleryError> {
        let mapping = Mapping::open(path).map_err(|e| GalleryError::io("open", path, e))?;
        let data = Buffer::from(mapping.into_bytes());
        let damaged = |reason: &str| GalleryError::damaged(path, reason.to_owned());
        let footer = footer(&data).ok_or_else(|| damaged("its Arrow footer cannot be read"))?;
        let schema = footer
            .schema()
            .and_then(|found| arrow_ipc::convert::try_fb_to_schema(found).ok())
            .ok_or_else(|| damaged("its Arrow schema cannot be read"))?;
        let attributes =
            attributes_of(&schema).ok_or_else(|| damaged("its columns are not a gallery's"))?;
        let blocks: Vec<Block> =
            footer.recordBatches().map(|found| found.iter().copied().collect()).unwrap_or_default();
        if blocks.len() != rows.div_ceil(BATCH_ROWS) {
            return Err(GalleryError::damaged(
                path,
                format!(
                    "it has {} batches of rows, {rows} faces need another number",
                    blocks.len()
                ),
            ));
        }
        let schema = SchemaRef::new(schema);
        let decoder = FileDecoder::new(schema.clone(), footer.version());
        let batches = blocks.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { path: path.to_owned(), schema, decoder, attributes, blocks, batches, rows, data })
    }

    /// The columns that came from the manifest.
    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Number of batches.
    pub(crate) fn batches(&self) -> usize {
        self.blocks.len()
    }

    /// One batch, decoded at its first use.
    pub(crate) fn batch(&self, index: usize) -> Result<&RecordBatch, GalleryError> {
        let damaged = |reason: String| {
            GalleryError::damaged(&self.path, format!("its batch {index} of rows: {reason}"))
        };
        let (Some(cell), Some(block)) = (self.batches.get(index), self.blocks.get(index)) else {
            return Err(damaged("there is none".to_owned()));
        };
        if let Some(batch) = cell.get() {
            return Ok(batch);
        }
        let rows = (self.rows - index * BATCH_ROWS).min(BATCH_ROWS);
        let bytes = checked_block(&self.data, block, &self.schema, rows)
            .ok_or_else(|| damaged("it does not fit the file".to_owned()))?;
        let batch = self
            .decoder
            .read_record_batch(block, &bytes)
            .map_err(|e| damaged(e.to_string()))?
            .filter(|batch| batch.num_rows() == rows)
            .ok_or_else(|| damaged("it has another number of rows".to_owned()))?;
        Ok(cell.get_or_init(|| batch))
    }

    /// The batch of a place and its row in it.
    pub(crate) fn locate(&self, place: u32) -> Result<(&RecordBatch, usize), GalleryError> {
        let place = place as usize;
        Ok((self.batch(place / BATCH_ROWS)?, place % BATCH_ROWS))
    }

    /// The text in one of the own text columns, `None` where it is null.
    pub(crate) fn text(&self, column: usize, place: u32) -> Result<Option<&str>, GalleryError> {
        let (batch, row) = self.locate(place)?;
        Ok(batch
            .columns()
            .get(column)
            .and_then(|array| array.as_string_opt::<i32>())
            .filter(|texts| row < texts.len() && texts.is_valid(row))
            .map(|texts| texts.value(row)))
    }

    /// BLAKE3 of a face's image file, `None` where it could not be read.
    #[cfg(feature = "build")]
    pub(crate) fn image_hash(&self, place: u32) -> Result<Option<[u8; 32]>, GalleryError> {
        let (batch, row) = self.locate(place)?;
        let hashes = batch.columns().get(column::IMAGE_HASH);
        Ok(hashes
            .and_then(|array| array.as_fixed_size_binary_opt())
            .filter(|hashes| row < hashes.len() && hashes.is_valid(row))
            .and_then(|hashes| hashes.value(row).try_into().ok()))
    }

    /// The length of a face's embedding before it was normalised; 0 where it cannot be read.
    pub(crate) fn norm(&self, place: u32) -> Result<f32, GalleryError> {
        let (batch, row) = self.locate(place)?;
        let norms = batch.columns().get(column::NORM);
        Ok(norms
            .and_then(|array| array.as_primitive_opt::<Float32Type>())
            .filter(|norms| row < norms.len() && norms.is_valid(row))
            .map_or(0.0, |norms| norms.value(row)))
    }

    /// The whole row of a face.
    pub(crate) fn row(&self, place: u32) -> Result<Row, GalleryError> {
        let (batch, row) = self.locate(place)?;
        if row >= batch.num_rows() {
            return Err(GalleryError::damaged(&self.path, format!("it has no row {place}")));
        }
        let number = |c: usize| {
            let array = batch.column(c).as_primitive_opt::<UInt64Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        let float = |c: usize| {
            let array = batch.column(c).as_primitive_opt::<Float32Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        let text = |c: usize| self.text(c, place).map(|found| found.map(str::to_owned));
        let edges = [0, 1, 2, 3].map(|i| float(column::BOX + i));
        let bounds = match edges {
            [Some(left), Some(top), Some(right), Some(bottom)] => {
                Some(Bounds { left, top, right, bottom })
            }
            _ => None,
        };
        let hashes = batch.column(column::IMAGE_HASH).as_fixed_size_binary_opt();
        Ok(Row {
            face_id: number(column::FACE_ID).unwrap_or_default(),
            image: text(column::IMAGE)?,
            subject: text(column::SUBJECT)?,
            source: text(column::SOURCE)?,
            key: text(column::KEY)?,
            bounds,
            norm: float(column::NORM).unwrap_or_default(),
            image_hash: hashes
                .filter(|hashes| hashes.is_valid(row))
                .and_then(|hashes| hashes.value(row).try_into().ok()),
            same_photo_as: number(column::SAME_PHOTO_AS),
            values: batch.columns()[OWN.len()..].iter().map(|c| value(c.as_ref(), row)).collect(),
        })
    }
}

/// One value of a column, null where the column is of no kind we write.
pub(crate) fn value(array: &dyn Array, row: usize) -> Value {
    if row >= array.len() || array.is_null(row) {
        return Value::Null;
    }
    if let Some(array) = array.as_boolean_opt() {
        Value::Bool(array.value(row))
    } else if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        Value::Int(array.value(row))
    } else if let Some(array) = array.as_primitive_opt::<Float64Type>() {
        Value::Float(array.value(row))
    } else if let Some(array) = array.as_primitive_opt::<Date32Type>() {
        Value::Date(array.value(row))
    } else if let Some(array) = array.as_string_opt::<i32>() {
        Value::Text(array.value(row).to_owned())
    } else {
        Value::Null
    }
}

fn footer(data: &[u8]) -> Option<Footer<'_>> {
    let trailer_at = data.len().checked_sub(TRAILER)?;
    let length = read_footer_length(data[trailer_at..].try_into().ok()?).ok()?;
    let footer_at = trailer_at.checked_sub(length)?;
    arrow_ipc::root_as_footer(&data[footer_at..trailer_at]).ok()
}

/// The attributes of a schema, `None` where it is not one that [`schema`] makes.
fn attributes_of(found: &Schema) -> Option<Vec<Attribute>> {
    let attributes: Vec<Attribute> = found
        .fields()
        .iter()
        .skip(OWN.len())
        .map(|field| {
            Some(Attribute { name: field.name().clone(), kind: kind_of(field.data_type())? })
        })
        .collect::<Option<_>>()?;
    (found.fields() == schema(&attributes).fields()).then_some(attributes)
}

/// The bytes of a batch of `rows` rows, where every range it names lies within them.
fn checked_block(data: &Buffer, block: &Block, schema: &Schema, rows: usize) -> Option<Buffer> {
    let offset = usize::try_from(block.offset()).ok()?;
    let metadata = usize::try_from(block.metaDataLength()).ok()?;
    let body = usize::try_from(block.bodyLength()).ok()?;
    let length = metadata.checked_add(body)?;
    if offset.checked_add(length)? > data.len() || offset % 8 != 0 || metadata % 8 != 0 {
        return None;
    }
    let bytes = data.slice_with_length(offset, length);
    // An encapsulated message: a continuation marker, the metadata's length, the metadata.
    if metadata < 8 || bytes[..4] != [0xff; 4] {
        return None;
    }
    let message = arrow_ipc::root_as_message(&bytes[8..metadata]).ok()?;
    let batch = message.header_as_record_batch()?;
    let whole = batch.compression().is_none()
        && batch.length() == rows as i64
        && batch.variadicBufferCounts().is_none_or(|counts| counts.is_empty())
        && buffers_fit(&batch, schema, rows, body);
    whole.then_some(bytes)
}

/// Whether the buffers of a batch lie in its body, aligned, and hold what the columns need.
fn buffers_fit(
    batch: &arrow_ipc::RecordBatch<'_>,
    schema: &Schema,
    rows: usize,
    body: usize,
) -> bool {
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else { return false };
    let mut buffers = buffers.iter();
    let mut next = || {
        let buffer = buffers.next()?;
        let offset = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let fits = offset.is_multiple_of(8) && offset.checked_add(length)? <= body;
        fits.then_some(length)
    };
    let bits = rows.div_ceil(8);
    let items = |length: usize, width: usize, count: usize| {
        length.is_multiple_of(width) && length / width >= count
    };
    let fit = schema.fields().iter().zip(nodes.iter()).all(|(field, node)| {
        let nulls = (0..=rows as i64).contains(&node.null_count()).then(|| node.null_count());
        let known = node.length() == rows as i64
            && nulls
                .zip(next())
                .is_some_and(|(nulls, length)| length >= bits || (length == 0 && nulls == 0));
        let values = match field.data_type() {
            DataType::Boolean => next().is_some_and(|length| length >= bits),
            DataType::Utf8 => {
                next().is_some_and(|length| items(length, 4, rows + 1)) && next().is_some()
            }
            DataType::FixedSizeBinary(width) => {
                next().is_some_and(|length| items(length, (*width).max(1) as usize, rows))
            }
            other => other
                .primitive_width()
                .zip(next())
                .is_some_and(|(width, length)| items(length, width, rows)),
        };
        known && values
    });
    fit && nodes.len() == schema.fields().len() && next().is_none()
}
