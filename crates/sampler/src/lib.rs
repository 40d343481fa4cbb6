//! Noise schedules, solvers, guidance and the one sampling loop.
//!
//! A [`Solver`] is a rule that takes a batch from one time to the next. It knows the network only
//! as a [`Denoiser`](adadiff_model::Denoiser), which may be a plain network, one that leaves early,
//! or [`Guided`]. The walk over time exists once, in [`Sampler::sample`].
//!
//! Noise comes from a [`NoiseStream`], keyed by the seed, the sample's index and the update, so that
//! a sample is the same in any batch and on every backend; or the caller gives it ([`NoiseSource`]).

mod diffuse;
mod error;
mod grid;
mod guided;
mod noise;
mod request;
mod sampler;
mod schedule;
mod solver;
#[cfg(test)]
mod testing;
mod walk;

pub use diffuse::diffuse;
pub use error::{SampleError, ScheduleError};
pub use grid::{FinalState, Grid, Spacing, StepGrid, StepSpacing, TimeGrid};
pub use guided::Guided;
pub use noise::{NoiseSource, NoiseStream};
pub use request::SampleRequest;
pub use sampler::{Progress, Sampler, Samples};
pub use schedule::{
    Betas, DiscreteConfig, DiscreteSchedule, NoiseSchedule, ScheduleConfig, StepNumbering,
    VpCosine, VpLinear,
};
pub use solver::{
    Ddim, DdpmAncestral, DpmSolver, DpmSolverPlusPlus, DpmSolverPlusPlusSinglestep, EulerMaruyama,
    ReverseProcess, SinglestepOrders, Solver, SolverConfig, SolverTimes, Step, UniPc, UniPcScale,
};
pub use walk::{Past, Walk};
