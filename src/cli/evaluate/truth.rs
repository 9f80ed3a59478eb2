//! What is known of the probes: the files that `--truth` names, and the column of `--by`.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use lookalike::evaluate::{EvaluateError, Exact, MOST_GROUPS, Mates, Truth};
use lookalike::ingest::{IdTable, Manifest};
use lookalike::{Embedding, Gallery, Query};

use super::Args;
use crate::cli::bars::Bars;
use crate::cli::column::Column;
use crate::cli::{Failure, grouped};

/// What the files told.
pub(super) struct Known {
    pub(super) truth: Truth,
    /// The value of each probe in the column that they are grouped by.
    pub(super) groups: Option<Vec<Option<String>>>,
}

/// The files that say what is known of the probes.
pub(super) struct TruthFiles<'a> {
    rows: Option<&'a Path>,
    subjects: Option<&'a Path>,
}

impl<'a> TruthFiles<'a> {
    pub(super) fn of(args: &'a Args) -> Result<Self, Failure> {
        let mut files = Self { rows: None, subjects: None };
        for path in &args.truth {
            let is_npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
            let (place, kind) = if is_npy {
                (&mut files.rows, "exact rows (.npy)")
            } else {
                (&mut files.subjects, "subjects (a table)")
            };
            if place.replace(path).is_some() {
                return Err(Failure::Usage(format!("--truth names two files of {kind}")));
            }
        }
        if files.rows.is_some() && !args.filters.is_empty() {
            return Err(Failure::Usage(
                "the exact rows of a .npy are of all faces, not of those that pass --where: leave \
                 that --truth out, and the exact nearest are searched for"
                    .to_owned(),
            ));
        }
        for (option, asked) in [("--by", args.by.is_some()), ("--html", args.html.is_some())] {
            if asked && files.subjects.is_none() {
                return Err(Failure::Usage(format!(
                    "{option} takes a table that says who is on the probes: name it with --truth"
                )));
            }
        }
        let stdin = Path::new("-");
        if args.probes == stdin && files.subjects == Some(stdin) {
            return Err(Failure::Usage(
                "standard input cannot be both probes and truth".to_owned(),
            ));
        }
        Ok(files)
    }

    pub(super) fn read(
        &self,
        args: &Args,
        gallery: &Gallery,
        probes: &[Embedding],
        query: &Query,
    ) -> Result<Known, Failure> {
        let agree = |path: &Path, rows: u64| {
            if rows == probes.len() as u64 {
                return Ok(());
            }
            Err(Failure::Failed(format!(
                "{} has {} rows and {} has {rows}: they must agree",
                args.probes.display(),
                probes.len(),
                path.display()
            )))
        };
        // Both files are read before the search, which may take long.
        let by = args.by.as_deref();
        let told = self.subjects.map(|path| read_subjects(path, by, agree)).transpose()?;
        let listed = match self.rows {
            Some(path) => {
                let table = IdTable::open(path)?;
                agree(path, table.rows())?;
                Some(Exact::listed(gallery, probes, args.k, table.columns(), table.ids())?)
            }
            None => None,
        };
        let search = || Exact::of(gallery, probes, args.k, query, &Bars::default());
        let Some(Told { subjects, groups }) = told else {
            return Ok(Known { truth: Truth::new(listed.map_or_else(search, Ok)?), groups: None });
        };
        let searched = search()?;
        let mates = Mates::of(gallery, &subjects, &searched)?;
        if mates.strangers() > 0 {
            let strangers = grouped(mates.strangers() as u64);
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(
                io::stderr(),
                "{strangers} probes name a subject without a face in this gallery{}: they count as \
                 non-mated",
                if args.filters.is_empty() { "" } else { " that passes --where" }
            );
        }
        Ok(Known { truth: Truth::new(listed.unwrap_or(searched)).mates(mates), groups })
    }
}

/// What a table tells of each probe, in their order.
struct Told {
    subjects: Vec<Option<String>>,
    /// What they are grouped by, where that was asked for.
    groups: Option<Vec<Option<String>>>,
}

fn read_subjects(
    path: &Path,
    by: Option<&str>,
    agree: impl Fn(&Path, u64) -> Result<(), Failure>,
) -> Result<Told, Failure> {
    let manifest = Manifest::open(path)?;
    let fault = |reason: String| Failure::Failed(format!("{}: {reason}", path.display()));
    if !manifest.has_subjects() {
        return Err(fault("it has no column subject, which says who each probe shows".to_owned()));
    }
    if manifest.has_row() {
        return Err(fault("its lines go by the order of the probes: leave out `row`".to_owned()));
    }
    let column = by.map(|by| Column::find(&manifest, "--by", by)).transpose()?;
    agree(path, manifest.lines())?;
    let mut different = HashSet::new();
    let mut told = Told { subjects: Vec::new(), groups: column.map(|_| Vec::new()) };
    for line in manifest.iter()? {
        let line = line.map_err(|e| fault(e.to_string()))?;
        if let (Some(groups), Some(column)) = (&mut told.groups, column) {
            let value = column.of(&line);
            different.insert(value.clone());
            if different.len() > MOST_GROUPS {
                return Err(EvaluateError::Groups { most: MOST_GROUPS }.into());
            }
            groups.push(value);
        }
        told.subjects.push(line.subject);
    }
    Ok(told)
}
