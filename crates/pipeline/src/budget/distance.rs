//! As few blocks as a Fréchet distance allows.

use adadiff_metrics::CHUNK;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{ExitPolicy, FullDepth};

use super::search::largest_within;
use super::{BudgetResult, FdIncrease};
use crate::evaluator::ensure_enough;
use crate::{Calibration, Calibrator, Evaluator, Monitor, PipelineError, ReferenceId, SampleStats};

/// Shares of blocks that are tried: the last two lie within about 1.5 % of all blocks of each other.
const PROBES: usize = 7;

/// Samples that distances are measured of, where nobody says how many and there are few features.
const SAMPLES: usize = 1024;

impl<B: Kernels> Calibrator<B> {
    /// The exits that skip most blocks while the Fréchet distance exceeds the full network's by no more
    /// than `increase`.
    ///
    /// Both are measured now, on the same `samples` (of which there is a default), whose seed neither
    /// the exits' calibration nor any reported figure uses, against `evaluator`'s reference. `reference`
    /// is its name in what is stored.
    ///
    /// # Errors
    /// Where no exits do, there are too few samples for a distance, or the monitor stops it.
    pub fn for_fd_increase(
        &self,
        increase: FdIncrease,
        evaluator: &Evaluator<B>,
        reference: Option<ReferenceId>,
        samples: Option<usize>,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let dims = evaluator.dims();
        let samples = samples
            .unwrap_or_else(|| SAMPLES.max((dims + dims / 2).next_multiple_of(CHUNK as usize)));
        let asked = format!("{samples} were asked for");
        ensure_enough(samples as u64, dims, &asked)?;
        let plan = self.budget_plan(samples)?;
        monitor.stage("the full network's distance");
        let distance = |policy: &dyn ExitPolicy| {
            let stats = SampleStats::generate(&self.pipeline, evaluator, policy, &plan, monitor)?;
            evaluator.frechet_distance(&stats.statistics)
        };
        let full = distance(&FullDepth)?;
        let limit = increase.limit(full);
        let highest = self.largest_reduction();
        let found = largest_within(limit, highest, PROBES, |reduction| {
            monitor.stage(&format!(
                "the distance at {:.1} % fewer blocks",
                100.0 * reduction
            ));
            let calibration = self.calibrate(self.key(reduction), monitor)?;
            Ok::<_, PipelineError>((distance(&calibration.policy())?, calibration))
        })?;
        let found = found.map_err(|missed| PipelineError::TooFar {
            asked: increase,
            full,
            samples,
            reduction: missed.reduction,
            measured: missed.value,
        })?;
        Ok(Calibration {
            result: Some(BudgetResult::FdIncrease {
                asked: increase,
                full,
                measured: found.value,
                features: evaluator.features().to_owned(),
                reference,
                samples,
                seed: plan.seed,
            }),
            ..found.item
        })
    }
}
