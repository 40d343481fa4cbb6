//! How much of the time that skipped blocks would have taken is really saved.

use adadiff_model::kernels::Kernels;
use adadiff_uem::Never;
use anyhow::Result;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::calibrations::Calibration;
use crate::study::{Draw, Study};

/// Repetitions of each measurement; the full and the adaptive network take turns.
const REPETITIONS: usize = 3;

/// The full network's time against AdaDiff's at one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Samples of a batch.
    pub batch: usize,
    /// Samples drawn by each.
    pub samples: usize,
    /// Median seconds for an image with the full network.
    pub full_seconds_per_image: f64,
    /// Median seconds for an image with AdaDiff.
    pub adaptive_seconds_per_image: f64,
    /// Share of blocks that AdaDiff skipped.
    pub block_reduction: f64,
    /// The full network's time over AdaDiff's.
    pub speedup: f64,
    /// The speed-up over the one that the blocks alone allow: `speedup (1 - block_reduction)`.
    pub efficiency: f64,
}

/// Measures batches of 64, 16 and 1 on the same samples.
///
/// # Errors
/// Where the user interrupts or the device fails.
pub fn measure<B: Kernels>(
    study: &Study<'_, B>,
    calibration: &Calibration,
    bar: &ProgressBar,
) -> Result<Vec<Timing>> {
    [(64, 64), (16, 32), (1, 8)]
        .into_iter()
        .map(|(batch, samples)| {
            let draw = Draw {
                batch,
                ..study.plan(samples)?
            };
            bar.inc_length((2 * REPETITIONS * samples * study.preset.sampling.steps) as u64);
            let (mut full, mut adaptive, mut reduction) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..REPETITIONS {
                full.push(study.draw(Never, &draw, bar)?.seconds_per_image());
                let drawn = study.draw(calibration.policy(), &draw, bar)?;
                adaptive.push(drawn.seconds_per_image());
                reduction = study.cost(&drawn.effort)?.block_reduction;
            }
            let (full, adaptive) = (median(full), median(adaptive));
            Ok(Timing {
                batch,
                samples,
                full_seconds_per_image: full,
                adaptive_seconds_per_image: adaptive,
                block_reduction: reduction,
                speedup: full / adaptive,
                efficiency: full / adaptive * (1.0 - reduction),
            })
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
