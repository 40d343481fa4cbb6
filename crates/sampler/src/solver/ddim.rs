//! Denoising diffusion implicit models.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{NoiseSchedule, SampleError, Solver, Spacing, Step, TimeGrid, Walk};

/// DDIM (Song et al. 2021, arXiv 2010.02502, eq. 12 and 16), for any variance-preserving schedule.
///
/// In the paper's symbols alpha is the square of ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ddim {
    /// The share of DDPM's noise that is added in each step, in `[0, 1]`; 0 is deterministic.
    pub eta: f64,
    /// The times of the walk.
    pub grid: TimeGrid,
}

impl Default for Ddim {
    /// Deterministic, with uniform times down to 1e-3 and a last step to 0.
    fn default() -> Self {
        let grid = TimeGrid {
            spacing: Spacing::UniformTime,
            end: 1e-3,
            to_zero: true,
        };
        Self { eta: 0.0, grid }
    }
}

impl<B: Backend> Solver<B> for Ddim {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        if !(0.0..=1.0).contains(&self.eta) {
            return Err(SampleError::Eta(self.eta));
        }
        self.grid.times(schedule, steps)
    }

    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        walk: &mut Walk<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noise_prediction = walk.predict_noise(&noisy, step.from)?;
        let schedule = walk.schedule();
        let (t, s) = (step.from, step.to);
        let (alpha_t, sigma_t) = (schedule.alpha(t), schedule.sigma(t));
        let (alpha_s, sigma_s) = (schedule.alpha(s), schedule.sigma(s));

        // Eq. 16, with 1 - alpha_t^2 / alpha_s^2 written so that it does not cancel.
        let log_ratio = schedule.log_mean_coefficient(t) - schedule.log_mean_coefficient(s);
        let added = self.eta * sigma_s / sigma_t * (-(2.0 * log_ratio).exp_m1()).sqrt();

        // Eq. 12: alpha_s (x - sigma_t eps) / alpha_t + sqrt(sigma_s^2 - added^2) eps + added z
        let along = (sigma_s * sigma_s - added * added).max(0.0).sqrt();
        let mean = noisy.clone() * (alpha_s / alpha_t)
            + noise_prediction * (along - alpha_s / alpha_t * sigma_t);
        Ok(if added > 0.0 {
            mean + walk.normal(&noisy) * added
        } else {
            mean
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpLinear;
    use crate::testing::{GaussianData, Plain, convergence_order, device, sample_moments};

    #[test]
    fn deterministic_form_converges_with_order_one() {
        device();
        let mut solver = Ddim::default();
        let order = convergence_order(&solver, [100, 200, 400], solver.grid.end);
        assert!((0.9..1.2).contains(&order), "order {order}");
        solver.grid.spacing = Spacing::UniformLogSnr;
        let order = convergence_order(&solver, [100, 200, 400], solver.grid.end);
        assert!((0.9..1.2).contains(&order), "order {order}");
    }

    #[test]
    fn samples_the_data_with_and_without_noise() {
        device();
        let data = GaussianData {
            mean: 0.5,
            deviation: 0.3,
        };
        for (eta, steps) in [(0.0, 500), (0.5, 500), (1.0, 500), (1.0, 1000)] {
            let solver = Ddim {
                eta,
                ..Ddim::default()
            };
            let (mean, deviation) = sample_moments(&solver, data, steps);
            // Three standard errors of 65,536 draws, and the steps' error, which is of order one.
            let bound = 0.0035 + 3.0 / steps as f64;
            assert!((mean - 0.5).abs() < bound, "eta {eta}: mean {mean}");
            assert!(
                (deviation - 0.3).abs() < bound,
                "eta {eta}, {steps} steps: deviation {deviation}"
            );
        }
    }

    #[test]
    fn refuses_an_eta_out_of_range() {
        for eta in [-0.1, 1.1, f64::NAN] {
            let solver = Ddim {
                eta,
                ..Ddim::default()
            };
            let error = Solver::<Plain>::times(&solver, &VpLinear::default(), 10).unwrap_err();
            assert!(matches!(error, SampleError::Eta(_)), "{error}");
        }
    }
}
