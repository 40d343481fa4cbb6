//! The times that a walk passes through.

mod step_grid;
mod time_grid;

use serde::{Deserialize, Serialize};

use crate::{NoiseSchedule, SampleError};

pub use step_grid::{FinalState, StepGrid, StepSpacing};
pub use time_grid::{Spacing, TimeGrid};

/// The times of a walk, by measure or by the steps of a discrete schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grid {
    /// Any times.
    Times(TimeGrid),
    /// Steps that the network was trained with.
    Steps(StepGrid),
}

impl Grid {
    /// The `steps + 1` times of a walk.
    ///
    /// # Errors
    /// As [`TimeGrid::times`] and [`StepGrid::times`].
    pub fn times(
        &self,
        schedule: &dyn NoiseSchedule,
        steps: usize,
    ) -> Result<Vec<f64>, SampleError> {
        match self {
            Self::Times(grid) => grid.times(schedule, steps),
            Self::Steps(grid) => grid.times(schedule, steps),
        }
    }
}
