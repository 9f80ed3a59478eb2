//! An axis: where values lie on it, and which of them are named.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// An axis of a picture.
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Where values are named, and how.
    pub(super) ticks: Vec<(f64, String)>,
    log: bool,
}

impl Axis {
    /// In powers of ten.
    pub(super) fn log(name: &'static str, from: f64, to: f64) -> Self {
        let (from, to) = (from.max(1e-12), to.max(1e-12));
        let decades = (to / from).log10();
        let steps: &[f64] = match decades {
            ..1.2 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            ..3.5 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let first = from.log10().floor() as i32;
        let last = to.log10().ceil() as i32;
        let values = (first..=last).flat_map(|power| steps.iter().map(move |s| (*s, power)));
        let ticks = values
            .map(|(step, power)| (step * 10_f64.powi(power), power))
            .filter(|(value, _)| (from * 0.999..=to * 1.001).contains(value))
            .map(|(value, power)| (value.log10(), log_digits(value, power)))
            .collect();
        Self { name, from: from.log10(), to: to.log10(), ticks, log: true }
    }

    /// In equal steps.
    pub(super) fn linear(name: &'static str, from: f64, to: f64) -> Self {
        let rough = ((to - from) / 6.0).max(1e-9);
        let power = rough.log10().floor() as i32;
        let unit = 10_f64.powi(power);
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * unit);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * unit);
        let first = (from / step).ceil() as i64;
        let last = (to / step + 1e-9).floor() as i64;
        let decimals = -(step.log10().floor() as i32);
        let ticks = (first..=last).map(|nth| nth as f64 * step);
        let ticks = ticks.map(|value| (value, digits(value, decimals))).collect();
        Self { name, from, to, ticks, log: false }
    }

    /// From a round share below `least` up to all.
    pub(super) fn share(name: &'static str, least: f64) -> Self {
        let below = [0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.25];
        let from = below.into_iter().find(|below| *below < least - 1e-9).unwrap_or(0.0);
        Self { to: 1.0 + 0.03 * (1.0 - from), ..Self::linear(name, from, 1.0) }
    }

    /// Ranks from 1.
    pub(super) fn ranks(name: &'static str, last: usize) -> Self {
        let step = last.div_ceil(10).max(1);
        let ticks = (1..=last).filter(|rank| *rank == 1 || rank % step == 0);
        let ticks = ticks.map(|rank| (rank as f64, rank.to_string())).collect();
        // Half a step, for what lies beside a rank.
        let margin = 0.5 * step as f64;
        Self { name, from: 1.0 - margin, to: last as f64 + margin, ticks, log: false }
    }

    /// From one tick to the next.
    pub(super) fn step(&self) -> f64 {
        match self.ticks.as_slice() {
            [.., (before, _), (last, _)] => last - before,
            _ => 1.0,
        }
    }

    /// Whether a tick lies here.
    pub(super) fn names(&self, place: f64) -> bool {
        self.ticks.iter().any(|(tick, _)| *tick == place)
    }

    /// Where a value lies; beyond an end, at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let place = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        place.clamp(self.from, self.to)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (place - self.from) / (self.to - self.from);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// Ticks have names; nothing else is asked for.
impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, place: &f64) -> String {
        let named = self.ticks.iter().find(|(tick, _)| tick == place);
        named.map_or_else(String::new, |(_, name)| name.clone())
    }
}

/// A step of 1.5 takes a digit more.
fn log_digits(value: f64, power: i32) -> String {
    let unit = value / 10_f64.powi(power);
    digits(value, i32::from((unit - unit.round()).abs() > 1e-6) - power)
}

fn digits(value: f64, decimals: i32) -> String {
    format!("{value:.*}", decimals.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(names(&Axis::log("", 0.02, 1.0)), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(names(&Axis::log("", 1e-5, 1.0)).len(), 6);
        assert_eq!(
            names(&Axis::linear("", 0.0, 0.3)),
            ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]
        );
        assert_eq!(names(&Axis::ranks("", 3)), ["1", "2", "3"]);
        assert_eq!(Axis::share("", 0.97).from, 0.95);
        assert_eq!(Axis::share("", 0.0).from, 0.0);
    }

    #[test]
    fn what_lies_beyond_lies_at_the_end() {
        let axis = Axis::log("", 0.01, 1.0);
        assert_eq!((axis.at(0.0), axis.at(0.1), axis.at(2.0)), (-2.0, -1.0, 0.0));
    }
}
