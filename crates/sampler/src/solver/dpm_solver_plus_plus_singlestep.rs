//! DPM-Solver++ with several evaluations in an update.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::orders::{check_bound, check_order, fast_orders};
use crate::{
    NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Spacing, Step, TimeGrid,
};

/// Singlestep DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095, algorithm 1 and its form of order 3), as
/// U-ViT and AdaDiff call it.
///
/// The grid has an interval for each network evaluation. An update of order `k` spans `k` intervals
/// and asks the network at the grid's times in between; the last updates have lower orders, as
/// those of DPM-Solver-fast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpmSolverPlusPlusSinglestep {
    /// The order of all but the last updates, 1 to 3.
    pub order: usize,
    /// How the times of the evaluations are spaced.
    pub spacing: Spacing,
    /// The last time, above 0.
    pub end: f64,
    /// The largest magnitude of the predicted data, 1 for pixels in `[-1, 1]`; absent for latents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bound: Option<f64>,
}

impl Default for DpmSolverPlusPlusSinglestep {
    /// Order 3, uniform time down to 1/1000, the first step of 1000.
    fn default() -> Self {
        Self {
            order: 3,
            spacing: Spacing::UniformTime,
            end: 1e-3,
            data_bound: None,
        }
    }
}

impl DpmSolverPlusPlusSinglestep {
    /// The times of all evaluations, falling, and the end.
    ///
    /// # Errors
    /// As [`Solver::times`].
    pub fn evaluation_times(
        &self,
        schedule: &dyn NoiseSchedule,
        evaluations: usize,
    ) -> Result<Vec<f64>, SampleError> {
        let grid = TimeGrid {
            spacing: self.spacing,
            end: self.end,
            to_zero: false,
        };
        grid.times(schedule, evaluations)
    }

    /// The order of every update of a walk with this many network evaluations.
    ///
    /// # Errors
    /// Where the order is not 1, 2 or 3.
    pub fn orders(&self, evaluations: usize) -> Result<Vec<usize>, SampleError> {
        check_order("singlestep DPM-Solver++", self.order)?;
        Ok(fast_orders(self.order, evaluations))
    }
}

impl SolverTimes for DpmSolverPlusPlusSinglestep {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        check_bound(self.data_bound)?;
        let orders = self.orders(steps)?;
        let times = self.evaluation_times(schedule, steps)?;
        let starts = orders.iter().scan(0, |place, order| {
            *place += order;
            Some(*place)
        });
        let places = std::iter::once(0).chain(starts);
        Ok(places
            .filter_map(|place| times.get(place).copied())
            .collect())
    }
}

impl<B: Backend> Solver<B> for DpmSolverPlusPlusSinglestep {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let schedule = context.schedule();
        let (s, t) = (step.from, step.to);
        let orders = self.orders(context.evaluations())?;
        let place: usize = orders.iter().take(step.index).sum();
        let times = self.evaluation_times(schedule, context.evaluations())?;
        let between = times.get(place + 1..place + orders.get(step.index).copied().unwrap_or(1));

        // Half the log-SNR gained on the way from s to a time.
        let gain = |time: f64| schedule.log_snr(time) - schedule.log_snr(s);
        // sigma_t / sigma_s x - alpha_t (exp(-h) - 1) x_0
        let first_order = |data: &Tensor<B, 4>, time: f64| {
            noisy.clone() * (schedule.sigma(time) / schedule.sigma(s))
                - data.clone() * (schedule.alpha(time) * (-gain(time)).exp_m1())
        };

        let data = context.predict_data(&noisy, s, self.data_bound)?;
        match between {
            Some(&[middle]) => {
                let state = first_order(&data, middle);
                let seen = context.predict_data(&state, middle, self.data_bound)?;
                let h = gain(t);
                let r = gain(middle) / h;
                // - alpha_t (exp(-h) - 1) / (2 r) (x_0 at the middle - x_0)
                let scale = -schedule.alpha(t) * (-h).exp_m1() / (2.0 * r);
                Ok(first_order(&data, t) + (seen - data) * scale)
            }
            Some(&[first, second]) => {
                let (h1, h2, h) = (gain(first), gain(second), gain(t));
                // alpha ((exp(-h) - 1) / h + 1)
                let second_order =
                    |time: f64, h: f64| schedule.alpha(time) * ((-h).exp_m1() / h + 1.0);
                let state = first_order(&data, first);
                let seen = context.predict_data(&state, first, self.data_bound)?;
                let scale = h2 / h1 * second_order(second, h2);
                let state = first_order(&data, second) + (seen - data.clone()) * scale;
                let seen = context.predict_data(&state, second, self.data_bound)?;
                let scale = h / h2 * second_order(t, h);
                Ok(first_order(&data, t) + (seen - data) * scale)
            }
            _ => Ok(first_order(&data, t)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpLinear;
    use crate::testing::{convergence_order, device, flow_error};

    fn solver(order: usize, spacing: Spacing) -> DpmSolverPlusPlusSinglestep {
        DpmSolverPlusPlusSinglestep {
            order,
            spacing,
            ..DpmSolverPlusPlusSinglestep::default()
        }
    }

    #[test]
    fn orders_converge_with_theirs() {
        device();
        for (order, steps) in [(1, [60, 120, 240]), (2, [40, 80, 160])] {
            let solver = solver(order, Spacing::UniformLogSnr);
            let found = convergence_order(&solver, steps, solver.end);
            let expected = order as f64;
            assert!(
                (expected - 0.2..expected + 0.4).contains(&found),
                "order {found} instead of {order}"
            );
        }
    }

    #[test]
    fn order_three_is_far_closer_than_two_with_every_remainder() {
        device();
        // Its error has no constant order, because the last updates are of lower ones.
        for steps in [26, 27, 28, 41, 42, 43, 62] {
            let [second, third] = [2, 3].map(|order| {
                let solver = solver(order, Spacing::UniformLogSnr);
                flow_error(&solver, steps, solver.end)
            });
            assert!(third < 0.1 * second, "{third}, {second} with order 2");
        }
    }

    #[test]
    fn uniform_times_come_close_with_every_remainder() {
        device();
        for steps in [300, 301, 302] {
            let error = flow_error(&solver(3, Spacing::UniformTime), steps, 1e-3);
            assert!(error < 0.01, "{error} with {steps} steps");
        }
    }

    #[test]
    fn updates_span_an_interval_for_each_evaluation() {
        let times = |order, steps| {
            let solver = solver(order, Spacing::UniformTime);
            solver.times(&VpLinear::default(), steps)
        };
        let expected = [1.0, 1.0 - 3.0 * 0.1998, 1.0 - 4.0 * 0.1998, 1e-3];
        let found = times(3, 5).unwrap();
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip([expected[0], expected[1], expected[3]]) {
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        }
        assert_eq!(times(2, 4).unwrap().len(), 3);
        assert_eq!(times(3, 0), Err(SampleError::ZeroSteps));
        let error = times(0, 4).unwrap_err();
        assert!(
            matches!(error, SampleError::Order { order: 0, .. }),
            "{error}"
        );
    }
}
