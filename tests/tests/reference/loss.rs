//! The losses and their gradients, as published in code and in the paper.

use std::collections::HashMap;
use std::slice::from_ref;

use adadiff_losses::{
    JointWeights, LossForm, joint_objective, ual_paper, ual_published, uncertainty_loss,
    uncertainty_loss_published,
};
use adadiff_model::kernels::Kernels;
use adadiff_sampler::{DiscreteSchedule, NoiseSchedule, StepNumbering, VpLinear, diffuse};
use adadiff_tests::gradients;
use adadiff_uem::{AdaDiff, LayerPredictions};
use adadiff_weights::Placement;
use anyhow::{Context, Result, bail};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_autodiff::Autodiff;

use crate::fixture::{Fixture, condition, input, values};
use crate::network;
use crate::report::{FixtureReport, Rule};

const LOSS: Rule = Rule::Scaled(1e-5);
const GRADIENT: Rule = Rule::Gradient(1e-4);

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let (published, model) = network::only::<Autodiff<B>>(fixture, device)?;
    let noise = input::<Autodiff<B>, 4>(report.tensors(), "in.noise", device)?;
    let (noisy, timesteps) = noisy(&mut report, fixture, noise.clone(), device)?;
    let condition = condition(report.tensors(), device)?;
    let placements = published.config().placements()?;
    let places: HashMap<_, _> = placements
        .iter()
        .map(|placement| (placement.published.as_str(), placement))
        .collect();
    let names: Vec<String> = fixture.get("grad_params")?;
    for (form, start) in [(LossForm::Published, ""), (LossForm::Paper, "paper.")] {
        // Going backward takes the graph apart, so that each form needs its own.
        let layers = model.layer_predictions(noisy.clone(), &timesteps, &condition)?;
        if form == LossForm::Paper {
            let prediction = layers.noise.last().context("a network without blocks")?;
            report.tensor(LOSS, "noise_pred", prediction.clone())?;
            per_layer(&mut report, &layers, noise.clone())?;
        }
        let total = compare_losses(&mut report, &layers, noise.clone(), form)?;
        let gradients = Gradients::new(total.mean(), &model);
        for name in &names {
            let place = places.get(name.as_str());
            let place = place.with_context(|| format!("{name} is not part of the network"))?;
            let found = gradients.get(place)?;
            let name = format!("{start}grad.{name}");
            report.values(GRADIENT, &name, &place.shape, found)?;
        }
    }
    Ok(report.finish())
}

/// The noisy images and what the network is told of their times.
fn noisy<B: Backend>(
    report: &mut FixtureReport,
    fixture: &Fixture,
    noise: Tensor<B, 4>,
    device: &B::Device,
) -> Result<(Tensor<B, 4>, Vec<f32>)> {
    let (schedule, times): (Box<dyn NoiseSchedule>, Vec<f64>) =
        match fixture.get::<String>("schedule")?.as_str() {
            "vpsde" => {
                let times = values::<f64>(report.tensors(), "in.t")?;
                (Box::new(VpLinear::default()), times)
            }
            "discrete" => {
                let schedule = DiscreteSchedule::stable_diffusion(StepNumbering::FromOne);
                let trained = schedule.betas().len() as f64;
                let steps = values::<f64>(report.tensors(), "in.n")?;
                let times = steps.into_iter().map(|step| step / trained);
                (Box::new(schedule), times.collect())
            }
            other => bail!("nothing is known of the schedule '{other}'"),
        };
    let images = input::<B, 4>(report.tensors(), "in.x0", device)?;
    let noisy = diffuse(schedule.as_ref(), images, noise, &times);
    report.tensor(LOSS, "xt", noisy.clone())?;
    let timesteps = times
        .iter()
        .map(|&time| schedule.network_timestep(time) as f32);
    Ok((noisy, timesteps.collect()))
}

/// Compares the losses of a form and gives the joint objective `[batch]`.
fn compare_losses<B: Backend>(
    report: &mut FixtureReport,
    layers: &LayerPredictions<B>,
    noise: Tensor<B, 4>,
    form: LossForm,
) -> Result<Tensor<B, 1>> {
    let (u, g) = (layers.uncertainty.as_slice(), layers.noise.as_slice());
    let joint = joint_objective(u, g, noise.clone(), JointWeights::default(), form);
    match form {
        LossForm::Published => {
            report.tensor(LOSS, "simple", joint.simple)?;
            report.tensor(LOSS, "lte", joint.uncertainty)?;
            report.tensor(LOSS, "lte", uncertainty_loss_published(u, g, noise.clone()))?;
            report.tensor(LOSS, "layer_wise", joint.layer_wise)?;
            report.tensor(LOSS, "layer_wise", ual_published(u, g, noise))?;
            report.tensor(LOSS, "total", joint.total.clone())?;
        }
        LossForm::Paper => {
            report.tensor(LOSS, "paper.u", joint.uncertainty)?;
            report.tensor(LOSS, "paper.u", uncertainty_loss(u, g, noise.clone()))?;
            report.tensor(LOSS, "paper.ual", joint.layer_wise)?;
            report.tensor(LOSS, "paper.ual", ual_paper(u, g, noise))?;
            report.tensor(LOSS, "paper.total", joint.total.clone())?;
        }
    }
    Ok(joint.total)
}

/// The paper's losses block by block.
fn per_layer<B: Backend>(
    report: &mut FixtureReport,
    layers: &LayerPredictions<B>,
    noise: Tensor<B, 4>,
) -> Result<()> {
    let blocks = layers.uncertainty.iter().zip(&layers.noise);
    let mut uncertainty = Vec::new();
    let mut layer_wise = Vec::new();
    for (u, g) in blocks {
        uncertainty.push(uncertainty_loss(from_ref(u), from_ref(g), noise.clone()));
        // The loss leaves out the last of its blocks; it is given each block twice.
        let twice = |map: &Tensor<B, 4>| [map.clone(), map.clone()];
        layer_wise.push(ual_paper(&twice(u), &twice(g), noise.clone()));
    }
    report.tensor(
        LOSS,
        "paper.u_layers",
        Tensor::<B, 1>::stack::<2>(uncertainty, 1),
    )?;
    let layer_wise = Tensor::<B, 1>::stack::<2>(layer_wise, 1);
    report.tensor(LOSS, "paper.ual_layers", layer_wise.clone())?;
    let all: Tensor<B, 1> = layer_wise.sum_dim(1).squeeze_dim(1);
    report.tensor(LOSS, "paper.ual_all", all)
}

/// Gradients by the path of their parameter.
struct Gradients(HashMap<String, Vec<f32>>);

impl Gradients {
    fn new<B: Kernels>(loss: Tensor<Autodiff<B>, 1>, model: &AdaDiff<Autodiff<B>>) -> Self {
        Self(gradients(loss, model).into_iter().collect())
    }

    /// The gradient with respect to the published parameter.
    fn get(&self, place: &Placement) -> Result<Vec<f64>> {
        let path = place.path.as_ref().context("an unused parameter")?;
        let found = self.0.get(path);
        let found = found.with_context(|| format!("{path} has no gradient"))?;
        let sign = if place.negated { -1.0 } else { 1.0 };
        let found: Vec<f64> = found.iter().map(|&value| sign * f64::from(value)).collect();
        Ok(match place.shape.as_slice() {
            // Linear weights are transposed here; an embedding is the only other matrix.
            &[outputs, inputs] if path != "backbone.label_emb.weight" => (0..outputs * inputs)
                .map(|index| found[index % inputs * outputs + index / inputs])
                .collect(),
            _ => found,
        })
    }
}
