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
}

impl ExitSetting {
    /// The rule.
    pub fn rule(&self) -> ExitRule {
        match self {
            Self::Threshold { .. } => ExitRule::Threshold,
            Self::Schedule { .. } => ExitRule::Schedule,
            Self::Allocated { .. } => ExitRule::Allocated,
            Self::Distance { .. } => ExitRule::Distance,
        }
    }

    /// The one number of the setting, as rows of results have it: a threshold on the uncertainty, or
    /// the price of a block.
    pub fn threshold(&self) -> f32 {
        match self {
            Self::Threshold { uncertainty } => *uncertainty,
            Self::Schedule { price, .. }
            | Self::Allocated { price, .. }
            | Self::Distance { price, .. } => *price,
        }
    }

    /// What distances were measured by, where that is not what comes with the data set.
    pub fn reference(&self) -> Option<&ReferenceId> {
        match self {
            Self::Distance { reference, .. } => reference.as_ref(),
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
            ExitSetting::Allocated { windows, .. } | ExitSetting::Distance { windows, .. } => {
                Box::new(ExitWindows::new(windows, every))
            }
        }
    }
}
