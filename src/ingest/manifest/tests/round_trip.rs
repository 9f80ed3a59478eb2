//! What is written is read back, and in every format the same.

use std::sync::Arc;

use arrow_array::*;
use proptest::prelude::*;

use super::*;

/// A column of an attribute with its values, all of the kind.
#[derive(Clone, Debug)]
struct Column {
    kind: Kind,
    values: Vec<Value>,
}

const ROWS: usize = 6;

/// A text that no other kind would claim.
fn a_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ,\"\n;'=é]{0,8}", "\\PC{0,6}"].prop_map(|text| format!("t{text}"))
}

fn cells(kind: Kind) -> BoxedStrategy<Value> {
    let full = match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int => any::<i64>().prop_map(Value::Int).boxed(),
        Kind::Float => prop::num::f64::NORMAL.prop_map(Value::Float).boxed(),
        Kind::Date => (-719_162..=2_932_896).prop_map(Value::Date).boxed(),
        Kind::Text => a_text().prop_map(Value::Text).boxed(),
    };
    prop_oneof![3 => full, 1 => Just(Value::Null)].boxed()
}

fn columns() -> impl Strategy<Value = Vec<Column>> {
    let kinds =
        prop::sample::select(vec![Kind::Bool, Kind::Int, Kind::Float, Kind::Date, Kind::Text]);
    let column = kinds
        .prop_flat_map(|kind| (Just(kind), prop::collection::vec(cells(kind), ROWS)))
        .prop_filter("a column of nulls is text", |(_, values)| {
            values.iter().any(|v| *v != Value::Null)
        })
        .prop_map(|(kind, values)| Column { kind, values });
    prop::collection::vec(column, 1..4)
}

fn subjects() -> impl Strategy<Value = Vec<Option<String>>> {
    prop::collection::vec(prop::option::of(a_text()), ROWS)
}

fn in_csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => format!("{f:?}"),
        Value::Date(d) => crate::gallery::date::write((*d).into()),
        Value::Text(text) => text.clone(),
    }
}

fn in_json(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Date(_) | Value::Text(_) => serde_json::to_string(&in_csv(value)).unwrap(),
        _ => in_csv(value),
    }
}

fn in_arrow(column: &Column) -> ArrayRef {
    macro_rules! array {
        ($array:ty, $variant:ident) => {
            Arc::new(<$array>::from_iter(column.values.iter().map(|v| match v {
                Value::$variant(v) => Some(v.clone()),
                _ => None,
            })))
        };
    }
    match column.kind {
        Kind::Bool => array!(BooleanArray, Bool),
        Kind::Int => array!(Int64Array, Int),
        Kind::Float => array!(Float64Array, Float),
        Kind::Date => array!(Date32Array, Date),
        Kind::Text => array!(StringArray, Text),
    }
}

fn csv_of(subjects: &[Option<String>], columns: &[Column]) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let names = (0..columns.len()).map(|i| format!("c{i}"));
    writer.write_record(["subject".to_owned()].into_iter().chain(names)).unwrap();
    for (row, subject) in subjects.iter().enumerate() {
        let cells = columns.iter().map(|column| in_csv(&column.values[row]));
        writer
            .write_record([subject.clone().unwrap_or_default()].into_iter().chain(cells))
            .unwrap();
    }
    writer.into_inner().unwrap()
}

fn json_of(subjects: &[Option<String>], columns: &[Column]) -> String {
    let mut json = String::new();
    for (row, subject) in subjects.iter().enumerate() {
        json += "{\"subject\":";
        json += &serde_json::to_string(subject).unwrap();
        for (i, column) in columns.iter().enumerate() {
            json += &format!(",\"c{i}\":{}", in_json(&column.values[row]));
        }
        json += "}\n";
    }
    json
}

fn parquet_of(subjects: &[Option<String>], columns: &[Column]) -> Vec<u8> {
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let subject: ArrayRef = Arc::new(StringArray::from(subjects.to_vec()));
    let mut arrays = vec![("subject", subject)];
    arrays
        .extend(names.iter().zip(columns).map(|(name, column)| (name.as_str(), in_arrow(column))));
    super::parquet::file(arrays)
}

/// What a table holds, but for where in its file: that is the format's own.
fn content(name: &str, bytes: impl AsRef<[u8]>) -> (Vec<Attribute>, Vec<Result<Line, LineFault>>) {
    let (attributes, mut lines) = read(name, bytes);
    lines.iter_mut().flatten().for_each(|line| line.position = Position::Row(0));
    (attributes, lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_table_reads_the_same_in_every_format(subjects in subjects(), columns in columns()) {
        let csv = content("m.csv", csv_of(&subjects, &columns));
        for (i, column) in columns.iter().enumerate() {
            prop_assert_eq!(csv.0[i].kind, column.kind);
        }
        for (row, line) in csv.1.iter().enumerate() {
            let line = line.as_ref().unwrap();
            prop_assert_eq!(&line.subject, &subjects[row]);
            let values: Vec<_> = columns.iter().map(|column| column.values[row].clone()).collect();
            prop_assert_eq!(&line.attributes, &values);
        }
        let json = content("m.jsonl", json_of(&subjects, &columns));
        prop_assert_eq!(&csv, &json);
        let parquet = content("m.parquet", parquet_of(&subjects, &columns));
        prop_assert_eq!(&csv, &parquet);
    }

    #[test]
    fn integers_among_floats_become_floats(ints in prop::collection::vec(-1_000_000_i64..1_000_000, 1..9)) {
        let cells: String = ints.iter().map(|i| format!("{i}\n")).collect();
        let lines = good("m.csv", format!("a\n0.5\n{cells}"));
        for (line, int) in lines[1..].iter().zip(ints) {
            prop_assert_eq!(&line.attributes[0], &Value::Float(int as f64));
        }
    }
}
