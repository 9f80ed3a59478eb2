//! What Parquet alone can do: types, dictionaries, refusals.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::*;
use arrow_schema::{Field, Schema};

use super::*;

/// A Parquet file of the columns.
pub(super) fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// The kind and the values of one column.
fn column(cells: ArrayRef) -> (Kind, Vec<Value>) {
    let (attributes, lines) = read("m.parquet", file(vec![("c", cells)]));
    let values = lines.into_iter().map(|line| line.unwrap().attributes.remove(0)).collect();
    (attributes[0].kind, values)
}

#[test]
fn every_type_has_its_kind() {
    use Value::{Bool, Date, Float, Int, Null};
    let cases: Vec<(ArrayRef, Kind, Vec<Value>)> = vec![
        (array(BooleanArray::from(vec![Some(true), None])), Kind::Bool, vec![Bool(true), Null]),
        (array(Int8Array::from(vec![-3])), Kind::Int, vec![Int(-3)]),
        (array(UInt32Array::from(vec![u32::MAX])), Kind::Int, vec![Int(4_294_967_295)]),
        (array(UInt64Array::from(vec![7])), Kind::Int, vec![Int(7)]),
        (
            array(UInt64Array::from(vec![Some(7), Some(u64::MAX), None])),
            Kind::Text,
            vec![text("7"), text("18446744073709551615"), Null],
        ),
        (array(Float16Array::from(vec![half::f16::ONE])), Kind::Float, vec![Float(1.0)]),
        (array(Float32Array::from(vec![0.5, f32::NAN])), Kind::Float, vec![Float(0.5), Null]),
        (array(Float64Array::from(vec![f64::INFINITY])), Kind::Float, vec![Float(f64::INFINITY)]),
        (array(Date32Array::from(vec![i32::MAX])), Kind::Date, vec![Date(i32::MAX)]),
        (
            array(StringArray::from(vec!["a", "", "007"])),
            Kind::Text,
            vec![text("a"), Null, text("007")],
        ),
        (array(LargeStringArray::from(vec!["a"])), Kind::Text, vec![text("a")]),
        (
            array(StringViewArray::from(vec!["a longer text than fits"])),
            Kind::Text,
            vec![text("a longer text than fits")],
        ),
        (
            array(
                vec![Some("a"), None, Some("a")].into_iter().collect::<DictionaryArray<Int8Type>>(),
            ),
            Kind::Text,
            vec![text("a"), Null, text("a")],
        ),
        (
            array(
                DictionaryArray::<Int32Type>::try_new(
                    Int32Array::from(vec![1, 0]),
                    array(LargeStringArray::from(vec!["a", "b"])),
                )
                .unwrap(),
            ),
            Kind::Text,
            vec![text("b"), text("a")],
        ),
        (array(TimestampSecondArray::from(vec![0])), Kind::Text, vec![text("1970-01-01T00:00:00")]),
        (
            array(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("Europe/Berlin")),
            Kind::Text,
            vec![text("1970-01-01T00:00:01.5Z")],
        ),
        (
            array(TimestampNanosecondArray::from(vec![1])),
            Kind::Text,
            vec![text("1970-01-01T00:00:00.000000001")],
        ),
        (array(NullArray::new(2)), Kind::Text, vec![Null, Null]),
    ];
    for (cells, kind, values) in cases {
        let name = cells.data_type().to_string();
        assert_eq!(column(cells), (kind, values), "{name}");
    }
}

#[test]
fn known_columns_take_numbers_as_text() {
    let bytes = file(vec![
        ("subject", array(Int64Array::from(vec![Some(-5), None]))),
        ("key", array(UInt64Array::from(vec![u64::MAX, 0]))),
        ("source", array(Float64Array::from(vec![1.0, 0.25]))),
        ("image", array(Date32Array::from(vec![0, 1]))),
        ("row", array(UInt64Array::from(vec![u64::MAX, 3]))),
        ("box_left", array(Int32Array::from(vec![1, 1]))),
        ("box_top", array(Float64Array::from(vec![2.0, 2.0]))),
        ("box_right", array(StringArray::from(vec!["3", "x"]))),
        ("box_bottom", array(Float32Array::from(vec![4.0, 4.0]))),
    ]);
    let lines = good("m.parquet", bytes);
    assert_eq!(lines[0].subject.as_deref(), Some("-5"));
    assert_eq!(lines[1].subject, None);
    assert_eq!(lines[0].key.as_deref(), Some("18446744073709551615"));
    assert_eq!(lines[0].source.as_deref(), Some("1.0"));
    assert_eq!(lines[1].image.as_deref(), Some("1970-01-02"));
    assert_eq!(lines[0].row, Some(u64::MAX));
    assert_eq!(lines[0].bounds, Some(Bounds { left: 1.0, top: 2.0, right: 3.0, bottom: 4.0 }));
    assert!(lines[1].box_fault.is_some());
}

#[test]
fn types_that_cannot_be_read_are_named() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    for (name, cells, got, expected) in [
        ("c", array(BinaryArray::from(vec![&b"a"[..]])), "Binary", "utf8"),
        ("c", array(list), "List", "utf8"),
        ("c", array(Time32SecondArray::from(vec![1])), "Time32", "utf8"),
        ("c", array(Decimal128Array::from(vec![1])), "Decimal128", "utf8"),
        ("row", array(Float64Array::from(vec![1.0])), "Float64", "integers"),
        ("box_top", array(BooleanArray::from(vec![true])), "Boolean", "numbers"),
    ] {
        let error = refused("m.parquet", file(vec![(name, cells)]));
        let named = format!("column {name:?}");
        assert!([&*named, got, expected].iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn lines_at_fault_do_not_end_the_file() {
    let bytes = file(vec![
        ("row", array(Int64Array::from(vec![Some(-1), Some(5), None, Some(6)]))),
        ("t", array(TimestampSecondArray::from(vec![0, i64::MAX, 0, 0]))),
    ]);
    let (_, lines) = read("m.parquet", bytes);
    assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, false, true]);
    let long = "x".repeat((1 << 20) + 1);
    let (_, lines) =
        read("m.parquet", file(vec![("c", array(StringArray::from(vec![&*long, "a"])))]));
    assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn names_are_checked() {
    let one = || array(Int64Array::from(vec![1]));
    assert!(refused("m.parquet", file(vec![("face_id", one())])).contains("rename"));
    assert!(refused("m.parquet", file(vec![("a", one()), ("a", one())])).contains("twice"));
}

#[test]
fn an_empty_table_has_no_lines() {
    let (attributes, lines) =
        read("m.parquet", file(vec![("a", array(Int64Array::from(Vec::<i64>::new())))]));
    assert_eq!((attributes.len(), lines.len()), (1, 0));
    assert_eq!(attributes[0].kind, Kind::Int);
}

#[test]
fn many_batches_are_one_table() {
    let numbers = || array(Int64Array::from_iter_values(0..5000));
    let lines = good("m.parquet", file(vec![("a", numbers()), ("row", numbers())]));
    assert_eq!(lines.len(), 5000);
    for (i, line) in (0..).zip(&lines) {
        assert_eq!((line.row, &line.attributes[0]), (Some(i), &Value::Int(i as i64)));
        assert_eq!(line.position, Position::Row(i));
    }
}
