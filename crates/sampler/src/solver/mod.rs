//! The rules that take a noisy batch from one time to an earlier one.

mod config;
mod ddim;
mod ddpm_ancestral;
mod dpm_solver;
mod dpm_solver_plus_plus;
mod dpm_solver_plus_plus_singlestep;
mod euler_maruyama;
mod orders;
mod unipc;

use std::fmt::Debug;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::{NoiseSchedule, SampleError, SolverContext};

pub use config::SolverConfig;
pub use ddim::Ddim;
pub use ddpm_ancestral::DdpmAncestral;
pub use dpm_solver::DpmSolver;
pub use dpm_solver_plus_plus::DpmSolverPlusPlus;
pub use dpm_solver_plus_plus_singlestep::DpmSolverPlusPlusSinglestep;
pub use euler_maruyama::{EulerMaruyama, ReverseProcess};
pub use orders::SinglestepOrders;
pub use unipc::{UniPc, UniPcScale};

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

/// The times at which a solver's walk stops: what its settings mean to a schedule, whatever computes.
pub trait SolverTimes {
    /// The times of a walk with at most `steps` network evaluations, falling from the schedule's
    /// start; each pair of neighbours is one update, and the state at the last time is the result.
    ///
    /// # Errors
    /// Where there are no steps, or the solver's settings are out of range or do not suit the
    /// schedule.
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError>;
}

/// An update rule. It holds settings only: what a batch needs from step to step is in its
/// [`SolverContext`].
pub trait Solver<B: Backend>: SolverTimes + Debug {
    /// The state at `step.to`, given the one at `step.from`.
    ///
    /// # Shapes
    /// - `noisy`, output: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// Where the network refuses its input, or given noise does not suffice.
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError>;
}
