//! What one device makes of a checkpoint.

use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_train::peak_resident_mib;
use adadiff_uem::{AdaptiveUVit, ExitTrace, Never};
use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::calibrations::Calibration;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::study::{Draw, Study};
use crate::turns::median;

/// Runs that are timed; the full network and AdaDiff take turns.
const REPETITIONS: usize = 3;

/// What to compute.
#[derive(Debug)]
pub struct PartTask<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// Number of samples.
    pub samples: usize,
    /// The threshold of all devices; the device's own where it is the first.
    pub calibration: Option<Calibration>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
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
    /// Samples of a batch.
    pub batch: usize,
    /// The threshold.
    pub calibration: Calibration,
}

impl DeviceTask for PartTask<'_> {
    type Output = Result<Part>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Part> {
        let study: Study<'_, B> = self
            .surroundings
            .study(self.checkpoint, &device, self.stop)?;
        let bar = ProgressBar::hidden();
        let calibration = match self.calibration {
            Some(calibration) => calibration,
            None => study.threshold(study.preset.sampling.reduction, &bar)?,
        };
        let plan = study.plan(self.samples)?;
        let draw = Draw {
            batch: plan.batch.min(self.samples),
            ..plan
        };
        let policy = calibration.policy();

        // These runs pay for memory and kernels, too: they are not timed.
        let mut noise = Vec::new();
        let network = AdaptiveUVit::new(&study.model, Never);
        let full = study.draw_from(&network, &draw, &bar, &mut |progress| {
            if progress.step.index == 0
                && let Some(prediction) = progress.prediction
            {
                noise.extend(prediction.noise.clone().into_data().iter::<f32>());
            }
        })?;
        let adaptive = study.draw(&policy, &draw, &bar)?;

        let (mut full_seconds, mut adaptive_seconds) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            full_seconds.push(study.draw(Never, &draw, &bar)?.seconds_per_image());
            adaptive_seconds.push(study.draw(&policy, &draw, &bar)?.seconds_per_image());
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
            block_reduction: study.cost(&adaptive.effort)?.block_reduction,
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
