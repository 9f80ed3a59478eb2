//! A calibration on disk: `calibration.json`, beside `gallery.json`.
//!
//! One JSON object: `format`, `calibration`, and `blake3`, the checksum of the text of the
//! calibration. It is replaced in one step, and no search depends on it but those that ask for its
//! thresholds.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Calibration;
use crate::gallery::GalleryError;
use crate::gallery::map::open_regular;

/// The file's name.
pub(crate) const FILE_NAME: &str = "calibration.json";
/// More than the largest has.
const MAX_BYTES: u64 = 16 << 20;

/// What the file looks like; another number is another version's.
const FORMAT: u32 = 4;

#[derive(Serialize, Deserialize)]
struct Stored {
    /// The first had none.
    #[serde(default)]
    format: u32,
    calibration: Box<RawValue>,
    blake3: String,
}

/// Reads a gallery's calibration and checks it; `None` where it has none.
pub(crate) fn read(gallery: &Path) -> Result<Option<Calibration>, GalleryError> {
    let path = gallery.join(FILE_NAME);
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let mut text = String::new();
    let io = |source| GalleryError::io("read", &path, source);
    open_regular(&path).map_err(io)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    let damaged = |reason: String| GalleryError::damaged(&path, reason);
    if text.len() as u64 > MAX_BYTES {
        return Err(damaged(format!("it has more than {MAX_BYTES} bytes")));
    }
    let stored: Stored = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    if stored.format != FORMAT {
        return Err(GalleryError::Format {
            path,
            found: stored.format,
            oldest: FORMAT,
            newest: FORMAT,
            remedy: "calibrate the gallery again",
        });
    }
    let content = stored.calibration.get();
    if blake3::hash(content.as_bytes()).to_hex().as_str() != stored.blake3 {
        return Err(damaged("it does not match its checksum".to_owned()));
    }
    let calibration: Calibration =
        serde_json::from_str(content).map_err(|e| damaged(e.to_string()))?;
    Ok(Some(calibration))
}

impl Calibration {
    /// Keeps it with the gallery in the folder `gallery`, in place of an earlier one.
    ///
    /// # Errors
    /// When the file cannot be written; what was there stays.
    #[cfg(feature = "build")]
    pub fn store(&self, gallery: &Path) -> Result<(), GalleryError> {
        let path = gallery.join(FILE_NAME);
        let write = |e: serde_json::Error| GalleryError::io("write", &path, e.into());
        let calibration = serde_json::value::to_raw_value(self).map_err(write)?;
        let blake3 = blake3::hash(calibration.get().as_bytes()).to_hex().to_string();
        let mut text =
            serde_json::to_vec(&Stored { format: FORMAT, calibration, blake3 }).map_err(write)?;
        text.push(b'\n');
        crate::gallery::write::write_atomically(&path, &text)
    }
}
