//! The pictures of a report, as SVG.
//!
//! In come points; out comes a picture that fits into a page. The colours are names that the page's
//! style gives a meaning, so that one picture serves light and dark pages.

use lookalike::evaluate::{CmcPoint, DetPoint, Estimate};
use plotters::element::{Circle, Polygon, Rectangle};
use plotters::prelude::{IntoDrawingArea, PathElement, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoTextStyle, RGBColor, ShapeStyle};

use super::super::Failure;
use axis::Axis;
use chart::{Chart, chart};

mod axis;
mod chart;

/// Pixels of a picture before the page scales it.
const SIZE: (u32, u32) = (640, 420);
/// Colours that `report.css` replaces.
const INK: RGBColor = RGBColor(0, 0, 1);
const GRID: RGBColor = RGBColor(0, 0, 2);
const EXHAUSTIVE: RGBColor = RGBColor(0, 0, 3);
const SHADE: RGBColor = RGBColor(0, 0, 4);
const SERIES: RGBColor = RGBColor(0, 0, 16);
/// Bars of a histogram.
const BARS: usize = 40;

/// A picture, where there is something to draw.
pub(super) enum Plot {
    Svg(String),
    Nothing,
}

/// One curve of both errors.
pub(super) struct Det {
    /// Its colour; none for an exhaustive search.
    pub(super) series: Option<usize>,
    pub(super) points: Vec<DetPoint>,
    /// FPIR and FNIR at the thresholds of the tables.
    pub(super) dots: Vec<(Estimate, Estimate)>,
    pub(super) mated: usize,
    pub(super) others: usize,
    /// Non-mated people.
    pub(super) people: usize,
}

/// One cumulative match characteristic.
pub(super) struct Cmc<'a> {
    pub(super) series: Option<usize>,
    pub(super) points: &'a [CmcPoint],
}

/// What a setting finds for its time.
pub(super) struct CostPoint {
    pub(super) series: usize,
    pub(super) microseconds: f64,
    pub(super) hit_rate: Estimate,
}

fn colour(series: Option<usize>) -> RGBColor {
    series.map_or(EXHAUSTIVE, |nth| RGBColor(0, 0, SERIES.2.saturating_add(nth as u8)))
}

/// An exhaustive search lies under the others, as a broad pale line.
fn line(series: Option<usize>) -> ShapeStyle {
    colour(series).stroke_width(if series.is_some() { 2 } else { 6 })
}

/// FNIR over FPIR. Rates of 0 lie on the edges.
pub(super) fn det(curves: &[Det]) -> Result<Plot, Failure> {
    let curves: Vec<&Det> = curves.iter().filter(|curve| !curve.points.is_empty()).collect();
    let most = |of: fn(&Det) -> usize| curves.iter().map(|curve| of(curve)).max();
    let (Some(mated), Some(others), Some(people)) =
        (most(|curve| curve.mated), most(|curve| curve.others), most(|curve| curve.people))
    else {
        return Ok(Plot::Nothing);
    };
    let x = Axis::log("FPIR", 0.5 / others as f64, 1.0);
    let y = Axis::log("FNIR", 0.5 / mated as f64, 1.0);
    chart(&x, &y, |chart| {
        let too_few = x.at(3.0 / people.max(1) as f64);
        let shade = [(x.from, y.from), (too_few, y.to)];
        chart.draw(Rectangle::new(shade, SHADE.filled()))?;
        for curve in &curves {
            let mut stairs: Vec<(f64, f64)> = Vec::with_capacity(2 * curve.points.len() + 1);
            let mut misses = 1.0;
            // Of the thresholds that no stranger reaches, the least is worth showing.
            let first = curve.points.partition_point(|point| point.fpir == 0.0).saturating_sub(1);
            misses = curve.points.get(first).map_or(misses, |point| point.fnir);
            for point in curve.points.iter().skip(first) {
                stairs.push((x.at(point.fpir), y.at(misses)));
                stairs.push((x.at(point.fpir), y.at(point.fnir)));
                misses = point.fnir;
            }
            stairs.push((x.to, y.at(misses)));
            // Steps that nobody could see would make pages of large samples heavy.
            let near = |a: f64, b: f64, axis: &Axis| (a - b).abs() < (axis.to - axis.from) / 2000.0;
            stairs.dedup_by(|next, last| near(next.0, last.0, &x) && near(next.1, last.1, &y));
            chart.draw(PathElement::new(stairs, line(curve.series)))?;
            for (fpir, fnir) in curve.dots.iter().filter(|_| curve.series.is_some()) {
                let at = x.at(fpir.value);
                dot(chart, at, &y, *fnir, 5, curve.series)?;
            }
        }
        Ok(())
    })
}

/// A dot with its interval.
fn dot(
    chart: &mut Chart<'_>,
    x: f64,
    y: &Axis,
    estimate: Estimate,
    size: u32,
    series: Option<usize>,
) -> Result<(), Failure> {
    let interval = vec![(x, y.at(estimate.low)), (x, y.at(estimate.high))];
    chart.draw(PathElement::new(interval, colour(series).stroke_width(1)))?;
    chart.draw(Circle::new((x, y.at(estimate.value)), size, colour(series).filled()))
}

