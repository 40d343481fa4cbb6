//! Where samples leave the network as denoising proceeds.

use std::path::Path;

use adadiff_storage::write_json;
use plotters::coord::Shift;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use super::axis::CountAxis;
use super::palette::{VERMILLION, sequential};
use super::picture_files::{DRAWING_SCALE, write_pictures};
use super::{Figure, ReportError};

/// One network evaluation of all samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatmapStep {
    /// The timestep given to the network.
    pub timestep: f64,
    /// The share of samples in `[0, 1]` that left after the first, second, … block.
    pub share: Vec<f64>,
    /// Blocks run, mean over samples.
    pub blocks_mean: f64,
    /// Numbers of blocks after which samples left with a forecast of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<u32>,
}

/// Exit depth over denoising steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitHeatmap {
    /// Blocks that one evaluation of one sample runs where nothing is skipped.
    pub blocks_per_prediction: u32,
    /// Number of samples.
    pub samples: usize,
    /// The evaluations, from noise to image.
    pub steps: Vec<HeatmapStep>,
}

impl ExitHeatmap {
    /// Counts exits from, for each evaluation, its timestep and the blocks run for each sample.
    ///
    /// # Errors
    /// [`ReportError::Data`] where there is no evaluation or no sample, where evaluations differ in
    /// their number of samples, or where a number of blocks is not in `1..=blocks_per_prediction`.
    pub fn of_exits<'a>(
        blocks_per_prediction: u32,
        evaluations: impl IntoIterator<Item = (f64, &'a [u32])>,
    ) -> Result<Self, ReportError> {
        let fail = |what: String, expected: String, found: String| {
            Err(ReportError::Data {
                what,
                expected,
                found,
            })
        };
        let mut samples = None;
        let mut steps = Vec::new();
        for (index, (timestep, blocks)) in evaluations.into_iter().enumerate() {
            let step = index + 1;
            let expected = *samples.get_or_insert(blocks.len());
            if blocks.len() != expected || blocks.is_empty() {
                return fail(
                    format!("samples of step {step}"),
                    format!("{} as in the first step", expected.max(1)),
                    blocks.len().to_string(),
                );
            }
            let mut counts = vec![0u64; blocks_per_prediction as usize];
            for &block in blocks {
                let exit = (block as usize)
                    .checked_sub(1)
                    .and_then(|exit| counts.get_mut(exit));
                match exit {
                    Some(count) => *count += 1,
                    None => {
                        return fail(
                            format!("blocks run for a sample in step {step}"),
                            format!("1 to {blocks_per_prediction}"),
                            block.to_string(),
                        );
                    }
                }
            }
            let total = blocks.len() as f64;
            steps.push(HeatmapStep {
                timestep,
                share: counts.iter().map(|&count| count as f64 / total).collect(),
                blocks_mean: blocks.iter().map(|&block| f64::from(block)).sum::<f64>() / total,
                forecasts: Vec::new(),
            });
        }
        match samples {
            Some(samples) => Ok(Self {
                blocks_per_prediction,
                samples,
                steps,
            }),
            None => fail(
                "the heat map of exits".into(),
                "at least one step".into(),
                "none".into(),
            ),
        }
    }

    /// Marks the exits with a forecast, which `is_forecast` tells from the timestep and the blocks run.
    pub fn marking(mut self, is_forecast: impl Fn(f64, u32) -> bool) -> Self {
        for step in &mut self.steps {
            let exits = (1u32..).zip(&step.share);
            let left = exits.filter(|&(_, &share)| share > 0.0);
            step.forecasts = left
                .map(|(blocks, _)| blocks)
                .filter(|&blocks| is_forecast(step.timestep, blocks))
                .collect();
        }
        self
    }

