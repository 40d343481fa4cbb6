//! From an image file to its pixels, as Pillow's `Image.open(file).convert("RGB")` gives them.
//!
//! The format is taken from the content: ImageNet has a PNG whose name ends in `.JPEG`. Grey
//! becomes three equal channels and opacity is dropped. An orientation in EXIF is not applied, as
//! the published readers do not apply it either.

use std::io::Cursor;

use adadiff_jpeg::JpegError;
use image::{ImageFormat, ImageReader, Limits, RgbImage};

use crate::ImageError;

/// The most pixels of a picture: Pillow takes one with more for an attack.
pub(crate) const MOST_PIXELS: u64 = 178_956_970;

/// Decodes a JPEG, PNG or WebP.
///
/// # Errors
/// Where the file is damaged, cut off, of another format or promises more than [`MOST_PIXELS`].
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let format = image::guess_format(bytes)?;
    if format == ImageFormat::Jpeg {
        let picture = adadiff_jpeg::decode(bytes, MOST_PIXELS).map_err(of_jpeg)?;
        let (width, height) = (picture.width, picture.height);
        return RgbImage::from_raw(width, height, picture.rgb).ok_or(ImageError::Truncated);
    }
    let reader = || ImageReader::with_format(Cursor::new(bytes), format);
    let (width, height) = reader().into_dimensions()?;
    check_pixels(width.into(), height.into())?;
    let mut reader = reader();
    let mut limits = Limits::default();
    // Four channels of 16 bits.
    limits.max_alloc = Some(8 * MOST_PIXELS);
    reader.limits(limits);
    Ok(reader.decode()?.into_rgb8())
}

fn of_jpeg(error: JpegError) -> ImageError {
    match error {
        JpegError::Truncated => ImageError::Truncated,
        JpegError::Large { width, height } => ImageError::Pixels {
            width,
            height,
            most: MOST_PIXELS,
        },
        damaged @ JpegError::Damaged(_) => ImageError::Jpeg(damaged),
    }
}

/// An error where a picture is larger than [`MOST_PIXELS`].
pub(crate) fn check_pixels(width: u64, height: u64) -> Result<(), ImageError> {
    if width.saturating_mul(height) > MOST_PIXELS {
        return Err(ImageError::Pixels {
            width,
            height,
            most: MOST_PIXELS,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, Luma, Rgb, Rgba, RgbaImage};

    use super::*;

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
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
    fn every_cut_of_a_png_is_an_error() {
        let image = RgbaImage::from_fn(6, 5, |x, y| Rgba([x as u8, y as u8, 200, 255]));
        let bytes = encoded(image, ImageFormat::Png);
        // The last chunk, of 12 bytes, says nothing but that the file ends.
        for length in 0..bytes.len() - 12 {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_not_believed() {
        let mut bytes = encoded(GrayImage::new(1, 1), ImageFormat::Png);
        // Width and height follow the signature and the header's length and name.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let checksum = {
            let mut checksum = flate2::Crc::new();
            checksum.update(&bytes[12..29]);
            checksum.sum()
        };
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("65536 x 65536 pixels"), "{error}");
    }
}
