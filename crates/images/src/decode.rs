//! From an image file to its pixels, as Pillow's `Image.open(file).convert("RGB")` gives them.
//!
//! The format is taken from the content: ImageNet has a PNG whose name ends in `.JPEG`. Grey
//! becomes three equal channels and opacity is dropped. An orientation in EXIF is not applied, as
//! the published readers do not apply it either.

use std::io::Cursor;

use image::codecs::pnm::PnmDecoder;
use image::{
    ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits, Pixel,
    Rgb, RgbImage,
};

use crate::{PictureError, jpeg};

/// The most pixels of a picture: Pillow takes one with more for an attack.
pub const MOST_PIXELS: u64 = 178_956_970;

/// The most bytes that a picture takes while it is decoded, all that is made on the way included: three
/// for each pixel of the largest one.
pub(crate) const MOST_MEMORY: u64 = 3 * MOST_PIXELS;

/// Decodes a JPEG, PNG, WebP, BMP, PGM or PPM.
///
/// Of 16 bits, colours keep the upper 8 and grey is cut off at 255, both as in Pillow.
///
/// # Errors
/// Where the file is damaged, cut off, of another format or would take more memory than
/// [`MOST_PIXELS`] do.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, PictureError> {
    let format = image::guess_format(bytes).ok();
    match format {
        Some(ImageFormat::Jpeg) => return jpeg::decode(bytes),
        Some(ImageFormat::Pnm) => {
            let decoder = PnmDecoder::new(Cursor::new(bytes))?;
            let largest = decoder.header().maximal_sample();
            // Tools disagree on how other values are brought to bytes.
            if largest != u32::from(u8::MAX) {
                return Err(PictureError::LargestValue(largest));
            }
        }
        Some(ImageFormat::WebP) if is_cut_off_riff(bytes) => return Err(PictureError::Truncated),
        Some(ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp) => {}
        _ => return Err(PictureError::Format(format)),
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (u64::from(width), u64::from(height));
    let converted = match decoder.color_type() {
        ColorType::Rgb8 => 0,
        _ => width.saturating_mul(height).saturating_mul(3),
    };
    check_memory(
        width,
        height,
        converted.saturating_add(decoder.total_bytes()),
    )?;
    Ok(to_bytes(
        DynamicImage::from_decoder(decoder)?,
        is_deep_grey(bytes),
    ))
}

/// Eight bits for each of three channels.
fn to_bytes(image: DynamicImage, is_deep_grey: bool) -> RgbImage {
    let upper = |value: u16| (value >> 8) as u8;
    let cut_off = |value: u16| value.min(u16::from(u8::MAX)) as u8;
    match image {
        DynamicImage::ImageLuma16(image) => from_pixels(&image, |pixel| [cut_off(pixel[0]); 3]),
        // Opacity that one value of grey stands for is no channel of the file.
        DynamicImage::ImageLumaA16(image) if is_deep_grey => {
            from_pixels(&image, |pixel| [cut_off(pixel[0]); 3])
        }
        DynamicImage::ImageLumaA16(image) => from_pixels(&image, |pixel| [upper(pixel[0]); 3]),
        DynamicImage::ImageRgb16(image) => from_pixels(&image, |pixel| pixel.0.map(upper)),
        DynamicImage::ImageRgba16(image) => {
            from_pixels(&image, |pixel| [pixel[0], pixel[1], pixel[2]].map(upper))
        }
        image => image.into_rgb8(),
    }
}

fn from_pixels<P: Pixel<Subpixel = u16>>(
    image: &ImageBuffer<P, Vec<u16>>,
    bytes: impl Fn(&P) -> [u8; 3],
) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        Rgb(bytes(image.get_pixel(x, y)))
    })
}

/// Whether a file is a PNG of grey in 16 bits without a channel of opacity, as its header says.
fn is_deep_grey(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG") && bytes.get(24..26) == Some(&[16, 0])
}

/// Whether a WebP has fewer bytes than its container says: its decoder may not miss the last ones.
fn is_cut_off_riff(bytes: &[u8]) -> bool {
    let Some((_, &[a, b, c, d])) = bytes.get(..8).and_then(<[u8]>::split_last_chunk) else {
        return true;
    };
    (bytes.len() as u64) < 8 + u64::from(u32::from_le_bytes([a, b, c, d]))
}

/// An error where a picture is larger than [`MOST_PIXELS`].
///
/// # Errors
/// As said.
pub fn check_pixels(width: u64, height: u64) -> Result<(), PictureError> {
    check_memory(
        width,
        height,
        width.saturating_mul(height).saturating_mul(3),
    )
}

/// An error where decoding a picture takes more memory than is allowed.
pub(crate) fn check_memory(width: u64, height: u64, bytes: u64) -> Result<(), PictureError> {
    if bytes > MOST_MEMORY {
        Err(PictureError::Large { width, height })
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
pub(crate) mod tests;
