//! What encoder and decoder are made of.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;

use super::config::{GROUPS, Level};
use crate::kernels::{self, Kernels, group_norm};

const EPSILON: f64 = 1e-6;

pub(super) fn norm<B: Backend>(channels: usize, device: &B::Device) -> GroupNorm<B> {
    GroupNormConfig::new(GROUPS, channels)
        .with_epsilon(EPSILON)
        .init(device)
}

/// A convolution that keeps height and width; its kernel is odd.
pub(super) fn convolution<B: Backend>(
    channels: [usize; 2],
    kernel: usize,
    device: &B::Device,
) -> Conv2d<B> {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init(device)
}

/// A convolution that halves height and width; only the bottom and the right are padded.
pub(super) fn halving<B: Backend>(channels: usize, device: &B::Device) -> Conv2d<B> {
    Conv2dConfig::new([channels, channels], [3, 3])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
        .init(device)
}

/// What a layer makes of `[batch, channels, height, width]`.
pub(super) fn convolve<B: Kernels>(layer: &Conv2d<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
    kernels::convolution(x, layer, None, false)
}

/// Every pixel four times: the nearest neighbours at double height and width.
pub(super) fn double<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .repeat(&[1, 1, 1, 2, 1, 2])
        .reshape([batch, channels, 2 * height, 2 * width])
}

/// The residual blocks of a level, and the attention after each or none.
pub(super) fn level_blocks<B: Kernels>(
    level: &Level,
    device: &B::Device,
) -> (Vec<ResidualBlock<B>>, Vec<PixelAttention<B>>) {
    let blocks = level.blocks.iter();
    let attention = blocks.clone().filter(|_| level.attention);
    (
        blocks
            .map(|&channels| ResidualBlock::init(channels, device))
            .collect(),
        attention
            .map(|_| PixelAttention::init(level.channels, device))
            .collect(),
    )
}

/// Two convolutions beside a short cut:
/// `shortcut x + conv2 swish norm2 conv1 swish norm1 x`.
#[derive(Module, Debug)]
pub struct ResidualBlock<B: Backend> {
    pub norm1: GroupNorm<B>,
    /// Input channels to output channels.
    pub conv1: Conv2d<B>,
    pub norm2: GroupNorm<B>,
    /// Output channels to output channels.
    pub conv2: Conv2d<B>,
    /// The short cut's 1x1 convolution, where the number of channels changes.
    pub nin_shortcut: Option<Conv2d<B>>,
}

impl<B: Kernels> ResidualBlock<B> {
    pub(super) fn init([inputs, outputs]: [usize; 2], device: &B::Device) -> Self {
        Self {
            norm1: norm(inputs, device),
            conv1: convolution([inputs, outputs], 3, device),
            norm2: norm(outputs, device),
            conv2: convolution([outputs, outputs], 3, device),
            nin_shortcut: (inputs != outputs).then(|| convolution([inputs, outputs], 1, device)),
        }
    }

    /// Runs the block on `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let hidden = convolve(&self.conv1, group_norm(x.clone(), &self.norm1, true));
        let hidden = convolve(&self.conv2, group_norm(hidden, &self.norm2, true));
        let shortcut = match &self.nin_shortcut {
            Some(convolution) => convolve(convolution, x),
            None => x,
        };
        shortcut + hidden
    }
}

/// Self-attention of one head between the pixels of an image.
#[derive(Module, Debug)]
pub struct PixelAttention<B: Backend> {
    pub norm: GroupNorm<B>,
    /// The 1x1 convolution to queries.
    pub q: Conv2d<B>,
    /// The 1x1 convolution to keys.
    pub k: Conv2d<B>,
    /// The 1x1 convolution to values.
    pub v: Conv2d<B>,
    /// The 1x1 convolution of the attended values.
    pub proj_out: Conv2d<B>,
}

