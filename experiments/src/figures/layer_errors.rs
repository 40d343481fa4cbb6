//! Figures 1 and 3: how far the prediction of every block is from the last one's.

use std::cell::RefCell;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Denoiser, ModelError, NoisyBatch, Prediction};
use adadiff_pipeline::{Monitor, Pipeline, SamplePlan, SampleSpec};
use adadiff_report::chart::{Axis, Chart, Point, Scale, Series, Style};
use adadiff_uem::AdaDiff;
use anyhow::Result;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::curves::{numbered, spread_over};

/// The errors of all blocks along the full network's path from noise to image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockErrorFigure {
    /// Samples that every error is a mean over.
    pub samples: usize,
    /// The network's evaluations, from noise to image.
    pub evaluations: Vec<EvaluationErrors>,
}

/// The errors of all blocks in one evaluation of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationErrors {
    /// What the network was told of the time.
    pub timestep: f64,
    /// For every block the mean over samples and values of `(g_i - g_last)^2`, where `g_i` is the
    /// noise predicted after block `i`. The predicted noise has a variance of about 1.
    pub squared_errors: Vec<f64>,
}

/// The full network, which notes what every block would have predicted.
struct Recorder<'a, B: Kernels> {
    model: &'a AdaDiff<B>,
    evaluations: RefCell<Vec<EvaluationErrors>>,
}

impl<B: Kernels> Denoiser<B> for Recorder<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let (timestep, timesteps) = (batch.timestep, batch.timesteps());
        let mut predictions = self
            .model
            .layer_predictions(batch.noisy, &timesteps, &batch.condition)?
            .noise;
        let last = predictions
            .pop()
            .ok_or_else(|| ModelError::Device("the network has no blocks".to_owned()))?;
        let errors = predictions
            .into_iter()
            .map(|prediction| (prediction - last.clone()).square().mean());
        let errors: Vec<Tensor<B, 1>> = errors.collect();
        let blocks = errors.len() + 1;
        let mut squared_errors: Vec<f64> = match errors.is_empty() {
            true => Vec::new(),
            // Read back once for all blocks.
            false => Tensor::cat(errors, 0).into_data().iter::<f64>().collect(),
        };
        squared_errors.push(0.0);
        self.evaluations.borrow_mut().push(EvaluationErrors {
            timestep,
            squared_errors,
        });
        Ok(Prediction::new(last, blocks))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }
}

impl BlockErrorFigure {
    /// Measures the errors on the samples of one batch.
    ///
    /// # Errors
    /// Where the user interrupts or the device fails.
    pub fn measure<B: Kernels>(
        pipeline: &Pipeline<B>,
        samples: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let draw = SamplePlan {
            // Several batches would mix the evaluations of all of them.
            batch: samples,
            ..pipeline.plan(&SampleSpec::new(samples))?
        };
        let recorder = Recorder {
            model: &pipeline.model,
            evaluations: RefCell::default(),
        };
        monitor.expect((samples * draw.steps) as u64);
        pipeline.generate_with(&recorder, &draw, monitor, &mut |_| ())?;
        Ok(Self {
            samples,
            evaluations: recorder.evaluations.into_inner(),
        })
    }

    fn blocks(&self) -> usize {
        let first = self.evaluations.first();
        first.map_or(0, |evaluation| evaluation.squared_errors.len())
    }

    /// Figure 1: error over blocks, for evaluations from noise to image.
    pub fn over_blocks(&self) -> Chart {
        let shown = spread_over(self.evaluations.len(), 6);
        let series = shown.into_iter().enumerate().map(|(style, step)| {
            let EvaluationErrors {
                timestep,
                squared_errors,
            } = &self.evaluations[step];
            // The last block's error is zero by definition.
            let errors = &squared_errors[..squared_errors.len().saturating_sub(1)];
            let points = numbered(errors).map(|(block, &error)| Point {
                x: block,
                y: error,
                text: format!("block {block:.0}, error {error:.3e}"),
                ..Point::default()
            });
            Series {
                name: format!("step {} (t = {timestep:.0})", step + 1),
                style: Style::Curve(style),
                points: points.collect(),
            }
        });
        Chart {
            title: "Error of every block's prediction".to_owned(),
            x: Axis::new("block", Scale::Around),
            y: Axis::new("squared error against the last block", Scale::Automatic),
            series: series.collect(),
        }
    }

    /// Figure 3: error over denoising steps, for blocks from first to last but one.
    pub fn over_steps(&self) -> Chart {
        let shown = spread_over(self.blocks().saturating_sub(1), 6);
        let series = shown.into_iter().enumerate().map(|(style, block)| {
            let points = numbered(&self.evaluations).map(|(step, evaluation)| {
                let error = evaluation.squared_errors[block];
                Point {
                    x: step,
                    y: error,
                    text: format!(
                        "step {step:.0} (t = {:.0}), error {error:.3e}",
                        evaluation.timestep
                    ),
                    ..Point::default()
                }
            });
            Series {
                name: format!("block {}", block + 1),
                style: Style::Curve(style),
                points: points.collect(),
            }
        });
        Chart {
            title: "Error of every block's prediction over denoising steps".to_owned(),
            x: Axis::new("denoising step, from noise to image", Scale::Around),
            y: Axis::new("squared error against the last block", Scale::Automatic),
            series: series.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> BlockErrorFigure {
        let evaluation = |timestep, squared_errors: [f64; 3]| EvaluationErrors {
            timestep,
            squared_errors: squared_errors.to_vec(),
        };
        BlockErrorFigure {
            samples: 4,
            evaluations: vec![
                evaluation(999.0, [0.5, 0.25, 0.0]),
                evaluation(1.0, [0.75, 0.5, 0.0]),
            ],
        }
    }

    #[test]
    fn figure_1_shows_a_curve_for_every_step() {
        let chart = example().over_blocks();
        let points = |series: &Series| -> Vec<(f64, f64)> {
            series
                .points
                .iter()
                .map(|point| (point.x, point.y))
                .collect()
        };
        assert_eq!(chart.series[0].name, "step 1 (t = 999)");
        assert_eq!(points(&chart.series[0]), [(1.0, 0.5), (2.0, 0.25)]);
        assert_eq!(points(&chart.series[1]), [(1.0, 0.75), (2.0, 0.5)]);
    }

    #[test]
    fn figure_3_shows_a_curve_for_every_block_but_the_last() {
        let chart = example().over_steps();
        assert_eq!(chart.series.len(), 2);
        assert_eq!(chart.series[1].name, "block 2");
        assert_eq!(chart.series[1].points[1].y, 0.5);
        assert_eq!(
            chart.series[1].points[1].text,
            "step 2 (t = 1), error 5.000e-1"
        );
    }
}
