//! From a method to what predicts the noise in its way.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaptiveUVit, FixedDepth, Never};
use anyhow::{Result, bail};
use indicatif::ProgressBar;

use super::{CostModel, Method, PreparedMethod};
use crate::calibrations::Budget;
use crate::study::{Study, network_cost};

impl Method {
    /// Calibrates the method to its budget on samples that no figure is measured on, where it has
    /// one, and makes what draws samples in its way.
    ///
    /// # Errors
    /// Where the knob makes no sense, the budget cannot be reached, a network is missing that the
    /// method needs, or the user interrupts.
    pub fn prepare<'s, B: Kernels>(
        &self,
        study: &'s Study<'_, B>,
        bar: &ProgressBar,
    ) -> Result<PreparedMethod<'s, B>> {
        self.validate()?;
        let full = || PreparedMethod {
            method: *self,
            denoiser: Box::new(AdaptiveUVit::new(&study.model, Never)),
            steps: study.preset.sampling.steps,
            cost: CostModel::from(network_cost(&study.preset.model)),
            calibration: None,
            threshold: None,
        };
        Ok(match *self {
            Self::Full => full(),
            Self::StaticDepth { depth } => PreparedMethod {
                denoiser: Box::new(AdaptiveUVit::new(&study.model, FixedDepth(depth))),
                ..full()
            },
            Self::AdaDiff { rule, reduction } => {
                let budget = Budget {
                    exit_rule: rule,
                    reduction,
                    ..study.preset.sampling.budget()
                };
                let calibration = study.calibration(budget, bar)?;
                PreparedMethod {
                    denoiser: Box::new(AdaptiveUVit::new(&study.model, calibration.policy())),
                    calibration: Some(calibration),
                    ..full()
                }
            }
            Self::FewerSteps { steps } => PreparedMethod {
                steps: steps.get(),
                ..full()
            },
            method => bail!("'{method}' is not there yet"),
        })
    }
}
