//! The blocks on 35x35 positions (Szegedy et al. 2016, arXiv 1512.00567, figure 5).

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Convolution;
use super::convolution::{same_convolution, unpadded};
use super::pooling::average;

/// Four branches; the 5x5 window once as such and once as two 3x3 ones.
#[derive(Module, Debug)]
pub struct BlockA<B: Backend> {
    branch1x1: Convolution<B>,
    branch5x5_1: Convolution<B>,
    branch5x5_2: Convolution<B>,
    branch3x3dbl_1: Convolution<B>,
    branch3x3dbl_2: Convolution<B>,
    branch3x3dbl_3: Convolution<B>,
    branch_pool: Convolution<B>,
}

impl<B: Kernels> BlockA<B> {
    /// A block of `inputs` channels, with `pool` channels from its pooling branch.
    pub(super) fn init(inputs: usize, pool: usize, device: &B::Device) -> Self {
        Self {
            branch1x1: unpadded(inputs, 64, 1).init(device),
            branch5x5_1: unpadded(inputs, 48, 1).init(device),
            branch5x5_2: same_convolution(48, 64, [5, 5]).init(device),
            branch3x3dbl_1: unpadded(inputs, 64, 1).init(device),
            branch3x3dbl_2: same_convolution(64, 96, [3, 3]).init(device),
            branch3x3dbl_3: same_convolution(96, 96, [3, 3]).init(device),
            branch_pool: unpadded(inputs, pool, 1).init(device),
        }
    }

    /// # Shapes
    /// `[batch, inputs, height, width]` to `[batch, 224 + pool, height, width]`.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let small = self.branch1x1.forward(x.clone());
        let large = self.branch5x5_1.forward(x.clone());
        let large = self.branch5x5_2.forward(large);
        let double = self.branch3x3dbl_1.forward(x.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let double = self.branch3x3dbl_3.forward(double);
        let pooled = self.branch_pool.forward(average(x));
        Tensor::cat(vec![small, large, double, pooled], 1)
    }
}
