//! Grids of sampled images as PNG.

use std::io::Cursor;
use std::path::Path;

use adadiff_storage::replace_file;
use image::{ImageFormat, Rgb, RgbImage};

use super::palette::{BLUE, Colour, VERMILLION};
use super::{ImageValues, ReportError};

/// How images are laid out. Lengths are in pixels of the PNG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridStyle {
    /// Images, or pairs of images, in each row of the grid; at least one.
    pub columns: u32,
    /// Side of the square that each pixel of an image becomes; at least one.
    pub scale: u32,
    /// Space between neighbouring images and around the grid.
    pub gap: u32,
}

/// The least width of images that are shown as they are, and fewer in a row.
const LARGE: usize = 128;

impl GridStyle {
    /// What suits images of a width.
    pub fn of_width(width: usize) -> Self {
        match width {
            0..LARGE => Self::default(),
            _ => Self {
                columns: 8,
                scale: 1,
                ..Self::default()
            },
        }
    }

    /// For a picture of a single image.
    pub fn single() -> Self {
        Self {
            columns: 1,
            scale: 1,
            gap: 0,
        }
    }
}

impl Default for GridStyle {
    fn default() -> Self {
        Self {
            columns: 16,
            scale: 2,
            gap: 4,
        }
    }
}

const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);

/// All images in reading order.
///
/// # Errors
/// [`ReportError::Data`] where the style has no column, no scale, or makes too large an image.
pub fn image_grid(images: &ImageValues<'_>, style: GridStyle) -> Result<RgbImage, ReportError> {
    let [count, _, height, width] = images.shape();
    tile_grid([count, height, width], style, |image, row, column| {
        images.pixel(image, row, column)
    })
}

/// Tiles `[count, height, width]` in reading order, coloured by tile, row and column.
pub(super) fn tile_grid(
    [count, height, width]: [usize; 3],
    style: GridStyle,
    colour: impl Fn(usize, usize, usize) -> Colour,
) -> Result<RgbImage, ReportError> {
    let columns = style.columns.min(count as u32);
    let mut canvas = Canvas::new(style, [height, width], 0, [columns, 1, count as u32])?;
    for tile in 0..count {
        canvas.draw(tile as u32, 0, |row, column| colour(tile, row, column));
    }
    Ok(canvas.pixels)
}

/// The same samples by two methods, side by side: in each pair the full model's image on the left
/// with a blue bar under it, the adaptive one on the right with a vermillion bar.
///
/// # Errors
/// [`ReportError::Data`] where the two batches differ in shape, or as for [`image_grid`].
pub fn pair_grid(
    full: &ImageValues<'_>,
    adaptive: &ImageValues<'_>,
    style: GridStyle,
) -> Result<RgbImage, ReportError> {
    if full.shape() != adaptive.shape() {
        return Err(ReportError::Data {
            what: "pairs of images".into(),
            expected: format!("two batches of shape {:?}", full.shape()),
            found: format!("a second one of shape {:?}", adaptive.shape()),
        });
    }
    let [count, _, height, width] = full.shape();
    let columns = style.columns.min(count as u32);
    let bar = style.scale.saturating_mul(2);
    let mut canvas = Canvas::new(style, [height, width], bar, [columns, 2, count as u32])?;
    for image in 0..count {
        for (place, (batch, colour)) in [(full, BLUE), (adaptive, VERMILLION)].iter().enumerate() {
            canvas.draw(image as u32, place as u32, |row, column| {
                batch.pixel(image, row, column)
            });
            canvas.draw_bar(image as u32, place as u32, *colour);
        }
    }
    Ok(canvas.pixels)
}

/// The image as the bytes of a PNG file.
///
/// # Errors
/// [`ReportError::Png`] where the encoder fails.
pub fn png_bytes(image: &RgbImage) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Writes the image as a PNG file, atomically.
///
/// # Errors
/// [`ReportError::Png`] where the encoder fails, [`ReportError::Storage`] where the file cannot be
/// written.
pub fn write_png(path: &Path, image: &RgbImage) -> Result<(), ReportError> {
    Ok(replace_file(path, &png_bytes(image)?)?)
}

/// Cells in reading order, each of one or more images that stand `gap` apart; cells of more than
/// one image stand three times as far from each other, so that they read as groups.
struct Canvas {
    pixels: RgbImage,
    style: GridStyle,
    columns: u32,
    tile: [u32; 2],
    bar: u32,
    pitch: [u32; 2],
}

impl Canvas {
    fn new(
        style: GridStyle,
        [height, width]: [usize; 2],
        bar: u32,
        [columns, places, count]: [u32; 3],
    ) -> Result<Self, ReportError> {
        if columns == 0 || style.scale == 0 {
            return Err(ReportError::Data {
                what: "the style of an image grid".into(),
                expected: "at least one column and a scale of at least one".into(),
                found: format!("{} columns and scale {}", style.columns, style.scale),
            });
        }
        let gap = u64::from(style.gap);
        let separation = if places > 1 { 3 * gap } else { gap };
        let rows = count.div_ceil(columns);
        let tile = [height, width].map(|side| side as u64 * u64::from(style.scale));
        let pitch = [
            tile[0] + u64::from(bar) + separation,
            u64::from(places) * (tile[1] + gap) - gap + separation,
        ];
        let side = |pitch: u64, cells: u32| pitch * u64::from(cells) + 2 * gap - separation;
        let size = [side(pitch[0], rows), side(pitch[1], columns)];
        // Far beyond what a viewer opens, and what is left fits all the numbers below.
        if size.iter().any(|&side| side > 65_535) {
            return Err(ReportError::Data {
                what: "an image grid".into(),
                expected: "at most 65535 pixels a side".into(),
                found: format!("{} x {}", size[1], size[0]),
            });
        }
        Ok(Self {
            pixels: RgbImage::from_pixel(size[1] as u32, size[0] as u32, BACKGROUND),
            style,
            columns,
            tile: tile.map(|side| side as u32),
            bar,
            pitch: pitch.map(|side| side as u32),
        })
    }