impl<B: Kernels> PixelAttention<B> {
    pub(super) fn init(channels: usize, device: &B::Device) -> Self {
        let projection = || convolution([channels, channels], 1, device);
        Self {
            norm: norm(channels, device),
            q: projection(),
            k: projection(),
            v: projection(),
            proj_out: projection(),
        }
    }

    /// Adds to `[batch, channels, height, width]` what its pixels attend to.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = x.dims();
        let normed = group_norm(x.clone(), &self.norm, false);
        let columns = |layer: &Conv2d<B>| {
            let pixels = convolve(layer, normed.clone());
            pixels.reshape([batch, channels, height * width])
        };
        let scale = (channels as f64).powf(-0.5);
        let query = columns(&self.q).swap_dims(1, 2); // [batch, pixels, channels]
        let scores = query.matmul(columns(&self.k)) * scale; // [batch, pixels, pixels]
        let weights = softmax(scores, 2);
        let attended = weights.matmul(columns(&self.v).swap_dims(1, 2));
        let attended = attended
            .swap_dims(1, 2)
            .reshape([batch, channels, height, width]);
        x + convolve(&self.proj_out, attended)
    }
}

/// The innermost part of an encoder or a decoder.
#[derive(Module, Debug)]
pub struct Middle<B: Backend> {
    /// The first residual block.
    pub block_1: ResidualBlock<B>,
    /// The attention between the blocks.
    pub attn_1: PixelAttention<B>,
    /// The second residual block.
    pub block_2: ResidualBlock<B>,
}

impl<B: Kernels> Middle<B> {
    pub(super) fn init(channels: usize, device: &B::Device) -> Self {
        Self {
            block_1: ResidualBlock::init([channels, channels], device),
            attn_1: PixelAttention::init(channels, device),
            block_2: ResidualBlock::init([channels, channels], device),
        }
    }

    /// Runs both blocks and the attention on `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.block_2
            .forward(self.attn_1.forward(self.block_1.forward(x)))
    }
}

/// Runs the residual blocks of a level, each followed by its attention where the level has any.
pub(super) fn run_blocks<B: Kernels>(
    blocks: &[ResidualBlock<B>],
    attention: &[PixelAttention<B>],
    x: Tensor<B, 4>,
) -> Tensor<B, 4> {
    blocks.iter().enumerate().fold(x, |x, (index, block)| {
        let x = block.forward(x);
        match attention.get(index) {
            Some(attention) => attention.forward(x),
            None => x,
        }
    })
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::{double, norm};
    use burn::tensor::{Tensor, TensorData};
    use burn_flex::Flex;

    #[test]
    fn norms_have_their_groups_and_their_epsilon() {
        // Two channels a group, of the values -d and d: a mean of zero and a variance of d².
        let deviations = [1e-3, 10.0];
        let values: Vec<f32> = (0..64)
            .map(|channel| deviations[channel / 2 % 2] * [-1.0, 1.0][channel % 2])
            .collect();
        let x = TensorData::new(values.clone(), [1, 64, 1, 1]);
        let device = Default::default();
        let normed = norm::<Flex>(64, &device).forward(Tensor::<Flex, 4>::from_data(x, &device));
        let found: Vec<f32> = normed.into_data().into_vec().unwrap();
        for (found, value) in found.into_iter().zip(values) {
            let expected = value / (value * value + 1e-6).sqrt();
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        }
    }

    #[test]
    fn doubling_repeats_every_pixel_in_both_directions() {
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let x = TensorData::new(values, [1, 2, 2, 3]);
        let x = Tensor::<Flex, 4>::from_data(x, &Default::default());
        let doubled: Vec<f32> = double(x).into_data().into_vec().unwrap();
        let rows: Vec<_> = doubled.chunks(6).collect();
        assert_eq!(rows[0], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(rows[1], rows[0]);
        assert_eq!(rows[2], [3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
        assert_eq!(rows[7], [9.0, 9.0, 10.0, 10.0, 11.0, 11.0]);
    }
}
