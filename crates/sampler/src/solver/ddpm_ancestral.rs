//! Ancestral sampling of denoising diffusion probabilistic models.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{Grid, NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Step, StepGrid};

/// DDPM (Ho et al. 2020, arXiv 2006.11239, algorithm 2) with the posterior's variance (eq. 7, beta
/// tilde).
///
/// Published with one update for each trained step. With fewer, an update skips steps: its `beta` is
/// that of the skipped steps together, `1 - alpha_t^2 / alpha_s^2`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdpmAncestral {
    /// The times of the walk.
    pub grid: Grid,
}

impl Default for DdpmAncestral {
    /// Trained steps, equally far apart, then the image.
    fn default() -> Self {
        let grid = Grid::Steps(StepGrid::DDIM);
        Self { grid }
    }
}

impl SolverTimes for DdpmAncestral {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        self.grid.times(schedule, steps)
    }
}

impl<B: Backend> Solver<B> for DdpmAncestral {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noise_prediction = context.predict_noise(&noisy, step.from)?;
        let schedule = context.schedule();
        let (t, s) = (step.from, step.to);
        let (sigma_t, sigma_s) = (schedule.sigma(t), schedule.sigma(s));
        // beta = 1 - alpha, in the paper's symbols alpha is the square of our ratio.
        let log_ratio = schedule.log_mean_coefficient(t) - schedule.log_mean_coefficient(s);
        let beta = -(2.0 * log_ratio).exp_m1();

        // Eq. 11: (x - beta / sigma_t eps) / sqrt(1 - beta)
        let scale = (-log_ratio).exp();
        let mean = noisy * scale - noise_prediction * (scale * beta / sigma_t);
        // Eq. 7: beta tilde = sigma_s^2 / sigma_t^2 beta, which is 0 where the image is reached.
        let deviation = sigma_s / sigma_t * beta.sqrt();
        context.add_noise(mean, deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GaussianData, device, sample_moments, sample_moments_on};
    use crate::{DiscreteSchedule, Spacing, TimeGrid};

    const DATA: GaussianData = GaussianData::with(0.5, 0.3);

    #[test]
    fn all_trained_steps_sample_the_data() {
        device();
        let schedule = DiscreteSchedule::ddpm_linear();
        let solver = DdpmAncestral::default();
        let (mean, deviation) = sample_moments_on(&schedule, &solver, DATA, 1000);
        // Three standard errors of 65,536 draws and the error of the steps.
        assert!((mean - 0.5).abs() < 0.006, "mean {mean}");
        assert!((deviation - 0.3).abs() < 0.006, "deviation {deviation}");
    }

    #[test]
    fn fewer_steps_and_other_schedules_come_close() {
        device();
        let schedule = DiscreteSchedule::ddpm_linear();
        let solver = DdpmAncestral::default();
        let (mean, deviation) = sample_moments_on(&schedule, &solver, DATA, 250);
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert!((deviation - 0.3).abs() < 0.02, "deviation {deviation}");

        let grid = Grid::Times(TimeGrid {
            spacing: Spacing::UniformTime,
            end: 1e-3,
            to_zero: true,
        });
        let (mean, deviation) = sample_moments(&DdpmAncestral { grid }, DATA, 500);
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
        assert!((deviation - 0.3).abs() < 0.01, "deviation {deviation}");
    }
}
