//! From 35x35 to 17x17 positions.

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Convolution;
use super::convolution::{same_convolution, unpadded};
use super::pooling::halving_maximum;

/// Three branches of stride 2.
#[derive(Module, Debug)]
pub struct BlockB<B: Backend> {
    branch3x3: Convolution<B>,
    branch3x3dbl_1: Convolution<B>,
    branch3x3dbl_2: Convolution<B>,
    branch3x3dbl_3: Convolution<B>,
}

impl<B: Kernels> BlockB<B> {
    /// A block of `inputs` channels.
    pub(super) fn init(inputs: usize, device: &B::Device) -> Self {
        Self {
            branch3x3: unpadded(inputs, 384, 3).halving().init(device),
            branch3x3dbl_1: unpadded(inputs, 64, 1).init(device),
            branch3x3dbl_2: same_convolution(64, 96, [3, 3]).init(device),
            branch3x3dbl_3: unpadded(96, 96, 3).halving().init(device),
        }
    }

    /// # Shapes
    /// `[batch, inputs, height, width]` to `[batch, 480 + inputs, height / 2, width / 2]`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let single = self.branch3x3.forward(x.clone());
        let double = self.branch3x3dbl_1.forward(x.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let double = self.branch3x3dbl_3.forward(double);
        Tensor::cat(vec![single, double, halving_maximum(x)], 1)
    }
}
