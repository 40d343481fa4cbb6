//! How much of the time that skipped blocks would have taken is really saved.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{Never, Threshold};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::calibrations::Calibration;
use crate::study::{Draw, Study};

/// Batch sizes that are measured where none are asked for.
pub const BATCHES: [usize; 3] = [64, 16, 1];

/// Repetitions of each measurement; the networks take turns.
const REPETITIONS: usize = 5;

/// A threshold under which nobody leaves, though everybody is judged after every block.
const UNREACHED: Threshold = Threshold { uncertainty: 0.0 };

/// The full network's time against AdaDiff's at one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Samples of a batch.
    pub batch: usize,
    /// Samples drawn by each.
    pub samples: usize,
    /// Median seconds for an image with the full network.
    pub full_seconds_per_image: f64,
    /// Median seconds for an image with the full network, where samples are judged after every block
    /// and none leaves; absent in measurements from before it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_seconds_per_image: Option<f64>,
    /// Median seconds for an image with AdaDiff.
    pub adaptive_seconds_per_image: f64,
    /// Share of blocks that AdaDiff skipped.
    pub block_reduction: f64,
    /// The full network's time over AdaDiff's.
    pub speedup: f64,
    /// The speed-up over the one that the blocks alone allow: `speedup (1 - block_reduction)`.
    pub efficiency: f64,
    /// What estimators and the exit decision cost, as a share of the full network's time. Noise of
    /// the measurement can make it negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judging_share: Option<f64>,
}

/// Measures batches of these sizes, each on the same samples.
///
/// # Errors
/// Where the user interrupts or the device fails.
pub fn measure<B: Kernels>(
    study: &Study<'_, B>,
    calibration: &Calibration,
    batches: &[usize],
    bar: &ProgressBar,
) -> Result<Vec<Timing>> {
    batches
        .iter()
        .map(|&batch| {
            let samples = samples_for(batch);
            let draw = Draw {
                batch,
                ..study.plan(samples)?
            };
            bar.inc_length((3 * REPETITIONS * samples * study.preset.sampling.steps) as u64);
            let (mut full, mut judged, mut adaptive) = (Vec::new(), Vec::new(), Vec::new());
            let mut reduction = 0.0;
            for _ in 0..REPETITIONS {
                full.push(study.draw(Never, &draw, bar)?.seconds_per_image());
                judged.push(study.draw(UNREACHED, &draw, bar)?.seconds_per_image());
                let drawn = study.draw(calibration.policy(), &draw, bar)?;
                adaptive.push(drawn.seconds_per_image());
                reduction = study.cost(&drawn.effort)?.block_reduction;
            }
            let (full, judged, adaptive) = (median(full), median(judged), median(adaptive));
            Ok(Timing {
                batch,
                samples,
                full_seconds_per_image: full,
                judged_seconds_per_image: Some(judged),
                adaptive_seconds_per_image: adaptive,
                block_reduction: reduction,
                speedup: full / adaptive,
                efficiency: full / adaptive * (1.0 - reduction),
                judging_share: Some(judged / full - 1.0),
            })
        })
        .collect()
}

/// Samples that show the speed at a batch size: whole batches, and enough of small ones.
pub fn samples_for(batch: usize) -> usize {
    (2 * batch).clamp(8, batch.max(64))
}

/// The middle of at least one value; of two, the larger.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
