//! What one device makes of a checkpoint.

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Calibration, SamplePlan, median};
use adadiff_train::peak_resident_mib;
use adadiff_uem::{AdaptiveUVit, ExitTrace, FullDepth};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::checkpoint::LoadedCheckpoint;
use crate::commands::inputs::Inputs;
use crate::terminal::Terminal;

/// Runs that are timed; the full network and AdaDiff take turns.
const REPETITIONS: usize = 3;

#[derive(Debug)]
pub struct PartTask {
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    pub samples: usize,
    /// The threshold of all devices; the device's own where it is the first.
    pub calibration: Option<Calibration>,
}

/// What a device made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The noise that the full network predicts in the first step, all samples one after the other.
    pub noise: Vec<f32>,
    /// The full network's images, about in `[-1, 1]`.
    pub full: Vec<f32>,
    /// AdaDiff's.
    pub adaptive: Vec<f32>,
    /// Blocks that AdaDiff ran: evaluation x sample.
    pub exits: Vec<Vec<u32>>,
    /// The share of blocks that it skipped.
    pub block_reduction: f64,
    /// Median seconds for an image with the full network.
    pub full_seconds_per_image: f64,
    /// Median seconds for an image with AdaDiff.
    pub adaptive_seconds_per_image: f64,
    /// The most memory of the host that the process had resident, in MiB, where the system tells.
    pub peak_memory_mib: Option<u64>,
    pub batch: usize,
    pub calibration: Calibration,
}

impl DeviceTask for PartTask {
    type Output = Result<Part>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Part> {
        let loaded: LoadedCheckpoint<B> = self.inputs.load(&device)?;
        let monitor = Terminal::hidden();
        let calibration = match self.calibration {
            Some(calibration) => calibration,
            None => {
                let reduction = loaded.preset().sampling.reduction;
                loaded.calibrator().for_reduction(reduction, &monitor)?
            }
        };
        let plan = loaded.plan(self.samples)?;
        let draw = SamplePlan {
            batch: plan.batch.min(self.samples),
            ..plan
        };
        let policy = calibration.policy();
        let pipeline = loaded.pipeline();

        // These runs pay for memory and kernels, too: they are not timed.
        let mut noise = Vec::new();
        let network = AdaptiveUVit::new(&pipeline.model, FullDepth);
        let full = pipeline.generate_with(&network, &draw, &monitor, &mut |progress| {
            if progress.step.index == 0
                && let Some(prediction) = progress.prediction()
            {
                noise.extend(prediction.noise.clone().into_data().iter::<f32>());
            }
        })?;
        let adaptive = pipeline.generate(&policy, &draw, &monitor)?;

        let (mut full_seconds, mut adaptive_seconds) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            full_seconds.push(
                pipeline
                    .generate(FullDepth, &draw, &monitor)?
                    .seconds_per_image(),
            );
            adaptive_seconds.push(
                pipeline
                    .generate(&policy, &draw, &monitor)?
                    .seconds_per_image(),
            );
        }
        ensure!(
            [&noise, &full.pixels, &adaptive.pixels]
                .iter()
                .all(|values| values.iter().all(|value| value.is_finite())),
            "it computes values that are no numbers"
        );
        Ok(Part {
            noise,
            full: full.pixels,
            block_reduction: pipeline.cost(&adaptive.counts)?.block_reduction,
            adaptive: adaptive.pixels,
            exits: exits(adaptive.trace),
            full_seconds_per_image: median(&full_seconds),
            adaptive_seconds_per_image: median(&adaptive_seconds),
            peak_memory_mib: peak_resident_mib(),
            batch: draw.batch,
            calibration,
        })
    }
}

fn exits(trace: ExitTrace) -> Vec<Vec<u32>> {
    trace.steps.into_iter().map(|step| step.blocks).collect()
}
