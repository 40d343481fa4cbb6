//! Sampling runs, step by step.

use std::cell::RefCell;
use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, ModelError, NoisyBatch, Prediction};
use adadiff_sampler::{Guided, NoiseSource, SampleRequest, Sampler, SamplerOutput};
use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::algorithm::Algorithm;
use crate::fixture::{Fixture, condition, input};
use crate::network;
use crate::report::{FixtureReport, Rule};

/// A denoiser that keeps what it predicted.
struct Recorder<'a, B: Backend> {
    denoiser: &'a dyn Denoiser<B>,
    noise: RefCell<Vec<Tensor<B, 4>>>,
}

impl<B: Backend> Denoiser<B> for Recorder<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let prediction = self.denoiser.predict_batch(batch)?;
        self.noise.borrow_mut().push(prediction.noise.clone());
        Ok(prediction)
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.denoiser.blocks_per_prediction()
    }
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let (_, model) = network::only::<B>(fixture, device)?;
    let run = run(fixture, &mut report, &model.backbone, device)?;
    let [batch, ..] = run.samples.images.dims();
    for evaluation in traced(fixture, run.noise.len())? {
        let noise = run.noise.get(evaluation);
        let noise = noise.with_context(|| format!("there is no evaluation {evaluation}"))?;
        report.tensor(run.rule, &format!("eps.{evaluation}"), noise.clone())?;
    }
    for (evaluation, step) in run.samples.trace.steps.iter().enumerate() {
        let name = format!("model_t.{evaluation}");
        if report.tensors().shape(&format!("out.{name}")).is_some() {
            let told = std::iter::repeat_n(step.timestep, batch);
            report.values(run.rule, &name, &[batch], told)?;
        }
    }
    Ok(report.finish())
}

/// The updates or evaluations that a fixture shows: all of them, unless it names some.
fn traced(fixture: &Fixture, count: usize) -> Result<Vec<usize>> {
    let named = fixture.optional("trace_steps")?;
    Ok(named.unwrap_or_else(|| (0..count).collect()))
}

/// What a run leaves behind beside its states.
pub struct Run<B: Backend> {
    pub samples: SamplerOutput<B>,
    /// The noise prediction of every evaluation.
    pub noise: Vec<Tensor<B, 4>>,
    /// How far values may be from the published ones.
    pub rule: Rule,
}

/// Samples as a fixture did and compares times, states and samples.
pub fn run<B: Kernels>(
    fixture: &Fixture,
    report: &mut FixtureReport,
    denoiser: &dyn Denoiser<B>,
    device: &B::Device,
) -> Result<Run<B>> {
    let algorithm = Algorithm::from_fixture(fixture)?;
    if let Some(rule) = algorithm.single_precision_rule {
        report.single_precision(rule);
    }
    schedule::<B>(fixture, report, &algorithm)?;
    let rule = algorithm.rule;

    let start = input::<B, 4>(report.tensors(), "in.x_init", device)?;
    let [count, channels, height, width] = start.dims();
    let request = SampleRequest {
        shape: [channels, height, width],
        noise: noise(report, device)?.starting_from(start),
        first_sample: 0,
        count,
        batch: count,
        condition: condition(report.tensors(), device)?,
        device: device.clone(),
    };
    let guided = guided(fixture, report, denoiser, device)?;
    let recorder = Recorder {
        denoiser: guided.as_ref().map_or(denoiser, |guided| guided),
        noise: RefCell::default(),
    };
    let sampler = Sampler {
        schedule: algorithm.schedule,
        solver: algorithm.solver.build(),
        steps: algorithm.steps,
    };
    let mut states = Vec::new();
    let samples = sampler.sample(&recorder, &request, &mut |progress| {
        states.push(progress.state.clone());
        ControlFlow::Continue(())
    })?;
    for update in traced(fixture, states.len())? {
        let state = states.get(update);
        let state = state.with_context(|| format!("there is no update {update}"))?;
        report.tensor(rule, &format!("trace.{update}"), state.clone())?;
    }
    report.tensor(rule, "x_final", samples.images.clone())?;
    Ok(Run {
        samples,
        noise: recorder.noise.into_inner(),
        rule,
    })
}

/// Compares the times of a walk, what the schedule says of them, and the orders of its updates.
fn schedule<B: Backend>(
    fixture: &Fixture,
    report: &mut FixtureReport,
    algorithm: &Algorithm,
) -> Result<()> {
    let timesteps = algorithm.timesteps::<B>()?;
    let count = timesteps.len();
    report.values(algorithm.rule, "timesteps", &[count], timesteps)?;
    if let Some(orders) = fixture.optional::<Vec<i64>>("orders")? {
        let found: Vec<i64> = algorithm
            .orders()?
            .iter()
            .map(|&order| order as i64)
            .collect();
        report.equal("orders", &found, &orders);
    }
    let schedule = &algorithm.schedule;
    let times = algorithm.times::<B>()?;
    let noise_to_image = |&time: &f64| schedule.sigma(time) / schedule.alpha(time);
    let sigmas = times.iter().map(noise_to_image).collect();
    let visited = &times[..times.len() - 1];
    let alphas = visited.iter().map(|&time| schedule.alpha(time).powi(2));
    for (name, found) in [
        ("sigmas", sigmas),
        ("alphas_cumprod_at_timesteps", alphas.collect::<Vec<_>>()),
    ] {
        if report.tensors().shape(&format!("out.{name}")).is_some() {
            report.values(algorithm.rule, name, &[found.len()], found)?;
        }
    }
    Ok(())
}

/// The noise of the updates, if the fixture gives it.
fn noise<B: Backend>(report: &FixtureReport, device: &B::Device) -> Result<NoiseSource<B>> {
    let tensors = report.tensors();
    let noise = if tensors.shape("in.noise").is_some() {
        let all = input::<B, 5>(tensors, "in.noise", device)?;
        let [updates, ..] = all.dims();
        let update = |update| all.clone().narrow(0, update, 1).squeeze_dim::<4>(0);
        (0..updates).map(update).collect()
    } else {
        (0..)
            .map(|update| format!("in.noise.{update}"))
            .take_while(|name| tensors.shape(name).is_some())
            .map(|name| input(tensors, &name, device))
            .collect::<Result<Vec<_>>>()?
    };
    Ok(NoiseSource::seeded(0).adding(noise))
}

/// The denoiser with guidance, where the fixture has it: away from a class, or from an empty text.
fn guided<'a, B: Backend>(
    fixture: &Fixture,
    report: &FixtureReport,
    denoiser: &'a dyn Denoiser<B>,
    device: &B::Device,
) -> Result<Option<Guided<B, &'a dyn Denoiser<B>>>> {
    let Some(scale) = fixture.optional("cfg_scale")? else {
        return Ok(None);
    };
    let unconditional = match fixture.optional::<i64>("null_class")? {
        Some(class) => Condition::Class(Tensor::from_data(TensorData::from([class]), device)),
        None => {
            let context = input::<B, 2>(report.tensors(), "in.empty_context", device)?;
            Condition::Text(context.unsqueeze())
        }
    };
    Ok(Some(Guided::new(denoiser, unconditional, scale)?))
}
