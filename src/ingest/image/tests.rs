//! Photos of every format, turned every way, broken in many ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use tempfile::TempDir;

use super::*;

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];
const RED: [u8; 3] = [220, 30, 30];
const GREEN: [u8; 3] = [30, 200, 30];
const BLUE: [u8; 3] = [30, 30, 220];
const GREY: [u8; 3] = [128, 128, 128];

/// Red, green, blue and grey quarters: upper left, upper right, lower left, lower right.
fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => GREY,
        })
    })
}

fn bytes_of(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn encoded(image: RgbImage, format: ImageFormat) -> Vec<u8> {
    bytes_of(&DynamicImage::from(image), format)
}

/// Loads `bytes` as a file whose name says nothing about them.
fn load_with(bytes: &[u8], bounds: Option<Bounds>, limits: &ImageLimits) -> Photo {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("photo"), bytes).unwrap();
    load(folder.path(), "photo", bounds.as_ref(), limits)
}

fn load_bytes(bytes: &[u8], bounds: Option<Bounds>) -> Photo {
    let photo = load_with(bytes, bounds, &ImageLimits::default());
    assert_eq!(photo.thumbnail.is_none(), photo.fault.is_some());
    assert_eq!(photo.hash, Some(*blake3::hash(bytes).as_bytes()));
    photo
}

fn fault(bytes: &[u8]) -> ImageFault {
    load_bytes(bytes, None).fault.expect("a fault")
}

#[track_caller]
fn thumbnail(photo: Photo) -> RgbImage {
    if let Some(fault) = photo.fault {
        panic!("no thumbnail: {fault}");
    }
    let bytes = photo.thumbnail.expect("a thumbnail");
    ::image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).unwrap().into_rgb8()
}

#[track_caller]
fn assert_near(found: &Rgb<u8>, expected: [u8; 3]) {
    let near = |(a, b): (&u8, u8)| a.abs_diff(b) <= 20;
    assert!(found.0.iter().zip(expected).all(near), "{found:?} is not {expected:?}");
}

/// The colours in the middle of the four quarters.
#[track_caller]
fn assert_quarters(small: &RgbImage, expected: [[u8; 3]; 4]) {
    let (width, height) = small.dimensions();
    for (n, colour) in expected.into_iter().enumerate() {
        let (x, y) = ((n as u32 % 2) * 2 + 1, (n as u32 / 2) * 2 + 1);
        assert_near(small.get_pixel(width * x / 4, height * y / 4), colour);
    }
}

#[test]
fn every_format_gives_a_thumbnail() {
    for format in FORMATS {
        let small = thumbnail(load_bytes(&encoded(quarters(300, 200), format), None));
        assert_eq!(small.dimensions(), (128, 85), "{format:?}");
        assert_quarters(&small, [RED, GREEN, BLUE, GREY]);
    }
}

#[test]
fn nothing_is_enlarged() {
    for (width, height, expected) in [
        (1, 1, (1, 1)),
        (60, 40, (60, 40)),
        (128, 128, (128, 128)),
        (129, 128, (128, 127)),
        (2000, 3, (128, 1)),
    ] {
        let bytes = encoded(quarters(width, height), ImageFormat::Png);
        assert_eq!(thumbnail(load_bytes(&bytes, None)).dimensions(), expected);
    }
}

#[test]
fn every_kind_of_pixel_becomes_rgb() {
    let image = DynamicImage::from(quarters(200, 200));
    let kinds = [
        (DynamicImage::from(image.to_luma8()), ImageFormat::Png),
        (DynamicImage::from(image.to_luma16()), ImageFormat::Png),
        (DynamicImage::from(image.to_luma_alpha8()), ImageFormat::Png),
        (DynamicImage::from(image.to_luma_alpha16()), ImageFormat::Png),
        (DynamicImage::from(image.to_rgb16()), ImageFormat::Png),
        (DynamicImage::from(image.to_rgba16()), ImageFormat::Png),
        (DynamicImage::from(image.to_rgb32f()), ImageFormat::Tiff),
        (DynamicImage::from(image.to_rgba32f()), ImageFormat::Tiff),
        (DynamicImage::from(image.to_luma8()), ImageFormat::Jpeg),
    ];
    for (kind, format) in kinds {
        let expected = kind.to_rgb8();
        let small = thumbnail(load_bytes(&bytes_of(&kind, format), None));
        assert_near(small.get_pixel(32, 32), expected.get_pixel(50, 50).0);
        assert_near(small.get_pixel(96, 32), expected.get_pixel(150, 50).0);
    }
}

