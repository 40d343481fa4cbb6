//! As many blocks as a speed-up leaves time for.

use std::num::NonZeroUsize;

use adadiff_backends::DeviceName;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{CheckedBlocks, ExitPolicy, FixedDepth, Never, Threshold};
use anyhow::{Result, bail};
use indicatif::ProgressBar;

use super::Attainment;
use super::search::smallest_reaching;
use crate::calibrations::Calibration;
use crate::methods::timing::samples_for;
use crate::study::{Draw, Study};
use crate::turns::{median, median_ratio, take_turns};

/// Turns of each network that is timed, after one that does not count.
const REPETITIONS: usize = 4;

/// What a measured speed-up may miss the one asked for by, as a share of it.
const TOLERANCE: f64 = 0.02;

/// Thresholds that are tried.
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
    fn measure<B: Kernels>(study: &Study<'_, B>, draw: &Draw, bar: &ProgressBar) -> Result<Self> {
        let blocks = study.blocks();
        let half = NonZeroUsize::new(blocks / 2).unwrap_or(NonZeroUsize::MIN);
        // Everybody is judged, and nobody leaves.
        let judged = CheckedBlocks {
            policy: Threshold { uncertainty: 0.0 },
            every: study.preset.sampling.check_every,
        };
        let policies: [&dyn ExitPolicy; 3] = [&Never, &judged, &FixedDepth(half)];
        let seconds = time(study, &policies, draw, bar)?;
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

/// Finds the threshold that skips least blocks while samples are drawn `speedup` times as fast as with
/// the full network, measured on this device in batches of the preset's size.
///
/// # Errors
/// Where no threshold does, or the user interrupts.
pub fn calibrate<B: Kernels>(
    study: &Study<'_, B>,
    speedup: f64,
    device: DeviceName,
    bar: &ProgressBar,
) -> Result<Calibration> {
    let batch = study.preset.sampling.batch;
    let draw = study.judged(samples_for(batch))?;
    bar.set_message("the time of blocks and estimators");
    let costs = Costs::measure(study, &draw, bar)?;
    let found = smallest_reaching(
        speedup,
        costs.reduction_for(speedup),
        study.largest_reduction(),
        costs.slope(),
        (TOLERANCE, PROBES),
        |reduction| {
            bar.set_message(format!(
                "the time of {:.1} % fewer blocks",
                100.0 * reduction
            ));
            let calibration = study.calibrate(study.budget(reduction), bar)?;
            let policy = calibration.policy();
            let seconds = time(study, &[&Never, &policy], &draw, bar)?;
            Ok((median_ratio(&seconds[0], &seconds[1]), calibration))
        },
    )?;
    match found {
        Ok(found) => Ok(Calibration {
            attainment: Some(Attainment::Speedup {
                asked: speedup,
                measured: found.value,
                device: device.to_string(),
                batch,
                samples: draw.samples,
                seed: draw.seed,
            }),
            ..found.item
        }),
        Err(missed) => bail!(
            "a speed-up of {speedup} was not reached on {device} in batches of {batch}: {:.1} % \
             fewer blocks measured {:.2}",
            100.0 * missed.reduction,
            missed.value
        ),
    }
}

/// Seconds for an image in each turn of each policy.
fn time<B: Kernels>(
    study: &Study<'_, B>,
    policies: &[&dyn ExitPolicy],
    draw: &Draw,
    bar: &ProgressBar,
) -> Result<Vec<Vec<f64>>> {
    take_turns(REPETITIONS, policies.len(), |place| {
        Ok(study.draw(policies[place], draw, bar)?.seconds_per_image())
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
