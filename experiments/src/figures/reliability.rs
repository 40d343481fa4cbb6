//! Whether the estimated uncertainty is the error that is really made.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Monitor;
use adadiff_report::chart::{Axis, Chart, Point, Scale, Series, Style};
use adadiff_sampler::{NoiseStream, diffuse};
use anyhow::Result;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::clean::Clean;
use super::curves::spread_over;
use crate::checkpoint::LoadedCheckpoint;
use crate::presets::DatasetPath;

/// Bins of equal width over uncertainties in `[0, 1]`.
const BINS: usize = 20;

/// Noise levels that images are judged at.
const LEVELS: usize = 10;

/// A bin with a smaller share of the values than this is not drawn: its mean is noise.
const LEAST_SHARE: f64 = 1e-4;

/// Added to the seed for the noise that images are judged with.
const NOISE_SEED: u64 = 0x7265_6c69_6162;

/// Predicted against actual errors, by block and uncertainty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    pub images: String,
    pub samples: usize,
    /// What the network was told of the time, for each noise level.
    pub timesteps: Vec<f64>,
    /// The expected calibration error over all blocks: the mean over values of the distance between
    /// predicted and actual error of their bin.
    pub calibration_error: f64,
    /// The blocks from first to last.
    pub blocks: Vec<BlockReliability>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockReliability {
    /// The expected calibration error of this block.
    pub calibration_error: f64,
    /// The bins by rising uncertainty.
    pub bins: Vec<Bin>,
}

/// Values of about the same uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    pub values: u64,
    /// The mean estimated uncertainty `u_i`.
    pub predicted: f64,
    /// The mean of what it estimates, `tanh|g_i - eps|`.
    pub actual: f64,
}

impl Bin {
    /// Adds the values of another bin of the same uncertainties.
    fn add(&mut self, other: Self) {
        let values = self.values + other.values;
        if values == 0 {
            return;
        }
        let share = other.values as f64 / values as f64;
        self.predicted += share * (other.predicted - self.predicted);
        self.actual += share * (other.actual - self.actual);
        self.values = values;
    }
}

/// Sums over the values of bins.
#[derive(Clone, Debug, Default)]
struct Sums([(u64, f64, f64); BINS]);

impl Sums {
    fn add(&mut self, predicted: f64, actual: f64) {
        let bin = ((predicted * BINS as f64) as usize).min(BINS - 1);
        let (values, predictions, errors) = &mut self.0[bin];
        *values += 1;
        *predictions += predicted;
        *errors += actual;
    }

    fn bins(&self) -> Vec<Bin> {
        let mean = |&(values, predictions, errors): &(u64, f64, f64)| Bin {
            values,
            predicted: predictions / values.max(1) as f64,
            actual: errors / values.max(1) as f64,
        };
        self.0.iter().map(mean).collect()
    }
}

/// The mean distance between predicted and actual error, bins weighed by their values.
fn calibration_error(bins: &[Bin]) -> f64 {
    let values: u64 = bins.iter().map(|bin| bin.values).sum();
    let distances = bins
        .iter()
        .map(|bin| bin.values as f64 * (bin.predicted - bin.actual).abs());
    distances.sum::<f64>() / values.max(1) as f64
}

impl Reliability {
    /// Adds known noise to images and compares what the estimators say with the errors made. Images
    /// are held-out ones where they come with the program, training images where `place` names
    /// them, and else the full network's own samples.
    ///
    /// # Errors
    /// Where images cannot be read, the user interrupts or the device fails.
    pub fn measure<B: Kernels>(
        loaded: &LoadedCheckpoint<B>,
        place: &DatasetPath,
        samples: usize,
        device: &B::Device,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let Clean {
            images,
            condition,
            name,
        } = Clean::new(loaded, place, samples, device, monitor)?;
        let [samples, channels, height, width] = images.dims();
        let sampling = &loaded.preset().sampling;
        let schedule = loaded.preset().schedule.build()?;
        let times = sampling
            .solver
            .build::<B>()
            .times(schedule.as_ref(), sampling.steps)?;
        let shown = spread_over(times.len() - 1, LEVELS);
        let stream = NoiseStream::new(sampling.seed.wrapping_add(NOISE_SEED));
        let pipeline = loaded.pipeline();
        let mut sums = vec![Sums::default(); pipeline.blocks()];
        let mut timesteps = Vec::new();
        for (level, step) in shown.into_iter().enumerate() {
            let timestep = schedule.network_timestep(times[step]);
            timesteps.push(timestep);
            let shape = [channels, height, width];
            let noise: Tensor<B, 4> = stream.batch(0, samples, level as u32, shape, device);
            let noisy = diffuse(
                schedule.as_ref(),
                images.clone(),
                noise.clone(),
                &vec![times[step]; samples],
            );
            let told = vec![timestep as f32; samples];
            let predictions = pipeline.model.layer_predictions(noisy, &told, &condition)?;
            let blocks = predictions.noise.into_iter().zip(predictions.uncertainty);
            for (sums, (predicted_noise, uncertainty)) in sums.iter_mut().zip(blocks) {
                let error = (predicted_noise - noise.clone()).abs().tanh().into_data();
                let uncertainty = uncertainty.into_data();
                for (predicted, actual) in uncertainty.iter::<f64>().zip(error.iter::<f64>()) {
                    sums.add(predicted, actual);
                }
            }
        }
        Ok(Self::of_sums(name, samples, timesteps, &sums))
    }