    /// The figure as an SVG document.
    ///
    /// # Errors
    /// [`ReportError::Drawing`] where the drawing library fails.
    pub fn svg(&self) -> Result<String, ReportError> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, (760, 440)).into_drawing_area();
        let drawn = self.draw(&area).and_then(|()| Ok(area.present()?));
        drop(area);
        drawn.map_err(|error| ReportError::Drawing {
            figure: "the heat map of exits",
            reason: error.to_string(),
        })?;
        Ok(svg)
    }

    /// Writes the figure to `<name>.svg`, where [`WRITES_PNG`](crate::WRITES_PNG) to `<name>.png` too, and
    /// its data to `<name>.json` in `folder`.
    ///
    /// # Errors
    /// As for [`svg`](Self::svg), and [`ReportError::Storage`] where a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), ReportError> {
        write_json(&folder.join(format!("{name}.json")), self)?;
        write_pictures(folder, name, &self.svg()?, DRAWING_SCALE)
    }

    /// The figure with its caption, for the HTML report.
    ///
    /// # Errors
    /// As for [`svg`](Self::svg).
    pub fn figure(&self) -> Result<Figure, ReportError> {
        Ok(Figure::svg(
            self.svg()?,
            "Exit depth over denoising steps",
            self.caption(),
        ))
    }

    /// What a reader of the figure should know.
    pub fn caption(&self) -> String {
        let caption = format!(
            "The block after which samples left, at each denoising step (left: noise, right: \
             image). Colour is the share of the {} samples that left there; the line is their \
             mean. Samples at block {} ran the whole network.",
            self.samples, self.blocks_per_prediction
        );
        if self.steps.iter().all(|step| step.forecasts.is_empty()) {
            return caption;
        }
        format!("{caption} A ring marks exits with a forecast of the blocks that were skipped.")
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        let (map, key) = area.split_horizontally(640);
        let timesteps = match (self.steps.first(), self.steps.last()) {
            (Some(first), Some(last)) => format!("{:.0} to {:.0}", first.timestep, last.timestep),
            _ => String::new(),
        };
        let mut chart = ChartBuilder::on(&map)
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(56)
            .build_cartesian_2d(
                CountAxis::new(self.steps.len() as u32),
                CountAxis::new(self.blocks_per_prediction),
            )?;
        chart.plotting_area().fill(&share_colour(0.0))?;
        // Empty cells have the background's colour already.
        let cells = (1u32..).zip(&self.steps).flat_map(|(step, exits)| {
            let filled = (1u32..)
                .zip(&exits.share)
                .filter(|&(_, &share)| share > 0.0);
            filled.map(move |(block, &share)| {
                let [x, y] = [step, block].map(f64::from);
                let corners = [(x - 0.5, y - 0.5), (x + 0.5, y + 0.5)];
                Rectangle::new(corners, share_colour(share).filled())
            })
        });
        chart.draw_series(cells)?;
        let rings = (1u32..).zip(&self.steps).flat_map(|(step, exits)| {
            let blocks = exits.forecasts.iter();
            blocks.map(move |&block| (f64::from(step), f64::from(block)))
        });
        let rings: Vec<_> = rings.collect();
        let means = (1u32..)
            .zip(&self.steps)
            .map(|(step, exits)| (f64::from(step), exits.blocks_mean));
        // White below the colour: the line is seen on bright and on dark cells.
        let [red, green, blue] = VERMILLION;
        for colour in [
            WHITE.stroke_width(6),
            RGBColor(red, green, blue).stroke_width(3),
        ] {
            chart.draw_series(LineSeries::new(means.clone(), colour))?;
        }
        for (radius, colour) in [(7, WHITE.filled()), (5, BLACK.stroke_width(2))] {
            let ring = |&place: &(f64, f64)| Circle::new(place, radius, colour);
            chart.draw_series(rings.iter().map(ring))?;
        }
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(format!("denoising step (timestep {timesteps})"))
            .y_desc("block at exit")
            .x_labels(12)
            .y_labels(14)
            .axis_desc_style(("sans-serif", 19))
            .label_style(("sans-serif", 17))
            .draw()?;
        draw_key(&key)
    }
}

