//! Pictures made of images with words around them.

use std::fmt::Write;
use std::path::Path;

use image::RgbImage;

use super::figure::data_uri;
use super::html::escape;
use super::picture_files::write_pictures;
use super::{ReportError, png_bytes};

/// Images and words on white. Lengths are in pixels.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    width: u32,
    height: u32,
    body: String,
}

/// Where words stand relative to their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// They begin there.
    Begin,
    /// Their middle is there.
    Middle,
}

impl Picture {
    /// A picture with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places an image by its left upper corner.
    ///
    /// # Errors
    /// [`ReportError::Png`] where the encoder fails.
    pub fn image(&mut self, [left, top]: [u32; 2], image: &RgbImage) -> Result<(), ReportError> {
        let (width, height) = image.dimensions();
        let source = data_uri("image/png", &png_bytes(image)?);
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.body,
            "<image x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
             style=\"image-rendering: pixelated\" href=\"{source}\"/>"
        );
        self.reach(left + width, top + height);
        Ok(())
    }

    /// Writes a line with its base line at a place.
    pub fn words(&mut self, [x, y]: [u32; 2], align: Align, size: u32, words: &str) {
        let anchor = match align {
            Align::Begin => "start",
            Align::Middle => "middle",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{size}\" \
             text-anchor=\"{anchor}\">{}</text>",
            escape(words)
        );
        self.reach(x, y + size / 2);
    }

    /// Makes room as far as a place.
    pub fn reach(&mut self, x: u32, y: u32) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    /// The picture as an SVG document.
    pub fn svg(&self) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"#FFFFFF\"/>\n{body}</svg>\n"
        )
    }

    /// Writes the picture to `<name>.svg` in `folder` and, where [`WRITES_PNG`](crate::WRITES_PNG), to
    /// `<name>.png`, pixel by pixel.
    ///
    /// # Errors
    /// [`ReportError::Drawing`] where it is too large for a PNG, and [`ReportError::Storage`] where a file
    /// cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_pictures(folder, name, &self.svg(), 1.0)
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::raster::png_of_svg;

    #[test]
    fn pixels_are_those_of_the_images() -> Result<(), Box<dyn std::error::Error>> {
        let image = RgbImage::from_fn(3, 2, |x, y| Rgb([80 * x as u8, 100 * y as u8, 7]));
        let mut picture = Picture::new();
        picture.image([10, 20], &image)?;
        picture.words([11, 50], Align::Middle, 12, "a < b");
        let png = image::load_from_memory(&png_of_svg(&picture.svg(), 1.0)?)?.into_rgb8();
        assert_eq!(png.dimensions(), (13, 56));
        for (x, y, pixel) in image.enumerate_pixels() {
            assert_eq!(png.get_pixel(10 + x, 20 + y), pixel, "{x}, {y}");
        }
        assert_eq!(png.get_pixel(9, 20), &Rgb([255; 3]));
        assert!(picture.svg().contains("a &lt; b"));
        Ok(())
    }
}
