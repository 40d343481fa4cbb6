//! What a threshold reached of what was asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FdIncrease;
use crate::ReferenceId;

/// A budget and what was measured of it, on samples that the threshold was not calibrated on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "budget", rename_all = "snake_case")]
pub enum BudgetResult {
    /// A speed-up over the full network on a device.
    Speedup {
        /// What was asked for.
        asked: f64,
        /// The full network's time over that under the threshold, median over turns.
        measured: f64,
        /// The device.
        device: String,
        /// Samples of a batch.
        batch: usize,
        /// Samples of each run.
        samples: usize,
        /// Their seed.
        seed: u64,
    },
    /// A Fréchet distance above the full network's.
    FdIncrease {
        /// What was asked for.
        asked: FdIncrease,
        /// The full network's distance.
        full: f64,
        /// The distance under the threshold.
        measured: f64,
        /// The features of both.
        features: String,
        /// What they were measured by, where the user named it.
        #[serde(default, rename = "yardstick", skip_serializing_if = "Option::is_none")]
        reference: Option<ReferenceId>,
        /// Samples of both.
        samples: usize,
        /// Their seed.
        seed: u64,
    },
}

impl fmt::Display for BudgetResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Speedup {
                asked,
                measured,
                device,
                batch,
                ..
            } => write!(
                formatter,
                "speed-up of {asked} asked for, {measured:.2} measured on {device} in batches of \
                 {batch}"
            ),
            Self::FdIncrease {
                asked,
                full,
                measured,
                features,
                samples,
                ..
            } => write!(
                formatter,
                "FD ({features}) of at most {:.2} asked for ({asked} above the full network's \
                 {full:.2}), {measured:.2} measured on {samples} samples",
                asked.limit(*full)
            ),
        }
    }
}
