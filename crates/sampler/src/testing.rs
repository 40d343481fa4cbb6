//! What the tests of the sampler share: data whose exact noise prediction is known.

use std::cell::RefCell;
use std::ops::ControlFlow;

use adadiff_model::{Condition, Denoiser, ModelError, NoisyBatch, Prediction};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::{Flex, FlexDevice};

use crate::{
    Ddim, DdpmAncestral, DpmSolver, DpmSolverPlusPlus, DpmSolverPlusPlusSinglestep, EulerMaruyama,
    Grid, NoiseSchedule, NoiseSource, NoiseStream, ReverseProcess, SampleRequest, Sampler,
    SamplerOutput, SinglestepOrders, Solver, SolverConfig, StepGrid, UniPc, VpLinear,
};

/// The backend under test.
pub(crate) type Plain = Flex;

/// The device under test, named in the test's output.
pub(crate) fn device() -> FlexDevice {
    let device = FlexDevice;
    println!("device: flex ({})", Plain::name(&device));
    device
}

/// A tensor's values.
pub(crate) fn values<const D: usize>(tensor: Tensor<Plain, D>) -> Vec<f32> {
    tensor.into_data().to_vec().unwrap()
}

/// Every solver, the variants included, with settings that suit a discrete schedule.
pub(crate) fn every_solver() -> Vec<SolverConfig> {
    let mut solvers = vec![
        SolverConfig::EulerMaruyama(EulerMaruyama::new(ReverseProcess::Sde)),
        SolverConfig::EulerMaruyama(EulerMaruyama::new(ReverseProcess::ProbabilityFlow)),
        SolverConfig::DdpmAncestral(DdpmAncestral::default()),
        SolverConfig::Ddim(Ddim {
            eta: 0.5,
            ..Ddim::default()
        }),
        SolverConfig::Ddim(Ddim {
            eta: 0.0,
            grid: Grid::Steps(StepGrid::DDIM),
        }),
        SolverConfig::DpmSolver(DpmSolver {
            end: 1e-3,
            ..DpmSolver::default()
        }),
    ];
    for order in 1..=3 {
        solvers.extend([
            SolverConfig::DpmSolver(DpmSolver {
                orders: SinglestepOrders::Fixed(order),
                end: 1e-3,
                ..DpmSolver::default()
            }),
            SolverConfig::DpmSolverPlusPlus(DpmSolverPlusPlus {
                order,
                ..DpmSolverPlusPlus::default()
            }),
            SolverConfig::DpmSolverPlusPlusSinglestep(DpmSolverPlusPlusSinglestep {
                order,
                ..DpmSolverPlusPlusSinglestep::default()
            }),
            SolverConfig::UniPc(UniPc {
                order,
                ..UniPc::default()
            }),
        ]);
    }
    solvers
}

/// The exact denoiser of images whose pixels are independent and normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaussianData {
    /// Mean of a pixel.
    pub mean: f64,
    /// Standard deviation of a pixel.
    pub deviation: f64,
}

impl GaussianData {
    /// Images with this mean and standard deviation of a pixel.
    pub(crate) const fn with(mean: f64, deviation: f64) -> Self {
        Self { mean, deviation }
    }

    /// Standard deviation of a pixel at a time.
    fn noisy_deviation(&self, schedule: &dyn NoiseSchedule, time: f64) -> f64 {
        (schedule.alpha(time) * self.deviation).hypot(schedule.sigma(time))
    }

    /// Where the probability flow takes a pixel from the start time to `time`.
    fn flow(&self, schedule: &dyn NoiseSchedule, start: f64, time: f64) -> f64 {
        let ratio = self.noisy_deviation(schedule, time) / self.noisy_deviation(schedule, 1.0);
        schedule.alpha(time) * self.mean + ratio * (start - schedule.alpha(1.0) * self.mean)
    }
}

/// The exact denoiser of some data under a schedule.
struct Exact<'a> {
    data: GaussianData,
    schedule: &'a dyn NoiseSchedule,
}

impl Denoiser<Plain> for Exact<'_> {
    fn predict_batch(&self, batch: NoisyBatch<Plain>) -> Result<Prediction<Plain>, ModelError> {
        // The schedules here are told times in a linear way.
        let (start, end) = (
            self.schedule.network_timestep(0.0),
            self.schedule.network_timestep(1.0),
        );
        let time = (batch.timestep - start) / (end - start);
        // E[eps | x] = sigma (x - alpha mean) / (alpha^2 deviation^2 + sigma^2)
        let scale =
            self.schedule.sigma(time) / self.data.noisy_deviation(self.schedule, time).powi(2);
        let noise = (batch.noisy - self.schedule.alpha(time) * self.data.mean) * scale;
        Ok(Prediction::new(noise, 13))
    }

    fn blocks_per_prediction(&self) -> u32 {
        13
    }
}