    fn of_sums(images: &str, samples: usize, timesteps: Vec<f64>, sums: &[Sums]) -> Self {
        let blocks = sums.iter().map(|sums| {
            let bins = sums.bins();
            BlockReliability {
                calibration_error: calibration_error(&bins),
                bins,
            }
        });
        let mut reliability = Self {
            images: images.to_owned(),
            samples,
            timesteps,
            calibration_error: 0.0,
            blocks: blocks.collect(),
        };
        reliability.calibration_error = calibration_error(&reliability.all_blocks());
        reliability
    }

    fn all_blocks(&self) -> Vec<Bin> {
        let mut all = vec![Bin::default(); BINS];
        for block in &self.blocks {
            for (sum, &bin) in all.iter_mut().zip(&block.bins) {
                sum.add(bin);
            }
        }
        all
    }

    /// Actual over predicted error, for all blocks together and for some of them.
    pub fn chart(&self) -> Chart {
        let curve = |name: String, style: usize, bins: &[Bin]| {
            let values: u64 = bins.iter().map(|bin| bin.values).sum();
            let points = bins.iter().filter_map(|bin| {
                let share = bin.values as f64 / values.max(1) as f64;
                (share >= LEAST_SHARE).then(|| Point {
                    x: bin.predicted,
                    y: bin.actual,
                    text: format!(
                        "predicted {:.3}, actual {:.3}, {:.2} % of the values",
                        bin.predicted,
                        bin.actual,
                        100.0 * share
                    ),
                    ..Point::default()
                })
            });
            Series {
                name,
                style: Style::Curve(style),
                points: points.collect(),
            }
        };
        let corner = |place| Point {
            x: place,
            y: place,
            ..Point::default()
        };
        let mut series = vec![
            Series {
                name: "as it should be".to_owned(),
                style: Style::Guide,
                points: vec![corner(0.0), corner(1.0)],
            },
            curve("all blocks".to_owned(), 0, &self.all_blocks()),
        ];
        for (style, block) in spread_over(self.blocks.len(), 4).into_iter().enumerate() {
            let name = format!("block {}", block + 1);
            series.push(curve(name, style + 1, &self.blocks[block].bins));
        }
        Chart {
            title: "Reliability of the estimated uncertainty".to_owned(),
            x: Axis::new("estimated uncertainty u", Scale::FromZero),
            y: Axis::new("error really made, tanh|g - ε|", Scale::FromZero),
            series,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[(f64, f64)]) -> Sums {
        let mut sums = Sums::default();
        for &(predicted, actual) in values {
            sums.add(predicted, actual);
        }
        sums
    }

    #[test]
    fn calibration_errors_weigh_bins_by_their_values() {
        // Three values at 0.12, wrong by 0.1 on average; one at 1, wrong by 0.5.
        let first = sums(&[(0.12, 0.32), (0.12, 0.22), (0.12, 0.12), (1.0, 0.5)]);
        // Exactly right.
        let second = sums(&[(0.62, 0.62), (0.13, 0.13)]);
        let found = Reliability::of_sums("images", 1, vec![1.0], &[first, second]);
        let errors = found.blocks.iter().map(|block| block.calibration_error);
        for (error, expected) in errors.zip([(3.0 * 0.1 + 0.5) / 4.0, 0.0]) {
            assert!((error - expected).abs() < 1e-12, "{error}");
        }
        // Of the bin at 0.1 both blocks' values count together: 4 of them, wrong by 0.075.
        let expected = (4.0 * 0.075 + 0.5) / 6.0;
        assert!((found.calibration_error - expected).abs() < 1e-12);
    }

    #[test]
    fn the_chart_shows_means_of_bins_beside_the_diagonal() {
        let block = sums(&[(0.22, 0.30), (0.24, 0.20), (0.91, 0.5)]);
        let chart = Reliability::of_sums("images", 1, vec![1.0], &[block]).chart();
        assert_eq!(chart.series[0].style, Style::Guide);
        let points = &chart.series[1].points;
        assert_eq!(points.len(), 2);
        assert!((points[0].x - 0.23).abs() < 1e-12 && (points[0].y - 0.25).abs() < 1e-12);
        assert_eq!(
            points[1].text,
            "predicted 0.910, actual 0.500, 33.33 % of the values"
        );
    }
}
