//! UniPC, a multistep predictor with a corrector that costs no evaluation.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::orders::{check_bound, check_order, multistep_order};
use crate::{
    Grid, NoiseSchedule, PastPrediction, SampleError, Solver, SolverContext, SolverTimes, Step,
    StepGrid,
};

/// The function `B(h)` that UniPC scales its differences with (Zhao et al. 2023, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniPcScale {
    /// `B(h) = h`, for few steps without guidance.
    Bh1,
    /// `B(h) = exp(h) - 1`.
    Bh2,
}

/// UniPC (Zhao et al. 2023, arXiv 2302.04867) with data prediction. One evaluation a step.
///
/// The predictor UniP-p leads to the next time from the last `p` predicted images. Once the network
/// has seen the state there, the corrector UniC-p repeats that update with the new predicted image
/// as one more point; the next update starts from the corrected state. The last state stays as
/// predicted. Both add to the update of order 1 the sum
///
/// `-alpha_t B(h) sum_m rho_m D_m`, `D_m = (x_0 at m - x_0) / r_m`
///
/// over earlier points, `r_m < 0` in units of `h`, and for the corrector over the new one, `r = 1`. The
/// weights solve `sum_m rho_m r_m^(k-1) = k! h phi_(k+1)(h) / B(h)` for `k = 1, 2, ..` (theorem 3.1,
/// with `-h` in the place of `h` for data prediction).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniPc {
    /// The order `p` of the predictor, 1 to 3; with the corrector the method is of order `p + 1`.
    pub order: usize,
    /// The function `B(h)`.
    pub scale: UniPcScale,
    /// Whether states are corrected.
    pub corrector: bool,
    /// Whether the order falls to 1 in the last updates. A step to time 0 is always of order 1.
    pub lower_order_final: bool,
    /// The times of the walk.
    pub grid: Grid,
    /// The largest magnitude of the predicted data, 1 for pixels in `[-1, 1]`; absent for latents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bound: Option<f64>,
}

impl Default for UniPc {
    /// Order 2, `B(h) = exp(h) - 1`, over trained steps to the image.
    fn default() -> Self {
        Self {
            order: 2,
            scale: UniPcScale::Bh2,
            corrector: true,
            lower_order_final: true,
            grid: Grid::Steps(StepGrid::UNIPC),
            data_bound: None,
        }
    }
}

impl UniPc {
    fn order_of(&self, index: usize, count: usize, to: f64) -> usize {
        multistep_order(self.order, self.lower_order_final, index, count, to)
    }

    /// The update from the state at a time to time `to`, with differences of the given predicted
    /// images, the first of which is that at the state's time.
    fn lead<B: Backend>(
        &self,
        schedule: &dyn NoiseSchedule,
        state: &Tensor<B, 4>,
        points: &[&PastPrediction<B>],
        to: f64,
    ) -> Tensor<B, 4> {
        let [base, others @ ..] = points else {
            return state.clone();
        };
        let gain = |time: f64| schedule.log_snr(time) - schedule.log_snr(base.time);
        let h = gain(to);
        if h == 0.0 {
            return state.clone();
        }
        let alpha = schedule.alpha(to);
        let first_order = state.clone() * (schedule.sigma(to) / schedule.sigma(base.time))
            - base.tensor.clone() * (alpha * (-h).exp_m1());

        let ratios: Vec<f64> = others.iter().map(|point| gain(point.time) / h).collect();
        let scale = match self.scale {
            UniPcScale::Bh1 => -h,
            UniPcScale::Bh2 => (-h).exp_m1(),
        };
        let weights = weights(&ratios, -h, scale);
        let terms = others.iter().zip(weights).zip(ratios);
        terms.fold(first_order, |sum, ((point, weight), ratio)| {
            let difference = point.tensor.clone() - base.tensor.clone();
            sum - difference * (alpha * scale * weight / ratio)
        })
    }
}

impl SolverTimes for UniPc {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        check_order("UniPC", self.order)?;
        check_bound(self.data_bound)?;
        self.grid.times(schedule, steps)
    }
}

impl<B: Backend> Solver<B> for UniPc {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let schedule = context.schedule();
        let seen = PastPrediction {
            time: step.from,
            tensor: context.predict_data(&noisy, step.from, self.data_bound)?,
        };
        let earlier = |count: usize| (0..count).filter_map(|back| context.recall(back));
        let state = match context.kept_state() {
            Some(before) if self.corrector => {
                let order = self.order_of(step.index - 1, step.count, step.from);
                let points: Vec<_> = earlier(order).chain([&seen]).collect();
                self.lead(schedule, before, &points, step.from)
            }
            _ => noisy,
        };
        let order = self.order_of(step.index, step.count, step.to);
        let points: Vec<_> = [&seen].into_iter().chain(earlier(order - 1)).collect();
        let next = self.lead(schedule, &state, &points, step.to);
        context.remember(seen.time, seen.tensor);
        context.keep_state(state);
        Ok(next)
    }
}

