//! What the network predicts and how sure it is, after every block.

use adadiff_model::kernels::Kernels;
use anyhow::Result;

use crate::fixture::{Fixture, condition, input, values};
use crate::network::{self, Published};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Scaled(1e-4);

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let published: Published = fixture.get("model")?;
    let x = input::<B, 4>(report.tensors(), "in.x", device)?;
    let timesteps = values::<f32>(report.tensors(), "in.timesteps")?;
    let condition = condition(report.tensors(), device)?;
    for weights in fixture.weights()? {
        let model = network::load::<B>(&published, &weights, device)?;
        let noise = model.backbone.forward(x.clone(), &timesteps, &condition)?;
        report.tensor(RULE, "noise", noise)?;
        let layers = model.layer_predictions(x.clone(), &timesteps, &condition)?;
        for (block, noise) in layers.noise.into_iter().enumerate() {
            report.tensor(RULE, &format!("inner.{block}"), noise)?;
        }
        for (block, uncertainty) in layers.uncertainty.into_iter().enumerate() {
            let certainty = uncertainty.neg() + 1.0;
            report.tensor(RULE, &format!("certainty.{block}"), certainty)?;
        }
    }
    Ok(report.finish())
}
