//! The rules that take a noisy batch from one time to an earlier one.

mod ddim;
mod dpm_solver_plus_plus;
mod euler_maruyama;

use std::fmt::Debug;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::{NoiseSchedule, SampleError, Walk};

pub use ddim::Ddim;
pub use dpm_solver_plus_plus::DpmSolverPlusPlus;
pub use euler_maruyama::{EulerMaruyama, ReverseProcess};

/// One update of a walk over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The update's number, from 0.
    pub index: usize,
    /// Number of updates in the walk.
    pub count: usize,
    /// The time of the state before the update.
    pub from: f64,
    /// The time of the state after it, below `from`; 0 is the clean image.
    pub to: f64,
}

impl Step {
    /// Whether no update follows.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// An update rule. It holds settings only: what a batch needs from step to step is in its [`Walk`].
pub trait Solver<B: Backend>: Debug {
    /// The times of a walk of `steps` steps, falling from the schedule's start; each pair of
    /// neighbours is one update, and the state at the last time is the result.
    ///
    /// # Errors
    /// Where there are no steps, or the solver's settings are out of range.
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError>;

    /// The state at `step.to`, given the one at `step.from`.
    ///
    /// # Shapes
    /// - `noisy`, output: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// Where the network refuses its input.
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        walk: &mut Walk<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError>;
}
