//! DPM-Solver, the singlestep solver with noise prediction.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::SinglestepOrders;
use crate::{
    NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Spacing, Step, TimeGrid,
};

/// The intermediate times of DPM-Solver-2 and -3, as parts of the update's log-SNR.
const HALF: f64 = 1.0 / 2.0;
const THIRD: f64 = 1.0 / 3.0;
const TWO_THIRDS: f64 = 2.0 / 3.0;

/// DPM-Solver (Lu et al. 2022, arXiv 2206.00927): an update of order `k` asks the network `k` times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpmSolver {
    /// The orders of the updates.
    pub orders: SinglestepOrders,
    /// How the times between updates are spaced.
    pub spacing: Spacing,
    /// The last time, above 0.
    pub end: f64,
}

impl Default for DpmSolver {
    /// DPM-Solver-fast as U-ViT and AdaDiff call it: uniform log-SNR down to 1e-4.
    fn default() -> Self {
        Self {
            orders: SinglestepOrders::Fast,
            spacing: Spacing::UniformLogSnr,
            end: 1e-4,
        }
    }
}

impl SolverTimes for DpmSolver {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        self.orders.check("DPM-Solver", steps)?;
        let grid = TimeGrid {
            spacing: self.spacing,
            end: self.end,
            to_zero: false,
        };
        grid.times(schedule, self.orders.of_updates(steps).len())
    }
}

impl<B: Backend> Solver<B> for DpmSolver {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let schedule = context.schedule();
        let (s, t) = (step.from, step.to);
        let log_snr = schedule.log_snr(s);
        let h = schedule.log_snr(t) - log_snr;
        let between = |part: f64| schedule.time_of_log_snr(log_snr + part * h);
        // Eq. 3.7, at part of the way: alpha_t / alpha_s x - sigma_t (exp(h) - 1) eps
        let first_order = |noise: &Tensor<B, 4>, time: f64, part: f64| {
            noisy.clone() * (schedule.alpha(time) / schedule.alpha(s))
                - noise.clone() * (schedule.sigma(time) * (part * h).exp_m1())
        };

        let noise = context.predict_noise(&noisy, s)?;
        match self
            .orders
            .of_updates(context.evaluations())
            .get(step.index)
        {
            // Algorithm 1
            Some(2) => {
                let middle = between(HALF);
                let state = first_order(&noise, middle, HALF);
                let difference = context.predict_noise(&state, middle)? - noise.clone();
                let scale = schedule.sigma(t) * h.exp_m1() / (2.0 * HALF);
                Ok(first_order(&noise, t, 1.0) - difference * scale)
            }
            // Algorithm 2
            Some(3) => {
                let (first, second) = (between(THIRD), between(TWO_THIRDS));
                // sigma (exp(part h) - 1 - part h) / (part h)
                let second_order = |time: f64, part: f64| {
                    schedule.sigma(time) * ((part * h).exp_m1() / (part * h) - 1.0)
                };
                let state = first_order(&noise, first, THIRD);
                let difference = context.predict_noise(&state, first)? - noise.clone();
                let scale = TWO_THIRDS / THIRD * second_order(second, TWO_THIRDS);
                let state = first_order(&noise, second, TWO_THIRDS) - difference * scale;
                let difference = context.predict_noise(&state, second)? - noise.clone();
                let scale = second_order(t, 1.0) / TWO_THIRDS;
                Ok(first_order(&noise, t, 1.0) - difference * scale)
            }
            _ => Ok(first_order(&noise, t, 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VpLinear;
    use crate::testing::{convergence_order, device, flow_error};

    #[test]
    fn fixed_orders_converge_with_theirs() {
        device();
        for (order, steps) in [(1, [60, 120, 240]), (2, [40, 80, 160]), (3, [30, 48, 60])] {
            let solver = DpmSolver {
                orders: SinglestepOrders::Fixed(order),
                end: 1e-3,
                ..DpmSolver::default()
            };
            let found = convergence_order(&solver, steps, solver.end);
            let expected = order as f64;
            assert!(
                (expected - 0.25..expected + 0.5).contains(&found),
                "order {found} instead of {order}"
            );
        }
    }

    #[test]
    fn fast_orders_come_close_with_every_remainder() {
        device();
        let solver = DpmSolver::default();
        let first_order = DpmSolver {
            orders: SinglestepOrders::Fixed(1),
            ..solver
        };
        for steps in [24, 25, 26] {
            let error = flow_error(&solver, steps, solver.end);
            let coarse = flow_error(&first_order, steps, solver.end);
            assert!(error < 0.1 * coarse, "{error} of {coarse}, {steps} steps");
        }
    }

    #[test]
    fn fixed_orders_make_whole_updates() {
        let times = |order, steps| {
            let solver = DpmSolver {
                orders: SinglestepOrders::Fixed(order),
                ..DpmSolver::default()
            };
            solver.times(&VpLinear::default(), steps)
        };
        assert_eq!(times(3, 11).unwrap().len(), 4);
        assert_eq!(times(2, 11).unwrap().len(), 6);
        assert_eq!(times(2, 0), Err(SampleError::ZeroSteps));
        let error = SampleError::StepsBelowOrder { order: 2, steps: 1 };
        assert_eq!(times(2, 1), Err(error));
        let error = times(4, 10).unwrap_err();
        assert!(
            matches!(error, SampleError::Order { order: 4, .. }),
            "{error}"
        );
    }
}
