//! From what was measured of samples to a row of results.

use adadiff_metrics::{CostModel, EvaluationCounts};
use adadiff_pipeline::Calibration;
use anyhow::Result;

use crate::methods::MethodKind;
use crate::presets::Preset;
use crate::results::ResultRow;

/// What was measured of one method's samples.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The preset with the command line's changes.
    pub preset: &'a Preset,
    /// How blocks were chosen.
    pub method: MethodKind,
    /// The device.
    pub device: String,
    /// What an evaluation costs.
    pub cost: CostModel,
    /// Network evaluations for each sample.
    pub steps: usize,
    /// Blocks run and estimates made.
    pub effort: &'a EvaluationCounts,
    /// Seconds of the sampling loop.
    pub seconds: f64,
    /// The features that samples were judged by.
    pub features: &'a str,
    /// The Fréchet distance over them.
    pub frechet_distance: f64,
}

impl Measured<'_> {
    /// The row, without depth, threshold and speed-up, which not every method has.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn row(self) -> Result<ResultRow> {
        let Preset {
            name,
            model,
            sampling,
            ..
        } = self.preset;
        let cost = self.effort.summary(&self.cost)?;
        Ok(ResultRow {
            experiment: name.clone(),
            method: self.method,
            setting: None,
            variant: None,
            depth: None,
            device: self.device,
            dtype: sampling.precision.name().to_owned(),
            solver: sampling.solver.name().to_owned(),
            steps: self.steps,
            samples: self.effort.samples as usize,
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
            seconds_per_image: self.seconds / self.effort.samples.max(1) as f64,
            speedup: None,
            frechet_distance: self.frechet_distance,
            features: self.features.to_owned(),
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// Says in a row of results how its samples left.
pub fn enter_exits(calibration: &Calibration, row: &mut ResultRow) {
    row.exit_rule = Some(calibration.exits.rule().name().to_owned());
    let every = calibration.check_every.get() as u32;
    row.check_every = (every > 1).then_some(every);
    row.threshold = Some(f64::from(calibration.exits.threshold()));
    row.target_reduction = Some(calibration.reduction);
}
