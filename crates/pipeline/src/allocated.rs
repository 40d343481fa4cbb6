//! The exit rules [`ExitRule::Allocated`], [`ExitRule::Distance`] and [`ExitRule::Schedule`]: a budget
//! shared out over time by what skipped blocks do to the samples.

use std::sync::Arc;

use adadiff_model::kernels::Kernels;
use adadiff_uem::{
    Allocation, AllocationError, BlockErrorRecorder, DepthSchedule, ErrorTrace, ExitPolicy,
    ExitWindows, allocate,
};

use crate::calibrator::{CALIBRATION_SAMPLES, settle};
use crate::exit_cost::{ExitCost, ensure_some_prompts};
use crate::{
    Calibration, CalibrationKey, Calibrator, ExitRule, ExitSetting, Monitor, PipelineError,
    SamplePlan, sensitivity,
};

/// Times the errors are recorded: along the full network's paths, then along those that the first
/// allocation leads to.
const ROUNDS: usize = 2;

/// Samples that are drawn for one allocation in so many steps, but for those of distances.
pub(crate) fn samples(rule: ExitRule, steps: usize) -> usize {
    let sensitivities = match rule {
        // Along the full network's paths alone.
        ExitRule::Forecast => return CALIBRATION_SAMPLES,
        ExitRule::Distance => 0,
        _ => sensitivity::samples(steps),
    };
    ROUNDS * CALIBRATION_SAMPLES + sensitivities
}

/// What an error of a noise prediction counts.
enum ErrorWeighting {
    /// By how far it moves the images, for each evaluation.
    Images(Vec<f64>),
    /// By how far it takes the samples from the data.
    Distance(Arc<ExitCost>),
}

impl ErrorWeighting {
    fn allocate(
        &self,
        trace: &ErrorTrace,
        key: CalibrationKey,
    ) -> Result<Allocation, AllocationError> {
        let (reduction, every) = (key.reduction, key.check_every);
        match self {
            Self::Images(weights) => allocate(trace, weights, reduction, every),
            Self::Distance(cost) => {
                let equal = vec![1.0; trace.steps.len()];
                allocate(&cost.priced(trace), &equal, reduction, every)
            }
        }
    }
}

impl<B: Kernels> Calibrator<B> {
    /// Shares out the blocks of a budget over time.
    pub(crate) fn allocate(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let plan = self.plan(key)?;
        let errors = |policy: &dyn ExitPolicy| self.errors(policy, &plan, monitor);
        let (found, schedule) = self.share_out(key, &plan, &errors, monitor)?;
        let (windows, price) = (found.windows, found.price as f32);
        let exits = match key.exit_rule {
            ExitRule::Distance => ExitSetting::Distance {
                windows,
                price,
                reference: self.opened_reference()?.id.clone(),
            },
            ExitRule::Schedule => ExitSetting::Schedule {
                depths: schedule.depths().to_vec(),
                price,
            },
            _ => ExitSetting::Allocated { windows, price },
        };
        Ok(Calibration {
            exits,
            check_every: key.check_every,
            reduction: key.reduction,
            reached: found.reduction,
            steps: key.steps,
            guidance: key.guidance,
            samples: plan.samples,
            seed: plan.seed,
            result: None,
        })
    }

    /// The windows of [`ExitRule::Allocated`] for samples that are judged by their true errors, as
    /// [`BlockErrorRecorder::by_errors`] shows them: what that rule would be with estimators that are never wrong.
    ///
    /// # Errors
    /// Where the budget cannot be reached, the monitor stops it or the device fails.
    pub fn oracle(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<ExitWindows, PipelineError> {
        let key = CalibrationKey {
            exit_rule: ExitRule::Allocated,
            ..key
        };
        let plan = self.plan(key)?;
        let errors = |policy: &dyn ExitPolicy| {
            let recorder = BlockErrorRecorder::new(&self.pipeline.model, policy).by_errors();
            self.recorded(recorder, &plan, monitor)
        };
        let (found, _) = self.share_out(key, &plan, &errors, monitor)?;
        Ok(ExitWindows::new(found.windows, key.check_every))
    }

    /// Shares out blocks by what `errors` records along the paths that a policy leads to; and the depths over time that are
    /// nearest to that.
    fn share_out(
        &self,
        key: CalibrationKey,
        plan: &SamplePlan,
        errors: &dyn Fn(&dyn ExitPolicy) -> Result<ErrorTrace, PipelineError>,
        monitor: &dyn Monitor,
    ) -> Result<(Allocation, DepthSchedule), PipelineError> {
        let mut weighting = None;
        settle(ROUNDS, |policy| {
            let trace = errors(policy)?;
            let weighting = match &mut weighting {
                Some(weighting) => weighting,
                unknown => unknown.insert(self.weighting(&trace, key, plan, monitor)?),
            };
            let found = weighting.allocate(&trace, key)?;
            let schedule = DepthSchedule::from_windows(&trace, &found.windows, key.check_every);
            let policy = ExitWindows::new(found.windows.clone(), key.check_every);
            let policy: Box<dyn ExitPolicy> = Box::new(policy);
            Ok(((found, schedule), policy))
        })
    }

    fn weighting(
        &self,
        trace: &ErrorTrace,
        key: CalibrationKey,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<ErrorWeighting, PipelineError> {
        // A budget that cannot be met is told before much is measured for it.
        let equal = vec![1.0; trace.steps.len()];
        allocate(trace, &equal, key.reduction, key.check_every)?;
        Ok(match key.exit_rule {
            ExitRule::Distance => {
                // Said before a network of features is opened.
                ensure_some_prompts(plan)?;
                ErrorWeighting::Distance(self.exit_cost(trace, plan, monitor)?)
            }
            _ => ErrorWeighting::Images(self.pipeline.sensitivities(trace, plan, monitor)?),
        })
    }

    /// The errors of all blocks along the paths that a policy leads to.
    pub(crate) fn errors(
        &self,
        policy: &dyn ExitPolicy,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<ErrorTrace, PipelineError> {
        let recorder = BlockErrorRecorder::new(&self.pipeline.model, policy);
        self.recorded(recorder, plan, monitor)
    }

    fn recorded(
        &self,
        recorder: BlockErrorRecorder<'_, B, &dyn ExitPolicy>,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<ErrorTrace, PipelineError> {
        self.pipeline
            .generate_with(&recorder, plan, monitor, &mut |_| ())?;
        Ok(recorder.into_trace())
    }
}