/// Predicts `label / 10` times its input after `label` blocks, with an uncertainty of `label / 10`; notes
/// the timesteps that it was asked for.
#[derive(Default)]
pub(crate) struct Labelled {
    pub timesteps: RefCell<Vec<f64>>,
}

impl Denoiser<Plain> for Labelled {
    fn predict_batch(&self, batch: NoisyBatch<Plain>) -> Result<Prediction<Plain>, ModelError> {
        let Condition::Class(labels) = &batch.condition else {
            return Err(ModelError::Condition {
                expected: "class",
                given: batch.condition.kind(),
            });
        };
        self.timesteps.borrow_mut().push(batch.timestep);
        let scale = labels.clone().float().reshape([batch.samples(), 1, 1, 1]) / 10.0;
        let labels = values(labels.clone().float());
        let map = scale.clone().expand(batch.noisy.shape());
        Ok(Prediction {
            noise: batch.noisy * scale,
            blocks: labels.iter().map(|&label| label as u32).collect(),
            exit_signal: labels.iter().map(|&label| vec![label / 10.0]).collect(),
            uncertainty_map: Some(map),
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        10
    }
}

/// Samples of one batch from the given solver.
pub(crate) fn sample<S: NoiseSchedule + Clone + 'static>(
    schedule: &S,
    solver: &(impl Solver<Plain> + Clone + 'static),
    data: GaussianData,
    steps: usize,
    shape: [usize; 3],
) -> SamplerOutput<Plain> {
    let sampler = Sampler {
        schedule: Box::new(schedule.clone()),
        solver: Box::new(solver.clone()),
        steps,
    };
    let request = SampleRequest {
        shape,
        noise: NoiseSource::seeded(5),
        first_sample: 0,
        count: 1,
        batch: 1,
        condition: Condition::None,
        device: FlexDevice,
    };
    let denoiser = Exact { data, schedule };
    sampler
        .sample(&denoiser, &request, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

/// The largest distance of a deterministic solver's pixels from the exact probability flow.
pub(crate) fn flow_error(
    solver: &(impl Solver<Plain> + Clone + 'static),
    steps: usize,
    end: f64,
) -> f64 {
    let data = GaussianData::with(0.5, 0.3);
    let schedule = VpLinear::default();
    let images = values(sample(&schedule, solver, data, steps, [1, 8, 8]).images);
    let start = NoiseStream::new(5).normal(0, NoiseStream::INITIAL, 64);
    let distance = |(&found, &start): (&f32, &f32)| {
        (f64::from(found) - data.flow(&schedule, f64::from(start), end)).abs()
    };
    images.iter().zip(&start).map(distance).fold(0.0, f64::max)
}

/// The order of convergence between the first and the last of the step numbers.
pub(crate) fn convergence_order(
    solver: &(impl Solver<Plain> + Clone + 'static),
    steps: [usize; 3],
    end: f64,
) -> f64 {
    let errors = steps.map(|steps| flow_error(solver, steps, end));
    println!("errors with {steps:?} steps: {errors:?}");
    (errors[0] / errors[2]).ln() / (steps[2] as f64 / steps[0] as f64).ln()
}

/// Mean and standard deviation of 65,536 pixels that a solver draws.
pub(crate) fn sample_moments(
    solver: &(impl Solver<Plain> + Clone + 'static),
    data: GaussianData,
    steps: usize,
) -> (f64, f64) {
    sample_moments_on(&VpLinear::default(), solver, data, steps)
}

/// Mean and standard deviation of 65,536 pixels that a solver draws on a schedule.
pub(crate) fn sample_moments_on<S: NoiseSchedule + Clone + 'static>(
    schedule: &S,
    solver: &(impl Solver<Plain> + Clone + 'static),
    data: GaussianData,
    steps: usize,
) -> (f64, f64) {
    let pixels = values(sample(schedule, solver, data, steps, [4, 128, 128]).images);
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / count;
    let variance = pixels
        .iter()
        .map(|&pixel| (f64::from(pixel) - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}
