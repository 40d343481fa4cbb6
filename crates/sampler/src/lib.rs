//! From noise to images: noise schedules, solvers, guidance and the one sampling loop.
//!
//! A [`Sampler`] is a [`NoiseSchedule`], a [`Solver`] and a number of steps. A solver is a rule that takes a
//! batch from one time to the next. It knows the network only as a
//! [`Denoiser`](adadiff_model::Denoiser), which may be a plain network, one that leaves early, or
//! [`Guided`]. The walk over time exists once, in [`Sampler::sample`].
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use adadiff_model::{Condition, UVitConfig};
//! use adadiff_sampler::{
//!     Ddim, DpmSolverPlusPlus, NoiseSource, Progress, SampleRequest, Sampler, VpLinear,
//! };
//! use burn_flex::Flex;
//!
//! let device = Default::default();
//! let network = UVitConfig::tiny().init::<Flex>(0, &device)?;
//! let request = SampleRequest {
//!     shape: [2, 8, 8],
//!     noise: NoiseSource::seeded(7),
//!     first_sample: 0,
//!     count: 4,
//!     batch: 2,
//!     condition: Condition::None,
//!     device,
//! };
//! let mut sampler = Sampler {
//!     schedule: Box::new(VpLinear::default()),
//!     solver: Box::new(DpmSolverPlusPlus::default()),
//!     steps: 5,
//! };
//! let mut go_on = |_: &Progress<'_, Flex>| ControlFlow::Continue(());
//! let fast = sampler.sample(&network, &request, &mut go_on)?;
//!
//! // Another solver from the same noise.
//! sampler.solver = Box::new(Ddim::default());
//! sampler.steps = 10;
//! let ddim = sampler.sample(&network, &request, &mut go_on)?;
//! assert_eq!(fast.images.dims(), ddim.images.dims());
//! assert_eq!((fast.evaluations, ddim.evaluations), (5, 10));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Noise comes from a [`NoiseStream`], keyed by the seed, the sample's index and the update, so that
//! a sample is the same in any batch and on every backend; or the caller gives it ([`NoiseSource`]).
//! A solver of one's own implements [`Solver`], and finds what it needs in [`SolverContext`].

mod context;
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

pub use context::{NetworkEvaluation, PastPrediction, SolverContext, predicted_image};
pub use diffuse::diffuse;
pub use error::{SampleError, ScheduleError};
pub use grid::{FinalState, Grid, Spacing, StepGrid, StepSpacing, TimeGrid};
pub use guided::Guided;
pub use noise::{NoiseSource, NoiseStream};
pub use request::SampleRequest;
pub use sampler::{Progress, Sampler, SamplerOutput};
pub use schedule::{
    Betas, DiscreteConfig, DiscreteSchedule, NoiseSchedule, ScheduleConfig, StepNumbering,
    VpCosine, VpLinear,
};
pub use solver::{
    Ddim, DdpmAncestral, DpmSolver, DpmSolverPlusPlus, DpmSolverPlusPlusSinglestep, EulerMaruyama,
    ReverseProcess, SinglestepOrders, Solver, SolverConfig, SolverTimes, Step, UniPc, UniPcScale,
};