/// The part of the mated searches with a mate, over the rank.
pub(super) fn cmc(curves: &[Cmc<'_>]) -> Result<Plot, Failure> {
    let all = || curves.iter().flat_map(|curve| curve.points);
    let Some(last) = all().map(|point| point.rank).max() else { return Ok(Plot::Nothing) };
    let drawn = curves.iter().filter(|curve| curve.series.is_some()).count().max(1);
    let least = all().map(|point| point.estimate.low).fold(1.0, f64::min);
    let x = Axis::ranks("rank", last);
    let y = Axis::share("mated searches with a mate", least);
    chart(&x, &y, |chart| {
        for curve in curves {
            // Side by side, so that equal curves do not hide each other's intervals.
            let place = curve.series.map_or(0.5, |nth| (nth as f64 + 0.5) / drawn as f64);
            let beside = x.step() * 0.5 * (place - 0.5);
            let points: Vec<(f64, f64)> = curve
                .points
                .iter()
                .map(|at| (at.rank as f64 + beside, at.estimate.value))
                .collect();
            chart.draw(PathElement::new(points, line(curve.series)))?;
            let named = curve.points.iter().filter(|at| x.names(at.rank as f64));
            for at in named.filter(|_| curve.series.is_some()) {
                dot(chart, at.rank as f64 + beside, &y, at.estimate, 4, curve.series)?;
            }
        }
        Ok(())
    })
}

/// How similar mates and strangers are, as shares of each; thresholds as lines.
pub(super) fn histogram(
    mated: &[f32],
    others: &[f32],
    thresholds: &[(f32, String)],
) -> Result<Plot, Failure> {
    let all = || mated.iter().chain(others).chain(thresholds.iter().map(|(at, _)| at));
    let (from, to) = all()
        .filter(|value| (-1.0..=1.0).contains(*value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), &value| {
            (from.min(value.into()), to.max(value.into()))
        });
    if from > to {
        return Ok(Plot::Nothing);
    }
    let width = ((to - from) / BARS as f64).max(1e-4);
    let shares = |values: &[f32]| {
        let mut shares = vec![0.0; BARS];
        for &value in values {
            let bar = ((f64::from(value) - from) / width) as usize;
            shares[bar.min(BARS - 1)] += 1.0 / values.len() as f64;
        }
        shares
    };
    let both = [shares(mated), shares(others)];
    let most = both.iter().flatten().copied().fold(0.0, f64::max);
    let x = Axis::linear("similarity", from, from + width * BARS as f64);
    let y = Axis::linear("share of the searches", 0.0, most * 1.2);
    chart(&x, &y, |chart| {
        for (series, shares) in both.iter().enumerate() {
            let mut outline = vec![(from, 0.0)];
            for (bar, &share) in shares.iter().enumerate() {
                outline.push((from + width * bar as f64, share));
                outline.push((from + width * (bar + 1) as f64, share));
            }
            outline.push((from + width * BARS as f64, 0.0));
            let colour = colour(Some(series));
            chart.draw(Polygon::new(outline.clone(), colour.mix(0.25).filled()))?;
            chart.draw(PathElement::new(outline, colour.stroke_width(2)))?;
        }
        for (nth, (threshold, name)) in thresholds.iter().enumerate() {
            let at = f64::from(*threshold);
            chart.draw(PathElement::new(vec![(at, 0.0), (at, y.to)], INK.stroke_width(1)))?;
            // One below the other: thresholds lie close together.
            let height = y.to * (0.99 - 0.06 * nth as f64);
            // Away from the other lines, where there is room.
            let last = nth + 1 == thresholds.len() && at - from < 0.75 * (x.to - from);
            let side = if last { HPos::Left } else { HPos::Right };
            let font = (FontFamily::SansSerif, 15).into_text_style(&SIZE).color(&INK);
            let font = font.pos(Pos::new(side, VPos::Top));
            chart.draw(Text::new(format!("\u{a0}{name}\u{a0}"), (at, height), font))?;
        }
        Ok(())
    })
}

/// Hit rate over microseconds a probe.
pub(super) fn cost(points: &[CostPoint]) -> Result<Plot, Failure> {
    if points.is_empty() {
        return Ok(Plot::Nothing);
    }
    let times = || points.iter().map(|point| point.microseconds);
    let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let lowest = points.iter().map(|point| point.hit_rate.low).fold(1.0, f64::min);
    let x = Axis::log("microseconds a probe", least / 1.6, most * 1.6);
    let y = Axis::share("hit rate", lowest);
    chart(&x, &y, |chart| {
        for point in points {
            let at = x.at(point.microseconds);
            dot(chart, at, &y, point.hit_rate, 6, Some(point.series))?;
        }
        Ok(())
    })
}
