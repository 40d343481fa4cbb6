//! One threshold for all timesteps: exits from recorded uncertainties.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, calibrate};

use crate::calibrator::{CALIBRATION_ROUNDS, settle};
use crate::{Calibration, CalibrationKey, Calibrator, ExitSetting, Monitor, PipelineError};

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
            let threshold = calibrate(&trace, key.reduction, key.check_every)?;
            let found = Calibration {
                exits: ExitSetting::Threshold {
                    uncertainty: threshold.threshold,
                },
                check_every: key.check_every,
                reduction: key.reduction,
                reached: threshold.reduction,
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
