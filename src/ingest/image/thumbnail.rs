//! From the bytes of a file to a thumbnail.
//!
//! In come a photo's bytes and the box of a face; out goes a small upright JPEG, or why there is
//! none. Sizes are read from the header and checked before a pixel is decoded. Everything after the
//! decoder works on the few pixels of the thumbnail: the box is mapped back into the stored image,
//! the crop is a view, and turning, flattening and conversion come after shrinking.

use std::any::Any;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, Rgba,
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::memory::Permit;
use super::{ImageFault, ImageLimits, jpeg};
use crate::gallery::Bounds;
use crate::ingest::bounds::Region;

/// Pixels of a thumbnail's longer side.
pub(super) const LONGEST_SIDE: u32 = 128;
/// What is shown around a face, as a share of its box's longer side in each direction.
pub(super) const MARGIN: f64 = 0.25;
/// JPEG quality, of 100.
const QUALITY: u8 = 85;
/// Bytes of memory a decoder may take beyond eight for each pixel allowed (RGBA of 16 bits).
const SLACK: u64 = 64 << 20;

/// Makes the thumbnail of the photo in `bytes`, of the face at `bounds` or of the whole image.
pub(super) fn make(
    bytes: &[u8],
    bounds: Option<&Bounds>,
    limits: &ImageLimits,
) -> Result<Vec<u8>, ImageFault> {
    // Decoders read what strangers wrote: one that panics costs its photo, not the build.
    catch_unwind(AssertUnwindSafe(|| decode_and_shrink(bytes, bounds, limits)))
        .unwrap_or_else(|panic| Err(ImageFault::Damaged(panicked(&*panic))))
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the decoder panicked: {}", text.unwrap_or("no reason given"))
}

fn decode_and_shrink(
    bytes: &[u8],
    bounds: Option<&Bounds>,
    limits: &ImageLimits,
) -> Result<Vec<u8>, ImageFault> {
    let format = format_of(bytes)?;
    let max_alloc = limits.max_pixels.saturating_mul(8).saturating_add(SLACK);
    let fault = |error| fault_of(error, max_alloc);
    let mut allowed = Limits::no_limits();
    allowed.max_alloc = Some(max_alloc);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(ImageFault::Damaged("it has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(ImageFault::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    if decoder.total_bytes() > max_alloc {
        return Err(ImageFault::TooMuchMemory { limit: max_alloc });
    }
    // Metadata that cannot be read says nothing about which way is up.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let region = region_of(bounds, orientation, width, height)?;
    let markers = match format {
        ImageFormat::Jpeg => jpeg::markers(bytes),
        _ => jpeg::Markers::default(),
    };
    if markers.cut_short {
        return Err(ImageFault::Damaged("the file is cut short".to_owned()));
    }
    let weight = match (format, markers.progressive) {
        (ImageFormat::Jpeg, false) => 1,
        (ImageFormat::Jpeg, true) => 3, // coefficients of two bytes each beside the pixels
        _ => 2,                         // a copy with alpha multiplied in, or the decoder's own
    };
    let need = decoder.total_bytes().saturating_mul(weight);
    let _permit = Permit::take(need.saturating_add(bytes.len() as u64), limits.max_memory);
    let large = DynamicImage::from_decoder(decoder).map_err(fault)?;
    let mut small = shrink(&large, &region)?;
    drop(large);
    small.apply_orientation(orientation);
    encode(&flatten(small))
}

/// Tells the format by the first bytes, whatever the file is called.
fn format_of(bytes: &[u8]) -> Result<ImageFormat, ImageFault> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if bytes.is_empty() {
        return Err(ImageFault::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Bmp | Gif | Jpeg | Png | Tiff | WebP)) => Ok(format),
        _ => Err(ImageFault::UnknownFormat),
    }
}

fn fault_of(error: ImageError, limit: u64) -> ImageFault {
    match error {
        ImageError::Limits(_) => ImageFault::TooMuchMemory { limit },
        ImageError::Unsupported(what) => ImageFault::Unsupported(what.to_string()),
        other => ImageFault::Damaged(other.to_string()),
    }
}

/// The region to show, in pixels of the image as it is stored.
fn region_of(
    bounds: Option<&Bounds>,
    orientation: Orientation,
    width: u32,
    height: u32,
) -> Result<Region, ImageFault> {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let Some(&bounds) = bounds else {
        return Ok(Region::whole(width, height));
    };
    let on_its_side = matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
    let (upright_width, upright_height) = match on_its_side {
        true => (height, width),
        false => (width, height),
    };
    let region = bounds
        .region(MARGIN, upright_width, upright_height)
        .ok_or(ImageFault::BoxOutside { bounds, width: upright_width, height: upright_height })?;
    if bounds.is_mostly_outside(upright_width, upright_height) {
        let (width, height) = (upright_width, upright_height);
        return Err(ImageFault::BoxMostlyOutside { bounds, width, height });
    }
    Ok(stored(region, orientation, width, height))
}

