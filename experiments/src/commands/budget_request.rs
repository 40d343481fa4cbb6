//! Budgets that a user asks for in place of a share of blocks: a speed-up on this device, or how far the
//! Fréchet distance may grow.

use adadiff_backends::DeviceName;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{BudgetResult, BudgetTarget, Calibration, Evaluator, Monitor};
use anyhow::{Result, bail};

use crate::checkpoint::LoadedCheckpoint;
use crate::evaluator::DataSetReference;
use crate::terminal::Terminal;

/// A budget that a user asks for, and what it takes to find the share of blocks for it.
#[derive(Clone, Debug)]
pub struct BudgetRequest {
    pub target: BudgetTarget,
    /// The device, as named on the command line.
    pub device: DeviceName,
    /// What a distance is judged by.
    pub reference: DataSetReference,
    /// Samples that a distance is measured of, where the user says how many.
    pub samples: Option<usize>,
    /// Whether only what was stored beside the checkpoint will do: several processes that measured
    /// for themselves would come to different thresholds.
    pub only_stored: bool,
}

/// A target as the command line has it.
pub fn target_option(target: BudgetTarget) -> String {
    match target {
        BudgetTarget::Speedup(speedup) => format!("--speedup {speedup}"),
        BudgetTarget::FdIncrease(increase) => format!("--max-fd-increase {increase}"),
    }
}

impl BudgetRequest {
    /// Finds the exits that meet the budget, the stored ones where there are some, tells of them, and
    /// lets the checkpoint sample by them.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn adopt<B: Kernels>(
        &self,
        loaded: &mut LoadedCheckpoint<B>,
        evaluator: Option<&Evaluator<B>>,
        terminal: &Terminal,
    ) -> Result<Calibration> {
        let calibration = self.find(loaded, evaluator, terminal)?;
        tell(&calibration, terminal)?;
        loaded.adopt(calibration.clone());
        Ok(calibration)
    }

    /// Finds the exits that meet the budget, the stored ones where there are some.
    ///
    /// # Errors
    /// Where the budget cannot be met, there is nothing to judge by, or the user interrupts.
    pub fn find<B: Kernels>(
        &self,
        loaded: &LoadedCheckpoint<B>,
        evaluator: Option<&Evaluator<B>>,
        monitor: &dyn Monitor,
    ) -> Result<Calibration> {
        let calibrator = loaded.calibrator();
        if let Some(stored) = calibrator.stored(|stored| self.is_met_by(loaded, stored), monitor)? {
            return Ok(stored.clone());
        }
        if self.only_stored {
            bail!(
                "several processes must leave by one threshold: store it with `calibrate {}` first, by \
                 the same features, statistics and guidance",
                target_option(self.target)
            );
        }
        let increase = match self.target {
            BudgetTarget::Speedup(speedup) => {
                let device = self.device.to_string();
                return Ok(calibrator.for_speedup(speedup, &device, monitor)?);
            }
            BudgetTarget::FdIncrease(increase) => increase,
        };
        let (data, pipeline) = (loaded.preset().data, loaded.pipeline());
        let id = self.reference.id(data)?;
        let opened;
        let evaluator = match evaluator {
            Some(evaluator) => evaluator,
            None => {
                let shape = pipeline.image_shape();
                opened = self.reference.evaluator(data, shape, pipeline.device())?;
                &opened
            }
        };
        Ok(calibrator.for_fd_increase(increase, evaluator, id, self.samples, monitor)?)
    }

    /// Whether a stored calibration was found for this request, as the checkpoint now samples.
    fn is_met_by<B: Kernels>(&self, loaded: &LoadedCheckpoint<B>, stored: &Calibration) -> bool {
        let Some(result) = &stored.result else {
            return false;
        };
        let as_now = stored.key() == loaded.calibrator().key(stored.reduction);
        as_now
            && match (result, self.target) {
                (
                    BudgetResult::Speedup {
                        asked,
                        device,
                        batch,
                        ..
                    },
                    BudgetTarget::Speedup(speedup),
                ) => {
                    *asked == speedup
                        && *device == self.device.to_string()
                        && *batch == loaded.preset().sampling.batch
                }
                (
                    BudgetResult::FdIncrease {
                        asked,
                        features,
                        reference,
                        samples,
                        ..
                    },
                    BudgetTarget::FdIncrease(increase),
                ) => {
                    let data = loaded.preset().data;
                    // Statistics that cannot be read are none that anything was measured by: the
                    // measurement tells.
                    let accepted = self.reference.accepts(data, reference.as_ref());
                    *asked == increase
                        && accepted.unwrap_or(false)
                        && *features == self.reference.options.features(data)
                        && self.samples.is_none_or(|count| count == *samples)
                }
                _ => false,
            }
    }
}

/// Tells what a budget reached.
///
/// # Errors
/// Where standard output takes nothing.
pub fn tell(calibration: &Calibration, terminal: &Terminal) -> Result<()> {
    let Some(result) = &calibration.result else {
        return Ok(());
    };
    terminal.print(format_args!(
        "{result}, with {:.1} % fewer blocks on the {} samples of the calibration",
        100.0 * calibration.reached,
        calibration.samples
    ))
}
