//! Latents to images, after their first 1x1 convolution.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::AutoencoderConfig;
use super::layers::{
    Middle, PixelAttention, ResidualBlock, convolution, convolve, double, level_blocks, norm,
    run_blocks,
};
use crate::kernels::{Kernels, group_norm};

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct UpLevel<B: Backend> {
    pub block: Vec<ResidualBlock<B>>,
    /// The attention after each block, or none.
    pub attn: Vec<PixelAttention<B>>,
    /// The convolution after doubling height and width; the level of the largest images has none.
    pub upsample: Option<Conv2d<B>>,
}

/// The decoder: a convolution, the middle, and levels of growing images.
#[derive(Module, Debug)]
pub struct AutoencoderDecoder<B: Backend> {
    pub conv_in: Conv2d<B>,
    pub mid: Middle<B>,
    /// The levels as they are numbered, largest images first; they are run from the last.
    pub up: Vec<UpLevel<B>>,
    pub norm_out: GroupNorm<B>,
    /// The last convolution, to the images' channels.
    pub conv_out: Conv2d<B>,
}

impl<B: Kernels> AutoencoderDecoder<B> {
    pub(super) fn init(config: &AutoencoderConfig, device: &B::Device) -> Self {
        let levels = config.decoder_levels();
        let up = levels.iter().enumerate().map(|(index, level)| {
            let (block, attn) = level_blocks(level, device);
            let channels = [level.channels, level.channels];
            UpLevel {
                block,
                attn,
                upsample: (index > 0).then(|| convolution(channels, 3, device)),
            }
        });
        let innermost = config.innermost_channels();
        let outermost = levels[0].channels;
        Self {
            conv_in: convolution([config.z_channels, innermost], 3, device),
            mid: Middle::init(innermost, device),
            up: up.collect(),
            norm_out: norm(outermost, device),
            conv_out: convolution([outermost, config.out_channels], 3, device),
        }
    }

    /// `[batch, z_channels, height, width]` to images `[batch, out_channels, reduction height,
    /// reduction width]`.
    pub fn forward(&self, z: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = self.mid.forward(convolve(&self.conv_in, z));
        for level in self.up.iter().rev() {
            x = run_blocks(&level.block, &level.attn, x);
            if let Some(convolution) = &level.upsample {
                x = convolve(convolution, double(x));
            }
        }
        convolve(&self.conv_out, group_norm(x, &self.norm_out, true))
    }
}
