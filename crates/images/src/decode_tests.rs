use flate2::Crc;
use image::{GrayImage, Luma, Rgba, RgbaImage};

use super::*;

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn checksum(image: &RgbImage) -> u32 {
    let mut checksum = Crc::new();
    checksum.update(image.as_raw());
    checksum.sum()
}

/// All from Pillow: see `fixtures/make.py`.
macro_rules! assert_pillow {
    ($(($file:literal, $size:expr, $checksum:expr)),+ $(,)?) => {$(
        let image = decode(include_bytes!(concat!("fixtures/", $file))).unwrap();
        assert_eq!((image.dimensions(), checksum(&image)), ($size, $checksum), $file);
    )+};
}

#[test]
fn values_of_16_bits_become_those_of_pillow() {
    assert_pillow!(
        ("grey16.png", (7, 5), 0xde65_4771),
        ("grey16_transparent.png", (7, 5), 0xde65_4771),
        ("grey_alpha16.png", (7, 5), 0x244b_64ba),
        ("rgb16.png", (7, 5), 0x730c_b6a4),
        ("rgba16.png", (7, 5), 0x0926_8db5),
    );
}

#[test]
fn other_formats_have_the_pixels_of_pillow() {
    assert_pillow!(
        ("colour.bmp", (38, 26), 0xbebc_c84b),
        ("palette.bmp", (38, 26), 0x5e5f_f4fd),
        ("colour.ppm", (38, 26), 0xbebc_c84b),
        ("grey.pgm", (38, 26), 0xe80d_14b5),
        ("lossless.webp", (38, 26), 0xbebc_c84b),
        ("lossy.webp", (38, 26), 0x9ab6_39ea),
    );
}

#[test]
fn the_content_tells_the_format_and_opacity_is_dropped() {
    let image = RgbaImage::from_fn(3, 2, |x, y| Rgba([x as u8, y as u8, 200, 7]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let decoded = decode(&encoded(image.clone(), format)).unwrap();
        assert_eq!(decoded.dimensions(), (3, 2));
        assert_eq!(decoded.get_pixel(2, 1), &Rgb([2, 1, 200]));
    }
    let error = decode(b"GIF89a......").unwrap_err().to_string();
    assert!(error.contains("Gif"), "{error}");
    let error = decode(b"no image").unwrap_err().to_string();
    assert!(error.contains("cannot be decoded"), "{error}");
    let error = decode(b"P5 1 1 15\n\x07").unwrap_err().to_string();
    assert!(error.contains("its largest value is 15"), "{error}");
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = GrayImage::from_fn(9, 8, |x, _| Luma([20 * x as u8]));
    let png = decode(&encoded(grey.clone(), ImageFormat::Png)).unwrap();
    let jpeg = decode(&encoded(grey, ImageFormat::Jpeg)).unwrap();
    assert_eq!(png.get_pixel(8, 3), &Rgb([160; 3]));
    for (png, jpeg) in png.pixels().zip(jpeg.pixels()) {
        assert_eq!((jpeg[0], jpeg[0]), (jpeg[1], jpeg[2]));
        assert!(png[0].abs_diff(jpeg[0]) < 20, "{png:?} and {jpeg:?}");
    }
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let image = RgbaImage::from_fn(6, 5, |x, y| Rgba([x as u8, y as u8, 200, 255]));
    let bytes = encoded(image, ImageFormat::Png);
    // The last chunk, of 12 bytes, says nothing but that the file ends.
    for length in 0..bytes.len() - 12 {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
    for bytes in [
        &include_bytes!("fixtures/colour.ppm")[..],
        include_bytes!("fixtures/colour.bmp"),
        include_bytes!("fixtures/lossy.webp"),
    ] {
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}

/// The header of a PNG with so many pixels, of a type of colour.
fn promise(side: u32, colour: u8) -> Vec<u8> {
    let mut bytes = encoded(GrayImage::new(1, 1), ImageFormat::Png);
    // Width and height follow the signature and the header's length and name.
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    bytes[25] = colour;
    let mut checksum = Crc::new();
    checksum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    bytes
}

#[test]
fn a_header_that_promises_too_much_is_not_believed() {
    let error = decode(&promise(65_536, 0)).unwrap_err().to_string();
    assert!(error.contains("65536 x 65536 pixels"), "{error}");
    // In the file grey takes a third of what is made of it: both are counted.
    let side = 12_000;
    assert!(u64::from(side).pow(2) < MOST_PIXELS);
    let error = decode(&promise(side, 0)).unwrap_err();
    assert!(matches!(error, PictureError::Large { .. }), "{error}");
    let error = decode(&promise(side, 2)).unwrap_err();
    assert!(!matches!(error, PictureError::Large { .. }), "{error}");
}
