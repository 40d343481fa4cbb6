//! The blocks on 17x17 positions (Szegedy et al. 2016, arXiv 1512.00567, figure 6).

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::Convolution;
use super::convolution::{same_convolution, unpadded};
use super::pooling::average;

/// Channels of the input, and of the output.
const CHANNELS: usize = 768;

/// Channels of each branch's output.
const BRANCH: usize = 192;

/// Four branches; 7x7 windows are made of rows and columns.
#[derive(Module, Debug)]
pub struct BlockC<B: Backend> {
    branch1x1: Convolution<B>,
    branch7x7_1: Convolution<B>,
    branch7x7_2: Convolution<B>,
    branch7x7_3: Convolution<B>,
    branch7x7dbl_1: Convolution<B>,
    branch7x7dbl_2: Convolution<B>,
    branch7x7dbl_3: Convolution<B>,
    branch7x7dbl_4: Convolution<B>,
    branch7x7dbl_5: Convolution<B>,
    branch_pool: Convolution<B>,
}

impl<B: Kernels> BlockC<B> {
    /// A block whose 7x7 branches have `inner` channels within.
    pub(super) fn init(inner: usize, device: &B::Device) -> Self {
        let (row, column) = ([1, 7], [7, 1]);
        let same = |inputs: usize, outputs: usize, kernel: [usize; 2]| {
            same_convolution(inputs, outputs, kernel).init(device)
        };
        Self {
            branch1x1: unpadded(CHANNELS, BRANCH, 1).init(device),
            branch7x7_1: unpadded(CHANNELS, inner, 1).init(device),
            branch7x7_2: same(inner, inner, row),
            branch7x7_3: same(inner, BRANCH, column),
            branch7x7dbl_1: unpadded(CHANNELS, inner, 1).init(device),
            branch7x7dbl_2: same(inner, inner, column),
            branch7x7dbl_3: same(inner, inner, row),
            branch7x7dbl_4: same(inner, inner, column),
            branch7x7dbl_5: same(inner, BRANCH, row),
            branch_pool: unpadded(CHANNELS, BRANCH, 1).init(device),
        }
    }

    /// # Shapes
    /// `[batch, 768, height, width]` to the same.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let small = self.branch1x1.forward(x.clone());
        let large = self.branch7x7_1.forward(x.clone());
        let large = self.branch7x7_2.forward(large);
        let large = self.branch7x7_3.forward(large);
        let double = self.branch7x7dbl_1.forward(x.clone());
        let double = self.branch7x7dbl_2.forward(double);
        let double = self.branch7x7dbl_3.forward(double);
        let double = self.branch7x7dbl_4.forward(double);
        let double = self.branch7x7dbl_5.forward(double);
        let pooled = self.branch_pool.forward(average(x));
        Tensor::cat(vec![small, large, double, pooled], 1)
    }
}
