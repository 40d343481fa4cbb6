//! Images to latents and back.

use adadiff_model::autoencoder::{AutoencoderConfig, AutoencoderHints};
use adadiff_model::kernels::Kernels;
use adadiff_weights::WeightFile;
use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::fixture::{Fixture, input};
use crate::report::{Report, Rule};

const RULE: Rule = Rule::Scaled(1e-4);

/// What the published class is built with, under its names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    double_z: bool,
    z_channels: usize,
    resolution: usize,
    in_channels: usize,
    out_ch: usize,
    ch: usize,
    ch_mult: Vec<usize>,
    num_res_blocks: usize,
    attn_resolutions: Vec<usize>,
    /// Nothing is dropped from a network that is not trained.
    #[serde(default, rename = "dropout")]
    _dropout: f64,
}

/// Our configuration of the same network.
fn config(fixture: &Fixture) -> Result<AutoencoderConfig> {
    let published: Published = fixture.get("ddconfig")?;
    ensure!(published.double_z, "moments without a log-variance");
    Ok(AutoencoderConfig {
        resolution: published.resolution,
        in_channels: published.in_channels,
        out_channels: published.out_ch,
        channels: published.ch,
        channel_multipliers: published.ch_mult,
        residual_blocks: published.num_res_blocks,
        attention_resolutions: published.attn_resolutions,
        z_channels: published.z_channels,
        latent_channels: fixture.get("embed_dim")?,
        scale_factor: fixture.get("scale_factor")?,
    })
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<Report> {
    let mut report = Report::new(fixture)?;
    let mut config = config(fixture)?;
    // As the tensors tell them: from the level of the largest images to that of the smallest.
    config.attention_resolutions.sort_by(|a, b| b.cmp(a));
    let image = input::<B, 4>(report.tensors(), "in.image", device)?;
    let noise = input::<B, 4>(report.tensors(), "in.eps", device)?;
    let clamped = input::<B, 4>(report.tensors(), "in.moments_clamp", device)?;
    let latents = input::<B, 4>(report.tensors(), "in.z_dec", device)?;
    for weights in fixture.weights()? {
        let file = WeightFile::open(&weights)?;
        let hints = AutoencoderHints {
            resolution: config.resolution,
            scale_factor: config.scale_factor,
        };
        let inferred = AutoencoderConfig::infer(&file, hints)?;
        ensure!(
            inferred == config,
            "the weights tell {inferred:?} instead of {config:?}"
        );
        let network = config.import::<B>(&file, device)?;
        report.tensor(RULE, "moments", network.encode_moments(image.clone())?)?;
        let z = network.encode(image.clone(), noise.clone())?;
        report.tensor(RULE, "z", z.clone())?;
        let z_clamp = network.sample(clamped.clone(), noise.clone())?;
        report.tensor(RULE, "z_clamp", z_clamp)?;
        report.tensor(RULE, "decoded", network.decode(latents.clone())?)?;
        report.tensor(RULE, "recon", network.decode(z)?)?;
    }
    Ok(report.finish())
}
