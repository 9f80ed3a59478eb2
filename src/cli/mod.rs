//! What the command line is made of: one file a subcommand or kind of output.
//!
//! Results go to standard output, everything else to standard error. The exit status is 0 for done,
//! 1 for failed and 2 for wrong usage.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lookalike::gallery::GalleryError;
use lookalike::{BuildError, Cancel, Error, Filter, FilterError, Gallery};

mod answers;
mod bars;
mod build;
mod calibrate;
mod cluster;
mod column;
mod demo;
mod evaluate;
mod open_sheet;
mod page;
mod pairs;
mod plan;
mod probe_sets;
mod probes;
mod report;
mod results;
mod search;
mod sheet;
mod show;
mod synth;
mod threshold;
mod verify;

/// Threads that may be asked for.
const MAX_THREADS: usize = 1024;

/// Face-embedding similarity search: which photos show the person on a probe.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Build(build::Args),
    Search(search::Args),
    Show(show::Args),
    Verify(verify::Args),
    Synth(synth::Args),
    Evaluate(evaluate::Args),
    Calibrate(calibrate::Args),
    Pairs(pairs::Args),
    Cluster(cluster::Args),
    Plan(plan::Args),
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage: status 2.
    Usage(String),
    /// Anything else: status 1.
    Failed(String),
    /// Everything to be said has been said: status 1.
    Said,
    /// Nobody reads the output any more: no failure of ours.
    OutputClosed,
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// A failure to write results.
    fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Failed(format!("cannot write the results: {error}"))
        }
    }

    /// Nothing, if it is only that nobody reads the output: another failure is to be told instead.
    fn unless_closed(self) -> Result<(), Self> {
        if matches!(self, Self::OutputClosed) { Ok(()) } else { Err(self) }
    }

    /// A failure to read or write a file.
    fn file(action: &str, path: &Path, error: io::Error) -> Self {
        Self::Failed(format!("cannot {action} {}: {error}", path.display()))
    }
}

/// Errors of the library; those that are about the arguments count as wrong usage.
impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        use lookalike::SearchError;
        use lookalike::synth::SynthError;
        let error = error.into();
        let usage = matches!(
            &error,
            Error::Search(
                SearchError::Threshold(_)
                    | SearchError::TopZero
                    | SearchError::PerSubjectZero
                    | SearchError::NotGrouped
                    | SearchError::BeamZero
                    | SearchError::Filter(_)
            ) | Error::Build(
                BuildError::NoImageColumn { .. }
                    | BuildError::NoImages
                    | BuildError::NoSuchFolder { .. }
                    | BuildError::NoParent { .. }
                    | BuildError::Memory { .. }
                    | BuildError::CodeBytes { .. }
            ) | Error::Synth(
                SynthError::Faces(_) | SynthError::SubjectSizes { .. } | SynthError::Truth { .. }
            )
        );
        if usage { Self::Usage(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

/// Runs the command that the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Pairs(args) => pairs::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Plan(args) => plan::run(&args),
    };
    let (message, status) = match result {
        Ok(()) | Err(Failure::OutputClosed) => return ExitCode::SUCCESS,
        Err(Failure::Said) => return ExitCode::from(1),
        Err(Failure::Usage(message)) => (message, 2),
        Err(Failure::Failed(message)) => (message, 1),
    };
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "lookalike: {}", plain(&message));
    ExitCode::from(status)
}

/// Text that may hold names from strangers as it may be shown on a terminal: control characters could
/// do more there.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A flag that Ctrl-C raises; the second Ctrl-C ends the process.
fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let raised = cancel.clone();
    // Without a handler Ctrl-C ends the process at once, which harms nothing either.
    let _ = ctrlc::set_handler(move || {
        if raised.is_cancelled() {
            std::process::exit(130);
        }
        raised.cancel();
    });
    cancel
}

/// Only one input can be standard input: the second would find it empty.
fn refuse_two_stdin(inputs: &[Option<&Path>]) -> Result<(), Failure> {
    let stdin = inputs.iter().flatten().filter(|path| path.as_os_str() == "-").count();
    if stdin < 2 {
        return Ok(());
    }
    Err(Failure::Usage("only one input can be standard input (-)".to_owned()))
}