    /// Top and left of the image at `place` of a cell.
    fn origin(&self, cell: u32, place: u32) -> [u32; 2] {
        let gap = self.style.gap;
        [
            gap + cell / self.columns * self.pitch[0],
            gap + cell % self.columns * self.pitch[1] + place * (self.tile[1] + gap),
        ]
    }

    fn draw(&mut self, cell: u32, place: u32, colour: impl Fn(usize, usize) -> Colour) {
        let [top, left] = self.origin(cell, place);
        let scale = self.style.scale;
        for row in 0..self.tile[0] {
            for column in 0..self.tile[1] {
                let colour = colour((row / scale) as usize, (column / scale) as usize);
                self.pixels.put_pixel(left + column, top + row, Rgb(colour));
            }
        }
    }

    fn draw_bar(&mut self, cell: u32, place: u32, colour: Colour) {
        let [top, left] = self.origin(cell, place);
        for row in 0..self.bar {
            for column in 0..self.tile[1] {
                self.pixels
                    .put_pixel(left + column, top + self.tile[0] + row, Rgb(colour));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

    #[test]
    fn images_stand_in_reading_order() -> Result<(), ReportError> {
        // Three images of 1 x 2 pixels.
        let values = [-1.0, 0.0, 0.2, -0.2, 1.0, -1.0];
        let images = ImageValues::new(&values, [3, 1, 1, 2])?;
        let grid = image_grid(
            &images,
            GridStyle {
                columns: 2,
                scale: 3,
                gap: 1,
            },
        )?;
        assert_eq!(grid.dimensions(), (1 + 6 + 1 + 6 + 1, 1 + 3 + 1 + 3 + 1));
        assert_eq!(grid.get_pixel(0, 0), &WHITE);
        assert_eq!(grid.get_pixel(1, 1), &Rgb([0; 3]));
        assert_eq!(grid.get_pixel(3, 3), &Rgb([0; 3]));
        assert_eq!(grid.get_pixel(4, 1), &Rgb([128; 3]));
        assert_eq!(grid.get_pixel(7, 2), &WHITE);
        assert_eq!(grid.get_pixel(8, 1), &Rgb([153; 3]));
        assert_eq!(grid.get_pixel(11, 1), &Rgb([102; 3]));
        assert_eq!(grid.get_pixel(4, 5), &Rgb([0; 3]));
        // The fourth place is empty.
        assert_eq!(grid.get_pixel(8, 5), &WHITE);
        Ok(())
    }

    #[test]
    fn pairs_are_marked_by_bars() -> Result<(), ReportError> {
        let full = [-1.0, 1.0];
        let adaptive = [0.2, -0.2];
        let full = ImageValues::new(&full, [2, 1, 1, 1])?;
        let adaptive = ImageValues::new(&adaptive, [2, 1, 1, 1])?;
        let grid = pair_grid(
            &full,
            &adaptive,
            GridStyle {
                columns: 2,
                scale: 2,
                gap: 1,
            },
        )?;
        // Left margin, pair, separation, pair, right margin; below the images a bar of four.
        assert_eq!(grid.dimensions(), (1 + 5 + 3 + 5 + 1, 1 + 2 + 4 + 1));
        assert_eq!(grid.get_pixel(1, 1), &Rgb([0; 3]));
        assert_eq!(grid.get_pixel(4, 1), &Rgb([153; 3]));
        assert_eq!(grid.get_pixel(12, 2), &Rgb([102; 3]));
        assert_eq!(grid.get_pixel(1, 3), &Rgb(BLUE));
        assert_eq!(grid.get_pixel(4, 6), &Rgb(VERMILLION));
        assert_eq!(grid.get_pixel(3, 3), &WHITE);
        Ok(())
    }

    #[test]
    fn png_holds_the_pixels() -> Result<(), Box<dyn std::error::Error>> {
        let values = [0.2];
        let grid = image_grid(
            &ImageValues::new(&values, [1, 1, 1, 1])?,
            GridStyle::default(),
        )?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("grid.png");
        write_png(&path, &grid)?;
        assert_eq!(image::open(&path)?.into_rgb8(), grid);
        Ok(())
    }

    #[test]
    fn impossible_layouts_are_reported() -> Result<(), ReportError> {
        let values = [0.0; 2];
        let one = ImageValues::new(&values[..1], [1, 1, 1, 1])?;
        let two = ImageValues::new(&values, [2, 1, 1, 1])?;
        let style = GridStyle {
            columns: 0,
            ..GridStyle::default()
        };
        assert!(image_grid(&one, style).is_err());
        let style = GridStyle {
            scale: 70_000,
            ..GridStyle::default()
        };
        assert!(image_grid(&one, style).is_err());
        assert!(pair_grid(&one, &two, GridStyle::default()).is_err());
        Ok(())
    }
}
