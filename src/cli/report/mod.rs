//! A report of an evaluation, as one HTML file that needs nothing else.
//!
//! In come the figures of each setting; out goes a page with tables, curves and what the sample is too
//! small to show. Pictures are inside the page as SVG, there are no scripts, and a content security
//! policy forbids the browser to load anything. Always: what comes from the user is escaped.

use std::fs::File;
use std::io::{BufWriter, Write};

use lookalike::Gallery;
use lookalike::evaluate::{Identification, Outcome};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::evaluate::Evaluated;
use super::page::Page;
use super::{Failure, grouped};

mod curves;
mod plots;
mod tables;
pub(crate) mod words;

const STYLE: &str = include_str!("report.css");
/// The style above; nothing from anywhere else, and no scripts.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// All that a report tells of.
pub(crate) struct Report<'a> {
    pub(crate) gallery: &'a Gallery,
    pub(crate) k: usize,
    pub(crate) threads: usize,
    pub(crate) filters: &'a [String],
    /// The column that probes are grouped by.
    pub(crate) by: Option<&'a str>,
    /// Its value of each probe.
    pub(crate) groups: Option<&'a [Option<String>]>,
    pub(crate) evaluated: &'a [Evaluated],
    pub(crate) exhaustive: Option<&'a Identification>,
    pub(crate) exhaustive_outcomes: &'a [Outcome],
}

/// Writes the report and puts it into its place.
pub(crate) fn write(
    page: Page,
    mut out: BufWriter<File>,
    report: &Report<'_>,
) -> Result<(), Failure> {
    let markup = report.page()?;
    out.write_all(markup.into_string().as_bytes()).map_err(|e| page.failed(e))?;
    page.finish(out)
}

impl Report<'_> {
    fn page(&self) -> Result<Markup, Failure> {
        let figures = curves::of_settings(self)?;
        let by_group = curves::of_groups(self)?;
        Ok(html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="robots" content="noindex, nofollow";
                    title { "Evaluation of " (self.name()) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.head())
                    main {
                        (self.cautions())
                        section { h2 { "Settings" } (tables::settings(self)) }
                        section { h2 { "Curves" } (figures) }
                        @if let Some(by) = self.by {
                            section { h2 { "By " (by) } (by_group) (tables::groups(self)) }
                        }
                        section { h2 { "How to read it" } (terms(self.k)) }
                    }
                }
            }
        })
    }

    fn name(&self) -> String {
        self.gallery.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn head(&self) -> Markup {
        let first = self.evaluated.first().map(|first| &first.identification);
        let fact = |number: usize, what: &str| {
            html! { span { b { (grouped(number as u64)) } " " (what) } }
        };
        html! {
            header {
                h1 { "Evaluation" }
                p.facts {
                    span { "Gallery " b { (self.name()) } }
                    (fact(self.gallery.len() as usize, "faces"))
                    @if let Some(model) = self.gallery.model() { span { "Model " b { (model) } } }
                    @if let Some(first) = first {
                        (fact(first.mated.probes, "mated probes"))
                        (fact(first.mated.people, "people on them"))
                        (fact(first.non_mated.probes, "non-mated probes"))
                        (fact(first.non_mated.people, "people on them"))
                    }
                    span { "k " b { (self.k) } }
                    span { "Threads " b { (self.threads) } }
                    @for filter in self.filters { span { "Where " b { (filter) } } }
                }
            }
        }
    }

    fn cautions(&self) -> Markup {
        let cautions = self
            .evaluated
            .first()
            .map(|first| words::cautions(&first.identification, &first.groups));
        let cautions = cautions.unwrap_or_default();
        html! {
            @if !cautions.is_empty() {
                div.caution {
                    h2 { "What this sample is too small to show" }
                    ul { @for caution in &cautions { li { (caution) } } }
                }
            }
        }
    }
}

fn terms(k: usize) -> Markup {
    html! {
        dl.terms {
            dt { "Mated, non-mated" }
            dd { "A probe of a person with a face in the gallery that may be found; any other." }
            dt { "Hit rate, recall" }
            dd {
                "Of the mates, and of all faces, among the exact " (k) " nearest: the share that the "
                "search returned. They compare it with scoring every face, not with the world."
            }
            dt { "FPIR" }
            dd {
                "False-positive identification rate at a threshold: the share of the non-mated "
                "searches that return a face at or above it."
            }
            dt { "FNIR" }
            dd {
                "False-negative identification rate at a threshold: the share of the mated searches "
                "that return no mate at or above it among the first " (k) " faces."
            }
            dt { "Threshold of an FPIR" }
            dd {
                "The least similarity at which no more than this share of the non-mated searches is "
                "answered. Groups are held against the thresholds of all probes together."
            }
            dt { "CMC, rank" }
            dd {
                "The share of the mated searches with a mate among so many first faces, without a "
                "threshold. Ranks count faces, not people."
            }
            dt { "Intervals" }
            dd {
                "95 %, by the bootstrap: people are drawn again with all their probes, 1,000 times, "
                "and the threshold of an FPIR is found anew each time. Where nothing was counted, or "
                "all, the rule of three over the people is the other end."
            }
        }
        p.soft {
            "Terms as in ISO/IEC 19795-1. Similarity is the cosine of two embeddings. The figures are "
            "those of this gallery, this face model and these probes."
        }
    }
}