fn jpeg(image: &RgbImage, change: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    change(&mut encoder);
    let (width, height) = (image.width() as u16, image.height() as u16);
    encoder.encode(image, width, height, ColorType::Rgb).unwrap();
    bytes
}

#[test]
fn progressive_subsampled_and_cmyk_jpegs_are_read() {
    let image = quarters(300, 200);
    for bytes in [
        jpeg(&image, |encoder| encoder.set_progressive(true)),
        jpeg(&image, |encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2)),
        jpeg(&image, |encoder| encoder.set_restart_interval(3)),
    ] {
        let small = thumbnail(load_bytes(&bytes, None));
        assert_quarters(&small, [RED, GREEN, BLUE, GREY]);
    }
    let inks: Vec<u8> =
        image.pixels().flat_map(|Rgb([r, g, b])| [255 - r, 255 - g, 255 - b, 0]).collect();
    for colours in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 95).encode(&inks, 300, 200, colours).unwrap();
        let small = thumbnail(load_bytes(&bytes, None));
        assert_quarters(&small, [RED, GREEN, BLUE, GREY]);
    }
}

#[test]
fn what_is_transparent_lies_on_white() {
    let image = RgbaImage::from_fn(200, 200, |x, _| Rgba([0, 0, 0, if x < 100 { 0 } else { 127 }]));
    let image = DynamicImage::from(image);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let small = thumbnail(load_bytes(&bytes_of(&image, format), None));
        assert_near(small.get_pixel(30, 64), [255; 3]);
        assert_near(small.get_pixel(100, 64), [128; 3]);
    }
}

#[test]
fn of_an_animation_the_first_frame_counts() {
    let mut bytes = Vec::new();
    {
        let mut encoder = ::image::codecs::gif::GifEncoder::new(&mut bytes);
        for colour in [RED, GREEN, BLUE] {
            let [r, g, b] = colour;
            let frame = RgbaImage::from_pixel(150, 150, Rgba([r, g, b, 255]));
            encoder.encode_frame(::image::Frame::new(frame)).unwrap();
        }
    }
    assert_near(thumbnail(load_bytes(&bytes, None)).get_pixel(60, 60), RED);
}

/// The bytes of a JPEG with an EXIF segment that says how to turn it.
fn with_orientation(jpeg: &[u8], exif: u8, big_endian: bool) -> Vec<u8> {
    let mut segment = b"Exif\0\0".to_vec();
    let (order, tiff): (_, [&[u8]; 4]) = match big_endian {
        true => {
            (b"MM", [&[0, 42, 0, 0, 0, 8], &[0, 1], &[1, 0x12, 0, 3, 0, 0, 0, 1], &[0, exif, 0, 0]])
        }
        false => {
            (b"II", [&[42, 0, 8, 0, 0, 0], &[1, 0], &[0x12, 1, 3, 0, 1, 0, 0, 0], &[exif, 0, 0, 0]])
        }
    };
    segment.extend(order);
    segment.extend(tiff.concat());
    segment.extend([0; 4]);
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &segment, &jpeg[2..]].concat()
}

/// How the quarters of the stored image look once upright, by EXIF value.
const UPRIGHT: [[[u8; 3]; 4]; 8] = [
    [RED, GREEN, BLUE, GREY],
    [GREEN, RED, GREY, BLUE],
    [GREY, BLUE, GREEN, RED],
    [BLUE, GREY, RED, GREEN],
    [RED, BLUE, GREEN, GREY],
    [BLUE, RED, GREY, GREEN],
    [GREY, GREEN, BLUE, RED],
    [GREEN, GREY, RED, BLUE],
];