/// Maps a region of the upright image into the stored image of `width` x `height`.
fn stored(upright: Region, orientation: Orientation, width: u32, height: u32) -> Region {
    let Region { x, y, .. } = upright;
    // From the far edge: where a mirrored region begins.
    let x_far = |start: u32, length: u32| width - start - length;
    let y_far = |start: u32, length: u32| height - start - length;
    let (across, down) = (upright.width, upright.height);
    let (x, y, width, height) = match orientation {
        Orientation::NoTransforms => (x, y, across, down),
        Orientation::FlipHorizontal => (x_far(x, across), y, across, down),
        Orientation::FlipVertical => (x, y_far(y, down), across, down),
        Orientation::Rotate180 => (x_far(x, across), y_far(y, down), across, down),
        Orientation::Rotate90 => (y, y_far(x, across), down, across),
        Orientation::Rotate270 => (x_far(y, down), x, down, across),
        Orientation::Rotate90FlipH => (y, x, down, across),
        Orientation::Rotate270FlipH => (x_far(y, down), y_far(x, across), down, across),
    };
    Region { x, y, width, height }
}

/// Shrinks a region of an image to a thumbnail's size; what is smaller stays as it is.
fn shrink(large: &DynamicImage, region: &Region) -> Result<DynamicImage, ImageFault> {
    let longest = region.width.max(region.height);
    let scale = f64::from(LONGEST_SIDE.min(longest)) / f64::from(longest);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let mut small = DynamicImage::new(side(region.width), side(region.height), large.color());
    // Where many pixels become one, plain averaging looks as good as a shaped filter, and costs half.
    let filter = if scale < 0.4 { FilterType::Box } else { FilterType::Hamming };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(
        f64::from(region.x),
        f64::from(region.y),
        f64::from(region.width),
        f64::from(region.height),
    );
    Resizer::new()
        .resize(large, &mut small, &options)
        .map_err(|error| ImageFault::Unsupported(error.to_string()))?;
    Ok(small)
}

/// Lays what is transparent on white and turns every kind of pixel into RGB of eight bits.
fn flatten(small: DynamicImage) -> RgbImage {
    if !small.color().has_alpha() {
        return small.into_rgb8();
    }
    let small = small.into_rgba8();
    RgbImage::from_fn(small.width(), small.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *small.get_pixel(x, y);
        let alpha = u32::from(alpha);
        let over = |value: u8| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        image::Rgb([r, g, b].map(over))
    })
}

fn encode(small: &RgbImage) -> Result<Vec<u8>, ImageFault> {
    let mut jpeg = Vec::with_capacity(8 << 10);
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // Sides are at most LONGEST_SIDE, so they fit.
    let (width, height) = (small.width() as u16, small.height() as u16);
    encoder
        .encode(small, width, height, ColorType::Rgb)
        .map_err(|error| ImageFault::Unsupported(error.to_string()))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_stored_region_turned_upright_is_the_region_of_the_upright_image(
            exif in 1_u8..=8, width in 1_u32..24, height in 1_u32..24,
            (x, y, right, bottom) in (0_u32..24, 0_u32..24, 1_u32..24, 1_u32..24),
        ) {
            let orientation = Orientation::from_exif(exif).unwrap();
            let large = DynamicImage::from(RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([x as u8, y as u8, 0])
            }));
            let mut upright = large.clone();
            upright.apply_orientation(orientation);
            let bounds = Bounds {
                left: x as f32, top: y as f32, right: (x + right) as f32, bottom: (y + bottom) as f32,
            };
            match region_of(Some(&bounds), orientation, width, height) {
                Ok(found) => {
                    let region = bounds.region(MARGIN, upright.width(), upright.height()).unwrap();
                    let expected = upright.crop_imm(region.x, region.y, region.width, region.height);
                    let mut crop = large.crop_imm(found.x, found.y, found.width, found.height);
                    crop.apply_orientation(orientation);
                    prop_assert_eq!(crop, expected);
                }
                Err(_) => {
                    prop_assert!(bounds.is_mostly_outside(upright.width(), upright.height()));
                }
            }
        }
    }

    #[test]
    fn a_panic_is_told_as_damage() {
        let panic = catch_unwind(|| panic!("row {}", 3)).unwrap_err();
        assert_eq!(panicked(&*panic), "the decoder panicked: row 3");
        let panic = catch_unwind(|| std::panic::panic_any(3)).unwrap_err();
        assert_eq!(panicked(&*panic), "the decoder panicked: no reason given");
    }
}
