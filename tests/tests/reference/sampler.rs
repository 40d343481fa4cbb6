//! Sampling runs, step by step.

use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{
    EulerMaruyama, NoiseSchedule, ReverseProcess, SampleError, SampleRequest, Sampler, Samples,
    Solver, Step, VpLinear, Walk,
};
use anyhow::{Result, bail};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::fixture::{Fixture, condition, input};
use crate::network;
use crate::report::{Report, Rule};

const RULE: Rule = Rule::Scaled(2e-4);

/// A solver that starts from a fixture's state and adds a fixture's noise.
#[derive(Debug)]
pub struct Replayed<B: Backend> {
    /// The solver.
    pub solver: EulerMaruyama,
    /// The state to start from `[batch, channels, height, width]`.
    pub start: Tensor<B, 4>,
    /// The noise to add in each step that adds some.
    pub noise: Vec<Tensor<B, 4>>,
}

impl<B: Backend> Solver<B> for Replayed<B> {
    fn times(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Vec<f64>, SampleError> {
        Solver::<B>::times(&self.solver, schedule, steps)
    }

    fn update(
        &self,
        noisy: Tensor<B, 4>,
        step: Step,
        walk: &mut Walk<'_, B>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noisy = match step.index {
            0 => self.start.clone(),
            _ => noisy,
        };
        let updated = self.solver.update(noisy.clone(), step, walk)?;
        let Some(noise) = self.noise.get(step.index) else {
            return Ok(updated);
        };
        // Puts the fixture's noise in the place of the stream's. If the solver scaled its noise in
        // another way than here, some of the stream's would be left.
        let scale = walk.schedule().beta(step.from) * (step.from - step.to);
        Ok(updated + (noise.clone() - walk.normal(&noisy)) * scale.sqrt())
    }
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<Report> {
    let mut report = Report::new(fixture)?;
    let (_, model) = network::only::<B>(fixture, device)?;
    let process = match fixture.get::<String>("algorithm")?.as_str() {
        "euler_maruyama_ode" => ReverseProcess::ProbabilityFlow,
        "euler_maruyama_sde" => ReverseProcess::Sde,
        other => bail!("nothing is known of the algorithm '{other}'"),
    };
    let noise = (0..)
        .map(|step| format!("in.noise.{step}"))
        .take_while(|name| report.tensors().shape(name).is_some())
        .map(|name| input(report.tensors(), &name, device))
        .collect::<Result<Vec<_>>>()?;
    let condition = condition(report.tensors(), device)?;
    let evaluations = run(
        fixture,
        &mut report,
        process,
        noise,
        &model.backbone,
        condition,
    )?;
    for (evaluation, noise) in evaluations.noise.into_iter().enumerate() {
        report.tensor(RULE, &format!("eps.{evaluation}"), noise)?;
        let timestep = evaluations.samples.trace.steps[evaluation].timestep;
        let [batch, ..] = evaluations.samples.images.dims();
        let told = std::iter::repeat_n(timestep, batch);
        report.values(RULE, &format!("model_t.{evaluation}"), &[batch], told)?;
    }
    Ok(report.finish())
}

/// What a run leaves behind beside its states.
pub struct Run<B: Backend> {
    /// The samples.
    pub samples: Samples<B>,
    /// The noise prediction of every step.
    pub noise: Vec<Tensor<B, 4>>,
}

/// Runs Euler–Maruyama as a fixture did and compares times, states and samples.
pub fn run<B: Kernels>(
    fixture: &Fixture,
    report: &mut Report,
    process: ReverseProcess,
    noise: Vec<Tensor<B, 4>>,
    denoiser: &dyn Denoiser<B>,
    condition: Condition<B>,
) -> Result<Run<B>> {
    let solver = EulerMaruyama {
        process,
        end: fixture.get("eps")?,
    };
    let device = match noise.first() {
        Some(noise) => noise.device(),
        None => B::Device::default(),
    };
    let start = input::<B, 4>(report.tensors(), "in.x_init", &device)?;
    let [count, channels, height, width] = start.dims();
    let steps = fixture.get("steps")?;
    let schedule = VpLinear::default();
    let times = Solver::<B>::times(&solver, &schedule, steps)?;
    report.values(RULE, "timesteps", &[times.len()], times.iter().copied())?;

    let sampler = Sampler {
        schedule: Box::new(schedule),
        solver: Box::new(Replayed {
            solver,
            start,
            noise,
        }),
        steps,
    };
    let request = SampleRequest {
        shape: [channels, height, width],
        seed: 0,
        first_sample: 0,
        count,
        batch: count,
        condition,
        device,
    };
    let mut states = Vec::new();
    let mut noise = Vec::new();
    let samples = sampler.sample(denoiser, &request, &mut |progress| {
        states.push(progress.state.clone());
        noise.extend(
            progress
                .prediction
                .map(|prediction| prediction.noise.clone()),
        );
        ControlFlow::Continue(())
    })?;
    for (step, state) in states.into_iter().enumerate() {
        report.tensor(RULE, &format!("trace.{step}"), state)?;
    }
    report.tensor(RULE, "x_final", samples.images.clone())?;
    Ok(Run { samples, noise })
}
