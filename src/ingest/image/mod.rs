//! One photo: its content hash and its thumbnail.
//!
//! In come the images' folder, a path from the manifest and the box of a face; out goes a [`Photo`]:
//! the hash of the file's bytes, and a small upright JPEG or the reason why there is none. JPEG,
//! PNG, WebP, GIF (its first frame), BMP and TIFF are read, told by their content. Whatever the file
//! holds, the result is a value: nothing here fails, hangs or takes more memory than
//! [`ImageLimits`] allow, because sizes are checked before anything is read or decoded.
//!
//! ```text
//! path -> file: bytes -> hash
//!                     -> thumbnail: header -> limits, box -> pixels -> crop, shrink -> upright JPEG
//! ```

mod fault;
mod file;
mod jpeg;
mod memory;
#[cfg(test)]
mod tests;
mod thumbnail;

use std::path::Path;

use super::pipeline::{self, Cancelled};
use crate::Cancel;
use crate::gallery::Bounds;

pub use fault::ImageFault;

/// What a photo may cost. Checked before it is read and again before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// The most bytes a file may have; 64 MiB unless told otherwise.
    pub max_bytes: u64,
    /// The most pixels an image may have; 100 million unless told otherwise.
    pub max_pixels: u64,
    /// Bytes that all photos being decoded at one time may take together, 1 GiB unless told
    /// otherwise. Photos wait for each other to stay below; a single one beyond it goes alone, and
    /// takes up to about 16 bytes a pixel.
    pub max_memory: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 100_000_000, max_memory: 1 << 30 }
    }
}

/// What is kept of a photo.
#[derive(Debug)]
pub struct Photo {
    /// BLAKE3 of the file's bytes, also of a damaged or too large image; None where the bytes could
    /// not be read or were more than [`ImageLimits::max_bytes`].
    pub hash: Option<[u8; 32]>,
    /// A JPEG of at most 128 pixels a side, upright, in RGB: the face with a quarter of its box's
    /// longer side around it, or the whole image where there is no box. Never enlarged.
    pub thumbnail: Option<Vec<u8>>,
    /// Why there is no thumbnail. Exactly one of the two is there.
    pub fault: Option<ImageFault>,
}

/// Loads the photo at `image`, a path relative to the folder `root`.
///
/// A path that is absolute or leads out of `root` is refused, as manifests may come from strangers;
/// symbolic links inside the folder are followed, as the folder is the user's own. A box partly
/// outside the image is clamped; with less than half of it inside, it counts as one of something
/// else. Transparent parts are laid on white; colour profiles are not
/// applied. A decoder that panics gives [`ImageFault::Damaged`] (the process's panic hook still
/// hears of it).
pub fn load(root: &Path, image: &str, bounds: Option<&Bounds>, limits: &ImageLimits) -> Photo {
    let bytes = match file::read(root, image, limits.max_bytes) {
        Ok(bytes) => bytes,
        Err(fault) => {
            return Photo { hash: None, thumbnail: None, fault: Some(fault) };
        }
    };
    let hash = Some(*blake3::hash(&bytes).as_bytes());
    match thumbnail::make(&bytes, bounds, limits) {
        Ok(thumbnail) => Photo { hash, thumbnail: Some(thumbnail), fault: None },
        Err(fault) => Photo { hash, thumbnail: None, fault: Some(fault) },
    }
}

/// Loads many photos on the current rayon pool and gives them to `sink` in the order of `images`,
/// on the calling thread.
///
/// Only a few photos a thread are on the way at once, so neither the number of photos nor their
/// size matters for memory.
///
/// # Errors
/// The first error among `images` or of `sink`, or that `cancel` was raised. A bad photo is not an
/// error: it is a [`Photo`] with a fault.
///
/// ```
/// use lookalike::Cancel;
/// use lookalike::ingest::Cancelled;
/// use lookalike::ingest::image::{ImageLimits, load_all};
/// let folder = std::path::Path::new("photos");
/// let images = ["a.jpg", "b.jpg"].map(|image| Ok((image, None)));
/// let mut faults = Vec::new();
/// load_all(folder, images, &ImageLimits::default(), &Cancel::new(), |photo| {
///     faults.extend(photo.fault);
///     Ok::<_, Cancelled>(())
/// })?;
/// assert_eq!(faults[0].to_string(), "there is no such file");
/// # Ok::<(), Cancelled>(())
/// ```
pub fn load_all<N, E>(
    root: &Path,
    images: impl IntoIterator<Item = Result<(N, Option<Bounds>), E>>,
    limits: &ImageLimits,
    cancel: &Cancel,
    sink: impl FnMut(Photo) -> Result<(), E>,
) -> Result<(), E>
where
    N: AsRef<str> + Send,
    E: From<Cancelled>,
{
    let work =
        |(image, bounds): (N, Option<Bounds>)| load(root, image.as_ref(), bounds.as_ref(), limits);
    pipeline::ordered(images, window(), cancel, work, sink)
}

/// Photos on the way at once: enough that no thread waits while one photo takes long.
pub(crate) fn window() -> usize {
    rayon::current_num_threads().saturating_mul(8)
}
