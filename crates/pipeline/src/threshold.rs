//! One threshold for all timesteps: exits from recorded uncertainties.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{
    AdaptiveUVit, CalibrationError, DepthSchedule, ExitTrace, calibrate, calibrate_excess,
};

use crate::calibrator::{CALIBRATION_ROUNDS, settle};
use crate::{
    Calibration, CalibrationKey, Calibrator, ExitRule, ExitSetting, Monitor, PipelineError,
};

impl<B: Kernels> Calibrator<B> {
    /// The threshold that recorded uncertainties ask for.
    pub(crate) fn calibrate_threshold(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let plan = self.plan(key)?;
        settle(CALIBRATION_ROUNDS, |policy| {
            let recording = AdaptiveUVit::new(&self.pipeline.model, policy).recording_all();
            let generated = self
                .pipeline
                .generate_with(&recording, &plan, monitor, &mut |_| ())?;
            let mut trace = generated.trace;
            // With guidance the uncertainties are those of one of the two evaluations.
            trace.blocks_per_prediction = self.pipeline.blocks() as u32;
            let (exits, reached) = exits(&trace, key)?;
            let found = Calibration {
                exits,
                check_every: key.check_every,
                reduction: key.reduction,
                reached,
                steps: key.steps,
                guidance: key.guidance,
                samples: plan.samples,
                seed: plan.seed,
                result: None,
            };
            let policy = found.policy();
            Ok((found, policy))
        })
    }
}

/// The exits that recorded uncertainties ask for, and the share of blocks that they skip there.
fn exits(trace: &ExitTrace, key: CalibrationKey) -> Result<(ExitSetting, f64), CalibrationError> {
    if key.exit_rule == ExitRule::Threshold {
        let found = calibrate(trace, key.reduction, key.check_every)?;
        let uncertainty = found.threshold;
        return Ok((ExitSetting::Threshold { uncertainty }, found.reduction));
    }
    let (policy, found) = calibrate_excess(trace, key.reduction, key.check_every)?;
    let (excess, floors) = (found.threshold, policy.floors.clone());
    if key.exit_rule == ExitRule::Excess {
        return Ok((ExitSetting::Excess { excess, floors }, found.reduction));
    }
    let leaving = trace.replay(&policy).ok_or(CalibrationError::Incomplete)?;
    let schedule = DepthSchedule::from_exits(&leaving);
    let scheduled = trace.replay(&schedule);
    let reached = scheduled.map_or(found.reduction, |trace| trace.block_reduction());
    let depths = schedule.depths().to_vec();
    Ok((
        ExitSetting::Schedule {
            depths,
            excess,
            floors,
        },
        reached,
    ))
}
