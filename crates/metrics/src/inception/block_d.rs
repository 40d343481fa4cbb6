//! From 17x17 to 8x8 positions.

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Convolution;
use super::convolution::{same_convolution, unpadded};
use super::pooling::halving_maximum;

/// Channels of the input.
const CHANNELS: usize = 768;

/// Three branches of stride 2.
#[derive(Module, Debug)]
pub struct BlockD<B: Backend> {
    branch3x3_1: Convolution<B>,
    branch3x3_2: Convolution<B>,
    branch7x7x3_1: Convolution<B>,
    branch7x7x3_2: Convolution<B>,
    branch7x7x3_3: Convolution<B>,
    branch7x7x3_4: Convolution<B>,
}

impl<B: Kernels> BlockD<B> {
    pub(super) fn init(device: &B::Device) -> Self {
        Self {
            branch3x3_1: unpadded(CHANNELS, 192, 1).init(device),
            branch3x3_2: unpadded(192, 320, 3).halving().init(device),
            branch7x7x3_1: unpadded(CHANNELS, 192, 1).init(device),
            branch7x7x3_2: same_convolution(192, 192, [1, 7]).init(device),
            branch7x7x3_3: same_convolution(192, 192, [7, 1]).init(device),
            branch7x7x3_4: unpadded(192, 192, 3).halving().init(device),
        }
    }

    /// # Shapes
    /// `[batch, 768, height, width]` to `[batch, 1280, height / 2, width / 2]`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let small = self.branch3x3_1.forward(x.clone());
        let small = self.branch3x3_2.forward(small);
        let large = self.branch7x7x3_1.forward(x.clone());
        let large = self.branch7x7x3_2.forward(large);
        let large = self.branch7x7x3_3.forward(large);
        let large = self.branch7x7x3_4.forward(large);
        Tensor::cat(vec![small, large, halving_maximum(x)], 1)
    }
}
