//! A page being written: beside its place first, so that a broken one is never there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Failure;

/// The place of a page, and the file that will take it.
pub(crate) struct Page {
    path: PathBuf,
    file: Temporary,
}

/// A file that is removed again unless it is finished: half a page tells of faces, too.
struct Temporary {
    path: PathBuf,
    remove: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.remove {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Page {
    /// Opens a file to write the page to.
    pub(crate) fn create(path: &Path) -> Result<(Self, BufWriter<File>), Failure> {
        // Through a symbolic link, what it leads to is written.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let there = std::fs::metadata(&path).ok();
        if there.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(Failure::Usage(format!("{} is a folder, not a file", path.display())));
        }
        // A device or a pipe is written to; a file in its place is not what was asked for.
        let remove = there.is_none_or(|there| there.is_file());
        let mut temporary = path.as_os_str().to_owned();
        if remove {
            temporary.push(".new");
        }
        let temporary = PathBuf::from(temporary);
        let out = create_private(&temporary).map_err(|e| Failure::file("create", &temporary, e))?;
        let file = Temporary { path: temporary, remove };
        Ok((Self { path, file }, BufWriter::new(out)))
    }

    /// A failure to write it.
    pub(crate) fn failed(&self, error: io::Error) -> Failure {
        Failure::file("write", &self.file.path, error)
    }

    /// Puts what was written into its place.
    pub(crate) fn finish(mut self, mut out: BufWriter<File>) -> Result<(), Failure> {
        out.flush().map_err(|e| self.failed(e))?;
        if self.file.remove {
            std::fs::rename(&self.file.path, &self.path)
                .map_err(|e| Failure::file("write", &self.path, e))?;
            self.file.remove = false;
        }
        Ok(())
    }
}

/// A file for its owner alone: pages show faces, and who is missed.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