/// The weights `rho` for differences at the given ratios: the moments of the Lagrange polynomials
/// through them. A single one is 1/2, as published, whatever its ratio (section 3.3).
fn weights(ratios: &[f64], h: f64, scale: f64) -> Vec<f64> {
    if ratios.len() == 1 {
        return vec![0.5];
    }
    // k! h phi_(k+1)(h) / B(h) from k = 1, where phi_1 = (exp(h) - 1) / h and
    // h phi_(k+1) = phi_k - 1 / k!.
    let mut h_phi = h.exp_m1() / h - 1.0;
    let mut factorial = 1.0;
    let mut moments = Vec::with_capacity(ratios.len());
    for k in 1..=ratios.len() {
        moments.push(h_phi * factorial / scale);
        factorial *= (k + 1) as f64;
        h_phi = h_phi / h - 1.0 / factorial;
    }
    let weight = |own: usize| {
        let mut polynomial = vec![1.0];
        for (other, root) in ratios.iter().enumerate() {
            if other != own {
                let width = ratios[own] - root;
                let mut product = vec![0.0; polynomial.len() + 1];
                for (power, coefficient) in polynomial.iter().enumerate() {
                    product[power + 1] += coefficient / width;
                    product[power] -= coefficient * root / width;
                }
                polynomial = product;
            }
        }
        polynomial.iter().zip(&moments).map(|(a, b)| a * b).sum()
    };
    (0..ratios.len()).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GaussianData, convergence_order, device, flow_error, sample_moments_on};
    use crate::{DiscreteSchedule, Spacing, TimeGrid, VpLinear};

    fn solver(order: usize, corrector: bool) -> UniPc {
        UniPc {
            order,
            corrector,
            lower_order_final: false,
            grid: Grid::Times(TimeGrid {
                spacing: Spacing::UniformLogSnr,
                end: 1e-3,
                to_zero: false,
            }),
            ..UniPc::default()
        }
    }

    #[test]
    fn the_predictor_converges_with_its_order() {
        device();
        for (order, steps) in [(1, [60, 120, 240]), (2, [20, 40, 80]), (3, [20, 30, 45])] {
            let found = convergence_order(&solver(order, false), steps, 1e-3);
            assert!(found > order as f64 - 0.3, "order {found} with {order}");
        }
    }

    #[test]
    fn the_corrector_adds_an_order() {
        device();
        for (order, steps) in [(1, [20, 40, 80]), (2, [16, 24, 36])] {
            let found = convergence_order(&solver(order, true), steps, 1e-3);
            assert!(found > order as f64 + 0.6, "order {found} with {order}");
        }
        let plain = flow_error(&solver(3, false), 24, 1e-3);
        let corrected = flow_error(&solver(3, true), 24, 1e-3);
        assert!(corrected < plain, "{corrected}, {plain} without corrector");
    }

    #[test]
    fn both_scales_lead_to_the_same_images() {
        device();
        for scale in [UniPcScale::Bh1, UniPcScale::Bh2] {
            let solver = UniPc {
                scale,
                ..solver(2, true)
            };
            let error = flow_error(&solver, 80, 1e-3);
            assert!(error < 1e-3, "{scale:?}: {error}");
        }
    }

    #[test]
    fn trained_steps_lead_to_the_image() {
        device();
        let data = GaussianData::with(0.5, 0.3);
        let schedule = DiscreteSchedule::ddpm_linear();
        let (mean, deviation) = sample_moments_on(&schedule, &UniPc::default(), data, 200);
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
        assert!((deviation - 0.3).abs() < 0.01, "deviation {deviation}");
    }

    #[test]
    fn weights_solve_their_equations() {
        let (h, ratios) = (-0.7_f64, [-0.8, -2.1, 1.0]);
        let scale = h.exp_m1();
        let weights = weights(&ratios, h, scale);
        let phi_2 = (h.exp_m1() / h - 1.0) / h;
        let phi_3 = (phi_2 - 0.5) / h;
        let phi_4 = (phi_3 - 1.0 / 6.0) / h;
        let expected = [phi_2, 2.0 * phi_3, 6.0 * phi_4].map(|phi| phi * h / scale);
        for (power, expected) in expected.into_iter().enumerate() {
            let terms = weights
                .iter()
                .zip(ratios)
                .map(|(w, r)| w * r.powi(power as i32));
            let found: f64 = terms.sum();
            assert!((found - expected).abs() < 1e-13, "{found}, {expected}");
        }
    }

    #[test]
    fn orders_rise_and_fall() {
        let orders = |solver: UniPc, last: f64| -> Vec<usize> {
            let to = |index| if index == 5 { last } else { 0.5 };
            (0..6)
                .map(|index| solver.order_of(index, 6, to(index)))
                .collect()
        };
        let lower = UniPc {
            lower_order_final: true,
            ..solver(3, true)
        };
        assert_eq!(orders(lower, 0.1), [1, 2, 3, 3, 2, 1]);
        assert_eq!(orders(solver(3, true), 0.1), [1, 2, 3, 3, 3, 3]);
        assert_eq!(orders(solver(2, true), 0.0), [1, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn refuses_settings_out_of_range() {
        let refuse = |solver: UniPc| solver.times(&VpLinear::default(), 10).unwrap_err();
        let error = refuse(solver(4, true));
        assert!(
            matches!(error, SampleError::Order { order: 4, .. }),
            "{error}"
        );
        let error = refuse(UniPc {
            data_bound: Some(0.0),
            ..solver(2, true)
        });
        assert_eq!(error, SampleError::DataBound(0.0));
        assert_eq!(refuse(UniPc::default()), SampleError::NoTrainedSteps);
    }
}
