//! Exits for a budget: the stored ones, or calibrated now.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adadiff_model::kernels::Kernels;
use adadiff_sampler::SolverConfig;
use adadiff_uem::{ErrorTrace, ExitPolicy, FullDepth};

use crate::coarse::coarse_steps;
use crate::exit_cost::{ExitCost, ExitCostKey};
use crate::forecast::{SegmentCosts, is_searched};
use crate::reference::NoReference;
use crate::{
    Calibration, CalibrationFile, CalibrationKey, CalibrationReference, ExitRule, Monitor,
    Pipeline, PipelineError, ReferenceSource, SamplePlan, SampleSpec, allocated,
};

/// Added to a run's seed for the samples that exits are calibrated on, so that no reported figure is
/// of samples that a threshold has seen.
const CALIBRATION_SEED: u64 = 0x6361_6c69_6272;

/// Samples that exits are calibrated on.
pub(crate) const CALIBRATION_SAMPLES: usize = 64;

/// Times the uncertainties are recorded again along the paths that the last threshold leads to.
pub const CALIBRATION_ROUNDS: usize = 3;

/// Calibrates the exits of a pipeline to budgets.
///
/// What it knows and measures for [`ExitRule::Distance`] is shared by its clones, also for other solvers.
#[derive(Clone)]
pub struct Calibrator<B: Kernels> {
    pub(crate) pipeline: Pipeline<B>,
    pub(crate) stored: CalibrationFile,
    /// The solver of stored calibrations that do not tell theirs.
    pub(crate) stored_solver: SolverConfig,
    pub(crate) reference: Arc<dyn ReferenceSource<B>>,
    measured: Arc<Mutex<Measured<B>>>,
}

/// What a calibrator has opened and measured so far.
struct Measured<B: Kernels> {
    reference: Option<Arc<CalibrationReference<B>>>,
    exit_costs: Vec<(ExitCostKey, Arc<ExitCost>)>,
    segment_costs: Vec<(ExitCostKey, Arc<SegmentCosts>)>,
}

impl<B: Kernels> Default for Measured<B> {
    fn default() -> Self {
        Self {
            reference: None,
            exit_costs: Vec::new(),
            segment_costs: Vec::new(),
        }
    }
}

impl<B: Kernels> fmt::Debug for Calibrator<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.stored.entries().len();
        write!(formatter, "Calibrator({stored} stored)")
    }
}

impl<B: Kernels> Calibrator<B> {
    /// Calibrates this pipeline.
    pub fn new(pipeline: &Pipeline<B>) -> Self {
        Self {
            pipeline: pipeline.clone(),
            stored: pipeline.stored.clone(),
            stored_solver: pipeline.stored_solver,
            reference: Arc::new(NoReference),
            measured: Arc::default(),
        }
    }

    /// Measures distances for [`ExitRule::Distance`] by this.
    pub fn with_reference(self, reference: Arc<dyn ReferenceSource<B>>) -> Self {
        Self {
            reference,
            measured: Arc::default(),
            ..self
        }
    }

    /// The same for another solver or another number of steps.
    pub fn with_solver(&self, solver: SolverConfig, steps: usize) -> Self {
        Self {
            pipeline: self.pipeline.with_solver(solver, steps),
            ..self.clone()
        }
    }

    /// The same for latents that are left as they are: for thresholds and times, which need no images.
    pub fn without_decoder(&self) -> Self {
        Self {
            pipeline: self.pipeline.without_decoder(),
            ..self.clone()
        }
    }

    /// What is calibrated.
    pub fn pipeline(&self) -> &Pipeline<B> {
        &self.pipeline
    }

    /// What is calibrated, to change how it samples.
    pub fn pipeline_mut(&mut self) -> &mut Pipeline<B> {
        &mut self.pipeline
    }

    /// A share of blocks to skip, sampled otherwise as the pipeline is configured.
    pub fn key(&self, reduction: f64) -> CalibrationKey {
        self.pipeline.config.sampling.key(reduction)
    }

    /// The exits that skip a share of blocks under the configured exit rule.
    ///
    /// # Errors
    /// As [`Self::calibrate`].
    pub fn for_reduction(
        &self,
        reduction: f64,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        self.for_key(self.key(reduction), monitor)
    }

    /// The exits for a key: the stored ones where there are some for this solver, else some that are
    /// calibrated now.
    ///
    /// # Errors
    /// As [`Self::calibrate`].
    pub fn for_key(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        match self.stored(|entry| entry.key() == key, monitor)? {
            Some(stored) => Ok(stored.clone()),
            None => self.calibrate(key, monitor),
        }
    }

    /// Calibrates exits on samples of their own seed.
    ///
    /// # Errors
    /// Where the share cannot be reached, the estimators are not trained, there is nothing to measure
    /// distances by where the rule asks for them, or the monitor stops it.
    pub fn calibrate(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        if key.exit_rule != ExitRule::Forecast {
            self.check_estimators()?;
        }
        match key.exit_rule {
            ExitRule::Threshold => self.calibrate_threshold(key, monitor),
            ExitRule::Forecast => self.calibrate_forecast(key, monitor),
            ExitRule::Schedule | ExitRule::Allocated | ExitRule::Distance => {
                let along = self.coarse(key.steps)?;
                let steps = along.pipeline.config.sampling.steps;
                let found = along.allocate(CalibrationKey { steps, ..key }, monitor)?;
                Ok(Calibration {
                    steps: key.steps,
                    ..found
                })
            }
        }
    }

