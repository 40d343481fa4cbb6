//! Budgets other than a share of blocks: a speed-up, or how far the Fréchet distance may grow. Each is
//! turned into the share of blocks that meets it, and judged on samples that neither the exits' calibration nor
//! a reported figure sees.

mod distance;
mod result;
mod search;
mod speedup;
mod target;

use adadiff_model::kernels::Kernels;

use crate::{Calibrator, PipelineError, SamplePlan, SampleSpec};
pub use result::BudgetResult;
pub use target::{BudgetTarget, FdIncrease};

/// Added to a run's seed for the samples that budgets other than a share of blocks are judged on, so
/// that they are neither those of the calibration nor those of a reported figure.
pub(crate) const BUDGET_SEED: u64 = 0x6275_6467_6574;

impl<B: Kernels> Calibrator<B> {
    /// The largest share of blocks that exits can skip: everybody leaves at the first block that is
    /// judged.
    fn largest_reduction(&self) -> f64 {
        let blocks = self.pipeline.blocks();
        let first = self.pipeline.config.sampling.check_every.get().min(blocks);
        // Rounding must not carry it beyond.
        (1.0 - first as f64 / blocks as f64 - 1e-9).max(0.0)
    }

    /// Samples that a budget is judged on: of a seed that neither calibrations nor reported figures
    /// use.
    pub(crate) fn budget_plan(&self, samples: usize) -> Result<SamplePlan, PipelineError> {
        let seed = self.pipeline.config.sampling.seed;
        self.pipeline.plan(&SampleSpec {
            seed: Some(seed.wrapping_add(BUDGET_SEED)),
            ..SampleSpec::new(samples)
        })
    }
}
