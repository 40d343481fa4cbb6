//! Noise schedules, solvers, guidance and the one sampling loop.
//!
//! A [`Solver`] is a rule that takes a batch from one time to the next. It knows the network only
//! as a [`Denoiser`](adadiff_model::Denoiser), which may be a plain network, one that leaves early,
//! or [`Guided`]. The walk over time exists once, in [`Sampler::sample`].
//!
//! All noise comes from a [`NoiseStream`], keyed by the seed, the sample's index and the step: a
//! sample is the same in any batch and on every backend.

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
mod vp_linear;
mod walk;

pub use diffuse::diffuse;
pub use error::SampleError;
pub use grid::{Spacing, TimeGrid};
pub use guided::Guided;
pub use noise::NoiseStream;
pub use request::SampleRequest;
pub use sampler::{Progress, Sampler, Samples};
pub use schedule::NoiseSchedule;
pub use solver::{Ddim, DpmSolverPlusPlus, EulerMaruyama, ReverseProcess, Solver, Step};
pub use vp_linear::VpLinear;
pub use walk::{Past, Walk};
