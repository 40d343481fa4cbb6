//! Exits that were calibrated to a budget.

use std::num::NonZeroUsize;

use adadiff_uem::{
    CheckEvery, DepthSchedule, ExitPolicy, ExitWindow, ExitWindows, ScheduledDepth, Threshold,
};
use serde::{Deserialize, Serialize};

use crate::record::CalibrationRecord;
use crate::{BudgetResult, ExitRule, ReferenceId};

/// What exits are calibrated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationKey {
    /// By what rule samples leave.
    pub exit_rule: ExitRule,
    /// Samples are judged after every this many blocks.
    pub check_every: NonZeroUsize,
    /// The wished share of blocks to skip.
    pub reduction: f64,
    /// Solver steps.
    pub steps: usize,
    /// Guidance scale; zero for none.
    pub guidance: f64,
}

/// Exits, and what they were calibrated for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CalibrationRecord", into = "CalibrationRecord")]
pub struct Calibration {
    /// When samples leave.
    pub exits: ExitSetting,
    /// Samples are judged after every this many blocks.
    pub check_every: NonZeroUsize,
    /// The wished share of blocks to skip.
    pub reduction: f64,
    /// The share that is skipped of the samples it was calibrated on.
    pub reached: f64,
    /// Solver steps.
    pub steps: usize,
    /// Guidance scale; zero for none.
    pub guidance: f64,
    /// Samples that errors or uncertainties were recorded of.
    pub samples: usize,
    /// Their seed, which no reported figure uses.
    pub seed: u64,
    /// The budget that the share was chosen for, where it was chosen for another one.
    pub result: Option<BudgetResult>,
}

/// When samples leave, by each rule.
#[derive(Clone, Debug, PartialEq)]
pub enum ExitSetting {
    /// [`ExitRule::Threshold`].
    Threshold {
        /// The threshold on a sample's mean uncertainty.
        uncertainty: f32,
    },
    /// [`ExitRule::Schedule`].
    Schedule {
        /// The depths over timesteps.
        depths: Vec<ScheduledDepth>,
        /// The price of the windows by [`ExitRule::Allocated`] that the depths are nearest to.
        price: f32,
    },
    /// [`ExitRule::Allocated`].
    Allocated {
        /// Bounds and thresholds over timesteps.
        windows: Vec<ExitWindow>,
        /// What the next block would take off the error.
        price: f32,
    },
    /// [`ExitRule::Distance`].
    Distance {
        /// Bounds and thresholds over timesteps.
        windows: Vec<ExitWindow>,
        /// What the next block would take off the distance.
        price: f32,
        /// What distances were measured by, where that is not what comes with the data set.
        reference: Option<ReferenceId>,
    },
    /// [`ExitRule::Forecast`].
    Forecast {
        /// Depths, forecasts and gates over timesteps.
        windows: Vec<ExitWindow>,
        /// What they add to the full network's distance, of samples that they were not chosen by.
        increase: f32,
        /// What distances were measured by, where that is not what comes with the data set.
        reference: Option<ReferenceId>,
        /// What choosing by sample was found to be worth, where it could be tried.
        evidence: Option<Evidence>,
    },
}

/// What it is worth that samples choose for themselves whether they leave with a forecast: Fréchet distances of samples
/// that neither way was chosen by. What is better was taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where all samples leave at the same blocks.
    pub scheduled: f64,
    /// Where each leaves by how far it has moved.
    pub by_sample: f64,
    /// Samples of both.
    pub samples: usize,
    /// Their seed.
    pub seed: u64,
}

impl ExitSetting {
    /// The rule.
    pub fn rule(&self) -> ExitRule {
        match self {
            Self::Threshold { .. } => ExitRule::Threshold,
            Self::Schedule { .. } => ExitRule::Schedule,
            Self::Allocated { .. } => ExitRule::Allocated,
            Self::Distance { .. } => ExitRule::Distance,
            Self::Forecast { .. } => ExitRule::Forecast,
        }
    }

    /// The one number of the setting, as rows of results have it: a threshold on the uncertainty, the
    /// price of a block, or what is added to the distance.
    pub fn threshold(&self) -> f32 {
        match self {
            Self::Threshold { uncertainty } => *uncertainty,
            Self::Schedule { price, .. }
            | Self::Allocated { price, .. }
            | Self::Distance { price, .. } => *price,
            Self::Forecast { increase, .. } => *increase,
        }
    }

    /// What distances were measured by, where that is not what comes with the data set.
    pub fn reference(&self) -> Option<&ReferenceId> {
        match self {
            Self::Distance { reference, .. } | Self::Forecast { reference, .. } => {
                reference.as_ref()
            }
            _ => None,
        }
    }
}

impl Calibration {
    /// What the exits were calibrated for.
    pub fn key(&self) -> CalibrationKey {
        CalibrationKey {
            exit_rule: self.exits.rule(),
            check_every: self.check_every,
            reduction: self.reduction,
            steps: self.steps,
            guidance: self.guidance,
        }
    }

    /// The policy that leaves as calibrated.
    pub fn policy(&self) -> Box<dyn ExitPolicy> {
        let every = self.check_every;
        match self.exits.clone() {
            ExitSetting::Threshold { uncertainty } => Box::new(CheckEvery {
                policy: Threshold { uncertainty },
                every,
            }),
            ExitSetting::Schedule { depths, .. } => Box::new(DepthSchedule::new(depths)),
            ExitSetting::Allocated { windows, .. }
            | ExitSetting::Distance { windows, .. }
            | ExitSetting::Forecast { windows, .. } => Box::new(ExitWindows::new(windows, every)),
        }
    }
}
