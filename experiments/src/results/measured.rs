//! From what was measured of samples to a row of results.

use adadiff_metrics::{CostModel, EvaluationCounts};
use adadiff_pipeline::Calibration;
use anyhow::Result;

use crate::methods::MethodKind;
use crate::presets::Preset;
use crate::results::ResultRow;

/// What was measured of one method's samples.
#[derive(Debug)]
pub struct RowMeasurement<'a> {
    /// The preset with the command line's changes.
    pub preset: &'a Preset,
    /// How blocks were chosen.
    pub method: MethodKind,
    pub device: String,
    pub cost: CostModel,
    /// Network evaluations for each sample.
    pub steps: usize,
    /// Blocks run and estimates made.
    pub counts: &'a EvaluationCounts,
    /// Seconds of the sampling loop.
    pub seconds: f64,
    /// The features that samples were judged by.
    pub features: &'a str,
    /// The Fréchet distance over them.
    pub frechet_distance: f64,
}

impl ResultRow {
    /// The row, without depth, threshold and speed-up, which not every method has.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn new(measured: RowMeasurement<'_>) -> Result<Self> {
        let Preset {
            name,
            model,
            sampling,
            ..
        } = measured.preset;
        let cost = measured.counts.summary(&measured.cost)?;
        Ok(Self {
            experiment: name.clone(),
            method: measured.method,
            setting: None,
            variant: None,
            depth: None,
            device: measured.device,
            dtype: sampling.precision.name().to_owned(),
            solver: sampling.solver.name().to_owned(),
            steps: measured.steps,
            samples: measured.counts.samples as usize,
            batch: sampling.batch,
            seed: sampling.seed,
            exit_rule: None,
            check_every: None,
            threshold: None,
            target_reduction: None,
            blocks_mean: cost.blocks_mean,
            blocks_total: cost.blocks_total,
            blocks_per_prediction: model.backbone.blocks() as u32,
            block_reduction: cost.block_reduction,
            gflops_per_image: cost.gflops_per_image,
            seconds_per_image: measured.seconds / measured.counts.samples.max(1) as f64,
            speedup: None,
            frechet_distance: measured.frechet_distance,
            features: measured.features.to_owned(),
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            psnr: None,
            ssim: None,
            bytes_per_sample: None,
            explained: None,
        })
    }

    /// The row, saying how its samples left.
    pub fn with_exit(self, calibration: &Calibration) -> Self {
        let every = calibration.check_every.get() as u32;
        Self {
            exit_rule: Some(calibration.exits.rule().name().to_owned()),
            check_every: (every > 1).then_some(every),
            threshold: Some(f64::from(calibration.exits.threshold())),
            target_reduction: Some(calibration.reduction),
            ..self
        }
    }
}
