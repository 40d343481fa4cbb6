//! As many blocks as a speed-up leaves time for.

use std::num::NonZeroUsize;

use adadiff_model::kernels::Kernels;

use adadiff_uem::{CheckEvery, ExitPolicy, FixedDepth, FullDepth, Threshold};

use super::BudgetResult;
use super::search::smallest_reaching;
use crate::interleaved::{median, median_ratio, samples_to_time, time_interleaved};
use crate::{Calibration, Calibrator, Monitor, Pipeline, PipelineError, SamplePlan};

/// Turns of each network that is timed, after one that does not count.
const REPETITIONS: usize = 4;

/// What a measured speed-up may miss the one asked for by, as a share of it.
const TOLERANCE: f64 = 0.02;

/// Shares of blocks that are tried.
const PROBES: usize = 5;

/// What parts of the network take on this device, in seconds for an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Costs {
    /// The full network.
    full: f64,
    /// All its blocks.
    blocks: f64,
    /// Judging after all of them.
    judging: f64,
}

impl Costs {
    /// Times the full network without and with judging, and half of its depth.
    fn measure<B: Kernels>(
        pipeline: &Pipeline<B>,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Self, PipelineError> {
        let blocks = pipeline.blocks();
        let half = NonZeroUsize::new(blocks / 2).unwrap_or(NonZeroUsize::MIN);
        // Everybody is judged, and nobody leaves.
        let judged = CheckEvery {
            policy: Threshold { uncertainty: 0.0 },
            every: pipeline.config.sampling.check_every,
        };
        let policies: [&dyn ExitPolicy; 3] = [&FullDepth, &judged, &FixedDepth(half)];
        let seconds = time(pipeline, &policies, plan, monitor)?;
        let (full, judged, half_depth) = (
            median(&seconds[0]),
            median(&seconds[1]),
            median(&seconds[2]),
        );
        let left_out = blocks.saturating_sub(half.get()).max(1);
        Ok(Self {
            full,
            blocks: (full - half_depth).max(0.0) * blocks as f64 / left_out as f64,
            judging: (judged - full).max(0.0),
        })
    }

    /// The share of the full network's time that goes with all blocks and their judging.
    fn slope(&self) -> f64 {
        // Noise must not make the search divide by nothing.
        ((self.blocks + self.judging) / self.full).max(0.1)
    }

    /// The share of blocks to skip that the costs ask for: blocks and judging are left out together.
    fn reduction_for(&self, speedup: f64) -> f64 {
        let longest = self.full + self.judging;
        (longest - self.full / speedup) / (self.slope() * self.full)
    }
}

impl<B: Kernels> Calibrator<B> {
    /// The exits that skip least blocks while samples are drawn `speedup` times as fast as with the full
    /// network, measured now on this device in batches of the configured size. `device` is its name in
    /// what is stored.
    ///
    /// # Errors
    /// Where no exits do, or the monitor stops it.
    pub fn for_speedup(
        &self,
        speedup: f64,
        device: &str,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let batch = self.pipeline.config.sampling.batch;
        let plan = self.budget_plan(samples_to_time(batch))?;
        monitor.stage("the time of blocks and estimators");
        let costs = Costs::measure(&self.pipeline, &plan, monitor)?;
        let found = smallest_reaching(
            speedup,
            costs.reduction_for(speedup),
            self.largest_reduction(),
            costs.slope(),
            (TOLERANCE, PROBES),
            |reduction| {
                monitor.stage(&format!(
                    "the time of {:.1} % fewer blocks",
                    100.0 * reduction
                ));
                let calibration = self.calibrate(self.key(reduction), monitor)?;
                let policy = calibration.policy();
                let seconds = time(&self.pipeline, &[&FullDepth, &policy], &plan, monitor)?;
                let ratio = median_ratio(&seconds[0], &seconds[1]);
                Ok::<_, PipelineError>((ratio, calibration))
            },
        )?;
        let found = found.map_err(|missed| PipelineError::TooSlow {
            asked: speedup,
            device: device.to_owned(),
            batch,
            reduction: missed.reduction,
            measured: missed.value,
        })?;
        Ok(Calibration {
            result: Some(BudgetResult::Speedup {
                asked: speedup,
                measured: found.value,
                device: device.to_owned(),
                batch,
                samples: plan.samples,
                seed: plan.seed,
            }),
            ..found.item
        })
    }
}

/// Seconds for an image in each turn of each policy.
fn time<B: Kernels>(
    pipeline: &Pipeline<B>,
    policies: &[&dyn ExitPolicy],
    plan: &SamplePlan,
    monitor: &dyn Monitor,
) -> Result<Vec<Vec<f64>>, PipelineError> {
    time_interleaved(REPETITIONS, policies.len(), |place| {
        let generated = pipeline.generate(policies[place], plan, monitor)?;
        Ok(generated.seconds_per_image())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_ask_for_the_share_that_leaves_the_time() {
        let costs = Costs {
            full: 1.0,
            blocks: 0.9,
            judging: 0.1,
        };
        // Skipping a share r takes 1 + 0.1 - r (0.9 + 0.1).
        assert!((costs.reduction_for(2.0) - 0.6).abs() < 1e-12);
        assert!((costs.reduction_for(1.0) - 0.1).abs() < 1e-12);
        let noise = Costs {
            full: 1.0,
            blocks: 0.0,
            judging: 0.0,
        };
        assert!(noise.reduction_for(2.0).is_finite());
    }
}