    /// Checks that the estimators tell how uncertain blocks are.
    ///
    /// # Errors
    /// Where they are not trained.
    pub fn check_estimators(&self) -> Result<(), PipelineError> {
        if self.pipeline.trained_estimators {
            Ok(())
        } else {
            Err(PipelineError::NoEstimators)
        }
    }

    /// The samples that exits are calibrated on.
    ///
    /// # Errors
    /// As [`Pipeline::plan`].
    pub fn plan(&self, key: CalibrationKey) -> Result<SamplePlan, PipelineError> {
        let seed = self.pipeline.config.sampling.seed;
        self.pipeline.plan(&SampleSpec {
            seed: Some(seed.wrapping_add(CALIBRATION_SEED)),
            steps: Some(key.steps),
            guidance: Some(key.guidance),
            ..SampleSpec::new(CALIBRATION_SAMPLES)
        })
    }

    /// Evaluations of single samples that one calibration takes, but for those of distances, which are
    /// made once for all budgets and told when their number is known.
    pub fn evaluations(&self) -> u64 {
        let sampling = &self.pipeline.config.sampling;
        let samples = match sampling.exit_rule {
            ExitRule::Threshold => CALIBRATION_ROUNDS * CALIBRATION_SAMPLES,
            ExitRule::Forecast if !is_searched(sampling.steps) => 0,
            rule => {
                let steps = coarse_steps(sampling.steps);
                return (allocated::samples(rule, steps) * steps) as u64;
            }
        };
        (samples * sampling.steps) as u64
    }

    /// What distances are measured by, opened once.
    pub(crate) fn opened_reference(&self) -> Result<Arc<CalibrationReference<B>>, PipelineError> {
        if let Some(reference) = &self.measured().reference {
            return Ok(reference.clone());
        }
        let shape = self.pipeline.decoding().image_shape();
        let reference = self.reference.open(shape, self.pipeline.device())?;
        let reference = Arc::new(reference);
        self.measured().reference = Some(reference.clone());
        Ok(reference)
    }

    /// What leaving early adds to the distance, measured once for all budgets.
    pub(crate) fn exit_cost(
        &self,
        trace: &ErrorTrace,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Arc<ExitCost>, PipelineError> {
        let key = ExitCostKey::new(&self.pipeline, plan);
        let known = self
            .measured()
            .exit_costs
            .iter()
            .find_map(|(of, cost)| (*of == key).then(|| cost.clone()));
        if let Some(known) = known {
            return Ok(known);
        }
        let evaluator = &self.opened_reference()?.evaluator;
        let images = self.pipeline.decoding();
        let cost = Arc::new(ExitCost::measure(&images, evaluator, trace, plan, monitor)?);
        self.measured().exit_costs.push((key, cost.clone()));
        Ok(cost)
    }

    /// What exits in single segments do, as `measure` finds it or did before.
    pub(crate) fn measured_segments(
        &self,
        plan: &SamplePlan,
        measure: impl FnOnce() -> Result<SegmentCosts, PipelineError>,
    ) -> Result<Arc<SegmentCosts>, PipelineError> {
        let key = ExitCostKey::new(&self.pipeline, plan);
        let known = self
            .measured()
            .segment_costs
            .iter()
            .find_map(|(of, costs)| (*of == key).then(|| costs.clone()));
        if let Some(known) = known {
            return Ok(known);
        }
        let costs = Arc::new(measure()?);
        self.measured().segment_costs.push((key, costs.clone()));
        Ok(costs)
    }

    fn measured(&self) -> MutexGuard<'_, Measured<B>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `round` finds in its last of several rounds, each along the paths that the policy of the one
/// before leads to: where samples leave early their paths change, and with them what is recorded.
///
/// # Errors
/// Those of `round`.
pub fn settle<T, E>(
    rounds: usize,
    mut round: impl FnMut(&dyn ExitPolicy) -> Result<(T, Box<dyn ExitPolicy>), E>,
) -> Result<T, E> {
    let (mut found, mut policy) = round(&FullDepth)?;
    for _ in 1..rounds {
        (found, policy) = round(&policy)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_uem::FixedDepth;
    use std::num::NonZeroUsize;

    #[test]
    fn every_round_runs_along_the_paths_of_the_one_before() {
        let mut seen = Vec::new();
        let found = settle(3, |policy| {
            seen.push(format!("{policy:?}"));
            let depth = NonZeroUsize::MIN.saturating_add(seen.len());
            let next: Box<dyn ExitPolicy> = Box::new(FixedDepth(depth));
            Ok::<_, ()>((seen.len(), next))
        });
        assert_eq!(found, Ok(3));
        assert_eq!(seen, ["FullDepth", "FixedDepth(2)", "FixedDepth(3)"]);
    }
}
