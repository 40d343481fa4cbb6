//! How much of the image and of the noise a noisy image holds at a time.

mod config;
mod discrete;
mod vp_cosine;
mod vp_linear;

use std::fmt::Debug;

pub use config::{Betas, DiscreteConfig, ScheduleConfig};
pub use discrete::{DiscreteSchedule, StepNumbering};
pub use vp_cosine::VpCosine;
pub use vp_linear::VpLinear;

/// A variance-preserving noise schedule: `x_t = alpha(t) x_0 + sigma(t) eps`, `alpha^2 + sigma^2 = 1`.
///
/// Time runs from 0, the image, to [`start_time`](Self::start_time), where nearly all is noise.
/// Coefficients are f64: near `t = 0` their differences are lost in f32.
///
/// A schedule of discrete steps, [`DiscreteSchedule`], interpolates its table.
pub trait NoiseSchedule: Debug + Send + Sync {
    /// The rate of diffusion, `beta(t) = -2 d/dt ln alpha(t)`: the drift of `dx = -beta/2 x dt +
    /// sqrt(beta) dw` (Song et al. 2021, eq. 11).
    fn beta(&self, time: f64) -> f64;

    /// `ln alpha(t)`, 0 at `t = 0`.
    fn log_mean_coefficient(&self, time: f64) -> f64;

    /// The time at which [`log_snr`](Self::log_snr) has this value.
    fn time_of_log_snr(&self, log_snr: f64) -> f64;

    /// What the network is told at this time, in the units that it was trained with.
    fn network_timestep(&self, time: f64) -> f64;

    /// The time at which sampling starts, with pure noise.
    fn start_time(&self) -> f64 {
        1.0
    }

    /// The number of discrete steps that a network was trained with, where there is one: step `i`,
    /// from 0, is at the time `(i + 1) / steps`.
    fn trained_steps(&self) -> Option<usize> {
        None
    }

    /// What the image is scaled by.
    fn alpha(&self, time: f64) -> f64 {
        self.log_mean_coefficient(time).exp()
    }

    /// The standard deviation of the noise.
    fn sigma(&self, time: f64) -> f64 {
        // 1 - exp(2 ln alpha) would cancel for small times.
        (-(2.0 * self.log_mean_coefficient(time)).exp_m1()).sqrt()
    }

    /// Half the logarithm of the signal-to-noise ratio, `lambda(t) = ln(alpha(t) / sigma(t))`:
    /// strictly falling, infinite at `t = 0`.
    fn log_snr(&self, time: f64) -> f64 {
        self.log_mean_coefficient(time) - self.sigma(time).ln()
    }
}

/// `-2 ln alpha` at half a log-SNR: `ln(1 + exp(-2 lambda))`, without overflow.
fn minus_two_log_alpha(log_snr: f64) -> f64 {
    if log_snr >= 0.0 {
        (-2.0 * log_snr).exp().ln_1p()
    } else {
        (2.0 * log_snr).exp().ln_1p() - 2.0 * log_snr
    }
}
