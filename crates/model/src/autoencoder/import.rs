//! Published autoencoder weights: names and shapes as Stable Diffusion's code has them, and the U-ViT
//! repository, or as diffusers has them.

use crate::kernels::Kernels;
use adadiff_weights::{Placements, WeightFile};

use super::config::Level;
use super::layout::Layout;
use super::{Autoencoder, AutoencoderConfig};
use crate::import::dims;
use crate::{ImportError, ModelError};

/// What the tensors of a file do not tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoencoderHints {
    /// Height and width of the images it was trained on.
    pub resolution: usize,
    /// What latents are multiplied by.
    pub scale_factor: f64,
}

impl Default for AutoencoderHints {
    /// As Stable Diffusion has them.
    fn default() -> Self {
        let published = AutoencoderConfig::stable_diffusion();
        Self {
            resolution: published.resolution,
            scale_factor: published.scale_factor,
        }
    }
}

impl AutoencoderConfig {
    /// A tensor that every such network has, by which it is found in a file.
    pub const LANDMARK: &str = "encoder.conv_in.weight";

    /// Tells the configuration from the tensors of a file.
    ///
    /// # Errors
    /// Where a tensor that tells something is missing, or the tensors contradict each other.
    pub fn infer(file: &WeightFile, hints: AutoencoderHints) -> Result<Self, ImportError> {
        let file = &*file.network(Self::LANDMARK)?;
        let layout = Layout::detect(file);
        let sizes = |name: &str| dims::<4>(file, "autoencoder", &layout.encoder_name(name));
        let has = |name: String| file.shape(&layout.encoder_name(&name)).is_some();
        let [channels, in_channels, ..] = sizes(Self::LANDMARK)?;
        let [out_channels, ..] = sizes("decoder.conv_out.weight")?;
        let [_, z_channels, ..] = sizes("decoder.conv_in.weight")?;
        let [_, latent_channels, ..] = sizes("post_quant_conv.weight")?;
        let mut channel_multipliers = Vec::new();
        let mut attention_resolutions = Vec::new();
        while channel_multipliers.is_empty()
            || has(format!(
                "encoder.down.{}.block.0.conv1.weight",
                channel_multipliers.len()
            ))
        {
            let level = channel_multipliers.len();
            let name = format!("encoder.down.{level}.block.0.conv1.weight");
            let [outputs, ..] = sizes(&name)?;
            if channels == 0 || !outputs.is_multiple_of(channels) {
                return Err(ImportError::Unclear {
                    path: file.path().to_owned(),
                    reason: format!(
                        "{name} has {outputs} outputs, which is no multiple of the {channels} of \
                         encoder.conv_in"
                    ),
                });
            }
            channel_multipliers.push(outputs / channels);
            if has(format!("encoder.down.{level}.attn.0.norm.weight")) {
                let height = u32::try_from(level)
                    .ok()
                    .and_then(|level| hints.resolution.checked_shr(level));
                attention_resolutions.extend(height);
            }
        }
        let residual_blocks = (0..)
            .take_while(|block| has(format!("encoder.down.0.block.{block}.conv1.weight")))
            .count();
        let config = Self {
            resolution: hints.resolution,
            in_channels,
            out_channels,
            channels,
            channel_multipliers,
            residual_blocks,
            attention_resolutions,
            z_channels,
            latent_channels,
            scale_factor: hints.scale_factor,
        };
        config.validate()?;
        Ok(config)
    }

    /// Builds the network and loads the weights of a file into it.
    ///
    /// # Errors
    /// Where the file does not hold exactly the tensors that the configuration needs, or the
    /// configuration describes no network.
    pub fn import<B: Kernels>(
        &self,
        file: &WeightFile,
        device: &B::Device,
    ) -> Result<Autoencoder<B>, ImportError> {
        let file = file.network(Self::LANDMARK)?;
        let levels = self.channel_multipliers.len();
        let placements = Layout::detect(&file).published(self.placements()?, levels);
        let placed = file.place(placements)?;
        Ok(placed.load_into::<B, _>(self.init(device)?)?)
    }

    /// The published tensors of such a network, by their names in Stable Diffusion's code, and their
    /// places in [`Autoencoder`].
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn placements(&self) -> Result<Placements, ModelError> {
        self.validate()?;
        let mut list = Layers::default();
        let (z, latent) = (self.z_channels, self.latent_channels);
        let innermost = self.innermost_channels();

        list.convolution("encoder.conv_in", [self.in_channels, self.channels], 3);
        let levels = self.encoder_levels();
        for (index, level) in levels.iter().enumerate() {
            let path = format!("encoder.down.{index}");
            list.level(&path, level);
            if index + 1 < levels.len() {
                list.resampling(&format!("{path}.downsample"), level.channels);
            }
        }
        list.middle("encoder.mid", innermost);
        list.norm("encoder.norm_out", innermost);
        list.convolution("encoder.conv_out", [innermost, 2 * z], 3);
        list.convolution("quant_conv", [2 * z, 2 * latent], 1);

        list.convolution("post_quant_conv", [latent, z], 1);
        list.convolution("decoder.conv_in", [z, innermost], 3);
        list.middle("decoder.mid", innermost);
        let levels = self.decoder_levels();
        for (index, level) in levels.iter().enumerate() {
            let path = format!("decoder.up.{index}");
            list.level(&path, level);
            if index > 0 {
                list.resampling(&format!("{path}.upsample"), level.channels);
            }
        }
        let outermost = levels[0].channels;
        list.norm("decoder.norm_out", outermost);
        list.convolution("decoder.conv_out", [outermost, self.out_channels], 3);
        Ok(list.0)
    }
}

/// Placements of layers that are named as published.
#[derive(Default)]
struct Layers(Placements);

impl Layers {
    fn convolution(&mut self, path: &str, channels: [usize; 2], kernel: usize) {
        self.0.convolution(path, path, channels, kernel);
    }

    fn norm(&mut self, path: &str, channels: usize) {
        self.0.norm(path, path, channels);
    }

    /// The convolution that is published as the only part of a resampling layer.
    fn resampling(&mut self, path: &str, channels: usize) {
        let published = format!("{path}.conv");
        self.0
            .convolution(&published, path, [channels, channels], 3);
    }

    fn level(&mut self, path: &str, level: &Level) {
        for (block, &channels) in level.blocks.iter().enumerate() {
            self.residual_block(&format!("{path}.block.{block}"), channels);
            if level.attention {
                self.attention(&format!("{path}.attn.{block}"), level.channels);
            }
        }
    }

    fn middle(&mut self, path: &str, channels: usize) {
        self.residual_block(&format!("{path}.block_1"), [channels, channels]);
        self.attention(&format!("{path}.attn_1"), channels);
        self.residual_block(&format!("{path}.block_2"), [channels, channels]);
    }

    fn residual_block(&mut self, path: &str, [inputs, outputs]: [usize; 2]) {
        self.norm(&format!("{path}.norm1"), inputs);
        self.convolution(&format!("{path}.conv1"), [inputs, outputs], 3);
        self.norm(&format!("{path}.norm2"), outputs);
        self.convolution(&format!("{path}.conv2"), [outputs, outputs], 3);
        if inputs != outputs {
            self.convolution(&format!("{path}.nin_shortcut"), [inputs, outputs], 1);
        }
    }

    fn attention(&mut self, path: &str, channels: usize) {
        self.norm(&format!("{path}.norm"), channels);
        for layer in ["q", "k", "v", "proj_out"] {
            self.convolution(&format!("{path}.{layer}"), [channels, channels], 1);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "import_tests.rs"]
mod tests;
