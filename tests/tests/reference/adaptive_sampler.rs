//! A sampling run whose network evaluations end early, sample by sample.

use adadiff_model::kernels::Kernels;
use adadiff_uem::AdaptiveUVit;
use anyhow::Result;

use crate::exit::policy;
use crate::fixture::{Fixture, values};
use crate::report::FixtureReport;
use crate::{network, sampler};

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let (published, model) = network::only::<B>(fixture, device)?;
    let certainty: f64 = fixture.get("threshold")?;
    let denoiser = AdaptiveUVit::new(&model, policy(published.class, certainty));
    let run = sampler::run::<B>(fixture, &mut report, &denoiser, device)?;

    // The published code ran one sample at a time; here they share batches.
    let last = model.backbone.num_blocks() as i64 - 1;
    let expected = values::<i64>(report.tensors(), "out.exit_layer")?;
    let expected: Vec<i64> = expected.into_iter().map(|exit| exit.min(last)).collect();
    let steps = run.samples.trace.steps.iter();
    let found: Vec<i64> = steps
        .flat_map(|step| &step.blocks)
        .map(|&blocks| i64::from(blocks) - 1)
        .collect();
    report.equal("exit_layer", &found, &expected);
    Ok(report.finish())
}
