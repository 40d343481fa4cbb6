//! The exit rules [`ExitRule::Allocated`] and [`ExitRule::Distance`]: a budget shared out over time by
//! what skipped blocks do to the samples.

use std::sync::Arc;

use adadiff_model::kernels::Kernels;
use adadiff_uem::{BlockErrorRecorder, ErrorTrace, ExitPolicy, ExitWindows, FullDepth, allocate};
use anyhow::Result;
use indicatif::ProgressBar;

use super::damage::Damage;
use super::{CALIBRATION_SAMPLES, Draw, Study, sensitivity};
use crate::calibrations::{Budget, Calibration, ExitRule};

/// Times the errors are recorded: along the full network's paths, then along those that the first
/// allocation leads to.
const ROUNDS: usize = 2;

/// Samples that are drawn for one allocation in so many steps. Those that distances are measured of are
/// drawn once for all budgets, and are told when their number is known.
pub(super) fn samples(rule: ExitRule, steps: usize) -> usize {
    let sensitivities = match rule {
        ExitRule::Distance => 0,
        _ => sensitivity::samples(steps),
    };
    ROUNDS * CALIBRATION_SAMPLES + sensitivities
}

/// What an error of a noise prediction is worth.
enum Worth {
    /// How far it moves the images, for each evaluation.
    Images(Vec<f64>),
    /// How far it takes the samples from the data.
    Distance(Arc<Damage>),
}

impl<B: Kernels> Study<'_, B> {
    /// Shares out the blocks of a budget over time.
    ///
    /// # Errors
    /// As [`Study::calibrate`].
    pub(super) fn allocate(&self, budget: Budget, bar: &ProgressBar) -> Result<Calibration> {
        let draw = self.calibration_draw(budget)?;
        let first = self.errors(&FullDepth, &draw, bar)?;
        // A budget that cannot be met is told before much is measured for it.
        let equal = vec![1.0; first.steps.len()];
        allocate(&first, &equal, budget.reduction, budget.check_every)?;
        let worth = match budget.exit_rule {
            ExitRule::Distance => Worth::Distance(self.damage(&first, &draw, bar)?),
            _ => Worth::Images(self.sensitivities(&first, &draw, bar)?),
        };
        let share_out = |trace: &ErrorTrace| {
            let (reduction, every) = (budget.reduction, budget.check_every);
            match &worth {
                Worth::Images(weights) => allocate(trace, weights, reduction, every),
                Worth::Distance(damage) => allocate(&damage.of(trace), &equal, reduction, every),
            }
        };
        let mut found = share_out(&first)?;
        for _ in 1..ROUNDS {
            let policy = ExitWindows::new(found.windows, budget.check_every);
            found = share_out(&self.errors(&policy, &draw, bar)?)?;
        }
        Ok(Calibration {
            exit_rule: budget.exit_rule,
            check_every: budget.check_every,
            reduction: budget.reduction,
            reached: found.reduction,
            threshold: found.price as f32,
            floors: Vec::new(),
            depths: Vec::new(),
            windows: found.windows,
            steps: budget.steps,
            guidance: budget.guidance,
            samples: draw.samples,
            seed: draw.seed,
            yardstick: match budget.exit_rule {
                ExitRule::Distance => self.opened_yardstick()?.1,
                _ => None,
            },
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
        let recorder = BlockErrorRecorder::new(&self.model, policy);
        self.draw_from(&recorder, draw, bar, &mut |_| ())?;
        Ok(recorder.into_trace())
    }
}
