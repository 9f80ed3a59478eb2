//! The tables of a report.

use lookalike::evaluate::{Estimate, Identification};
use maud::{Markup, html};

use super::{Report, words};
use crate::cli::grouped;

/// A row a setting.
pub(super) fn settings(report: &Report<'_>) -> Markup {
    let first = report.evaluated.first().map(|first| &first.identification);
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th scope="col" { "Setting" }
                        (accuracy_head(first))
                        th.number scope="col" { "Probes a second" }
                        th.number scope="col" { "Half within" }
                        th.number scope="col" { "99 of 100 within" }
                    }
                }
                tbody {
                    @for of in report.evaluated {
                        tr {
                            th scope="row" { (of.setting) }
                            (accuracy(&of.identification))
                            td.number { (grouped(of.measured.qps.round() as u64)) }
                            td.number { (time(of.measured.p50_us)) }
                            td.number { (time(of.measured.p99_us)) }
                        }
                    }
                    @if let Some(exhaustive) = report.exhaustive {
                        tr.exact {
                            th scope="row" { "scoring every face" }
                            (accuracy(exhaustive))
                            td.number { "-" } td.number { "-" } td.number { "-" }
                        }
                    }
                }
            }
        }
        p.soft { "Under each rate its 95 % interval and what was counted. Too few: of the non-mated people that "
            "the figure takes." }
    }
}

/// A row a group, for each setting.
pub(super) fn groups(report: &Report<'_>) -> Markup {
    let by = report.by.unwrap_or_default();
    html! {
        @for of in report.evaluated {
            h3 { (of.setting) }
            div.wide {
                table {
                    thead {
                        tr {
                            th scope="col" { (by) }
                            th.number scope="col" { "Mated" }
                            th.number scope="col" { "Non-mated" }
                            (accuracy_head(Some(&of.identification)))
                            (fpir_head(&of.identification))
                        }
                    }
                    tbody {
                        @for group in &of.groups {
                            (group_row(words::value(group), &group.identification))
                        }
                        (group_row("all", &of.identification))
                    }
                }
            }
        }
        p.soft {
            "Groups are held against the thresholds of all probes together. Intervals apart from each "
            "other show a difference; where they overlap, the sample may be too small to tell. Below Mated and Non-mated: people."
        }
    }
}

fn group_row(value: &str, figures: &Identification) -> Markup {
    let sampled = |probes: usize, people: usize| {
        html! {
            td.number { (grouped(probes as u64)) br; small { (grouped(people as u64)) } }
        }
    };
    html! {
        tr {
            th scope="row" { (value) }
            (sampled(figures.mated.probes, figures.mated.people))
            (sampled(figures.non_mated.probes, figures.non_mated.people))
            (accuracy(figures))
            @for at in figures.open_set.iter().filter(|at| at.threshold.is_some()) {
                (estimate(at.fpir))
            }
        }
    }
}

fn accuracy_head(figures: Option<&Identification>) -> Markup {
    html! {
        th.number scope="col" { "Recall" }
        th.number scope="col" { "Hit rate" }
        th.number scope="col" { "Rank 1" }
        @if let Some(figures) = figures {
            @for at in &figures.open_set {
                th.number scope="col" { "FNIR " (words::operating(at)) }
            }
        }
    }
}

fn fpir_head(figures: &Identification) -> Markup {
    html! {
        @for at in figures.open_set.iter().filter(|at| at.threshold.is_some()) {
            th.number scope="col" {
                "FPIR at " @if let Some(threshold) = at.threshold { (format!("{threshold:.4}")) }
            }
        }
    }
}

fn accuracy(figures: &Identification) -> Markup {
    html! {
        (estimate(figures.recall))
        (estimate(figures.hit_rate))
        (estimate(figures.rank1()))
        @for at in &figures.open_set {
            @if at.threshold.is_none() {
                td.number {
                    "too few" br;
                    small { (grouped(figures.non_mated.people as u64)) " of " (grouped(at.people_needed as u64)) }
                }
            } @else {
                (estimate(at.fnir))
            }
        }
    }
}

fn estimate(of: Option<Estimate>) -> Markup {
    html! {
        @if let Some(of) = of {
            td.number {
                (format!("{:.4}", of.value)) br;
                small { (format!("{:.3}-{:.3}", of.low, of.high)) } br;
                small { (grouped(of.count)) "/" (grouped(of.of)) }
            }
        } @else {
            td.number { "-" }
        }
    }
}

fn time(microseconds: f64) -> String {
    if microseconds >= 10_000.0 {
        format!("{:.1} ms", microseconds / 1000.0)
    } else if microseconds >= 100.0 {
        format!("{microseconds:.0} us")
    } else {
        format!("{microseconds:.1} us")
    }
}
