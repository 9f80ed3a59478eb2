//! What kind a column has, from the forms of its cells.
//!
//! In come the texts of a column one by one, in any order; out goes the one [`Kind`] that holds all
//! of them without loss. Nothing is kept but a byte a column.

use super::value::{bool_of, float_of, int_of};
use crate::gallery::Kind;
use crate::gallery::date;

const BOOL: u8 = 1;
const INT: u8 = 2;
/// An integer that an `f64` may not hold exactly, so that it does not widen to one.
const LONG: u8 = 4;
const FLOAT: u8 = 8;
const DATE: u8 = 16;
const TEXT: u8 = 32;

/// The largest magnitude up to which every integer is an `f64`.
const EXACT_IN_F64: u64 = 1 << 53;

/// The set of forms seen in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms(u8);

impl Forms {
    /// Adds a cell whose type is told by its text alone.
    pub(super) fn add(&mut self, text: &str) {
        if self.settled() || text.is_empty() {
            return;
        }
        self.0 |= if bool_of(text).is_some() {
            BOOL
        } else if let Some(int) = int_of(text) {
            let long = int.unsigned_abs() > EXACT_IN_F64;
            if long { INT | LONG } else { INT }
        } else if float_of(text).is_some() {
            FLOAT
        } else {
            Self::of_text(text)
        };
    }

    /// Adds a cell that is known to be text; only a day may still be read from it.
    pub(super) fn add_text(&mut self, text: &str) {
        if !self.settled() && !text.is_empty() {
            self.0 |= Self::of_text(text);
        }
    }

    fn of_text(text: &str) -> u8 {
        if date::parse(text).is_some() { DATE } else { TEXT }
    }

    /// Whether no further cell can change the kind.
    pub(super) fn settled(self) -> bool {
        self.0 & TEXT != 0
    }

    /// The kind that holds every cell seen.
    pub(super) fn kind(self) -> Kind {
        match self.0 {
            BOOL => Kind::Bool,
            DATE => Kind::Date,
            forms if forms & !(INT | LONG) == 0 && forms != 0 => Kind::Int,
            forms if forms & !(INT | FLOAT) == 0 && forms != 0 => Kind::Float,
            _ => Kind::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> Kind {
        let mut forms = Forms::default();
        cells.iter().for_each(|cell| forms.add(cell));
        let mut backwards = Forms::default();
        cells.iter().rev().for_each(|cell| backwards.add(cell));
        assert_eq!(forms.kind(), backwards.kind());
        forms.kind()
    }

    #[test]
    fn a_column_has_the_kind_that_holds_all_its_cells() {
        for (cells, expected) in [
            (&["true", "", "false"][..], Kind::Bool),
            (&["1", "-5", ""], Kind::Int),
            (&["9223372036854775807"], Kind::Int),
            (&["1", "0.5"], Kind::Float),
            (&["1.0"], Kind::Float),
            (&["2024-01-31", ""], Kind::Date),
            (&["anna"], Kind::Text),
            (&[], Kind::Text),
            (&["", ""], Kind::Text),
            (&["007"], Kind::Text),
            (&["1", "007"], Kind::Text),
            (&["+1"], Kind::Text),
            (&["9223372036854775808"], Kind::Text),
            (&["9223372036854775808.0"], Kind::Float),
            (&["9007199254740993", "0.5"], Kind::Text),
            (&["NaN"], Kind::Text),
            (&["0.5", "inf"], Kind::Text),
            (&["true", "1"], Kind::Text),
            (&["2024-01-31", "1"], Kind::Text),
            (&["True"], Kind::Text),
        ] {
            assert_eq!(kind(cells), expected, "{cells:?}");
        }
    }
}
