//! Denoising diffusion implicit models.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{
    Grid, NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Spacing, Step, TimeGrid,
};

/// DDIM (Song et al. 2021, arXiv 2010.02502, eq. 12 and 16), for any variance-preserving schedule.
///
/// In the paper's symbols alpha is the square of ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ddim {
    /// The share of DDPM's noise that is added in each step, in `[0, 1]`; 0 is deterministic.
    pub eta: f64,
    /// The times of the walk.
    pub grid: Grid,
}

impl Default for Ddim {
    /// Deterministic, with uniform times down to 1e-3 and a last step to 0.
    fn default() -> Self {
        let grid = Grid::Times(TimeGrid {
            spacing: Spacing::UniformTime,
            end: 1e-3,
            to_zero: true,
        });
        Self { eta: 0.0, grid }
    }
}

impl Ddim {
    /// Where an update leads to.
    ///
    /// The published scheduler goes down by the same number of trained steps in every update,
    /// which is where the next one starts only if the steps are spaced so.
    fn target(&self, step: Step, schedule: &dyn NoiseSchedule) -> f64 {
        let (Grid::Steps(grid), Some(trained)) = (self.grid, schedule.trained_steps()) else {
            return step.to;
        };
        if grid.drop_last {
            return step.to;
        }
        let number = (step.from * trained as f64).round() as usize;
        match number.checked_sub(trained / step.count) {
            None | Some(0) => grid.end_time(trained),
            Some(number) => number as f64 / trained as f64,
        }
    }
}

impl SolverTimes for Ddim {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        if !(0.0..=1.0).contains(&self.eta) {
            return Err(SampleError::Eta(self.eta));
        }
        self.grid.times(schedule, steps)
    }
}

impl<B: Backend> Solver<B> for Ddim {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noise_prediction = context.predict_noise(&noisy, step.from)?;
        let schedule = context.schedule();
        let (t, s) = (step.from, self.target(step, schedule));
        let (alpha_t, sigma_t) = (schedule.alpha(t), schedule.sigma(t));
        let (alpha_s, sigma_s) = (schedule.alpha(s), schedule.sigma(s));

        // Eq. 16, with 1 - alpha_t^2 / alpha_s^2 written so that it does not cancel.
        let log_ratio = schedule.log_mean_coefficient(t) - schedule.log_mean_coefficient(s);
        let added = self.eta * sigma_s / sigma_t * (-(2.0 * log_ratio).exp_m1()).sqrt();

        // Eq. 12: alpha_s (x - sigma_t eps) / alpha_t + sqrt(sigma_s^2 - added^2) eps + added z
        let along = (sigma_s * sigma_s - added * added).max(0.0).sqrt();
        let mean =
            noisy * (alpha_s / alpha_t) + noise_prediction * (along - alpha_s / alpha_t * sigma_t);
        context.add_noise(mean, added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        GaussianData, convergence_order, device, sample, sample_moments, sample_moments_on, values,
    };
    use crate::{DdpmAncestral, DiscreteSchedule, FinalState, StepGrid, StepSpacing, VpLinear};

    #[test]
    fn deterministic_form_converges_with_order_one() {
        device();
        for spacing in [Spacing::UniformTime, Spacing::UniformLogSnr] {
            let grid = Grid::Times(TimeGrid {
                spacing,
                end: 1e-3,
                to_zero: true,
            });
            let solver = Ddim { eta: 0.0, grid };
            let order = convergence_order(&solver, [100, 200, 400], 1e-3);
            assert!((0.9..1.2).contains(&order), "order {order}");
        }
    }

    #[test]
    fn trained_steps_sample_the_data() {
        device();
        let schedule = DiscreteSchedule::ddpm_linear();
        for eta in [0.0, 1.0] {
            let grid = Grid::Steps(StepGrid::DDIM);
            let solver = Ddim { eta, grid };
            let data = GaussianData::with(0.5, 0.3);
            let (mean, deviation) = sample_moments_on(&schedule, &solver, data, 500);
            assert!((mean - 0.5).abs() < 0.01, "eta {eta}: mean {mean}");
            assert!((deviation - 0.3).abs() < 0.01, "eta {eta}: {deviation}");
        }
    }

    #[test]
    fn all_of_the_noise_makes_it_ddpm() {
        device();
        let data = GaussianData::with(0.5, 0.3);
        let schedule = DiscreteSchedule::ddpm_linear();
        let ddim = Ddim {
            eta: 1.0,
            grid: Grid::Steps(StepGrid::DDIM),
        };
        let ddpm = DdpmAncestral::default();
        let ddim = values(sample(&schedule, &ddim, data, 20, [1, 8, 8]).images);
        let ddpm = values(sample(&schedule, &ddpm, data, 20, [1, 8, 8]).images);
        for (a, b) in ddim.iter().zip(ddpm) {
            assert!((a - b).abs() < 1e-4, "{a} instead of {b}");
        }
    }

    #[test]
    fn updates_go_down_by_the_same_number_of_steps() {
        let schedule = DiscreteSchedule::ddpm_linear();
        let targets = |spacing, end| -> Vec<f64> {
            let grid = StepGrid {
                spacing,
                drop_last: false,
                end,
            };
            let times = grid.times(&schedule, 4).unwrap();
            let solver = Ddim {
                eta: 0.0,
                grid: Grid::Steps(grid),
            };
            let step = |(index, pair): (usize, &[f64])| Step {
                index,
                count: 4,
                from: pair[0],
                to: pair[1],
            };
            let steps = times.windows(2).enumerate().map(step);
            steps.map(|step| solver.target(step, &schedule)).collect()
        };
        let (image, first) = (FinalState::CleanImage, FinalState::FirstStep);
        let leading = |offset| StepSpacing::Leading { offset };
        assert_eq!(targets(leading(0), image), [0.501, 0.251, 0.001, 0.0]);
        assert_eq!(targets(leading(1), first), [0.502, 0.252, 0.002, 0.001]);
        assert_eq!(
            targets(StepSpacing::Trailing, image),
            [0.75, 0.5, 0.25, 0.0]
        );
        let linspace = targets(StepSpacing::Linspace, image);
        assert_eq!(linspace, [0.75, 0.417, 0.084, 0.0]);
    }

    #[test]
    fn samples_the_data_with_and_without_noise() {
        device();
        let data = GaussianData::with(0.5, 0.3);
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
            let error = solver.times(&VpLinear::default(), 10).unwrap_err();
            assert!(matches!(error, SampleError::Eta(_)), "{error}");
        }
    }
}
