//! When samples leave the network, as the command line says.

use std::num::NonZeroUsize;

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Calibration, Monitor};

use adadiff_uem::{ExitPolicy, FixedDepth, FullDepth};
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::checkpoint::LoadedCheckpoint;

/// When samples leave the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Never: the full network.
    Full,
    /// After this many blocks.
    Depth(NonZeroUsize),
    /// As calibrated for the preset's reduction.
    Adaptive,
}

impl Exit {
    /// What the command line says.
    pub fn new(full: bool, depth: Option<NonZeroUsize>) -> Self {
        match (full, depth) {
            (true, _) => Self::Full,
            (false, Some(depth)) => Self::Depth(depth),
            (false, None) => Self::Adaptive,
        }
    }

    /// The threshold for the preset's reduction, where samples leave by one.
    ///
    /// # Errors
    /// As [`Calibrator::for_reduction`](adadiff_pipeline::Calibrator::for_reduction).
    pub fn calibration<B: Kernels>(
        self,
        loaded: &LoadedCheckpoint<B>,
        monitor: &dyn Monitor,
    ) -> Result<Option<Calibration>> {
        match self {
            Self::Adaptive => {
                let reduction = loaded.preset().sampling.reduction;
                Ok(Some(loaded.calibrator().for_reduction(reduction, monitor)?))
            }
            Self::Full | Self::Depth(_) => Ok(None),
        }
    }

    /// The policy, given [`Self::calibration`].
    pub fn policy(self, calibration: Option<&Calibration>) -> Box<dyn ExitPolicy> {
        match (self, calibration) {
            (Self::Depth(depth), _) => Box::new(FixedDepth(depth)),
            (Self::Adaptive, Some(calibration)) => calibration.policy(),
            _ => Box::new(FullDepth),
        }
    }
}
