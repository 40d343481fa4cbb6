//! How much of the time that skipped blocks would have taken is really saved.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    Calibration, Monitor, Pipeline, PipelineError, SamplePlan, SampleSpec, median, median_ratio,
    median_ratio_bounds, samples_to_time, time_interleaved,
};

use adadiff_uem::{ExitPolicy, FullDepth, Threshold};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Batch sizes that are measured where none are asked for.
pub const BATCHES: [usize; 3] = [64, 16, 1];

/// Turns of each measurement where no other number is asked for.
pub const ROUNDS: usize = 6;

/// A threshold under which nobody leaves, though everybody is judged after every block.
const UNREACHED: Threshold = Threshold { uncertainty: 0.0 };

/// The full network's time against AdaDiff's at one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    pub batch: usize,
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
    /// The full network's time over AdaDiff's, median over turns.
    pub speedup: f64,
    /// The speed-up over the one that the blocks alone allow: `speedup (1 - block_reduction)`.
    pub efficiency: f64,
    /// What estimators and the exit decision cost, as a share of the full network's time, median over
    /// turns. Noise of the measurement can make it negative, which is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judging_share: Option<f64>,
    /// The bounds of `judging_share` with 95 % certainty; absent in measurements from before they were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judging_bounds: Option<[f64; 2]>,
    /// How often each had a turn; absent in measurements from before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
}

/// Measures batches of these sizes, each on the same samples, with so many turns of each network.
///
/// What else a machine does changes from one minute to the next, but hardly within a turn: so times
/// are compared within each, and the medians are those of the ratios.
///
/// # Errors
/// Where there is no turn, the user interrupts or the device fails.
pub fn measure<B: Kernels>(
    pipeline: &Pipeline<B>,
    calibration: &Calibration,
    batches: &[usize],
    rounds: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Timing>> {
    ensure!(rounds > 0, "times need at least one turn");
    batches
        .iter()
        .map(|&batch| {
            let samples = samples_to_time(batch);
            let draw = SamplePlan {
                batch,
                ..pipeline.plan(&SampleSpec::new(samples))?
            };
            let adaptive = calibration.policy();
            let policies: [&dyn ExitPolicy; 3] = [&FullDepth, &UNREACHED, &adaptive];
            let mut reductions = [0.0; 3];
            let draws = policies.len() * (rounds + 1);
            monitor.expect((draws * samples * pipeline.config.sampling.steps) as u64);
            let seconds = time_interleaved(rounds, policies.len(), |place| {
                let drawn = pipeline.generate(policies[place], &draw, monitor)?;
                reductions[place] = pipeline.cost(&drawn.counts)?.block_reduction;
                Ok::<_, PipelineError>(drawn.seconds_per_image())
            })?;
            let (full, judged, adaptive) = (&seconds[0], &seconds[1], &seconds[2]);
            let (speedup, reduction) = (median_ratio(full, adaptive), reductions[2]);
            Ok(Timing {
                batch,
                samples,
                judging_share: Some(median_ratio(judged, full) - 1.0),
                judging_bounds: Some(median_ratio_bounds(judged, full).map(|ratio| ratio - 1.0)),
                full_seconds_per_image: median(full),
                judged_seconds_per_image: Some(median(judged)),
                adaptive_seconds_per_image: median(adaptive),
                block_reduction: reduction,
                speedup,
                efficiency: speedup * (1.0 - reduction),
                rounds: Some(rounds),
            })
        })
        .collect()
}
