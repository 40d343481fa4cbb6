//! Sampled images as plain numbers.

use super::ReportError;
use super::palette::Colour;

/// A batch of images `[images, channels, height, width]` with one (grey) or three (red, green,
/// blue) channels and values in `[-1, 1]`; values outside are clamped when drawn.
#[derive(Clone, Copy, Debug)]
pub struct ImageValues<'a> {
    values: &'a [f32],
    shape: [usize; 4],
}

impl<'a> ImageValues<'a> {
    /// The images in `values`, row by row in the order of `shape`.
    ///
    /// # Errors
    /// [`ReportError::Data`] where `shape` holds no pixel, has other than one or three channels, or
    /// does not suit the number of values; [`ReportError::NotFinite`] where a value is NaN or
    /// infinite, since it has no colour.
    pub fn new(values: &'a [f32], shape: [usize; 4]) -> Result<Self, ReportError> {
        let fail = |expected: String, found: String| ReportError::Data {
            what: "images to draw".into(),
            expected,
            found,
        };
        let [images, channels, ..] = shape;
        let needed = shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        if !matches!(channels, 1 | 3) {
            return Err(fail("1 or 3 channels".into(), channels.to_string()));
        }
        if needed == Some(0) {
            return Err(fail(
                "at least one image with a pixel".into(),
                format!("shape {shape:?}"),
            ));
        }
        if needed != Some(values.len()) {
            let expected = format!("as many values as the shape {shape:?} holds");
            return Err(fail(expected, values.len().to_string()));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let image = index / (values.len() / images);
            let what = format!("a pixel of image {image}");
            return Err(ReportError::NotFinite {
                what,
                value: values[index].into(),
            });
        }
        Ok(Self { values, shape })
    }

    /// Number of images, channels, rows and columns.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The colour of a pixel; indices must lie inside the shape.
    pub(super) fn pixel(&self, image: usize, row: usize, column: usize) -> Colour {
        let [_, channels, height, width] = self.shape;
        std::array::from_fn(|colour| {
            let channel = colour.min(channels - 1);
            let value = self.values[((image * channels + channel) * height + row) * width + column];
            ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_and_colour_pixels() -> Result<(), ReportError> {
        let grey = [-1.0, 0.0, 1.0, 3.0];
        let grey = ImageValues::new(&grey, [1, 1, 2, 2])?;
        assert_eq!(grey.pixel(0, 0, 0), [0, 0, 0]);
        assert_eq!(grey.pixel(0, 0, 1), [128, 128, 128]);
        assert_eq!(grey.pixel(0, 1, 1), [255, 255, 255]);
        let colour = [-1.0, 0.2, 1.0, -1.0, -0.5, 1.0];
        let colour = ImageValues::new(&colour, [2, 3, 1, 1])?;
        assert_eq!(colour.pixel(0, 0, 0), [0, 153, 255]);
        assert_eq!(colour.pixel(1, 0, 0), [0, 64, 255]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let message = |values: &[f32], shape| {
            ImageValues::new(values, shape)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            message(&[0.0; 3], [2, 1, 1, 1]),
            Err(
                "images to draw: expected as many values as the shape [2, 1, 1, 1] holds, found 3"
                    .into()
            )
        );
        assert_eq!(
            message(&[0.0; 4], [2, 2, 1, 1]),
            Err("images to draw: expected 1 or 3 channels, found 2".into())
        );
        assert_eq!(
            message(&[0.0, 0.0, 0.0, f32::NAN], [2, 1, 2, 1]),
            Err("a pixel of image 1 is NaN, but only a finite number can be reported".into())
        );
        assert!(message(&[], [0, 1, 32, 32]).is_err());
    }
}
