//! The networks of the fixtures.

use std::path::Path;

use adadiff_model::kernels::Kernels;
use adadiff_model::{ImportHints, TextConfig, UVitConfig};
use adadiff_uem::{AdaDiff, AdaDiffConfig, EstimatorForm};
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::fixture::Fixture;

/// The published classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Unconditional and class-conditional.
    Uvit,
    /// Text-conditional.
    UvitT2i,
}

/// What a published class is built with, under its names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub class: Class,
    img_size: usize,
    patch_size: usize,
    in_chans: usize,
    embed_dim: usize,
    pub depth: usize,
    num_heads: usize,
    mlp_ratio: f64,
    qkv_bias: bool,
    mlp_time_embed: bool,
    /// No class token where it is not positive.
    #[serde(default)]
    num_classes: i64,
    #[serde(default)]
    clip_dim: usize,
    #[serde(default)]
    num_clip_token: usize,
    conv: bool,
    skip: bool,
}

impl Published {
    /// Our configuration of the same network.
    pub fn config(&self) -> AdaDiffConfig {
        let text = TextConfig {
            tokens: self.num_clip_token,
            width: self.clip_dim,
        };
        let backbone = UVitConfig {
            image_size: self.img_size,
            patch_size: self.patch_size,
            channels: self.in_chans,
            width: self.embed_dim,
            depth: self.depth,
            heads: self.num_heads,
            mlp_ratio: self.mlp_ratio,
            qkv_bias: self.qkv_bias,
            time_mlp: self.mlp_time_embed,
            classes: usize::try_from(self.num_classes)
                .ok()
                .filter(|&classes| classes > 0),
            text: (self.class == Class::UvitT2i).then_some(text),
            long_skips: self.skip,
            final_convolution: self.conv,
        };
        AdaDiffConfig {
            estimator: EstimatorForm::Tokens,
            ..AdaDiffConfig::new(backbone)
        }
    }

    /// What the weights do not tell.
    pub fn hints(&self) -> ImportHints {
        ImportHints {
            heads: self.num_heads,
            text_tokens: (self.class == Class::UvitT2i).then_some(self.num_clip_token),
        }
    }
}

/// The network of a fixture with the weights of a file, after checking that the file tells the
/// fixture's configuration.
pub fn load<B: Kernels>(
    published: &Published,
    weights: &Path,
    device: &B::Device,
) -> Result<AdaDiff<B>> {
    let file = WeightFile::open(weights)?;
    let config = published.config();
    let mut inferred = AdaDiffConfig::infer(&file, published.hints())?;
    if inferred.backbone.mlp_width() == config.backbone.mlp_width() {
        // Several ratios have the same width.
        inferred.backbone.mlp_ratio = config.backbone.mlp_ratio;
    }
    ensure!(
        inferred == config,
        "the weights tell {inferred:?} instead of {config:?}"
    );
    Ok(config.import::<B>(&file, device)?)
}

/// The network of a fixture that has one file of weights.
pub fn only<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<(Published, AdaDiff<B>)> {
    let published: Published = fixture.get("model")?;
    let weights = fixture.weights()?;
    let first = weights.first().context("config.json names no weights")?;
    let model = load::<B>(&published, first, device)?;
    Ok((published, model))
}
