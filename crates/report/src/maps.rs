//! What the network was unsure of: uncertainty maps over denoising steps.

use image::{Rgb, RgbImage};

use super::grid::tile_grid;
use super::palette::sequential;
use super::{Align, Figure, GridStyle, ImageValues, Picture, ReportError};

/// The uncertainty of one sample at the block it left at, in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct UncertaintyMap {
    /// The denoising step, counted from one.
    pub step: usize,
    /// The timestep given to the network.
    pub timestep: f64,
    /// Blocks run for the sample.
    pub blocks: u32,
    /// Uncertainty in `[0, 1]`, `[channels, height, width]`; drawn as the mean over channels.
    pub values: Vec<f32>,
}

/// One sample: its maps at the selected steps and the image it became.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRow {
    /// The sample's index.
    pub sample: usize,
    /// Blocks run, mean over all of the sample's steps.
    pub blocks_mean: f64,
    /// The maps, from noise to image; the same steps in every row.
    pub maps: Vec<UncertaintyMap>,
    /// The final image, `[channels, height, width]` in `[-1, 1]`.
    pub image: Vec<f32>,
}

/// Rows of uncertainty maps, each beside the sample's final image.
#[derive(Clone, Debug, PartialEq)]
pub struct UncertaintyMaps {
    shape: [usize; 3],
    blocks_per_prediction: u32,
    rows: Vec<MapRow>,
    maximum: f64,
}

impl UncertaintyMaps {
    /// Maps and images of `shape` `[channels, height, width]` from a network that runs
    /// `blocks_per_prediction` blocks where nothing is skipped.
    ///
    /// # Errors
    /// [`ReportError::Data`] where there is nothing to draw, where rows have different steps, or
    /// where a map or an image does not have the shape; [`ReportError::NotFinite`] where a value is
    /// NaN or infinite.
    pub fn new(
        shape: [usize; 3],
        blocks_per_prediction: u32,
        rows: Vec<MapRow>,
    ) -> Result<Self, ReportError> {
        let [channels, height, width] = shape;
        let steps = |row: &MapRow| row.maps.iter().map(|map| map.step).collect::<Vec<_>>();
        let selected = rows.first().map(steps).unwrap_or_default();
        if selected.is_empty() {
            return Err(ReportError::Data {
                what: "uncertainty maps".into(),
                expected: "at least one sample with at least one map".into(),
                found: format!("{} samples without a map", rows.len()),
            });
        }
        for row in &rows {
            if steps(row) != selected {
                return Err(ReportError::Data {
                    what: format!("uncertainty maps of sample {}", row.sample),
                    expected: format!("the steps {selected:?}"),
                    found: format!("{:?}", steps(row)),
                });
            }
            for values in row.maps.iter().map(|map| &map.values).chain([&row.image]) {
                ImageValues::new(values, [1, channels, height, width])?;
            }
        }
        let mut maps = Self {
            shape,
            blocks_per_prediction,
            rows,
            maximum: 0.0,
        };
        let uncertainties = maps
            .rows
            .iter()
            .flat_map(|row| &row.maps)
            .flat_map(|map| (0..height * width).map(|pixel| maps.uncertainty(map, pixel)));
        maps.maximum = uncertainties.fold(0.0, f64::max);
        Ok(maps)
    }

    /// The largest uncertainty of any map: the brightest colour. The darkest is zero.
    pub fn maximum(&self) -> f64 {
        self.maximum
    }

