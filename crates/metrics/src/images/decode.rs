//! One image file.

use std::io::Cursor;

use adadiff_jpeg::JpegError;
use image::{ImageError, ImageFormat, ImageReader, Limits};

use super::batch::{CHANNELS, ImageBatch, LARGEST_IMAGE, too_large};

/// Decodes a PNG or JPEG file, told by its first bytes, to 8 bits for each of three channels, as
/// published tools do: grey is repeated, transparency dropped, a note on orientation ignored.
///
/// The error continues a sentence on the file.
pub(super) fn decode(bytes: &[u8]) -> Result<ImageBatch, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST_IMAGE as u64);
    reader.limits(limits);
    match reader.format() {
        Some(ImageFormat::Jpeg) => return decode_jpeg(bytes),
        Some(ImageFormat::Png) => {}
        _ => return Err("it is neither a PNG nor a JPEG file".into()),
    }
    let image = reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => too_large(),
        error => error.to_string(),
    })?;
    let image = image.into_rgb8();
    let (width, height) = image.dimensions();
    let shape = [1, height as usize, width as usize, CHANNELS];
    Ok(ImageBatch::new(image.into_raw(), shape))
}

fn decode_jpeg(bytes: &[u8]) -> Result<ImageBatch, String> {
    let most = (LARGEST_IMAGE / CHANNELS) as u64;
    let picture = adadiff_jpeg::decode(bytes, most).map_err(|error| match error {
        JpegError::Truncated => "it is cut off".to_owned(),
        JpegError::Large { .. } => too_large(),
        JpegError::Damaged(reason) => reason,
    })?;
    let shape = [1, picture.height as usize, picture.width as usize, CHANNELS];
    Ok(ImageBatch::new(picture.rgb, shape))
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayAlphaImage, ImageBuffer, LumaA, Rgb, RgbImage};

    use super::*;

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn picture() -> RgbImage {
        RgbImage::from_fn(20, 10, |x, y| Rgb([x as u8 * 9, y as u8 * 20, 77]))
    }

    #[test]
    fn every_kind_becomes_three_channels_of_8_bits() {
        let found = decode(&encoded(picture(), ImageFormat::Png)).unwrap();
        assert_eq!(found, ImageBatch::new(picture().into_raw(), [1, 10, 20, 3]));
        let grey = GrayAlphaImage::from_pixel(1, 1, LumaA([200, 0]));
        let found = decode(&encoded(grey, ImageFormat::Png)).unwrap();
        assert_eq!(found.pixels(), [200, 200, 200]);
        // 8 bits times 257 are 16 bits; what lies between goes to the nearer.
        let deep = ImageBuffer::from_pixel(1, 1, Rgb([257_u16 * 3, 257 * 3 + 128, 257 * 3 + 129]));
        let found = decode(&encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png)).unwrap();
        assert_eq!(found.pixels(), [3, 3, 4]);
    }

    #[test]
    fn a_cut_off_file_is_no_image() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let whole = encoded(picture(), format);
            assert_eq!(decode(&whole).unwrap().shape(), [1, 10, 20, 3]);
            for length in 0..whole.len() - 1 {
                let cut = decode(&whole[..length]);
                // PNG's last chunk, of 12 bytes, holds nothing.
                assert!(cut.is_err() || length + 12 >= whole.len(), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        // A PNG header that claims 60,000 x 60,000 pixels; the rest is not needed to refuse it.
        let mut bomb = encoded(RgbImage::new(1, 1), ImageFormat::Png);
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&bomb).unwrap_err(), "it is larger than 256 MiB");
    }

    /// The check sum of a PNG chunk.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }
}
