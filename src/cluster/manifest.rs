//! Clusters as a manifest that `build` takes.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::ClusterError;
use crate::gallery::Bounds;
use crate::gallery::attributes::Row;
use crate::pairs::{Format, PairsError, of_csv, of_parquet, properties};
use crate::{Error, FaceId, Gallery};

/// Faces of a batch.
const ROWS: usize = 1 << 13;
/// The known columns of a manifest.
const COLUMNS: [&str; 9] =
    ["row", "image", "subject", "source", "key", "box_left", "box_top", "box_right", "box_bottom"];

/// Writes what is known of each face, in order of face id, with its person as subject.
pub(super) fn write(
    gallery: &Gallery,
    people: &[FaceId],
    out: impl Write + Send,
    format: Format,
) -> Result<(), Error> {
    let person = |place: u32| people.get(place as usize).map(|person| format!("person-{person}"));
    let row = |&place: &u32| -> Result<Row, Error> {
        let row = gallery.0.segment.attributes.row(place)?;
        let face_id = gallery.0.segment.face_id(place);
        Ok(Row { face_id, subject: person(place), values: Vec::new(), ..row })
    };
    let batches = gallery.0.segment.places_by_id().chunks(ROWS);
    let mut batches = batches.map(|places| places.iter().map(row).collect::<Result<Vec<_>, _>>());
    match format {
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(COLUMNS).map_err(failed_csv)?;
            for rows in batches {
                for row in rows? {
                    writer.write_record(cells(&row)).map_err(failed_csv)?;
                }
            }
            writer.flush().map_err(PairsError::Output)?;
        }
        Format::Parquet => {
            let schema = batch(&[]).map_err(failed_parquet)?.schema();
            let writer = ArrowWriter::try_new(out, schema, Some(properties()));
            let mut writer = writer.map_err(failed_parquet)?;
            batches.try_for_each(|rows| {
                let batch = batch(&rows?).map_err(failed_parquet)?;
                writer.write(&batch).map_err(failed_parquet)
            })?;
            let mut out = writer.into_inner().map_err(failed_parquet)?;
            out.flush().map_err(PairsError::Output)?;
        }
        Format::Json => return Err(ClusterError::Format.into()),
    }
    Ok(())
}

fn failed_csv(error: csv::Error) -> Error {
    PairsError::Output(of_csv(error)).into()
}

fn failed_parquet(error: ParquetError) -> Error {
    PairsError::Output(of_parquet(error)).into()
}

/// The edges of a face's box, in the order of the columns.
fn edges(bounds: Option<Bounds>) -> [Option<f32>; 4] {
    match bounds {
        Some(Bounds { left, top, right, bottom }) => [left, top, right, bottom].map(Some),
        None => [None; 4],
    }
}

fn cells(row: &Row) -> [String; 9] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let [left, top, right, bottom] =
        edges(row.bounds).map(|edge| edge.map(|edge| edge.to_string()).unwrap_or_default());
    [
        row.face_id.to_string(),
        text(&row.image),
        text(&row.subject),
        text(&row.source),
        text(&row.key),
        left,
        top,
        right,
        bottom,
    ]
}

fn batch(rows: &[Row]) -> Result<RecordBatch, ParquetError> {
    let texts = |text: fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(text)))
    };
    let edge = |at: usize| -> ArrayRef {
        Arc::new(Float32Array::from_iter(rows.iter().map(|row| edges(row.bounds)[at])))
    };
    let columns: [ArrayRef; 9] = [
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.face_id))),
        texts(|row| row.image.as_deref()),
        texts(|row| row.subject.as_deref()),
        texts(|row| row.source.as_deref()),
        texts(|row| row.key.as_deref()),
        edge(0),
        edge(1),
        edge(2),
        edge(3),
    ];
    let columns = COLUMNS.into_iter().zip(columns);
    let columns = columns.map(|(name, column)| (name, column, name != "row"));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
