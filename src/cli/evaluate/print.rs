//! How the figures are printed: as tables, or as one JSON object a setting and line.

use std::io::{self, Write};

use lookalike::Gallery;
use lookalike::evaluate::{Estimate, Group, Identification, Measured, Operating, Setting};
use lookalike::gallery::VectorType;
use lookalike::kernels::Kernels;
use serde::Serialize;

use super::{Args, Evaluated};
use crate::cli::report::words;
use crate::cli::{grouped, plain};

#[derive(Serialize)]
struct JsonLine<'a> {
    setting: String,
    #[serde(flatten)]
    measured: &'a Measured,
    identification: &'a Identification,
    /// That of an exhaustive search.
    #[serde(skip_serializing_if = "Option::is_none")]
    exhaustive: Option<&'a Identification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [Group],
}

pub(super) fn json(
    out: &mut impl Write,
    evaluated: &Evaluated,
    by: Option<&str>,
    exhaustive: Option<&Identification>,
) -> io::Result<()> {
    let Evaluated { setting, measured, identification, groups } = evaluated;
    let setting = setting.to_string();
    let line = JsonLine { setting, measured, identification, exhaustive, by, groups };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

/// What was measured with, and the head of the table of settings.
pub(super) fn head(
    out: &mut impl Write,
    args: &Args,
    gallery: &Gallery,
    probes: usize,
) -> io::Result<()> {
    let vectors = match gallery.catalogue().vectors {
        VectorType::F16 => "f16",
        VectorType::F32 => "f32",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        out,
        "{}: {} faces x {} dimensions in {vectors}, {} kernels, {cores} cores",
        args.gallery.display(),
        grouped(gallery.len()),
        gallery.dims(),
        Kernels::best().isa().name()
    )?;
    writeln!(out, "{} probes, k {}, threads {}", grouped(probes as u64), args.k, args.threads)?;
    for filter in &args.filters {
        writeln!(out, "where {filter}")?;
    }
    writeln!(
        out,
        "{:<15} {:>7} {:>8} {:>7} {:>10} {:>10} {:>13} {:>10} {:>10} {:>8} {:>10} {:>8} {:>4}",
        "setting",
        "recall",
        "hit rate",
        "rank 1",
        "QPS",
        "mated QPS",
        "non-mated QPS",
        "p50 us",
        "p99 us",
        "hops",
        "codes",
        "vectors",
        "runs"
    )
}

pub(super) fn row(out: &mut impl Write, setting: Setting, measured: &Measured) -> io::Result<()> {
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.4}"));
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    writeln!(
        out,
        "{setting:<15} {:>7} {:>8} {:>7} {:>10.1} {:>10} {:>13} {:>10.1} {:>10.1} {:>8.1} {:>10.1} {:>8.1} {:>4}",
        share(measured.recall),
        share(measured.hit_rate),
        share(measured.rank1),
        measured.qps,
        rate(measured.mated_qps),
        rate(measured.non_mated_qps),
        measured.p50_us,
        measured.p99_us,
        measured.hops,
        measured.codes_read,
        measured.vectors_read,
        measured.runs
    )
}

/// The accuracy of all settings, and what the sample is too small to show.
pub(super) fn accuracy(
    out: &mut impl Write,
    all: &[Evaluated],
    by: Option<&str>,
    exhaustive: Option<&Identification>,
) -> io::Result<()> {
    for evaluated in all {
        identification(out, evaluated, by, exhaustive)?;
    }
    all.first().map_or(Ok(()), |first| notes(out, first))
}

fn notes(out: &mut impl Write, evaluated: &Evaluated) -> io::Result<()> {
    let Evaluated { identification, groups, .. } = evaluated;
    writeln!(out)?;
    for caution in words::cautions(identification, groups) {
        writeln!(out, "{}", plain(&caution))?;
    }
    writeln!(
        out,
        "Intervals: the bootstrap, people drawn again {} times.",
        grouped(identification.resamples as u64)
    )
}

/// The accuracy of one setting, of all probes and of each group.
fn identification(
    out: &mut impl Write,
    evaluated: &Evaluated,
    by: Option<&str>,
    exhaustive: Option<&Identification>,
) -> io::Result<()> {
    let Evaluated { setting, identification: all, groups, .. } = evaluated;
    block(out, &setting.to_string(), all, exhaustive)?;
    for group in groups {
        let title = format!("{setting}, {} {}", by.unwrap_or_default(), words::value(group));
        block(out, &plain(&title), &group.identification, None)?;
    }
    Ok(())
}

fn block(
    out: &mut impl Write,
    title: &str,
    figures: &Identification,
    exhaustive: Option<&Identification>,
) -> io::Result<()> {
    writeln!(out, "\n{title}{}", words::sample(figures))?;
    writeln!(
        out,
        "  {:<26} {:>9} {:>8}  {:<15} {:>13} {:>10}",
        "", "threshold", "rate", "95 % interval", "counted", "exhaustive"
    )?;
    let other = |of: &dyn Fn(&Identification) -> Option<Estimate>| exhaustive.and_then(of);
    let mut line =
        |name: &str, threshold: Option<f32>, rate: Option<Estimate>, exact: Option<Estimate>| {
            let Some(rate) = rate else { return Ok(()) };
            let threshold = threshold.map_or("-".to_owned(), |threshold| format!("{threshold:.4}"));
            let exact = exact.map_or(String::new(), |exact| format!("{:.4}", exact.value));
            writeln!(
                out,
                "  {name:<26} {threshold:>9} {:>8.4}  {:.4}-{:.4}   {:>13} {exact:>10}",
                rate.value,
                rate.low,
                rate.high,
                format!("{}/{}", rate.count, rate.of)
            )
        };
    line("recall", None, figures.recall, None)?;
    line("hit rate", None, figures.hit_rate, None)?;
    for rank in words::ranks(figures) {
        let at = |of: &Identification| of.cmc.get(rank - 1).map(|point| point.estimate);
        line(&format!("mate by rank {rank}"), None, at(figures), other(&at))?;
    }
    for (nth, at) in figures.open_set.iter().enumerate() {
        let Operating { threshold, fpir, fnir, .. } = *at;
        if threshold.is_some() {
            let name = format!("FNIR {}", words::operating(at));
            let fnir_of = |of: &Identification| of.open_set.get(nth)?.fnir;
            line(&name, threshold, fnir, other(&fnir_of))?;
            line("  FPIR there", threshold, fpir, None)?;
        }
    }
    Ok(())
}
