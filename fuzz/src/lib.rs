//! What the fuzz targets share.
//!
//! | module | job |
//! |---|---|
//! | `sample` | small valid galleries, made at start |
//! | `damage` | changes to their files, with checksums made right again |
//! | `explore` | everything that can be asked of an open gallery |

pub mod damage;
pub mod explore;
pub mod sample;

use std::env;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

/// Lets panics of other crates pass to whoever catches them; one of lookalike's own still ends the
/// run.
///
/// libfuzzer-sys aborts at every panic, caught or not. The Parquet reader and the image decoders
/// panic at some damaged files, which lookalike catches and turns into errors: those are not
/// findings. A panic that nobody catches reaches libfuzzer-sys and still is one; with `FUZZ_LOUD`
/// set, each is printed with its place.
pub fn quiet_others() {
    let loud = env::var_os("FUZZ_LOUD").is_some();
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", |place| place.file());
        let of_others = file.contains("/registry/src/") || file.contains("/library/");
        if !of_others {
            // The hook of libfuzzer-sys: prints and aborts.
            print(info);
        } else if loud {
            eprintln!("{info}");
        }
    }));
}

/// A folder of this process alone, in `TMPDIR`.
pub fn scratch_folder() -> PathBuf {
    tempfile::tempdir().expect("a temporary folder").keep()
}

/// Writes `bytes` as the file `name` of a folder and gives its path.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file in the temporary folder");
    path
}
