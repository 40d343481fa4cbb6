//! Euler–Maruyama for the reverse-time equations of score-based diffusion.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{
    NoiseSchedule, SampleError, Solver, SolverContext, SolverTimes, Spacing, Step, TimeGrid,
};

/// Which equation leads from noise to images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReverseProcess {
    /// The reverse-time SDE (Song et al. 2021, eq. 6): `dx = (f - g^2 score) dt + g dw`.
    Sde,
    /// The probability-flow ODE (Song et al. 2021, eq. 13): `dx = (f - g^2 score / 2) dt`.
    ProbabilityFlow,
}

/// The Euler–Maruyama method, as the published code walks it: uniform times from the start to `end`,
/// then a last step to 0 without noise.
///
/// For the variance-preserving process `f = -beta x / 2`, `g^2 = beta`, and the score is
/// `-eps / sigma` (Song et al. 2021, eq. 11).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EulerMaruyama {
    /// The equation.
    pub process: ReverseProcess,
    /// The last time above zero.
    pub end: f64,
}

impl EulerMaruyama {
    /// The published settings, `end` at 1e-3.
    pub fn new(process: ReverseProcess) -> Self {
        Self { process, end: 1e-3 }
    }
}

impl SolverTimes for EulerMaruyama {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        TimeGrid {
            spacing: Spacing::UniformTime,
            end: self.end,
            to_zero: true,
        }
        .times(schedule, steps)
    }
}

impl<B: Backend> Solver<B> for EulerMaruyama {
    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        context: &mut SolverContext<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noise_prediction = context.predict_noise(&noisy, step.from)?;
        let schedule = context.schedule();
        let dt = step.to - step.from;
        let beta = schedule.beta(step.from);
        let share = match self.process {
            ReverseProcess::Sde => 1.0,
            ReverseProcess::ProbabilityFlow => 0.5,
        };

        // x + (-beta/2 x + share beta eps / sigma) dt
        let mean = noisy * (1.0 - 0.5 * beta * dt)
            + noise_prediction * (share * beta / schedule.sigma(step.from) * dt);
        let deviation = match self.process {
            ReverseProcess::Sde if step.to > 0.0 => (beta * -dt).sqrt(),
            _ => 0.0,
        };
        context.add_noise(mean, deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GaussianData, device, flow_error, sample_moments};

    #[test]
    fn probability_flow_converges() {
        device();
        let solver = EulerMaruyama::new(ReverseProcess::ProbabilityFlow);
        // Order one away from the image; there sigma falls like the square root of time, which the
        // last steps feel.
        let errors = [200, 400, 800].map(|steps| flow_error(&solver, steps, solver.end));
        println!("errors: {errors:?}");
        assert!(errors.is_sorted_by(|a, b| *b < 0.6 * a), "{errors:?}");
        assert!(errors[2] < 0.002, "{errors:?}");
    }

    #[test]
    fn reverse_sde_samples_the_data() {
        device();
        let data = GaussianData::with(0.5, 0.3);
        let solver = EulerMaruyama::new(ReverseProcess::Sde);
        let (mean, deviation) = sample_moments(&solver, data, 500);
        // Three standard errors of 65,536 draws are 0.0035 and 0.0025; the rest is the step's error.
        assert!((mean - 0.5).abs() < 0.006, "mean {mean}");
        assert!((deviation - 0.3).abs() < 0.006, "deviation {deviation}");
    }
}
