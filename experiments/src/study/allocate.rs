//! The exit rule [`ExitRule::Allocated`](crate::ExitRule): a budget shared out over time by what
//! skipped blocks do to the samples.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{
    DepthSchedule, ErrorTrace, ExitPolicy, ExitWindows, LayerErrors, Never, ScheduledDepth,
    allocate,
};
use anyhow::Result;
use indicatif::ProgressBar;

use super::{CALIBRATION_SAMPLES, Draw, Study};
use crate::calibrations::{Budget, Calibration};

/// Times the errors are recorded: along the full network's paths, then along those that the first
/// allocation leads to.
const ROUNDS: usize = 2;

/// Parts of a path in which blocks are skipped to see what that does to the samples.
const PARTS: usize = 20;

/// Samples that this is seen on.
const PART_SAMPLES: usize = 32;

/// Samples that are drawn for one allocation in so many steps.
pub(super) fn samples(steps: usize) -> usize {
    ROUNDS * CALIBRATION_SAMPLES + (1 + PARTS.min(steps)) * PART_SAMPLES
}

impl<B: Kernels> Study<'_, B> {
    /// Shares out the blocks of a budget over time.
    ///
    /// # Errors
    /// As [`Study::calibrate`].
    pub(super) fn allocate(&self, budget: Budget, bar: &ProgressBar) -> Result<Calibration> {
        let draw = self.calibration_draw(budget.steps)?;
        let mut trace = self.errors(&Never, &draw, bar)?;
        let weights = self.sensitivities(&trace, &draw, bar)?;
        let every = budget.check_every;
        let mut found = allocate(&trace, &weights, budget.reduction, every)?;
        for _ in 1..ROUNDS {
            let policy = ExitWindows::new(found.windows, every);
            trace = self.errors(&policy, &draw, bar)?;
            found = allocate(&trace, &weights, budget.reduction, every)?;
        }
        Ok(Calibration {
            exit_rule: budget.exit_rule,
            check_every: every,
            reduction: budget.reduction,
            reached: found.reduction,
            threshold: found.price as f32,
            floors: Vec::new(),
            depths: Vec::new(),
            windows: found.windows,
            steps: budget.steps,
            samples: draw.samples,
            seed: draw.seed,
            attainment: None,
        })
    }

    /// The errors of all blocks along the paths that a policy leads to.
    fn errors(
        &self,
        policy: &dyn ExitPolicy,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<ErrorTrace> {
        let recorder = LayerErrors::new(&self.model, policy);
        self.draw_from(&recorder, draw, bar, &mut |_| ())?;
        Ok(recorder.into_trace())
    }

    /// By how much a squared error of the noise prediction in each evaluation counts in the final
    /// samples: measured by leaving half way in one part of the path after the other.
    ///
    /// An error near noise is put right by the evaluations that follow, and one near the image hardly
    /// moves it any more; how much depends on solver, schedule and network.
    fn sensitivities(
        &self,
        trace: &ErrorTrace,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Vec<f64>> {
        let draw = draw.part(0, PART_SAMPLES);
        let (blocks, evaluations) = (self.blocks(), trace.steps.len());
        let half = blocks.div_ceil(2);
        let full = self.draw(Never, &draw, bar)?.pixels;
        let mut weights = Vec::with_capacity(evaluations);
        for part in trace.steps.chunks(evaluations.div_ceil(PARTS).max(1)) {
            let first = weights.len();
            let depths = trace.steps.iter().enumerate().map(|(index, step)| {
                let inside = (first..first + part.len()).contains(&index);
                ScheduledDepth {
                    timestep: step.timestep,
                    blocks: if inside { half } else { blocks },
                }
            });
            let schedule = DepthSchedule::new(depths.collect());
            let moved = self.draw(schedule, &draw, bar)?.pixels;
            let caused: f64 = part.iter().map(|step| mean_error(&step.errors, half)).sum();
            let weight = mean_square(&full, &moved) / caused.max(f64::MIN_POSITIVE);
            weights.extend(part.iter().map(|_| weight));
        }
        Ok(weights)
    }
}

/// The mean error of samples that leave after `blocks` blocks.
fn mean_error(errors: &[Vec<f32>], blocks: usize) -> f64 {
    let sum: f64 = errors
        .iter()
        .map(|errors| f64::from(errors[blocks - 1]))
        .sum();
    sum / errors.len().max(1) as f64
}

fn mean_square(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}
