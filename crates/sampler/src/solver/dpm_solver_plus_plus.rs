//! DPM-Solver++(2M), the multistep solver of order 2 with data prediction.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{NoiseSchedule, SampleError, Solver, Spacing, Step, TimeGrid, Walk};

/// DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2). One evaluation a step; the
/// first step is of order 1, which is DDIM.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpmSolverPlusPlus {
    /// The times of the walk.
    pub grid: TimeGrid,
    /// Whether the last step is of order 1, which is steadier with fewer than about 15 steps. A step
    /// to time 0 always is.
    pub lower_order_final: bool,
    /// The largest magnitude of the predicted data, 1 for pixels in `[-1, 1]`: static thresholding
    /// (Saharia et al. 2022, section 2.3). Absent for latents and for no thresholding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bound: Option<f64>,
}

impl Default for DpmSolverPlusPlus {
    /// Uniform log-SNR down to 1e-3, order 2 to the end.
    fn default() -> Self {
        let grid = TimeGrid {
            spacing: Spacing::UniformLogSnr,
            end: 1e-3,
            to_zero: false,
        };
        Self {
            grid,
            lower_order_final: false,
            data_bound: None,
        }
    }
}

impl<B: Backend> Solver<B> for DpmSolverPlusPlus {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
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
        let h = schedule.log_snr(s) - schedule.log_snr(t);

        // x_0 = (x - sigma_t eps) / alpha_t
        let data = noisy.clone() * (1.0 / alpha_t) - noise_prediction * (sigma_t / alpha_t);
        let data = match self.data_bound {
            Some(bound) => data.clamp(-bound, bound),
            None => data,
        };
        let first_order = s == 0.0 || (self.lower_order_final && step.is_last());
        let direction = match walk.recall(0) {
            // D = (1 + 1/(2r)) x_0 - 1/(2r) x_0 of the step before
            Some(before) if !first_order => {
                let r = (schedule.log_snr(t) - schedule.log_snr(before.time)) / h;
                let half = 0.5 / r;
                data.clone() * (1.0 + half) - before.tensor.clone() * half
            }
            _ => data.clone(),
        };
        walk.remember(t, data);

        // sigma_s / sigma_t x - alpha_s (exp(-h) - 1) D
        let scale = -schedule.alpha(s) * (-h).exp_m1();
        Ok(noisy * (schedule.sigma(s) / sigma_t) + direction * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpLinear;
    use crate::testing::{GaussianData, convergence_order, device, flow_error, sample_moments};

    #[test]
    fn converges_with_order_two() {
        device();
        for lower_order_final in [false, true] {
            let solver = DpmSolverPlusPlus {
                lower_order_final,
                ..Default::default()
            };
            let order = convergence_order(&solver, [20, 40, 80], solver.grid.end);
            assert!((1.8..2.3).contains(&order), "order {order}");
        }
    }

    #[test]
    fn uniform_times_converge_too() {
        device();
        let grid = TimeGrid {
            spacing: Spacing::UniformTime,
            end: 1e-3,
            to_zero: false,
        };
        let solver = DpmSolverPlusPlus {
            grid,
            ..Default::default()
        };
        let coarse = flow_error(&solver, 100, grid.end);
        let fine = flow_error(&solver, 400, grid.end);
        assert!(
            fine < coarse / 4.0,
            "{coarse} with 100 steps, {fine} with 400"
        );
    }

    #[test]
    fn a_step_to_zero_gives_the_predicted_image() {
        device();
        let grid = TimeGrid {
            spacing: Spacing::UniformLogSnr,
            end: 1e-3,
            to_zero: true,
        };
        let solver = DpmSolverPlusPlus {
            grid,
            ..Default::default()
        };
        let error = flow_error(&solver, 80, 0.0);
        assert!(error < 1e-3, "error {error}");
    }

    #[test]
    fn predicted_data_stays_within_its_bound() {
        device();
        // Nearly all data lies above 0.5, so that every step's prediction is cut to it.
        let data = GaussianData {
            mean: 2.0,
            deviation: 0.1,
        };
        let solver = DpmSolverPlusPlus {
            data_bound: Some(0.5),
            ..Default::default()
        };
        let (mean, deviation) = sample_moments(&solver, data, 20);
        let end = VpLinear::default();
        assert!((mean - 0.5 * end.alpha(1e-3)).abs() < 1e-3, "mean {mean}");
        assert!(deviation < 2.0 * end.sigma(1e-3), "deviation {deviation}");
    }
}
