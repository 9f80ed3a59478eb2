//! Input that cannot be mapped, made mappable.
//!
//! In comes a path, a pipe or standard input; out goes an open regular file that can be read again
//! and mapped. What had to be copied lies in an anonymous temporary file, which vanishes with the
//! last handle on it, however the process ends.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The path that stands for standard input.
pub(crate) const STDIN: &str = "-";

/// Opens `path` for reading, copying standard input (`-`) and named pipes into a temporary file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if path.as_os_str() == STDIN {
        return spool_stdin();
    }
    let file = File::open(path)?;
    if is_pipe(&file)? {
        return spool(file);
    }
    Ok(file)
}

/// Copies standard input to its end into an anonymous temporary file, open at its beginning.
pub(crate) fn spool_stdin() -> io::Result<File> {
    spool(io::stdin().lock())
}

/// Copies `input` to its end into an anonymous temporary file, open at its beginning.
pub(crate) fn spool(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

#[cfg(unix)]
fn is_pipe(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    Ok(file.metadata()?.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_reads_back_from_its_beginning() {
        let mut text = String::new();
        spool(&b"faces"[..]).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "faces");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_spooled() {
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"through a pipe").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        if !Path::new(&path).exists() {
            return;
        }
        let file = open(Path::new(&path)).unwrap();
        assert!(file.metadata().unwrap().is_file());
        assert_eq!(file.metadata().unwrap().len(), 14);
    }
}
