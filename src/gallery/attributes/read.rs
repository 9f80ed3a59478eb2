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
    decoder: FileDecoder,
    attributes: Vec<Attribute>,
    /// Places of the texts' offsets among a batch's buffers.
    offsets: Vec<usize>,
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
        let offsets = offsets_of(&schema);
        let decoder = FileDecoder::new(SchemaRef::new(schema), footer.version());
        let batches = blocks.iter().map(|_| OnceLock::new()).collect();
        let path = path.to_owned();
        Ok(Self { path, decoder, attributes, offsets, blocks, batches, rows, data })
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
        let bytes = checked_block(&self.data, block, rows, &self.offsets)
            .ok_or_else(|| damaged("it does not fit the file".to_owned()))?;
        let batch = self
            .decoder
            .read_record_batch(block, &bytes)
            .map_err(|e| damaged(e.to_string()))?
            .filter(|batch| batch.num_rows() == rows)
            .ok_or_else(|| damaged("it has another number of rows".to_owned()))?;
        Ok(cell.get_or_init(|| batch))
    }

    /// The batch of a slot and its row in it.
    pub(crate) fn locate(&self, slot: u32) -> Result<(&RecordBatch, usize), GalleryError> {
        let slot = slot as usize;
        Ok((self.batch(slot / BATCH_ROWS)?, slot % BATCH_ROWS))
    }

    /// The text in one of the own text columns, `None` where it is null.
    pub(crate) fn text(&self, column: usize, slot: u32) -> Result<Option<&str>, GalleryError> {
        let (batch, row) = self.locate(slot)?;
        Ok(batch
            .columns()
            .get(column)
            .and_then(|array| array.as_string_opt::<i32>())
            .filter(|texts| row < texts.len() && texts.is_valid(row))
            .map(|texts| texts.value(row)))
    }

    /// The whole row of a face.
    pub(crate) fn row(&self, slot: u32) -> Result<Row, GalleryError> {
        let (batch, row) = self.locate(slot)?;
        if row >= batch.num_rows() {
            return Err(GalleryError::damaged(&self.path, format!("it has no row {slot}")));
        }
        let number = |c: usize| {
            let array = batch.column(c).as_primitive_opt::<UInt64Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        let float = |c: usize| {
            let array = batch.column(c).as_primitive_opt::<Float32Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        let text = |c: usize| self.text(c, slot).map(|found| found.map(str::to_owned));
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

/// Where texts' offsets stand among a batch's buffers: every column has a validity and its values,
/// a column of texts has its offsets between them.
fn offsets_of(schema: &Schema) -> Vec<usize> {
    let mut next = 0;
    let mut offsets = Vec::new();
    for field in schema.fields() {
        let is_text = *field.data_type() == DataType::Utf8;
        if is_text {
            offsets.push(next + 1);
        }
        next += if is_text { 3 } else { 2 };
    }
    offsets
}

/// The bytes of a batch of `rows` rows, where every range it names lies within them and its
/// `offsets` are whole numbers.
fn checked_block(data: &Buffer, block: &Block, rows: usize, offsets: &[usize]) -> Option<Buffer> {
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
    let fits = |offset: i64, length: i64| {
        let end = offset.checked_add(length);
        offset >= 0 && length >= 0 && end.is_some_and(|end| end as u64 <= body as u64)
    };
    let buffers = batch.buffers()?;
    let whole = batch.compression().is_none()
        && batch.length() == rows as i64
        && batch.variadicBufferCounts().is_none_or(|counts| counts.is_empty())
        && buffers.iter().all(|buffer| fits(buffer.offset(), buffer.length()))
        && offsets.iter().all(|&at| at < buffers.len() && buffers.get(at).length() % 4 == 0)
        && batch.nodes()?.iter().all(|node| {
            node.length() == rows as i64 && (0..=rows as i64).contains(&node.null_count())
        });
    whole.then_some(bytes)
}
