//! The blocks on 8x8 positions (Szegedy et al. 2016, arXiv 1512.00567, figure 7).

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Convolution;
use super::convolution::{same_convolution, unpadded};

/// Four branches, two of which end in a row and a column side by side.
#[derive(Module, Debug)]
pub struct BlockE<B: Backend> {
    branch1x1: Convolution<B>,
    branch3x3_1: Convolution<B>,
    branch3x3_2a: Convolution<B>,
    branch3x3_2b: Convolution<B>,
    branch3x3dbl_1: Convolution<B>,
    branch3x3dbl_2: Convolution<B>,
    branch3x3dbl_3a: Convolution<B>,
    branch3x3dbl_3b: Convolution<B>,
    branch_pool: Convolution<B>,
}

impl<B: Kernels> BlockE<B> {
    /// A block of `inputs` channels.
    pub(super) fn init(inputs: usize, device: &B::Device) -> Self {
        let (row, column) = ([1, 3], [3, 1]);
        let same =
            |inputs: usize, kernel: [usize; 2]| same_convolution(inputs, 384, kernel).init(device);
        Self {
            branch1x1: unpadded(inputs, 320, 1).init(device),
            branch3x3_1: unpadded(inputs, 384, 1).init(device),
            branch3x3_2a: same(384, row),
            branch3x3_2b: same(384, column),
            branch3x3dbl_1: unpadded(inputs, 448, 1).init(device),
            branch3x3dbl_2: same(448, [3, 3]),
            branch3x3dbl_3a: same(384, row),
            branch3x3dbl_3b: same(384, column),
            branch_pool: unpadded(inputs, 192, 1).init(device),
        }
    }

    /// Of the network's two such blocks, the first pools averages, the second, other than in
    /// torchvision's Inception, maxima.
    ///
    /// # Shapes
    /// `[batch, inputs, height, width]` to `[batch, 2048, height, width]`.
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        pooling: impl FnOnce(Tensor<B, 4>) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let small = self.branch1x1.forward(x.clone());
        let single = self.branch3x3_1.forward(x.clone());
        let double = self.branch3x3dbl_1.forward(x.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let branches = vec![
            small,
            self.branch3x3_2a.forward(single.clone()),
            self.branch3x3_2b.forward(single),
            self.branch3x3dbl_3a.forward(double.clone()),
            self.branch3x3dbl_3b.forward(double),
            self.branch_pool.forward(pooling(x)),
        ];
        Tensor::cat(branches, 1)
    }
}