/// The scale of colours, from no sample below to all of them above.
fn draw_key(area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
    const SHADES: i32 = 64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_bottom(64)
        .margin_left(8)
        .margin_right(24)
        .right_y_label_area_size(64)
        .build_cartesian_2d(0f64..1f64, 0f64..100f64)?
        .set_secondary_coord(0f64..1f64, 0f64..100f64);
    chart.draw_series((0..SHADES).map(|shade| {
        let [low, high] = [shade, shade + 1].map(|edge| f64::from(edge) / f64::from(SHADES));
        let corners = [(0.0, 100.0 * low), (1.0, 100.0 * high)];
        Rectangle::new(corners, share_colour((low + high) / 2.0).filled())
    }))?;
    chart
        .configure_secondary_axes()
        .y_desc("share of samples (%)")
        .set_tick_mark_size(LabelAreaPosition::Right, 6)
        .y_labels(6)
        .y_label_formatter(&|percent| format!("{percent:.0}"))
        .axis_desc_style(("sans-serif", 17))
        .label_style(("sans-serif", 15))
        .draw()?;
    Ok(())
}

fn share_colour(share: f64) -> RGBColor {
    let [red, green, blue] = sequential(share);
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Result<ExitHeatmap, ReportError> {
        let exits: [(f64, &[u32]); 3] = [
            (999.0, &[1, 1, 1, 2]),
            (500.0, &[2, 3, 3, 4]),
            (12.0, &[4, 4, 4, 4]),
        ];
        ExitHeatmap::of_exits(4, exits)
    }

    #[test]
    fn shares_and_means_are_counted() -> Result<(), ReportError> {
        let heatmap = example()?;
        assert_eq!(heatmap.samples, 4);
        assert_eq!(heatmap.steps[0].share, [0.75, 0.25, 0.0, 0.0]);
        assert_eq!(heatmap.steps[1].share, [0.0, 0.25, 0.5, 0.25]);
        assert_eq!(heatmap.steps[0].blocks_mean, 1.25);
        assert_eq!(heatmap.steps[2].blocks_mean, 4.0);
        Ok(())
    }

    #[test]
    fn exits_with_a_forecast_are_marked() -> Result<(), ReportError> {
        let plain = example()?;
        let marked = plain
            .clone()
            .marking(|timestep, blocks| timestep < 600.0 && blocks < 4);
        let forecasts: Vec<_> = marked
            .steps
            .iter()
            .map(|step| &step.forecasts[..])
            .collect();
        assert_eq!(forecasts, [&[][..], &[2, 3], &[]]);
        assert_eq!(marked.svg()?.matches("<circle").count(), 4);
        assert_eq!(plain.svg()?.matches("<circle").count(), 0);
        assert!(marked.caption().contains("A ring marks"));
        assert!(!plain.caption().contains("ring"));
        Ok(())
    }

    #[test]
    fn colours_and_labels_are_in_the_figure() -> Result<(), ReportError> {
        let svg = example()?.svg()?;
        // Shares of 1/4, 1/2 and all: the palette's third, fifth and last colour.
        for colour in ["#3B518B", "#21908D", "#FDE725"] {
            assert!(svg.contains(colour), "{colour}");
        }
        assert!(svg.contains("denoising step (timestep 999 to 12)"));
        assert!(svg.contains("block at exit"));
        assert!(svg.contains("share of samples (%)"));
        Ok(())
    }

    #[test]
    fn the_data_lies_beside_the_figure() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        example()?.write(folder.path(), "exit_depth")?;
        let json = std::fs::read(folder.path().join("exit_depth.json"))?;
        assert_eq!(serde_json::from_slice::<ExitHeatmap>(&json)?, example()?);
        assert!(folder.path().join("exit_depth.svg").exists());
        let png = image::open(folder.path().join("exit_depth.png"))?;
        assert_eq!((png.width(), png.height()), (1520, 880));
        Ok(())
    }

    #[test]
    fn exits_that_cannot_be_are_reported() {
        let message = |exits: &[(f64, &[u32])]| {
            ExitHeatmap::of_exits(4, exits.iter().copied())
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            message(&[(999.0, &[1, 5])]),
            Err("blocks run for a sample in step 1: expected 1 to 4, found 5".into())
        );
        assert_eq!(
            message(&[(999.0, &[1, 2]), (1.0, &[3])]),
            Err("samples of step 2: expected 2 as in the first step, found 1".into())
        );
        assert!(message(&[(999.0, &[0])]).is_err());
        assert!(message(&[(999.0, &[])]).is_err());
        assert!(message(&[]).is_err());
    }
}
