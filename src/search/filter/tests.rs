#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::gallery::attributes::{self, Attribute, Kind};

fn compare(column: &str, operator: Operator, value: &str) -> Expression {
    condition(column, Test::Compare(operator, value.to_owned()))
}

fn condition(column: &str, test: Test<String>) -> Expression {
    Expression::Condition(Condition { column: column.to_owned(), test })
}

fn not(part: Expression) -> Expression {
    Expression::Not(Box::new(part))
}

fn parsed(text: &str) -> Expression {
    text.parse::<Filter>().unwrap().0
}

#[test]
fn one_condition() {
    use Operator::*;
    for (text, expected) in [
        ("source=x", compare("source", Equal, "x")),
        (" a >= 1.5 ", compare("a", GreaterOrEqual, "1.5")),
        ("a!='it''s'", compare("a", NotEqual, "it's")),
        ("\"taken on\" < 2024-01-01", compare("taken on", Less, "2024-01-01")),
        ("a=''", compare("a", Equal, "")),
        ("a = -3", compare("a", Equal, "-3")),
        ("a='\0'''", compare("a", Equal, "\0'")),
        // Words of the grammar where a name or a value is meant.
        ("not = 3", compare("not", Equal, "3")),
        ("and=or", compare("and", Equal, "or")),
        ("null > null", compare("null", Greater, "null")),
        ("noted = 1", compare("noted", Equal, "1")),
        // Outside brackets these are part of a word.
        ("a = x(1),y", compare("a", Equal, "x(1),y")),
        ("not a = x(1)", not(compare("a", Equal, "x(1)"))),
        ("notx\"y = 1", compare("notx\"y", Equal, "1")),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[test]
fn lists_ranges_and_what_is_not_known() {
    let text = |text: &str| text.to_owned();
    let list = Test::OneOf(vec![text("x"), text("y z"), text("3")]);
    assert_eq!(parsed("a in (x, 'y z',3)"), condition("a", list.clone()));
    assert_eq!(parsed("a NOT IN(x,'y z', 3 )"), not(condition("a", list)));
    let range = Test::Between(text("2019-01-01"), text("2020-12-31"));
    let between = "taken between 2019-01-01 and '2020-12-31'";
    assert_eq!(parsed(between), condition("taken", range.clone()));
    assert_eq!(
        parsed("taken not between 2019-01-01 and 2020-12-31"),
        not(condition("taken", range))
    );
    assert_eq!(parsed("a is null"), condition("a", Test::Null));
    assert_eq!(parsed("a is not NULL"), not(condition("a", Test::Null)));
}

#[test]
fn and_binds_closer_than_or_and_not_closer_than_both() {
    let [a, b, c] = ["a", "b", "c"].map(|name| compare(name, Operator::Equal, "1"));
    let all = |parts: &[&Expression]| Expression::All(parts.iter().copied().cloned().collect());
    let any = |parts: &[&Expression]| Expression::Any(parts.iter().copied().cloned().collect());
    assert_eq!(parsed("a=1 or b=1 and c=1"), any(&[&a, &all(&[&b, &c])]));
    assert_eq!(parsed("(a=1 OR b=1) And c=1"), all(&[&any(&[&a, &b]), &c]));
    assert_eq!(parsed("not a=1 and b=1"), all(&[&not(a.clone()), &b]));
    assert_eq!(parsed("not(a=1 and (b=1 or c=1))"), not(all(&[&a, &any(&[&b, &c])])));
    assert_eq!(parsed("((a=1))"), a);
    let filter: Filter = "b=1 and (a in (1) or b=2)".parse().unwrap();
    assert_eq!(filter.columns(), ["b", "a"]);
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    for (text, at, reason) in [
        ("", 1, "no column name"),
        ("a", 2, "no operator"),
        ("=1", 1, "no column name"),
        ("a=", 3, "a value"),
        ("a = b c", 7, "or the end"),
        ("a='x", 3, "do not close"),
        ("a='x'y'", 6, "follows the quotes"),
        ("a ~ 1", 3, "no operator"),
        ("\"\"=1", 1, "no column name"),
        ("a==1", 3, "a value"),
        ("a=1 and", 8, "no column name"),
        ("(a=1", 5, "closing bracket"),
        ("a=1)", 5, "was not opened"),
        ("a=x(1),y)", 10, "was not opened"),
        ("a in 1", 6, "a list"),
        ("a in ()", 7, "a value"),
        ("a in (1, 2", 11, "does not close"),
        ("a between 1 or 2", 13, "the other end"),
        ("a is 3", 6, "null"),
        ("ä = 'x' und b = 1", 9, "or the end"),
    ] {
        match text.parse::<Filter>() {
            Err(error @ FilterError::Syntax { at: found, .. }) => {
                assert_eq!(found, at, "{text}: {error}");
                let told = error.to_string();
                assert!(told.contains(reason) && told.contains("COLUMN OP VALUE"), "{told}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn brackets_without_end_do_no_harm() {
    let deep = "not ".repeat(60) + "a = '1'";
    assert_eq!(deep.parse::<Filter>().unwrap().to_string(), deep);
    for open in ["(", "not "] {
        let text = open.repeat(100_000) + "a=1";
        let error = text.parse::<Filter>().unwrap_err().to_string();
        assert!(error.contains("too deep"));
    }
}

#[test]
fn an_unknown_column_is_answered_with_those_there_are() {
    let attributes = [Attribute { name: "age".to_owned(), kind: Kind::Int }];
    let told = |text: &str| bind::bind(&parsed(text), &attributes).unwrap_err().to_string();
    for (text, reason) in [
        ("agee=3", "no such column"),
        ("age=x", "\"x\" is no int"),
        ("source = a and not age in (1, 2, old)", "\"old\" is no int"),
        ("age between 1 and dead", "\"dead\" is no int"),
    ] {
        let told = told(text);
        assert!(told.contains(reason), "{told}");
        assert!(told.contains("subject (text)") && told.contains("age (int)"), "{told}");
    }
}

/// What each row of two columns holds; unknown where `None`.
const NUMBERS: [Option<i64>; 6] = [Some(1), Some(2), Some(3), None, Some(2), None];
const WORDS: [Option<&str>; 6] = [Some("a"), Some("b"), None, Some("a"), Some("c"), None];

/// The two columns where the table of a gallery has its own first.
fn table() -> RecordBatch {
    let own = attributes::OWN.iter().map(|name| {
        let empty: Arc<dyn arrow_array::Array> = Arc::new(StringArray::new_null(NUMBERS.len()));
        (Field::new(*name, DataType::Utf8, true), empty)
    });
    let numbers: Arc<dyn arrow_array::Array> = Arc::new(Int64Array::from(NUMBERS.to_vec()));
    let words: Arc<dyn arrow_array::Array> = Arc::new(StringArray::from(WORDS.to_vec()));
    let (fields, columns): (Vec<_>, Vec<_>) = own
        .chain([
            (Field::new("number", DataType::Int64, true), numbers),
            (Field::new("word", DataType::Utf8, true), words),
        ])
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The same in the three values of SQL, a row at a time.
fn expected(expression: &Expression, row: usize) -> Option<bool> {
    match expression {
        Expression::All(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| expected(part, row)).collect();
            if parts.contains(&Some(false)) {
                Some(false)
            } else {
                (!parts.contains(&None)).then_some(true)
            }
        }
        Expression::Any(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| expected(part, row)).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else {
                (!parts.contains(&None)).then_some(false)
            }
        }
        Expression::Not(part) => expected(part, row).map(|holds| !holds),
        Expression::Condition(Condition { column, test }) => {
            let found = match column.as_str() {
                "number" => NUMBERS[row].map(|number| number.to_string()),
                _ => WORDS[row].map(str::to_owned),
            };
            // All values have one character, so that texts and numbers are ordered alike.
            match test {
                Test::Null => Some(found.is_none()),
                Test::Compare(operator, value) => found.map(|found| match operator {
                    Operator::Equal => found == *value,
                    Operator::NotEqual => found != *value,
                    Operator::Less => found < *value,
                    Operator::LessOrEqual => found <= *value,
                    Operator::Greater => found > *value,
                    Operator::GreaterOrEqual => found >= *value,
                }),
                Test::OneOf(values) => found.map(|found| values.contains(&found)),
                Test::Between(low, high) => found.map(|found| *low <= found && found <= *high),
            }
        }
    }
}

fn any_condition() -> impl Strategy<Value = Expression> {
    let operator = proptest::sample::select(Operator::SIGNS.map(|(_, operator)| operator).to_vec());
    let column =
        proptest::sample::select(vec![("number", ["1", "2", "3"]), ("word", ["a", "b", "c"])]);
    let at = || 0..3_usize;
    (column, operator, (at(), at(), at()), 0..4).prop_map(|((name, values), operator, at, kind)| {
        let value = |at: usize| values[at].to_owned();
        condition(
            name,
            match kind {
                0 => Test::Compare(operator, value(at.0)),
                1 => Test::OneOf(vec![value(at.0), value(at.1)]),
                2 => Test::Between(value(at.1), value(at.2)),
                _ => Test::Null,
            },
        )
    })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_condition().prop_recursive(4, 24, 4, |inner| {
        let several = || proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several().prop_map(Expression::All),
            several().prop_map(Expression::Any),
            inner.clone().prop_map(not),
        ]
    })
}

proptest! {
    #[test]
    fn rows_pass_as_in_sql(expression in any_expression()) {
        let attributes = [("number", Kind::Int), ("word", Kind::Text)]
            .map(|(name, kind)| Attribute { name: name.to_owned(), kind });
        let bound = bind::bind(&expression, &attributes).unwrap();
        let passing = evaluate::passing(&bound, &table());
        for row in 0..NUMBERS.len() {
            prop_assert_eq!(passing.value(row), expected(&expression, row) == Some(true));
        }
    }

    #[test]
    fn what_is_shown_reads_back(expression in any_expression()) {
        let filter = Filter(expression);
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    #[test]
    fn any_name_and_value_reads_back(column in "[^\"]{1,9}", value in "(.|\u{0}|\n|'){0,20}") {
        let filter = Filter(compare(&column, Operator::LessOrEqual, &value));
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
        let list = Filter(condition(&column, Test::OneOf(vec![value.clone(), value])));
        prop_assert_eq!(list.to_string().parse::<Filter>(), Ok(list));
    }

    #[test]
    fn any_text_is_read_without_harm(text in "(.|[ ()'\"=<>!,]|and|or|not|in|is|null|between){0,40}") {
        let _ = text.parse::<Filter>();
    }
}
