//! Values of attributes, and the one way to read each kind from text.
//!
//! In comes the text of a cell; out goes a [`Value`] of a stated [`Kind`]. A text that a kind would
//! not give back (`007`, `+1`, an integer beyond 64 bits) is not of that kind, so reading loses
//! nothing but trailing zeros and digits beyond the precision of an `f64`.

use crate::gallery::{Kind, Value, date};

/// Reads `text` as a value of `kind`; None if it is not of that kind.
pub(super) fn parse(text: &str, kind: Kind) -> Option<Value> {
    match kind {
        _ if text.is_empty() => Some(Value::Null),
        Kind::Bool => bool_of(text).map(Value::Bool),
        Kind::Int => int_of(text).map(Value::Int),
        Kind::Float => float_of(text).or_else(|| int_of(text).map(|i| i as f64)).map(Value::Float),
        Kind::Date => date::parse(text).map(Value::Date),
        Kind::Text => Some(Value::Text(text.to_owned())),
    }
}

pub(super) fn bool_of(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A whole number as it would be written back: no `+`, no leading zero, no `-0`.
pub(super) fn int_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if plain { text.parse().ok() } else { None }
}

/// A number with a point or an exponent, finite, and zero only if it is written as zero.
pub(super) fn float_of(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_is_good = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    if (fraction.is_none() && exponent.is_none())
        || (whole.is_empty() && fraction.is_none_or(str::is_empty))
        || (whole.len() > 1 && whole.starts_with('0'))
        || !digits(whole)
        || !fraction.is_none_or(digits)
        || !exponent_is_good
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let written_as_zero = mantissa.bytes().all(|b| matches!(b, b'0' | b'.'));
    (value.is_finite() && (value != 0.0 || written_as_zero)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_those_that_are_written_back_the_same() {
        for text in ["0", "7", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(int_of(text).map(|i| i.to_string()).as_deref(), Some(text));
        }
        for text in ["", "-", "+1", "007", "-0", "-01", "1.", "1e3", " 1", "1 ", "1_000", "٣"] {
            assert_eq!(int_of(text), None, "{text}");
        }
        assert_eq!(int_of("9223372036854775808"), None);
    }

    #[test]
    fn floats_have_a_point_or_an_exponent() {
        for (text, value) in [
            ("0.5", 0.5),
            ("-0.0", 0.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1e3),
            ("-2.5E-3", -2.5e-3),
            ("1e+2", 100.0),
            ("0e5", 0.0),
        ] {
            assert_eq!(float_of(text), Some(value), "{text}");
        }
        for text in [
            "", ".", "-", "1", "e5", ".e5", "1e", "1e+", "00.5", "+0.5", "NaN", "inf", "1e400",
            "1e-400", "1.5.2", "--1.5", "0x1.8", "1.5f", "1,5",
        ] {
            assert_eq!(float_of(text), None, "{text}");
        }
    }

    #[test]
    fn only_small_letters_are_truth_values() {
        assert_eq!(bool_of("true"), Some(true));
        assert_eq!(bool_of("false"), Some(false));
        assert_eq!(bool_of("True"), None);
        assert_eq!(bool_of("1"), None);
    }

    proptest! {
        #[test]
        fn every_finite_float_is_read_back(value in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(float_of(&format!("{value:?}")), Some(value));
            prop_assert_eq!(float_of(&format!("{value:e}")), Some(value));
        }
    }
}