    /// The samples shown.
    pub fn rows(&self) -> &[MapRow] {
        &self.rows
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The uncertainty of every pixel of one of the maps, row by row: the mean over channels.
    pub fn uncertainties<'a>(&'a self, map: &'a UncertaintyMap) -> impl Iterator<Item = f64> + 'a {
        let [_, height, width] = self.shape;
        (0..height * width).map(move |pixel| self.uncertainty(map, pixel))
    }

    /// All maps with their headings and captions, and the scale of colours under them.
    ///
    /// # Errors
    /// As for [`grid`](Self::grid), and [`ReportError::Png`] where the encoder fails.
    pub fn picture(&self) -> Result<Picture, ReportError> {
        const WORDS: u32 = 13;
        // Wide enough for the captions between them.
        const LEAST_TILE: usize = 92;
        let [_, _, width] = self.shape;
        let scale = LEAST_TILE.div_ceil(width) as u32;
        let style = GridStyle {
            columns: 1,
            scale,
            gap: 4,
        };
        let tile = width as u32 * scale + style.gap;
        let middle = |column: u32| style.gap + column * tile + tile / 2;
        let mut picture = Picture::new();
        for (column, heading) in (0..).zip(self.headings()) {
            for (line, words) in (0..).zip(heading.split(", ")) {
                let place = [middle(column), 18 + 16 * line];
                picture.words(place, Align::Middle, WORDS, words);
            }
        }
        let mut top = 40;
        for row in &self.rows {
            let strip = self.strip(row, style)?;
            picture.image([0, top], &strip)?;
            top += strip.height();
            for (column, words) in (0..).zip(self.captions(row)) {
                picture.words([middle(column), top + 13], Align::Middle, WORDS, &words);
            }
            top += 22;
        }
        let key = RgbImage::from_fn(200, 12, |x, _| Rgb(sequential(f64::from(x) / 199.0)));
        picture.words([style.gap, top + 15], Align::Begin, WORDS, "uncertainty 0");
        picture.image([110, top + 4], &key)?;
        let maximum = format!("{:.3}", self.maximum);
        picture.words([318, top + 15], Align::Begin, WORDS, &maximum);
        picture.reach(370, top + 24);
        Ok(picture)
    }

    /// The heading of each column: step and timestep, then the image. A narrow column breaks it
    /// between the two only.
    pub fn headings(&self) -> Vec<String> {
        let maps = self.rows.first().into_iter().flat_map(|row| &row.maps);
        maps.map(|map| format!("step\u{a0}{}, t\u{a0}=\u{a0}{:.0}", map.step, map.timestep))
            .chain(["image".to_owned()])
            .collect()
    }

    /// What stands under each map and image of a row: the blocks run in that step, and the
    /// sample with its mean over all steps.
    pub fn captions(&self, row: &MapRow) -> Vec<String> {
        row.maps
            .iter()
            .map(|map| format!("{} of {}", map.blocks, self.blocks_per_prediction))
            .chain([format!("sample {}: {:.1}", row.sample, row.blocks_mean)])
            .collect()
    }

    /// All rows below each other; `style.columns` is not used, a row being as wide as its maps.
    ///
    /// # Errors
    /// [`ReportError::Data`] where the picture would be larger than an image may be.
    pub fn grid(&self, style: GridStyle) -> Result<RgbImage, ReportError> {
        self.draw(&self.rows, style)
    }

    /// One row.
    ///
    /// # Errors
    /// As for [`grid`](Self::grid).
    pub fn strip(&self, row: &MapRow, style: GridStyle) -> Result<RgbImage, ReportError> {
        self.draw(std::slice::from_ref(row), style)
    }

    /// The maps with their captions, for the HTML report.
    ///
    /// # Errors
    /// As for [`grid`](Self::grid), and [`ReportError::Png`] where the encoder fails.
    pub fn figure(&self) -> Result<Figure, ReportError> {
        Figure::maps(self)
    }

    fn draw(&self, rows: &[MapRow], style: GridStyle) -> Result<RgbImage, ReportError> {
        let [channels, height, width] = self.shape;
        let images = rows
            .iter()
            .map(|row| ImageValues::new(&row.image, [1, channels, height, width]))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = self.headings().len();
        let style = GridStyle {
            columns: columns as u32,
            ..style
        };
        tile_grid(
            [rows.len() * columns, height, width],
            style,
            |tile, y, x| {
                let row = tile / columns;
                match rows[row].maps.get(tile % columns) {
                    Some(map) if self.maximum > 0.0 => {
                        sequential(self.uncertainty(map, y * width + x) / self.maximum)
                    }
                    Some(_) => sequential(0.0),
                    None => images[row].pixel(0, y, x),
                }
            },
        )
    }

    fn uncertainty(&self, map: &UncertaintyMap, pixel: usize) -> f64 {
        let [channels, height, width] = self.shape;
        let area = height * width;
        let sum: f64 = (0..channels)
            .map(|channel| f64::from(map.values[channel * area + pixel]))
            .sum();
        sum / channels as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::png_of_svg;

    fn example() -> Result<UncertaintyMaps, ReportError> {
        let map = |step: usize, timestep: f64, blocks: u32, values: [f32; 2]| UncertaintyMap {
            step,
            timestep,
            blocks,
            values: values.to_vec(),
        };
        let row = |sample: usize, last: [f32; 2]| MapRow {
            sample,
            blocks_mean: 7.125,
            maps: vec![map(1, 999.0, 1, [0.0, 0.2]), map(20, 12.4, 13, last)],
            image: vec![-1.0, 1.0],
        };
        UncertaintyMaps::new([1, 1, 2], 13, vec![row(3, [0.1, 0.3]), row(8, [0.4, 0.0])])
    }

    #[test]
    fn colours_span_zero_to_the_largest_value() -> Result<(), ReportError> {
        let maps = example()?;
        assert_eq!(maps.maximum(), f64::from(0.4f32));
        let grid = maps.grid(GridStyle {
            columns: 1,
            scale: 2,
            gap: 1,
        })?;
        assert_eq!(grid.dimensions(), (1 + 3 * (4 + 1), 1 + 2 * (2 + 1)));
        assert_eq!(grid.get_pixel(1, 1), &Rgb(sequential(0.0)));
        assert_eq!(grid.get_pixel(3, 1), &Rgb(sequential(0.5)));
        assert_eq!(grid.get_pixel(6, 4), &Rgb(sequential(1.0)));
        assert_eq!(grid.get_pixel(11, 4), &Rgb([0; 3]));
        assert_eq!(grid.get_pixel(13, 4), &Rgb([255; 3]));
        let strip = maps.strip(
            &maps.rows()[1],
            GridStyle {
                columns: 1,
                scale: 1,
                gap: 0,
            },
        )?;
        assert_eq!(strip.dimensions(), (6, 1));
        assert_eq!(strip.get_pixel(2, 0), &Rgb(sequential(1.0)));
        Ok(())
    }

    #[test]
    fn the_picture_has_all_rows_and_words() -> Result<(), Box<dyn std::error::Error>> {
        let picture = example()?.picture()?;
        let svg = picture.svg();
        for words in [
            "step\u{a0}1<",
            ">t\u{a0}=\u{a0}999<",
            ">13 of 13<",
            ">sample 8: 7.1<",
            ">0.400<",
        ] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        // Tiles of 2 x 46 by 46 pixels, four apart.
        let png = image::load_from_memory(&png_of_svg(&svg, 1.0)?)?.into_rgb8();
        assert_eq!(png.width(), 370);
        assert_eq!(png.get_pixel(4 + 46, 40 + 4), &Rgb(sequential(0.5)));
        Ok(())
    }

    #[test]
    fn captions_name_steps_and_blocks() -> Result<(), ReportError> {
        let maps = example()?;
        assert_eq!(
            maps.headings(),
            [
                "step\u{a0}1, t\u{a0}=\u{a0}999",
                "step\u{a0}20, t\u{a0}=\u{a0}12",
                "image"
            ]
        );
        let captions = maps.captions(&maps.rows()[0]);
        assert_eq!(captions, ["1 of 13", "13 of 13", "sample 3: 7.1"]);
        Ok(())
    }

    #[test]
    fn colour_images_have_the_mean_map_of_their_channels() -> Result<(), ReportError> {
        let map = UncertaintyMap {
            step: 1,
            timestep: 999.0,
            blocks: 2,
            values: vec![0.0, 0.25, 0.5],
        };
        let image = vec![1.0, -1.0, -1.0];
        let row = MapRow {
            sample: 0,
            blocks_mean: 2.0,
            maps: vec![map],
            image,
        };
        let maps = UncertaintyMaps::new([3, 1, 1], 13, vec![row])?;
        assert_eq!(maps.maximum(), 0.25);
        Ok(())
    }

    #[test]
    fn maps_that_do_not_fit_are_reported() -> Result<(), ReportError> {
        let rows = example()?.rows;
        let mut other_step = rows.clone();
        other_step[1].maps[1].step = 19;
        let mut short = rows.clone();
        short[0].maps[0].values.pop();
        for rows in [other_step, short, Vec::new()] {
            assert!(matches!(
                UncertaintyMaps::new([1, 1, 2], 13, rows),
                Err(ReportError::Data { .. })
            ));
        }
        Ok(())
    }
}
