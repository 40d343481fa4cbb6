//! Images to latents and back.

use std::path::{Path, PathBuf};

use adadiff_model::autoencoder::{AutoencoderConfig, AutoencoderHints};
use adadiff_model::kernels::Kernels;
use adadiff_tests::{write_pytorch, write_safetensors};
use adadiff_weights::WeightFile;
use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::fixture::{Fixture, input};
use crate::report::{FixtureReport, Rule};

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

/// Writes the weights of a network of two levels in diffusers' layout, as `.safetensors` with the
/// present names of attention's layers and as `.bin` with the older ones.
fn in_diffusers_layout(weights: &Path, folder: &Path) -> Result<[PathBuf; 2]> {
    let file = WeightFile::open(weights)?;
    let present = [".to_q.", ".to_k.", ".to_v.", ".to_out.0."];
    let older = [".query.", ".key.", ".value.", ".proj_attn."];
    let mut tensors = [Vec::new(), Vec::new()];
    for name in file.tensors().keys() {
        let is_attention = name.contains("attn");
        for (tensors, layers) in tensors.iter_mut().zip([present, older]) {
            let mut data = file.read(name)?;
            let mut renamed = name
                .replace("encoder.down.", "encoder.down_blocks.")
                .replace("decoder.up.0.", "decoder.up_blocks.1.")
                .replace("decoder.up.1.", "decoder.up_blocks.0.")
                .replace(".mid.block_1.", ".mid_block.resnets.0.")
                .replace(".mid.block_2.", ".mid_block.resnets.1.")
                .replace(".mid.attn_1.", ".mid_block.attentions.0.")
                .replace(".block.", ".resnets.")
                .replace(".attn.", ".attentions.")
                .replace(".downsample.conv.", ".downsamplers.0.conv.")
                .replace(".upsample.conv.", ".upsamplers.0.conv.")
                .replace(".norm_out.", ".conv_norm_out.")
                .replace(".nin_shortcut.", ".conv_shortcut.");
            if is_attention {
                renamed = renamed.replace(".norm.", ".group_norm.");
                for (original, layer) in [".q.", ".k.", ".v.", ".proj_out."].iter().zip(layers) {
                    renamed = renamed.replace(original, layer);
                }
                if let [outputs, inputs, 1, 1] = data.shape.to_vec()[..] {
                    data.shape = vec![outputs, inputs].into();
                }
            }
            tensors.push((renamed, data));
        }
    }
    let files = ["vae.safetensors", "vae.bin"].map(|name| folder.join(name));
    write_safetensors(&files[0], &tensors[0])?;
    write_pytorch(&files[1], &tensors[1])?;
    let names = WeightFile::open(&files[1])?;
    for name in [
        "encoder.mid_block.attentions.0.query.weight",
        "decoder.up_blocks.0.upsamplers.0.conv.bias",
    ] {
        ensure!(names.shape(name).is_some(), "{name} was not written");
    }
    Ok(files)
}

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let mut config = config(fixture)?;
    // As the tensors tell them: from the level of the largest images to that of the smallest.
    config.attention_resolutions.sort_by(|a, b| b.cmp(a));
    let image = input::<B, 4>(report.tensors(), "in.image", device)?;
    let noise = input::<B, 4>(report.tensors(), "in.eps", device)?;
    let clamped = input::<B, 4>(report.tensors(), "in.moments_clamp", device)?;
    let latents = input::<B, 4>(report.tensors(), "in.z_dec", device)?;
    let folder = tempfile::tempdir()?;
    let mut files = fixture.weights()?;
    let converted = in_diffusers_layout(&files[0], folder.path())?;
    files.extend(converted);
    for weights in files {
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
