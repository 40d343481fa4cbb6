//! Who leaves where, and with which prediction.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_tests::values as host_values;
use adadiff_uem::{AdaDiff, AdaptiveUVit, ExitPolicy, FullDepth, Patience, Threshold, replay};
use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::fixture::{Fixture, condition, input, values};
use crate::network::{self, Class};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Scaled(1e-4);

struct Batch<B: Backend> {
    x: Tensor<B, 4>,
    timesteps: Vec<f32>,
    condition: Condition<B>,
}

impl<B: Backend> Batch<B> {
    /// Calls `task` with each sample alone, as the published evaluation does.
    fn for_each_sample<T>(
        &self,
        mut task: impl FnMut(Tensor<B, 4>, f64, &Condition<B>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let samples = self.timesteps.iter().enumerate();
        samples
            .map(|(sample, &timestep)| {
                let row = sample as i64..sample as i64 + 1;
                let row = Tensor::<B, 1, Int>::arange(row, &self.x.device());
                let condition = self.condition.select(row.clone());
                task(
                    self.x.clone().select(0, row),
                    f64::from(timestep),
                    &condition,
                )
            })
            .collect()
    }
}

/// The published rule of a network, for a certainty.
pub fn policy(class: Class, certainty: f64) -> Box<dyn ExitPolicy> {
    let uncertainty = (1.0 - certainty) as f32;
    match class {
        Class::Uvit => Box::new(Patience { uncertainty }),
        Class::UvitT2i => Box::new(Threshold { uncertainty }),
    }
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let (published, model) = network::only::<B>(fixture, device)?;
    let batch = Batch {
        x: input(report.tensors(), "in.x", device)?,
        timesteps: values(report.tensors(), "in.timesteps")?,
        condition: condition(report.tensors(), device)?,
    };
    certainty_means(&mut report, &model, &batch)?;
    for (index, certainty) in fixture
        .get::<Vec<f64>>("thresholds")?
        .into_iter()
        .enumerate()
    {
        let adaptive = AdaptiveUVit::new(&model, policy(published.class, certainty));
        let predictions = batch.for_each_sample(|x, timestep, condition| {
            Ok(adaptive.predict(x, timestep, condition)?)
        })?;
        let exits: Vec<i64> = predictions
            .iter()
            .map(|prediction| i64::from(prediction.blocks[0]) - 1)
            .collect();
        let noise = predictions.into_iter().map(|prediction| prediction.noise);
        report.tensor(
            RULE,
            &format!("noise.{index}"),
            Tensor::cat(noise.collect(), 0),
        )?;
        compare_exits(&mut report, &model, &format!("exit_layer.{index}"), &exits)?;

        let policy = policy(published.class, certainty);
        let (exit, noise) = whole_batch(&model, &batch, &policy)?;
        report.tensor(RULE, &format!("batch.noise.{index}"), noise)?;
        compare_exits(
            &mut report,
            &model,
            &format!("batch.exit_layer.{index}"),
            &[exit],
        )?;
    }
    Ok(report.finish())
}

/// Compares exits; the published code gives the depth for a sample that ran to the end, which is the
/// last block's index where the depth is even.
fn compare_exits<B: Kernels>(
    report: &mut FixtureReport,
    model: &AdaDiff<B>,
    name: &str,
    found: &[i64],
) -> Result<()> {
    let last = model.backbone.num_blocks() as i64 - 1;
    let expected = values::<i64>(report.tensors(), &format!("out.{name}"))?;
    let expected: Vec<i64> = expected.into_iter().map(|exit| exit.min(last)).collect();
    report.equal(name, found, &expected);
    Ok(())
}

/// The mean certainty of each sample after every block.
fn certainty_means<B: Kernels>(
    report: &mut FixtureReport,
    model: &AdaDiff<B>,
    batch: &Batch<B>,
) -> Result<()> {
    let recording = AdaptiveUVit::new(model, FullDepth).recording_all();
    let means = batch.for_each_sample(|x, timestep, condition| {
        Ok(recording
            .predict(x, timestep, condition)?
            .exit_signal
            .remove(0))
    })?;
    let shape = [means.len(), model.backbone.num_blocks()];
    let certainty = means
        .into_iter()
        .flatten()
        .map(|mean| 1.0 - f64::from(mean));
    report.values(RULE, "certainty_mean", &shape, certainty)
}

/// Where the whole batch leaves if it decides by the mean over all its samples, and the prediction
/// there: what the published code does when it is given more than one sample.
fn whole_batch<B: Kernels>(
    model: &AdaDiff<B>,
    batch: &Batch<B>,
    policy: &dyn ExitPolicy,
) -> Result<(i64, Tensor<B, 4>)> {
    let Batch {
        x,
        timesteps,
        condition,
    } = batch;
    let layers = model.layer_predictions(x.clone(), timesteps, condition)?;
    let means: Vec<f32> = layers
        .uncertainty
        .into_iter()
        .map(|map| host_values(map.mean())[0])
        .collect();
    let replayed = replay(policy, f64::from(timesteps[0]), means.len(), &means);
    let (exit, _) = replayed.context("every mean is there")?;
    Ok((exit as i64 - 1, layers.noise[exit - 1].clone()))
}
