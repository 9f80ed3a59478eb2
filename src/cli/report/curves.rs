//! Which curves a report shows, with their legends and captions.

use lookalike::evaluate::{Identification, Outcome, det_curve};
use maud::{Markup, PreEscaped, html};

use super::plots::{self, Cmc, CostPoint, Det, Plot};
use super::{Report, words};
use crate::cli::Failure;

/// Curves in one picture, at most: more cannot be told apart.
const CURVES: usize = 8;

/// The curves of each setting.
pub(super) fn of_settings(report: &Report<'_>) -> Result<Markup, Failure> {
    let shown = || report.evaluated.iter().take(CURVES);
    let names: Vec<String> = shown().map(|of| of.setting.to_string()).collect();
    let mut det: Vec<Det> = Vec::new();
    let mut cmc: Vec<Cmc> = Vec::new();
    if let Some(exhaustive) = report.exhaustive {
        det.push(det_of(None, exhaustive, report.exhaustive_outcomes));
        cmc.push(Cmc { series: None, points: &exhaustive.cmc });
    }
    for (nth, of) in shown().enumerate() {
        det.push(det_of(Some(nth), &of.identification, &of.measured.outcomes));
        cmc.push(Cmc { series: Some(nth), points: &of.identification.cmc });
    }
    let costs: Vec<CostPoint> = shown()
        .enumerate()
        .filter_map(|(series, of)| {
            let hit_rate = of.identification.hit_rate?;
            Some(CostPoint { series, microseconds: 1e6 / of.measured.qps, hit_rate })
        })
        .collect();
    let legend = legend(&names, report.exhaustive.is_some());
    let more = report.evaluated.len().saturating_sub(CURVES);
    let strangers = report.evaluated.first().map_or(0, |of| of.identification.non_mated.people);
    Ok(html! {
        @if more > 0 { p.soft { "The first " (CURVES) " settings; " (more) " more are in the table." } }
        div.plots {
            (figure("Detection error trade-off", plots::det(&det)?, &legend, &format!(
                "FNIR over FPIR, both on log scales; what is 0 lies on the edge. Dots: the thresholds \
                 of the table, with the 95 % interval of FNIR. Shaded: below an FPIR of 3/{strangers}, \
                 which {strangers} non-mated people are too few to show."
            )))
            (figure("Cumulative match characteristic", plots::cmc(&cmc)?, &legend,
                "Share of the mated searches with a mate among the first faces, without a threshold. \
                 Bars: 95 % intervals; curves are set side by side."))
            (similarities(report)?)
            (figure("Hit rate over cost", plots::cost(&costs)?, &self::legend(&names, false),
                "One point a setting, with its 95 % interval. Cost: microseconds a probe, the time of \
                 a run over the probes."))
        }
    })
}

/// The curves of each group, with the first setting.
pub(super) fn of_groups(report: &Report<'_>) -> Result<Markup, Failure> {
    let (Some(first), Some(values)) = (report.evaluated.first(), report.groups) else {
        return Ok(html! {});
    };
    let outcomes_of = |value: Option<&str>| -> Vec<Outcome> {
        let both = first.measured.outcomes.iter().zip(values);
        both.filter(|(_, own)| own.as_deref() == value).map(|(outcome, _)| *outcome).collect()
    };
    let shown = || first.groups.iter().take(CURVES);
    let names: Vec<String> = shown().map(|group| words::value(group).to_owned()).collect();
    let (mut det, mut cmc) = (Vec::new(), Vec::new());
    for (nth, group) in shown().enumerate() {
        let outcomes = outcomes_of(group.value.as_deref());
        det.push(det_of(Some(nth), &group.identification, &outcomes));
        cmc.push(Cmc { series: Some(nth), points: &group.identification.cmc });
    }
    let legend = legend(&names, false);
    let more = first.groups.len().saturating_sub(CURVES);
    Ok(html! {
        p.soft {
            "Curves with the setting " b { (first.setting) }
            @if more > 0 { ", of the first " (CURVES) " groups; " (more) " more are in the table" }
            "."
        }
        div.plots {
            (figure("Detection error trade-off", plots::det(&det)?, &legend,
                "Dots: the thresholds of all probes together, with the 95 % interval of FNIR. A group \
                 without mated or without non-mated probes has no curve."))
            (figure("Cumulative match characteristic", plots::cmc(&cmc)?, &legend,
                "Bars: 95 % intervals; curves are set side by side."))
        }
    })
}

fn det_of(series: Option<usize>, figures: &Identification, outcomes: &[Outcome]) -> Det {
    let dots = figures.open_set.iter().filter_map(|at| Some((at.fpir?, at.fnir?))).collect();
    let (mated, others) = (figures.mated.probes, figures.non_mated.probes);
    let people = figures.non_mated.people;
    Det { series, points: det_curve(outcomes), dots, mated, others, people }
}

/// The histograms of the first setting.
fn similarities(report: &Report<'_>) -> Result<Markup, Failure> {
    let Some(first) = report.evaluated.first() else { return Ok(html! {}) };
    let outcomes = &first.measured.outcomes;
    let of = |mated: bool| {
        let those = outcomes.iter().filter(move |outcome| outcome.mated == Some(mated));
        those.filter_map(move |outcome| {
            if mated { outcome.mate.map(|mate| mate.similarity) } else { outcome.best }
        })
    };
    let (mated, others): (Vec<f32>, Vec<f32>) = (of(true).collect(), of(false).collect());
    let missed = first.identification.mated.probes - mated.len();
    let thresholds: Vec<(f32, String)> = first
        .identification
        .open_set
        .iter()
        .filter_map(|at| Some((at.threshold?, words::short(at))))
        .collect();
    let legend = html! {
        ul.legend {
            li.s0 { i {} "best mate of a mated probe" }
            li.s1 { i {} "first face of a non-mated probe" }
        }
    };
    let caption = format!(
        "Setting {}. Shares of the mated and of the non-mated searches. Lines: the thresholds of \
         the table. Mated searches that returned no mate: {missed}.",
        first.setting
    );
    let plot = plots::histogram(&mated, &others, &thresholds)?;
    Ok(figure("Similarities", plot, &legend, &caption))
}

fn figure(title: &str, plot: Plot, legend: &Markup, caption: &str) -> Markup {
    html! {
        figure {
            h3 { (title) }
            @match plot {
                Plot::Svg(svg) => {
                    (legend)
                    div.plot role="img" aria-label=(title) { (PreEscaped(svg)) }
                    figcaption { (caption) }
                }
                Plot::Nothing => p.soft { "There is nothing to draw it from." }
            }
        }
    }
}

fn legend(names: &[String], exhaustive: bool) -> Markup {
    html! {
        ul.legend {
            @for (nth, name) in names.iter().enumerate() {
                li class=(format!("s{nth}")) { i {} (name) }
            }
            @if exhaustive { li.exhaustive { i {} "scoring every face" } }
        }
    }
}