#[test]
fn photos_are_turned_upright() {
    let stored = jpeg(&quarters(320, 160), |_| {});
    for exif in 1..=8_u8 {
        let expected = UPRIGHT[usize::from(exif) - 1];
        for big_endian in [false, true] {
            let bytes = with_orientation(&stored, exif, big_endian);
            let small = thumbnail(load_bytes(&bytes, None));
            let size = if exif < 5 { (128, 64) } else { (64, 128) };
            assert_eq!(small.dimensions(), size, "EXIF {exif}");
            assert_quarters(&small, expected);
        }
        // A box inside each quarter of the upright image shows that quarter's colour alone.
        let (width, height) = if exif < 5 { (320.0, 160.0) } else { (160.0, 320.0) };
        for (n, colour) in expected.into_iter().enumerate() {
            let (left, top) = (width / 2.0 * (n % 2) as f32, height / 2.0 * (n / 2) as f32);
            let face = Bounds {
                left: left + 20.0,
                top: top + 20.0,
                right: left + 60.0,
                bottom: top + 60.0,
            };
            let bytes = with_orientation(&stored, exif, false);
            let small = thumbnail(load_bytes(&bytes, Some(face)));
            assert_eq!(small.dimensions(), (60, 60));
            for (x, y) in [(5, 5), (54, 5), (5, 54), (54, 54)] {
                assert_near(small.get_pixel(x, y), colour);
            }
        }
    }
}

#[test]
fn an_unknown_orientation_turns_nothing() {
    let bytes = with_orientation(&jpeg(&quarters(320, 160), |_| {}), 9, false);
    assert_quarters(&thumbnail(load_bytes(&bytes, None)), UPRIGHT[0]);
}

#[test]
fn a_box_outside_is_told_with_both_figures() {
    let bytes = with_orientation(&jpeg(&quarters(320, 160), |_| {}), 6, false);
    let face = Bounds { left: 200.0, top: 10.0, right: 240.0, bottom: 60.0 };
    let fault = load_bytes(&bytes, Some(face)).fault.unwrap();
    assert_eq!(fault.to_string(), "the box 200, 10 to 240, 60 lies outside the image of 160 x 320");
    let face = Bounds { left: 0.0, top: 0.0, right: 5000.0, bottom: 5000.0 };
    let fault = load_bytes(&bytes, Some(face)).fault.unwrap();
    assert_eq!(
        fault.to_string(),
        "most of the box 0, 0 to 5000, 5000 lies outside the image of 160 x 320"
    );
    let face = Bounds { left: -50.0, top: 0.0, right: 50.0, bottom: 60.0 };
    assert!(load_bytes(&bytes, Some(face)).fault.is_none());
}

#[test]
fn cut_files_are_damaged_wherever_they_are_cut() {
    let noisy = RgbImage::from_fn(90, 70, |x, y| {
        let n = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503);
        Rgb([n as u8, (n >> 8) as u8, (n >> 16) as u8])
    });
    for format in FORMATS {
        let bytes = encoded(noisy.clone(), format);
        for share in 1..20 {
            let cut = &bytes[..bytes.len() * share / 20];
            let fault = fault(cut);
            assert!(
                matches!(fault, ImageFault::Damaged(_)),
                "{format:?} cut at {share}/20: {fault}"
            );
        }
    }
}

#[test]
fn changed_bytes_never_end_the_run() {
    let mut random = 1_u64;
    for format in FORMATS {
        let bytes = encoded(quarters(60, 40), format);
        for _ in 0..100 {
            let mut changed = bytes.clone();
            for _ in 0..3 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (random >> 33) as usize % changed.len();
                changed[place] = (random >> 20) as u8;
            }
            load_bytes(&changed, None);
        }
    }
}

#[test]
fn what_is_no_image_is_told() {
    assert!(matches!(fault(b""), ImageFault::Empty));
    assert!(matches!(fault(b"<svg></svg>"), ImageFault::UnknownFormat));
    // Known to the decoding library, but not among ours.
    assert!(matches!(fault(b"#?RADIANCE\n"), ImageFault::UnknownFormat));
    assert!(matches!(fault(b"\xFF\xD8\xFF"), ImageFault::Damaged(_)));
}

/// A chunk of a PNG.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name, data].concat();
    let sum = !body.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    });
    [&(data.len() as u32).to_be_bytes()[..], &body, &sum.to_be_bytes()].concat()
}

