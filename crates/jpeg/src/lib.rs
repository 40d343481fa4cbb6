//! JPEG files decoded to the very values that Pillow gives for `Image.open(file).convert("RGB")`, and so the
//! published programs that read through it.
//!
//! A standard leaves decoders free to round, and to spread colours that were stored at half size, in ways
//! that shift the means of features. So the pixels are those of libjpeg, as Pillow's are. An orientation in
//! EXIF is not applied, as those programs do not apply it either.

mod inks;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::{ColorSpace, Decompress};
use thiserror::Error;

/// The marker before coded blocks.
const SCAN: [u8; 2] = [0xff, 0xda];

/// The marker of the end of an image.
const END: [u8; 2] = [0xff, 0xd9];

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels, never 0.
    pub width: u32,
    /// Height in pixels, never 0.
    pub height: u32,
    /// Red, green and blue of all pixels, row after row.
    pub rgb: Vec<u8>,
}

/// Why a file is not decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JpegError {
    /// The file ends before the picture does.
    #[error("is cut off")]
    Truncated,
    /// The picture has more pixels than are wanted.
    #[error("has {width} x {height} pixels")]
    Large {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// The decoder says so.
    #[error("{0}")]
    Damaged(String),
}

/// Decodes a file of any colours that photographs come in, of `most` pixels at most. Like Pillow it
/// refuses a file that is cut off, and overlooks wrong bytes from which the decoder finds back.
///
/// # Errors
/// Where the file is damaged, cut off or larger.
pub fn decode(bytes: &[u8], most: u64) -> Result<Picture, JpegError> {
    // libjpeg leaves by unwinding where it finds an error; nothing of it is seen again.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_all(bytes, most)));
    let picture = decoded.unwrap_or_else(|error| Err(JpegError::Damaged(reason(&*error))));
    match picture {
        // Of what is missing the decoder makes grey pixels.
        Ok(_) if !has_end(bytes) => Err(JpegError::Truncated),
        picture => picture,
    }
}

fn decode_all(bytes: &[u8], most: u64) -> Result<Picture, JpegError> {
    let damaged = |error: io::Error| JpegError::Damaged(error.to_string());
    let decoder = Decompress::new_mem(bytes).map_err(damaged)?;
    let (width, height) = decoder.size();
    let (wide, high) = (width as u64, height as u64);
    if wide.saturating_mul(high) > most {
        return Err(JpegError::Large {
            width: wide,
            height: high,
        });
    }
    let of_inks = matches!(
        decoder.color_space(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK
    );
    let rgb = if of_inks {
        let mut rows = decoder
            .to_colorspace(ColorSpace::JCS_CMYK)
            .map_err(damaged)?;
        inks::to_rgb(&rows.read_scanlines::<[u8; 4]>().map_err(damaged)?)
    } else {
        let mut rows = decoder.rgb().map_err(damaged)?;
        rows.read_scanlines::<u8>().map_err(damaged)?
    };
    Ok(Picture {
        // Sides of a JPEG have 16 bits.
        width: width as u32,
        height: height as u32,
        rgb,
    })
}

/// What the decoder said when it left.
fn reason(error: &(dyn Any + Send)) -> String {
    let told = error.downcast_ref::<String>();
    told.map_or("the decoder failed".to_owned(), |told| {
        told.trim_start_matches("libjpeg fatal error: ").to_owned()
    })
}

/// Whether the marker of the end follows the last coded blocks: the decoder does not miss it.
///
/// Coded blocks contain neither marker, and a thumbnail, which is an image with both, comes before
/// them.
fn has_end(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|pair| pair == SCAN);
    scan.is_some_and(|scan| bytes[scan..].windows(2).any(|pair| pair == END))
}

#[cfg(test)]
mod tests;
