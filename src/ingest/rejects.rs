//! `rejects.csv`: what a build left out or wants people to look at.
//!
//! In come findings, each about one row or one file; out goes a CSV table of them in the order they
//! came, `row,file,severity,reason`, and how many there were of each severity.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// What became of the face a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It is not in the gallery.
    Rejected,
    /// It is in the gallery, with something missing (a thumbnail, say).
    Warning,
    /// It is in the gallery, and a person should decide about it.
    Flag,
}

impl Severity {
    /// The word in the column `severity`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Warning => "warning",
            Self::Flag => "flag",
        }
    }
}

/// How many findings there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of [`Severity::Rejected`].
    pub rejected: u64,
    /// Of [`Severity::Warning`].
    pub warnings: u64,
    /// Of [`Severity::Flag`].
    pub flags: u64,
}

/// Writes the table of findings; see the module's page.
#[derive(Debug)]
pub struct Rejects<W: Write> {
    writer: csv::Writer<W>,
    counts: Counts,
}

impl<W: Write> Rejects<W> {
    /// Begins the table with its header line.
    ///
    /// # Errors
    /// If `to` cannot be written.
    pub fn new(to: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(["row", "file", "severity", "reason"])?;
        Ok(Self { writer, counts: Counts::default() })
    }

    /// Adds a finding about `row` (of the embeddings, from 0), where it is about one, in `file`: the
    /// image, the embeddings or the manifest.
    ///
    /// # Errors
    /// If the table cannot be written; the finding is not counted then.
    pub fn add(
        &mut self,
        row: Option<u64>,
        file: &Path,
        severity: Severity,
        reason: impl Display,
    ) -> io::Result<()> {
        let row = row.map(|row| row.to_string()).unwrap_or_default();
        let (file, reason) = (file.to_string_lossy(), reason.to_string());
        let cells = [&row, &*guarded(&file), severity.word(), &*guarded(&reason)];
        self.writer.write_record(cells)?;
        let count = match severity {
            Severity::Rejected => &mut self.counts.rejected,
            Severity::Warning => &mut self.counts.warnings,
            Severity::Flag => &mut self.counts.flags,
        };
        *count += 1;
        Ok(())
    }

    /// How many findings there are so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Writes out what is still buffered and gives the writer back.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// The reason of the first rejection in the table at `path`, if there is one that can be read.
pub(crate) fn first_rejected(path: &Path) -> Option<String> {
    let mut table = csv::Reader::from_path(path).ok()?;
    let mut records = table.records().map_while(Result::ok);
    let first = records.find(|record| record.get(2) == Some(Severity::Rejected.word()))?;
    first.get(3).map(str::to_owned)
}

/// A spreadsheet would run a cell that begins like a formula, and file names come from strangers.
fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(findings: &[(Option<u64>, &str, Severity, &str)]) -> (String, Counts) {
        let mut rejects = Rejects::new(Vec::new()).unwrap();
        for &(row, file, severity, reason) in findings {
            rejects.add(row, Path::new(file), severity, reason).unwrap();
        }
        let counts = rejects.counts();
        (String::from_utf8(rejects.finish().unwrap()).unwrap(), counts)
    }

    #[test]
    fn findings_are_written_and_counted() {
        let (text, counts) = table(&[
            (Some(3), "a.jpg", Severity::Warning, "missing, not found"),
            (None, "faces.npy", Severity::Rejected, "row 4 is \"NaN\""),
            (Some(9), "b.jpg", Severity::Flag, "same photo"),
            (Some(10), "b.jpg", Severity::Flag, "same photo"),
        ]);
        assert_eq!(
            text,
            "row,file,severity,reason\n\
             3,a.jpg,warning,\"missing, not found\"\n\
             ,faces.npy,rejected,\"row 4 is \"\"NaN\"\"\"\n\
             9,b.jpg,flag,same photo\n\
             10,b.jpg,flag,same photo\n"
        );
        assert_eq!(counts, Counts { rejected: 1, warnings: 1, flags: 2 });
    }

    #[test]
    fn nothing_found_leaves_the_header() {
        assert_eq!(table(&[]), ("row,file,severity,reason\n".into(), Counts::default()));
    }

    #[test]
    fn no_cell_is_a_formula() {
        for file in ["=1+1", "+1", "-1", "@a", "\ta", "\ra"] {
            let (text, _) = table(&[(None, file, Severity::Flag, file)]);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            assert_eq!(record[1], format!("'{file}"));
            assert_eq!(record[3], format!("'{file}"));
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let rejects = Rejects::new(Full).unwrap();
        assert_eq!(rejects.finish().err().unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
