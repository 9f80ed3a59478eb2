//! The bytes of a photo.
//!
//! In come the images' folder and a path from a manifest, which may be a stranger's; out go the
//! file's bytes, at most as many as allowed. A path never leads out of the folder, and nothing but a
//! regular file is opened, so that no pipe or device can hold up a build.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::ImageFault;

/// Reads the file `image` in the folder `root`, of at most `max_bytes`.
///
/// `..` is resolved by name before the file system sees it. Symbolic links are followed, those to
/// places outside included: the folder is the user's own, only the manifest is not.
pub(super) fn read(root: &Path, image: &str, max_bytes: u64) -> Result<Vec<u8>, ImageFault> {
    let path = inside(root, image)?;
    let metadata = fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ImageFault::NotAFile);
    }
    let too_large = |bytes| ImageFault::TooLarge { bytes, limit: max_bytes };
    if metadata.len() > max_bytes {
        return Err(too_large(metadata.len()));
    }
    let file = File::open(&path).map_err(unreadable)?;
    // One more than expected each: the read ends without growing the buffer, and a file that grew
    // meanwhile is found out.
    let mut bytes = Vec::with_capacity(metadata.len().saturating_add(1) as usize);
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 {
        length if length > max_bytes => Err(too_large(length)),
        _ => Ok(bytes),
    }
}

/// The path of `image` below `root`, by its names alone.
fn inside(root: &Path, image: &str) -> Result<PathBuf, ImageFault> {
    let mut names = Vec::new();
    for component in Path::new(image).components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                names.pop().ok_or(ImageFault::OutsideFolder)?;
            }
            Component::RootDir | Component::Prefix(_) => return Err(ImageFault::OutsideFolder),
        }
    }
    Ok(names.iter().fold(root.to_path_buf(), |path, name| path.join(name)))
}

fn unreadable(error: io::Error) -> ImageFault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ImageFault::Missing,
        _ => ImageFault::Unreadable(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        let root = Path::new("/photos");
        for (image, expected) in [
            ("a.jpg", "/photos/a.jpg"),
            ("./a/b.jpg", "/photos/a/b.jpg"),
            ("a/../b.jpg", "/photos/b.jpg"),
            ("a//b/../../c.jpg", "/photos/c.jpg"),
            ("..a/b..", "/photos/..a/b.."),
        ] {
            assert_eq!(inside(root, image).unwrap(), Path::new(expected), "{image}");
        }
        for image in ["/etc/passwd", "..", "../a.jpg", "a/../../b.jpg", "a/../../photos/b.jpg"] {
            let found = inside(root, image);
            assert!(matches!(found, Err(ImageFault::OutsideFolder)), "{image}");
        }
    }

    #[test]
    fn the_limit_is_inclusive() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), [7; 100]).unwrap();
        assert_eq!(read(folder.path(), "a", 100).unwrap(), [7; 100]);
        let found = read(folder.path(), "a", 99);
        assert!(matches!(found, Err(ImageFault::TooLarge { bytes: 100, limit: 99 })));
    }

    #[test]
    fn what_is_no_file_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("file"), b"x").unwrap();
        assert!(matches!(read(root, "sub", 9), Err(ImageFault::NotAFile)));
        assert!(matches!(read(root, "", 9), Err(ImageFault::NotAFile)));
        assert!(matches!(read(root, "none", 9), Err(ImageFault::Missing)));
        assert!(matches!(read(root, "file/x", 9), Err(ImageFault::Missing)));
        assert!(matches!(read(root, "a\0b", 9), Err(ImageFault::Unreadable(_))));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_does_not_hold_up() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(read(folder.path(), "pipe", 9), Err(ImageFault::NotAFile)));
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
        assert!(matches!(read(folder.path(), "zero", 9), Err(ImageFault::NotAFile)));
    }
}
