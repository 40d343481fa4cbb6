//! Images to moments, before their last 1x1 convolution.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::AutoencoderConfig;
use super::layers::{
    Middle, PixelAttention, ResidualBlock, convolution, convolve, halving, level_blocks, norm,
    run_blocks,
};
use crate::kernels::{Kernels, group_norm};

/// A level of the encoder.
#[derive(Module, Debug)]
pub struct DownLevel<B: Backend> {
    pub block: Vec<ResidualBlock<B>>,
    /// The attention after each block, or none.
    pub attn: Vec<PixelAttention<B>>,
    /// The convolution that halves height and width; the last level has none.
    pub downsample: Option<Conv2d<B>>,
}

/// The encoder: levels of shrinking images, the middle, and a convolution to the moments.
#[derive(Module, Debug)]
pub struct AutoencoderEncoder<B: Backend> {
    pub conv_in: Conv2d<B>,
    /// The levels, largest images first.
    pub down: Vec<DownLevel<B>>,
    pub mid: Middle<B>,
    pub norm_out: GroupNorm<B>,
    /// The last convolution, to twice the z channels.
    pub conv_out: Conv2d<B>,
}

impl<B: Kernels> AutoencoderEncoder<B> {
    pub(super) fn init(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let levels = config.encoder_levels();
        let last = levels.len() - 1;
        let down = levels.iter().enumerate().map(|(index, level)| {
            let (block, attn) = level_blocks(level, device);
            DownLevel {
                block,
                attn,
                downsample: (index < last).then(|| halving(level.channels, device)),
            }
        });
        let innermost = config.innermost_channels();
        Self {
            conv_in: convolution([config.in_channels, config.channels], 3, device),
            down: down.collect(),
            mid: Middle::init(innermost, device),
            norm_out: norm(innermost, device),
            conv_out: convolution([innermost, 2 * config.z_channels], 3, device),
        }
    }

    /// Images `[batch, in_channels, height, width]` to `[batch, 2 z_channels, height / reduction,
    /// width / reduction]`.
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = convolve(&self.conv_in, images);
        for level in &self.down {
            x = run_blocks(&level.block, &level.attn, x);
            if let Some(convolution) = &level.downsample {
                x = convolve(convolution, x);
            }
        }
        let x = group_norm(self.mid.forward(x), &self.norm_out, true);
        convolve(&self.conv_out, x)
    }
}
