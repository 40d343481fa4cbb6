//! Images side by side as a PNG, in the base64 of events.

use std::io::Cursor;

use adadiff_report::{GridStyle, ImageValues, image_grid, png_bytes};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, RgbImage};

/// Images `[count, channels, height, width]` with values in `[-1, 1]`, side by side. Where they have other than one
/// or three channels, which have no colours, their mean is grey.
///
/// # Errors
/// Where a value is not finite.
pub fn strip(values: &[f32], shape: [usize; 3]) -> Result<String> {
    let [channels, height, width] = shape;
    let (grey, channels) = match channels {
        1 | 3 => (None, channels),
        _ => (Some(channel_means(values, shape)), 1),
    };
    let values = grey.as_deref().unwrap_or(values);
    let count = values.len() / (channels * height * width);
    let images = ImageValues::new(values, [count, channels, height, width])?;
    let style = GridStyle {
        columns: count as u32,
        scale: 1,
        gap: 0,
    };
    let grid = image_grid(&images, style)?;
    let png = match channels {
        1 => grey_png(grid)?,
        _ => png_bytes(&grid)?,
    };
    Ok(STANDARD.encode(png))
}

/// A grey image as a PNG of a third of the size.
fn grey_png(image: RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    let grey = DynamicImage::ImageRgb8(image).into_luma8();
    grey.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// Maps `[count, channels, height, width]` of uncertainties side by side, the mean over channels from 0 in black to
/// the largest, which is told too, in white.
///
/// # Errors
/// As [`strip`].
pub fn map_strip(values: &[f32], shape: [usize; 3]) -> Result<(String, f32)> {
    let means = channel_means(values, shape);
    let brightest = means.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let grey: Vec<f32> = means
        .iter()
        .map(|mean| 2.0 * mean / brightest - 1.0)
        .collect();
    let [_, height, width] = shape;
    Ok((strip(&grey, [1, height, width])?, brightest))
}

fn channel_means(values: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let area = height * width;
    let images = values.chunks(channels * area);
    let means = images.flat_map(|image| {
        (0..area).map(move |pixel| {
            let values = image.iter().skip(pixel).step_by(area);
            values.sum::<f32>() / channels as f32
        })
    });
    means.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(strip: &str) -> image::RgbImage {
        let png = STANDARD.decode(strip).unwrap();
        image::load_from_memory(&png).unwrap().into_rgb8()
    }

    #[test]
    fn images_stand_side_by_side() {
        let values = [-1.0, 1.0, 1.0, -1.0];
        let found = pixels(&strip(&values, [1, 2, 1]).unwrap());
        assert_eq!(found.dimensions(), (2, 2));
        assert_eq!(found.get_pixel(0, 0).0, [0; 3]);
        assert_eq!(found.get_pixel(1, 0).0, [255; 3]);
        // Of two channels the mean.
        let found = pixels(&strip(&values, [2, 1, 1]).unwrap());
        assert_eq!(found.dimensions(), (2, 1));
        assert_eq!(found.get_pixel(0, 0).0, [128; 3]);
    }

    #[test]
    fn the_largest_uncertainty_is_white() {
        let (map, brightest) = map_strip(&[0.0, 0.1, 0.2, 0.4], [1, 1, 2]).unwrap();
        assert_eq!(brightest, 0.4);
        let found = pixels(&map);
        let greys: Vec<u8> = found.pixels().map(|pixel| pixel.0[0]).collect();
        assert_eq!(greys, [0, 64, 128, 255]);
        // A network that is sure of everything.
        assert_eq!(
            pixels(&map_strip(&[0.0], [1, 1, 1]).unwrap().0)
                .get_pixel(0, 0)
                .0,
            [0; 3]
        );
    }
}