fn png_of(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = [&size[..], &[16, 6, 0, 0, 0]].concat();
    let start: &[u8] = b"\x89PNG\r\n\x1a\n";
    [start, &chunk(b"IHDR", &header), &chunk(b"IDAT", &[0x78, 1]), &chunk(b"IEND", &[])].concat()
}

fn gif_of(width: u16, height: u16) -> Vec<u8> {
    let [width, height] = [width, height].map(u16::to_le_bytes);
    let start: &[u8] = b"GIF89a";
    let frame: &[u8] = &[0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3B];
    [start, &width, &height, &[0x80, 0, 0], &[0; 6], frame].concat()
}

fn bmp_of(width: i32, height: i32) -> Vec<u8> {
    let start: &[u8] = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
    [start, &width.to_le_bytes(), &height.to_le_bytes(), &[1, 0, 24, 0], &[0; 24]].concat()
}

/// A TIFF whose one strip has the figures given as its tags' values.
fn tiff_of(tags: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"II\x2A\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for &(tag, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 64]);
    bytes
}

fn tiff_sized(width: u32, height: u32) -> Vec<u8> {
    // Width, height, bits, compression, photometric, offset, samples, rows a strip, strip bytes.
    tiff_of(&[
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, u32::MAX),
    ])
}

#[test]
fn bombs_are_told_by_their_header() {
    let mut large = jpeg(&quarters(64, 64), |_| {});
    let frame = large.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    large[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    for (bytes, expected) in [
        (png_of(60_000, 60_000), (60_000, 60_000)),
        (gif_of(65_535, 65_535), (65_535, 65_535)),
        (bmp_of(30_000, -30_000), (30_000, 30_000)),
        (tiff_sized(60_000, 60_000), (60_000, 60_000)),
        (large, (65_535, 65_535)),
    ] {
        match fault(&bytes) {
            ImageFault::TooManyPixels { width, height, limit } => {
                assert_eq!((width, height, limit), (expected.0, expected.1, 100_000_000));
            }
            other => panic!("{expected:?}: {other}"),
        }
    }
}

#[test]
fn absurd_headers_are_faults() {
    for bytes in [
        png_of(u32::MAX, u32::MAX),
        png_of(0, 5),
        gif_of(0, 0),
        bmp_of(i32::MAX, i32::MIN),
        bmp_of(0, 0),
        tiff_sized(u32::MAX, u32::MAX),
        tiff_sized(0, 7),
        tiff_sized(9000, 9000),
        tiff_of(&[(256, 10)]),
    ] {
        fault(&bytes);
    }
}

#[test]
fn limits_are_told_with_both_figures() {
    let bytes = encoded(quarters(40, 30), ImageFormat::Png);
    let limits = ImageLimits { max_pixels: 1199, ..ImageLimits::default() };
    let photo = load_with(&bytes, None, &limits);
    assert!(photo.hash.is_some());
    assert_eq!(
        photo.fault.unwrap().to_string(),
        "the image has 40 x 30 = 1200 pixels, the limit is 1199"
    );
    let limits = ImageLimits { max_bytes: 10, ..ImageLimits::default() };
    let photo = load_with(&bytes, None, &limits);
    assert!(photo.hash.is_none());
    assert!(matches!(photo.fault, Some(ImageFault::TooLarge { limit: 10, .. })));
}

#[test]
fn many_photos_come_in_their_order_good_or_bad() {
    let folder = TempDir::new().unwrap();
    let good = encoded(quarters(50, 50), ImageFormat::Png);
    fs::write(folder.path().join("good"), &good).unwrap();
    let names = (0..60).map(|n| if n % 3 == 0 { "none" } else { "good" });
    let mut faults = Vec::new();
    load_all(
        folder.path(),
        names.map(|name| Ok((name, None))),
        &ImageLimits::default(),
        &Cancel::new(),
        |photo| {
            faults.push(photo.fault.is_some());
            Ok::<_, Cancelled>(())
        },
    )
    .unwrap();
    let expected: Vec<bool> = (0..60).map(|n| n % 3 == 0).collect();
    assert_eq!(faults, expected);
}
