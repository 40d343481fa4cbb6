//! JPEG in all colours that photographs come in, refusing what is cut off.
//!
//! The `image` crate reads JPEGs through the same decoder, but has it fill up what is missing of a
//! damaged file, and turns CMYK into other colours than Pillow does.

use image::RgbImage;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::check_pixels;
use crate::ImageError;

/// The marker before coded blocks.
const SCAN: [u8; 2] = [0xff, 0xda];

/// The marker of the end of an image.
const END: [u8; 2] = [0xff, 0xd9];

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    // The size is checked below; the decoder's own limit is on the sides.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    let (width, height) = decoder.dimensions().ok_or(ImageError::Truncated)?;
    check_pixels(width as u64, height as u64)?;
    let colours = decoder.input_colorspace().ok_or(ImageError::Truncated)?;
    let colours = match colours {
        // As stored: the conversion is below.
        ColorSpace::CMYK | ColorSpace::YCCK => colours,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let mut values = decoder.decode()?;
    if !has_end(bytes) {
        return Err(ImageError::Truncated);
    }
    match colours {
        ColorSpace::CMYK => values = to_rgb(&values, |[c, m, y, _]| [c, m, y]),
        ColorSpace::YCCK => {
            // The colours of which the stored inks are the complement.
            let inks = |[y, cb, cr, _]: [u8; 4]| from_ycc([y, cb, cr]).map(|value| 255 - value);
            values = to_rgb(&values, inks);
        }
        _ => {}
    }
    // Sides of a JPEG have 16 bits.
    RgbImage::from_raw(width as u32, height as u32, values).ok_or(ImageError::Truncated)
}

/// Whether the marker of the end follows the last coded blocks: the decoder does not miss it if all
/// blocks seem to be there.
///
/// Coded blocks contain neither marker, and a thumbnail, which is an image with both, comes before
/// them.
fn has_end(bytes: &[u8]) -> bool {
    let mut pairs = bytes.windows(2);
    let scan = pairs.rposition(|pair| pair == SCAN);
    scan.is_some_and(|scan| bytes[scan..].windows(2).any(|pair| pair == END))
}

/// Pixels of four inks, stored inverted as Adobe does, in red, green and blue. `inks` gives the
/// three coloured ones.
fn to_rgb(values: &[u8], inks: impl Fn([u8; 4]) -> [u8; 3]) -> Vec<u8> {
    let (pixels, _) = values.as_chunks::<4>();
    let colours = pixels.iter().flat_map(|&pixel| {
        let black = pixel[3];
        inks(pixel).map(|ink| black - product(255 - ink, black))
    });
    colours.collect()
}

/// `a b / 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    // The shifted sum is the division's exact value.
    ((product + (product >> 8)) >> 8) as u8
}

/// The colours of a brightness and two differences, each in 0..=255 (JFIF 1.02, page 3), in the
/// fixed point of libjpeg.
fn from_ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = [y, cb, cr].map(i32::from);
    let [cb, cr] = [cb - 128, cr - 128];
    let half = 1 << 15;
    let differences = [91_881 * cr, -22_554 * cb - 46_802 * cr, 116_130 * cb];
    differences.map(|difference| (y + ((difference + half) >> 16)).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb};

    use super::*;

    // All from Pillow: see fixtures/make.py.
    const COLOUR: &[u8] = include_bytes!("../fixtures/colour.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("../fixtures/progressive.jpg");
    const CMYK: &[u8] = include_bytes!("../fixtures/cmyk.jpg");
    const YCCK: &[u8] = include_bytes!("../fixtures/ycck.jpg");

    fn assert_close(jpeg: &[u8], png: &[u8]) {
        let found = decode(jpeg).unwrap();
        let expected = image::load_from_memory(png).unwrap().into_rgb8();
        assert_eq!(found.dimensions(), expected.dimensions());
        let differences = found.iter().zip(expected.iter());
        let differences: Vec<_> = differences.map(|(&a, &b)| a.abs_diff(b)).collect();
        let sum: f64 = differences.iter().copied().map(f64::from).sum();
        let mean = sum / differences.len() as f64;
        // Decoders round differently; another interpretation of the colours is off by dozens.
        let most = differences.iter().max();
        assert!(most <= Some(&4) && mean < 0.5, "{most:?}, {mean}");
    }

    #[test]
    fn colours_are_those_of_pillow() {
        assert_close(COLOUR, include_bytes!("../fixtures/colour.png"));
        assert_close(PROGRESSIVE, include_bytes!("../fixtures/progressive.png"));
        assert_close(CMYK, include_bytes!("../fixtures/cmyk.png"));
        assert_close(YCCK, include_bytes!("../fixtures/ycck.png"));
    }

    #[test]
    fn every_cut_is_an_error() {
        for intact in [COLOUR, PROGRESSIVE, CMYK] {
            for length in 0..intact.len() {
                assert!(decode(&intact[..length]).is_err(), "{length}");
            }
        }
        let end = COLOUR.len() - END.len();
        let error = decode(&COLOUR[..end]).unwrap_err().to_string();
        assert_eq!(error, "is cut off");
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end() {
        // After the start marker: a comment that holds a whole image.
        let length = (COLOUR.len() as u16 + 2).to_be_bytes();
        let head = [&COLOUR[..2], &[0xff, 0xfe], &length].concat();
        let whole = [&head, COLOUR, &COLOUR[2..]].concat();
        assert_eq!(decode(&whole).unwrap(), decode(COLOUR).unwrap());
        let error = decode(&whole[..whole.len() - END.len()]).unwrap_err();
        assert_eq!(error.to_string(), "is cut off");
    }

    #[test]
    fn bytes_after_the_end_do_not_matter() {
        let longer = [COLOUR, &[7; 100]].concat();
        assert_eq!(decode(&longer).unwrap(), decode(COLOUR).unwrap());
    }

    #[test]
    fn an_orientation_in_exif_is_not_applied() {
        // "Turn left to see it upright", in the shortest EXIF there is.
        let exif =
            b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\
            \0\0\0\0";
        let turned = [&COLOUR[..2], exif, &COLOUR[2..]].concat();
        assert_eq!(decode(&turned).unwrap(), decode(COLOUR).unwrap());
    }

    #[test]
    fn no_ink_is_white_and_black_is_black() {
        let white = [255; 4];
        let black = [255, 255, 255, 0];
        let red = [255, 0, 0, 255];
        let inks = |[c, m, y, _]: [u8; 4]| [c, m, y];
        let pixels = to_rgb(&[white, black, red].concat(), inks);
        assert_eq!(pixels, [255, 255, 255, 0, 0, 0, 255, 0, 0]);
        assert_eq!(from_ycc([255, 128, 128]), [255; 3]);
        // Pure red, and pure blue, whose brightness is 29.
        assert_eq!(from_ycc([76, 85, 255]), [254, 0, 0]);
        assert_eq!(from_ycc([29, 255, 107]), [0, 0, 254]);
    }

    #[test]
    fn a_jpeg_of_this_project_is_read_back() {
        let image = RgbImage::from_pixel(20, 10, Rgb([200, 100, 50]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let decoded = decode(bytes.get_ref()).unwrap();
        assert_eq!(decoded.dimensions(), (20, 10));
        for pixel in decoded.pixels() {
            let off = [0, 1, 2].map(|i| pixel[i].abs_diff([200, 100, 50][i]));
            assert!(off.iter().all(|&off| off <= 3), "{pixel:?}");
        }
    }
}
