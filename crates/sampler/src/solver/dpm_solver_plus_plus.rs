//! DPM-Solver++ with one evaluation in an update, the multistep solver with data prediction.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::orders::{check_bound, check_order, multistep_order};
use crate::{
    NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Spacing, Step, TimeGrid,
};

/// Multistep DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095): of order 1, which is DDIM, of order 2
/// (2M, algorithm 2), or "of order 3" (3M). One evaluation a step; the first steps are of lower orders.
///
/// 3M is as published in code: it takes the second divided difference where the Taylor expansion has
/// the second derivative, which is twice that, so that it is formally of order 2 with a smaller error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpmSolverPlusPlus {
    /// The order, 1 to 3.
    #[serde(default = "second_order")]
    pub order: usize,
    /// The times of the walk.
    pub grid: TimeGrid,
    /// Whether the order falls to 1 in the last steps, which is steadier with fewer than about 15
    /// steps. A step to time 0 always is of order 1.
    pub lower_order_final: bool,
    /// The largest magnitude of the predicted data, 1 for pixels in `[-1, 1]`: static thresholding
    /// (Saharia et al. 2022, section 2.3). Absent for latents and for no thresholding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bound: Option<f64>,
}

/// The order of presets that do not name it.
fn second_order() -> usize {
    2
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
            order: second_order(),
            grid,
            lower_order_final: false,
            data_bound: None,
        }
    }
}

impl DpmSolverPlusPlus {
    fn order_of(&self, step: Step) -> usize {
        let Step {
            index, count, to, ..
        } = step;
        multistep_order(self.order, self.lower_order_final, index, count, to)
    }
}

impl SolverTimes for DpmSolverPlusPlus {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        check_order("multistep DPM-Solver++", self.order)?;
        check_bound(self.data_bound)?;
        self.grid.times(schedule, steps)
    }
}

impl<B: Backend> Solver<B> for DpmSolverPlusPlus {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let data = context.predict_data(&noisy, step.from, self.data_bound)?;
        let schedule = context.schedule();
        let (t, s) = (step.from, step.to);
        let h = schedule.log_snr(s) - schedule.log_snr(t);
        // What log-SNR was gained between two times, in units of h.
        let ratio = |from: f64, to: f64| (schedule.log_snr(to) - schedule.log_snr(from)) / h;

        let direction = match (self.order_of(step), context.recall(0), context.recall(1)) {
            // D = (1 + 1/(2r)) x_0 - 1/(2r) x_0 of the step before
            (2, Some(before), _) => {
                let half = 0.5 / ratio(before.time, t);
                data.clone() * (1.0 + half) - before.tensor.clone() * half
            }
            // D = x_0 - (1/h + 1/phi) D_1 + ((phi + h)/h^2 - 1/2)/phi D_2 with phi = exp(-h) - 1 and
            // the divided differences D_1, D_2 of x_0 in log-SNR
            (3, Some(before), Some(earlier)) => {
                let (r0, r1) = (ratio(before.time, t), ratio(earlier.time, before.time));
                let latest = (data.clone() - before.tensor.clone()) * (1.0 / r0);
                let older = (before.tensor.clone() - earlier.tensor.clone()) * (1.0 / r1);
                let change = (latest.clone() - older) * (1.0 / (r0 + r1));
                let phi = (-h).exp_m1();
                let second = ((phi + h) / (h * h) - 0.5) / phi;
                data.clone()
                    + (latest + change.clone() * r0) * -(1.0 / h + 1.0 / phi)
                    + change * second
            }
            _ => data.clone(),
        };
        context.remember(t, data);

        // sigma_s / sigma_t x - alpha_s (exp(-h) - 1) D
        let scale = -schedule.alpha(s) * (-h).exp_m1();
        Ok(noisy * (schedule.sigma(s) / schedule.sigma(t)) + direction * scale)
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
    fn order_one_is_ddim_and_order_three_is_closer_than_two() {
        device();
        let of_order = |order| DpmSolverPlusPlus {
            order,
            ..Default::default()
        };
        let found = convergence_order(&of_order(1), [60, 120, 240], 1e-3);
        assert!((0.8..1.3).contains(&found), "order {found}");
        let found = convergence_order(&of_order(3), [40, 80, 160], 1e-3);
        assert!((1.8..3.5).contains(&found), "order {found}");
        for steps in [20, 40, 80] {
            let [second, third] = [2, 3].map(|order| flow_error(&of_order(order), steps, 1e-3));
            assert!(third < 0.7 * second, "{third}, {second} with order 2");
        }
    }

    #[test]
    fn orders_rise_and_fall() {
        let orders = |order, lower_order_final, last| -> Vec<usize> {
            let solver = DpmSolverPlusPlus {
                order,
                lower_order_final,
                ..Default::default()
            };
            let step = |index| Step {
                index,
                count: 5,
                from: 0.5,
                to: if index == 4 { last } else { 0.4 },
            };
            (0..5).map(|index| solver.order_of(step(index))).collect()
        };
        assert_eq!(orders(3, false, 0.1), [1, 2, 3, 3, 3]);
        assert_eq!(orders(3, true, 0.1), [1, 2, 3, 2, 1]);
        assert_eq!(orders(2, true, 0.1), [1, 2, 2, 2, 1]);
        assert_eq!(orders(2, false, 0.0), [1, 2, 2, 2, 1]);
    }

    #[test]
    fn refuses_settings_out_of_range() {
        let times = |solver: DpmSolverPlusPlus| solver.times(&VpLinear::default(), 10).unwrap_err();
        let error = times(DpmSolverPlusPlus {
            order: 0,
            ..Default::default()
        });
        assert!(
            matches!(error, SampleError::Order { order: 0, .. }),
            "{error}"
        );
        let error = times(DpmSolverPlusPlus {
            data_bound: Some(-1.0),
            ..Default::default()
        });
        assert_eq!(error, SampleError::DataBound(-1.0));
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
        let data = GaussianData::with(2.0, 0.1);
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
