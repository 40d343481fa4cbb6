//! Figure 4: the same samples with and without adaptive computation.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Monitor;
use adadiff_report::{Align, GridStyle, ImageValues, Picture, pair_grid};
use anyhow::Result;
use serde::Serialize;

use crate::checkpoint::LoadedCheckpoint;
use crate::methods::{Method, PreparedMethod};

#[derive(Clone, Debug, Serialize)]
pub struct SamplePairs {
    pub method: Method,
    pub seed: u64,
    /// The share of all blocks that was skipped.
    pub block_reduction: f64,
    /// Blocks run for each sample, mean over its steps.
    pub blocks_mean: Vec<f64>,
    /// For each pair the root of the mean squared difference of their pixels, which lie in `[-1, 1]`.
    pub pixel_distance: Vec<f64>,
    /// Channels, height and width of an image.
    #[serde(skip)]
    shape: [usize; 3],
    #[serde(skip)]
    full: Vec<f32>,
    #[serde(skip)]
    adaptive: Vec<f32>,
}

impl SamplePairs {
    /// Draws the same samples twice.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn draw<B: Kernels>(
        loaded: &LoadedCheckpoint<B>,
        adaptive: &PreparedMethod<'_, B>,
        samples: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let draw = loaded.plan(samples)?;
        monitor.expect((2 * samples * draw.steps) as u64);
        let pipeline = loaded.pipeline();
        let full = Method::Full.prepare(loaded, monitor)?;
        let full = full.draw(pipeline, &draw, monitor)?;
        let drawn = adaptive.draw(pipeline, &draw, monitor)?;
        let evaluations = &drawn.trace.steps;
        let blocks_of = |sample: usize| {
            let blocks = evaluations
                .iter()
                .map(|step| f64::from(step.blocks[sample]));
            blocks.sum::<f64>() / evaluations.len() as f64
        };
        let shape = pipeline.image_shape();
        let size = shape.iter().product();
        let pairs = full.pixels.chunks(size).zip(drawn.pixels.chunks(size));
        Ok(Self {
            method: adaptive.method,
            seed: draw.seed,
            block_reduction: adaptive.cost(&drawn.counts)?.block_reduction,
            blocks_mean: (0..samples).map(blocks_of).collect(),
            pixel_distance: pairs.map(|(one, other)| distance(one, other)).collect(),
            shape,
            full: full.pixels,
            adaptive: drawn.pixels,
        })
    }

    /// The pairs beside each other, under words that tell which is which.
    ///
    /// # Errors
    /// Where the picture would be too large.
    pub fn picture(&self) -> Result<Picture> {
        let [channels, height, width] = self.shape;
        let shape = [self.blocks_mean.len(), channels, height, width];
        let full = ImageValues::new(&self.full, shape)?;
        let adaptive = ImageValues::new(&self.adaptive, shape)?;
        let style = GridStyle {
            columns: GridStyle::of_width(width).columns / 4,
            ..GridStyle::of_width(width)
        };
        let grid = pair_grid(&full, &adaptive, style)?;
        let mut picture = Picture::new();
        for (line, words) in (0..).zip(self.words()) {
            picture.words([8, 20 + 20 * line], Align::Begin, 15, &words);
        }
        picture.image([0, 48], &grid)?;
        picture.reach(460, 48);
        Ok(picture)
    }

    fn words(&self) -> [String; 2] {
        [
            "Pairs with the same noise. Left, blue bar: full model.".to_owned(),
            format!(
                "Right, vermillion bar: {}, {:.1} % fewer blocks.",
                self.method,
                100.0 * self.block_reduction
            ),
        ]
    }
}

fn distance(one: &[f32], other: &[f32]) -> f64 {
    let squares = one
        .iter()
        .zip(other)
        .map(|(one, other)| f64::from(one - other).powi(2));
    (squares.sum::<f64>() / one.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_pixels() {
        assert_eq!(distance(&[0.0, 1.0, 0.5, 0.0], &[0.0, 0.0, 0.5, 0.0]), 0.5);
    }

    #[test]
    fn words_tell_which_is_which() -> Result<()> {
        let pairs = SamplePairs {
            method: Method::AdaDiff {
                rule: adadiff_pipeline::ExitRule::Allocated,
                reduction: 0.45,
            },
            seed: 0,
            block_reduction: 0.4321,
            blocks_mean: vec![7.0, 8.0],
            pixel_distance: vec![0.1, 0.2],
            shape: [1, 2, 2],
            full: vec![-1.0; 8],
            adaptive: vec![1.0; 8],
        };
        let svg = pairs.picture()?.svg();
        let words = "Right, vermillion bar: AdaDiff (allocated), target 45 %, 43.2 % fewer blocks.";
        assert!(svg.contains(words), "{svg}");
        Ok(())
    }
}
