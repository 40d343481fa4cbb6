//! The unit of the network: a convolution, a normalisation, ReLU.

use adadiff_kernels::{Kernels, convolution};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Added to variances. PyTorch's and Burn's default is 1e-5.
const EPSILON: f64 = 1e-3;

/// A convolution without bias, a normalisation with the statistics of training, ReLU.
#[derive(Module, Debug)]
pub struct Convolution<B: Backend> {
    /// The convolution.
    pub conv: Conv2d<B>,
    /// The normalisation.
    pub bn: BatchNorm<B>,
}

/// What tells a [`Convolution`] from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvolutionSize {
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
}

/// A square kernel, stride 1, no padding.
pub(super) fn unpadded(inputs: usize, outputs: usize, kernel: usize) -> ConvolutionSize {
    ConvolutionSize {
        channels: [inputs, outputs],
        kernel: [kernel, kernel],
        stride: 1,
        padding: [0, 0],
    }
}

/// A kernel of height and width, both odd, stride 1, padded so that the image keeps its size.
pub(super) fn same_convolution(
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
) -> ConvolutionSize {
    ConvolutionSize {
        channels: [inputs, outputs],
        kernel,
        stride: 1,
        padding: kernel.map(|size| size / 2),
    }
}

impl ConvolutionSize {
    /// The same with stride 2.
    pub(super) fn halving(self) -> Self {
        Self { stride: 2, ..self }
    }

    /// The layers with Burn's initial weights.
    pub(super) fn init<B: Backend>(self, device: &B::Device) -> Convolution<B> {
        let [height, width] = self.padding;
        Convolution {
            conv: Conv2dConfig::new(self.channels, self.kernel)
                .with_stride([self.stride, self.stride])
                .with_padding(PaddingConfig2d::Explicit(height, width, height, width))
                .with_bias(false)
                .init(device),
            bn: BatchNormConfig::new(self.channels[1])
                .with_epsilon(EPSILON)
                .init(device),
        }
    }
}

impl<B: Kernels> Convolution<B> {
    /// # Shapes
    /// `[batch, inputs, height, width]` to `[batch, outputs, height, width]`, both smaller with
    /// stride 2 or without padding.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        // Burn's layer would take the batch's own statistics on a device with gradients.
        let deviation = self
            .bn
            .running_var
            .value()
            .add_scalar(self.bn.epsilon)
            .sqrt();
        let scale = self.bn.gamma.val() / deviation;
        let shift = self.bn.beta.val() - self.bn.running_mean.value() * scale.clone();
        convolution(x, &self.conv, Some([scale, shift]), true)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Param, RunningState};
    use burn::tensor::Tolerance;
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    #[test]
    fn it_normalises_by_the_statistics_of_training() {
        let device = FlexDevice;
        println!("device: flex");
        let mut layer = unpadded(1, 2, 1).init::<Flex>(&device);
        let row = |values: [f32; 2]| Tensor::<Flex, 1>::from_floats(values, &device);
        let weight = Tensor::from_floats([[[[3.0]]], [[[1.0]]]], &device);
        layer.conv.weight = Param::from_tensor(weight);
        layer.bn.gamma = Param::from_tensor(row([2.0, 1.0]));
        layer.bn.beta = Param::from_tensor(row([0.5, -5.0]));
        layer.bn.running_mean = RunningState::new(row([1.0, 0.0]));
        layer.bn.running_var = RunningState::new(row([0.249, 1.0]));
        let x = Tensor::from_floats([[[[1.0, 0.0]]]], &device);
        let found = layer.forward(x).into_data();
        // (3 - 1) / 0.5 * 2 + 0.5 and (0 - 1) / 0.5 * 2 + 0.5, the latter cut off at zero.
        let expected = Tensor::<Flex, 4>::from_floats([[[[8.5, 0.0]], [[0.0, 0.0]]]], &device);
        found.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn padding_keeps_the_size_and_a_stride_halves_it() {
        let device = FlexDevice;
        println!("device: flex");
        let dims = |size: ConvolutionSize| {
            let x = Tensor::zeros([1, 2, 35, 17], &device);
            size.init::<Flex>(&device).forward(x).dims()
        };
        assert_eq!(dims(same_convolution(2, 3, [1, 7])), [1, 3, 35, 17]);
        assert_eq!(dims(same_convolution(2, 3, [7, 1])), [1, 3, 35, 17]);
        assert_eq!(dims(unpadded(2, 3, 3)), [1, 3, 33, 15]);
        assert_eq!(dims(unpadded(2, 3, 3).halving()), [1, 3, 17, 8]);
    }
}
