//! Parquet.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow_array::builder::{FixedSizeListBuilder, LargeListBuilder, ListBuilder, PrimitiveBuilder};
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use half::f16;

use super::*;

pub(super) fn parquet(columns: &[(&str, ArrayRef)], compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(4))
        .build();
    write(&batch, properties)
}

fn write(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out
}

/// Lists of some kind, of numbers of some kind.
fn lists<T: ArrowPrimitiveType>(
    kind: &str,
    rows: &[Vec<f32>],
    number: impl Fn(f32) -> T::Native,
) -> ArrayRef {
    let values = PrimitiveBuilder::<T>::new();
    macro_rules! fill {
        ($builder:expr) => {{
            let mut builder = $builder;
            for row in rows {
                for &value in row {
                    builder.values().append_value(number(value));
                }
                builder.append(true);
            }
            Arc::new(builder.finish())
        }};
    }
    match kind {
        "list" => fill!(ListBuilder::new(values)),
        "large" => fill!(LargeListBuilder::new(values)),
        _ => fill!(FixedSizeListBuilder::new(values, rows[0].len() as i32)),
    }
}

pub(super) fn floats(rows: &[Vec<f32>]) -> ArrayRef {
    lists::<Float32Type>("list", rows, |v| v)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn parquet_reads_back(
        rows in table(),
        kind in prop::sample::select(vec!["list", "large", "fixed"]),
        compression in prop::sample::select(vec![
            Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::default()), Compression::GZIP(Default::default()),
        ]),
    ) {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows.len() as i64));
        for column in [
            lists::<Float16Type>(kind, &rows, f16::from_f32),
            lists::<Float32Type>(kind, &rows, |v| v),
            lists::<Float64Type>(kind, &rows, f64::from),
        ] {
            let bytes = parquet(&[("id", ids.clone()), ("vector", column)], compression);
            prop_assert_eq!(rows_of("a.parquet", &bytes, None), rows.clone());
            prop_assert_eq!(rows_of("a.pq", &bytes, Some("vector")), rows.clone());
        }
    }
}

/// A file with pages of the second version.
pub(super) fn second_version(rows: &[Vec<f32>]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([("v", floats(rows))]).unwrap();
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .build();
    write(&batch, properties)
}

#[test]
fn pages_of_the_second_version_read() {
    let bytes = second_version(&small());
    assert_eq!(rows_of("a.parquet", &bytes, None), small());
}

#[test]
fn bad_rows_are_faults_of_their_rows() {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
    builder.append_value([Some(1.0), Some(2.0)]);
    builder.append_null();
    builder.append_value([Some(1.0), None]);
    builder.append_value([Some(1.0)]);
    builder.append_value([]);
    builder.append_value([Some(3.0), Some(f32::NAN)]);
    let column: ArrayRef = Arc::new(builder.finish());
    let bytes = parquet(&[("v", column)], Compression::SNAPPY);
    let rows = read_all(&open("a.parquet", &bytes, None).unwrap());
    let wrong = |got| Err(RowFault::WrongDims { expected: 2, got });
    assert_eq!(rows[0], Ok(vec![1.0, 2.0]));
    assert!(matches!(&rows[1], Err(RowFault::Unreadable { reason }) if reason.contains("null")));
    assert!(matches!(&rows[2], Err(RowFault::Unreadable { reason }) if reason.contains("value 1")));
    assert_eq!(rows[3], wrong(1));
    assert_eq!(rows[4], wrong(0));
    assert!(matches!(&rows[5], Ok(row) if row[1].is_nan()));
}

#[test]
fn the_column_is_chosen_by_name() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    let open_with = |columns: &[(&str, ArrayRef)], name| {
        open("a.parquet", &parquet(columns, Compression::SNAPPY), name)
    };
    let two = [("a", floats(&small())), ("b", floats(&small())), ("id", ids.clone())];
    assert!(matches!(
        open_with(&two, None).unwrap_err(),
        EmbeddingsError::ManyArrays { names, .. } if names == ["a", "b"]
    ));
    assert!(open_with(&two, Some("b")).is_ok());
    assert!(matches!(open_with(&two, Some("c")).unwrap_err(), EmbeddingsError::NoSuchArray { .. }));
    let fault = open_with(&two, Some("id")).unwrap_err();
    assert!(fault.to_string().contains("Int64"), "{fault}");
    assert!(matches!(
        open_with(&[("id", ids)], None).unwrap_err(),
        EmbeddingsError::NoArray { .. }
    ));
    let none = open_with(&[("v", floats(&[]))], None).unwrap_err();
    assert!(matches!(none, EmbeddingsError::NoRows { .. }), "{none}");
}

#[test]
fn schemas_may_not_claim_what_is_not_there() {
    let footer = |elements: &[u8]| {
        // Version 1, then the schema's list of structures.
        let mut thrift = vec![0x15, 2, 0x19, 0xfc];
        thrift.push(elements.len() as u8);
        for &children in elements {
            // Only a number of children, in zigzag.
            thrift.extend([0x55, children, 0]);
        }
        thrift.push(0);
        let mut bytes = b"PAR1".to_vec();
        bytes.extend(&thrift);
        bytes.extend((thrift.len() as u32).to_le_bytes());
        bytes.extend(b"PAR1");
        super::super::parquet_limits::check_schema(&bytes)
    };
    assert!(footer(&[4, 0, 0]).is_ok());
    assert!(footer(&[4, 0]).is_err());
    assert!(footer(&[2, 2, 2, 126]).is_err());
    assert!(footer(&[0, 0]).is_err());
    assert!(footer(&[1]).is_err());
    let deep: Vec<u8> = vec![2; 60];
    assert!(footer(&deep).is_err());
}
