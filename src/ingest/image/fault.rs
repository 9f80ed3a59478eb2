//! Why a photo has no thumbnail.

use std::io;

use crate::gallery::Bounds;

/// Why a photo has no thumbnail. The face it belongs to may still be enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageFault {
    /// There is no file of that name.
    #[error("there is no such file")]
    Missing,
    /// The path is absolute or climbs out of the images' folder.
    #[error("the path leads out of the images' folder")]
    OutsideFolder,
    /// A folder, a device, a pipe or a socket bears the name.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system could not read it.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file is larger than [`ImageLimits::max_bytes`](super::ImageLimits::max_bytes).
    #[error("the file has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// The most that were allowed.
        limit: u64,
    },
    /// The image has more pixels than [`ImageLimits::max_pixels`](super::ImageLimits::max_pixels).
    #[error(
        "the image has {width} x {height} = {} pixels, the limit is {limit}",
        u64::from(*.width) * u64::from(*.height)
    )]
    TooManyPixels {
        /// Pixels in a row, as stored.
        width: u32,
        /// Rows, as stored.
        height: u32,
        /// The most pixels that were allowed.
        limit: u64,
    },
    /// Decoding it would take more memory than its size justifies.
    #[error("decoding it takes more than the {limit} bytes of memory allowed")]
    TooMuchMemory {
        /// The most bytes that were allowed.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are of none of the formats that are read; their names do not count.
    #[error("not a JPEG, PNG, WebP, GIF, BMP or TIFF image")]
    UnknownFormat,
    /// The format is known, but this kind of it is not.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The decoder found the bytes broken or cut short.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Less than half of the face's box is in the image.
    #[error("most of the box {bounds} lies outside the image of {width} x {height}")]
    BoxMostlyOutside {
        /// The box as given.
        bounds: Bounds,
        /// Pixels in a row of the upright image.
        width: u32,
        /// Rows of the upright image.
        height: u32,
    },
    /// The face's box is empty or has no part of the image in it.
    #[error("the box {bounds} lies outside the image of {width} x {height}")]
    BoxOutside {
        /// The box as given.
        bounds: Bounds,
        /// Pixels in a row of the upright image.
        width: u32,
        /// Rows of the upright image.
        height: u32,
    },
}
