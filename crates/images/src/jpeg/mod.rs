//! JPEG files, decoded to Pillow's values.
//!
//! A standard leaves decoders free to round, and to spread colours that were stored at half size, in ways
//! that shift the means of features. So the pixels are those of libjpeg, as Pillow's are. An orientation in
//! EXIF is not applied, as those programs do not apply it either.

mod inks;
mod structure;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use mozjpeg::{ColorSpace, Decompress};

use self::structure::Structure;
use crate::PictureError;
use crate::decode::check_memory;

/// Decodes a file of any colours that photographs come in. Like Pillow it refuses a file that is cut
/// off, and overlooks wrong bytes from which the decoder finds back.
///
/// # Errors
/// Where the file is damaged, cut off or takes more memory than is allowed.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, PictureError> {
    let structure = Structure::read(bytes);
    // libjpeg leaves by unwinding where it finds an error; nothing of it is seen again.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_all(bytes, &structure)));
    match decoded.unwrap_or_else(|error| Err(PictureError::Jpeg(reason(&*error)))) {
        // Of what is missing the decoder makes grey pixels.
        Ok(_) if !structure.has_end => Err(PictureError::Truncated),
        picture => picture,
    }
}

fn decode_all(bytes: &[u8], structure: &Structure) -> Result<RgbImage, PictureError> {
    let damaged = |error: io::Error| PictureError::Jpeg(error.to_string());
    let decoder = Decompress::new_mem(bytes).map_err(damaged)?;
    let (width, height) = decoder.size();
    let (wide, high) = (width as u64, height as u64);
    let of_inks = matches!(
        decoder.color_space(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK
    );
    let components = decoder.components().len() as u64;
    let bytes_of_pixel =
        3 + if of_inks { 4 } else { 0 } + structure.bytes_of_coefficients(components);
    let pixels = wide.saturating_mul(high);
    check_memory(wide, high, pixels.saturating_mul(bytes_of_pixel))?;
    let rgb = if of_inks {
        let mut rows = decoder
            .to_colorspace(ColorSpace::JCS_CMYK)
            .map_err(damaged)?;
        inks::to_rgb(&rows.read_scanlines::<[u8; 4]>().map_err(damaged)?)
    } else {
        let mut rows = decoder.rgb().map_err(damaged)?;
        rows.read_scanlines::<u8>().map_err(damaged)?
    };
    // Sides of a JPEG have 16 bits.
    RgbImage::from_raw(width as u32, height as u32, rgb).ok_or(PictureError::Truncated)
}

/// What the decoder said when it left.
fn reason(error: &(dyn Any + Send)) -> String {
    let told = error.downcast_ref::<String>();
    told.map_or("the decoder failed".to_owned(), |told| {
        told.trim_start_matches("libjpeg fatal error: ").to_owned()
    })
}

#[cfg(test)]
mod tests;