/// A file inside the gallery would take the place of one of its own, or be one that does not belong.
fn refuse_inside(gallery: &Path, out: Option<&Path>) -> Result<(), Failure> {
    let Some(out) = out else { return Ok(()) };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let places = [out, folder.unwrap_or(Path::new("."))];
    let gallery = std::fs::canonicalize(gallery);
    let is_inside = |place: &&Path| match (std::fs::canonicalize(place), &gallery) {
        (Ok(place), Ok(gallery)) => place.starts_with(gallery),
        _ => false,
    };
    if places.iter().any(is_inside) {
        return Err(Failure::Usage(format!(
            "{} is inside the gallery, which holds nothing but its own files",
            out.display()
        )));
    }
    Ok(())
}

/// Standard output is where results go without a file.
fn refuse_stdout(out: Option<&Path>) -> Result<(), Failure> {
    if out.is_some_and(|out| out.as_os_str() == "-") {
        return Err(Failure::Usage(
            "--out names a file; without it, results go to standard output".to_owned(),
        ));
    }
    Ok(())
}

/// Opens a gallery: mapped, or with what searches read most in memory.
fn open(gallery: &Path, resident: bool) -> Result<Gallery, GalleryError> {
    if resident { Gallery::open_resident(gallery) } else { Gallery::open(gallery) }
}

/// A pool of this many threads, or of as many as there are cores.
fn thread_pool(threads: Option<usize>) -> Result<rayon::ThreadPool, Failure> {
    rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build().map_err(|error| {
        let number = threads.map(|threads| format!("{threads} ")).unwrap_or_default();
        Failure::Failed(format!("cannot start {number}threads: {error}; ask for fewer (--threads)"))
    })
}

/// A number of bytes such as `512M`, `2G` or `1073741824`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix("IB").or(upper.strip_suffix('B')).unwrap_or(&upper);
    let (number, shift) = match upper.char_indices().last() {
        Some((at, 'K')) => (&upper[..at], 10),
        Some((at, 'M')) => (&upper[..at], 20),
        Some((at, 'G')) => (&upper[..at], 30),
        Some((at, 'T')) => (&upper[..at], 40),
        _ => (upper, 0),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("{text:?} is no number of bytes; write 512M, 2G or 1073741824"))
}

fn parse_filter(text: &str) -> Result<Filter, Failure> {
    text.parse().map_err(|error: FilterError| Failure::Usage(error.to_string()))
}

/// The name of a face model. A blank one would keep no two models apart.
fn parse_model(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be blank; leave it out where the model has no name".to_owned());
    }
    Ok(text.to_owned())
}

/// A number of faces or the like, at least 1.
fn parse_positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// A number of threads. Many thousands would take minutes to start and help nobody.
fn parse_threads(text: &str) -> Result<usize, String> {
    match parse_positive(text)? {
        threads if threads > MAX_THREADS => Err(format!("must be at most {MAX_THREADS}")),
        threads => Ok(threads),
    }
}

/// A plan in words.
fn plan_name(plan: lookalike::search::Plan) -> String {
    use lookalike::search::Plan;
    match plan {
        Plan::Walk { beam } => format!("walk, beam {beam}"),
        Plan::Scan { share, keep, confidence } if share >= 1.0 => {
            format!("scan, {keep} kept, confidence {confidence}")
        }
        Plan::Scan { share, keep, confidence } => {
            format!("scan of {share}, {keep} kept, confidence {confidence}")
        }
        Plan::WalkThenScan { beam, accept, keep, confidence } => format!(
            "walk, beam {beam}; below {accept:.2} a scan, {keep} kept, confidence {confidence}"
        ),
        _ => "exhaustive".to_owned(),
    }
}

/// A share of a whole: more than nothing, at most all of it.
fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        Ok(_) => Err("must be in (0, 1]".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// A part of a whole: more than nothing, less than all of it.
fn parse_rate(text: &str) -> Result<f64, String> {
    match parse_share(text)? {
        rate if rate < 1.0 => Ok(rate),
        _ => Err("must be in (0, 1)".to_owned()),
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("512M", 512 << 20), ("2GiB", 2 << 30), ("10", 10), ("1k", 1024), ("3gb", 3 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["", "G", "-1", "1.5G", "99999999999T"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1234), "1,234");
        assert_eq!(grouped(123_456_789), "123,456,789");
    }
}
