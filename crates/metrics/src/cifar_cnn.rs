//! A small residual network whose features judge images of CIFAR-10.

use adadiff_kernels::{Kernels, convolution, layer_norm};
use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;

use crate::Classifier;

/// The name of [`CifarCnn`]'s features in results.
pub const CIFAR_CNN_NAME: &str = "cifar-cnn";

/// Channels of a group that is normalised together.
const GROUP: usize = 16;

/// What is added to the variance of a group.
const EPSILON: f64 = 1e-5;

/// Configuration of a [`CifarCnn`].
#[derive(Config, Debug)]
pub struct CifarCnnConfig {
    /// Channels of the first convolution.
    #[config(default = 32)]
    pub stem: usize,
    /// Channels of each residual block, each of which halves the side; multiples of 16.
    #[config(default = "[64, 128, 256]")]
    pub channels: [usize; 3],
    /// Features; few, so that some hundred samples give a covariance of full rank.
    #[config(default = 64)]
    pub features: usize,
    /// Classes told apart.
    #[config(default = 10)]
    pub classes: usize,
}

/// A 3x3 convolution and three residual blocks of stride 2 (He et al. 2016, arXiv 1603.05027:
/// activation before the convolution), whose mean over the image gives the features and, from their
/// ReLU, the logits. Groups of an image's own channels are normalised, nothing over the batch: an
/// image's features are its own.
#[derive(Module, Debug)]
pub struct CifarCnn<B: Backend> {
    stem: Conv2d<B>,
    blocks: Vec<ResidualBlock<B>>,
    features: Linear<B>,
    logits: Linear<B>,
}

/// Two 3x3 convolutions beside one of 1x1, each of which but the second halves the side.
#[derive(Module, Debug)]
struct ResidualBlock<B: Backend> {
    convolutions: [Conv2d<B>; 2],
    shortcut: Conv2d<B>,
}

fn layer<B: Backend>(
    channels: [usize; 2],
    side: usize,
    stride: usize,
    device: &B::Device,
) -> Conv2d<B> {
    let padding = side / 2;
    Conv2dConfig::new(channels, [side, side])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init(device)
}

/// The ReLU of `x` `[batch, channels, side, side]`, whose groups of channels (Wu & He 2018, arXiv 1803.08494) are
/// normalised without parameters of their own: the convolution behind has what they would do.
fn active<B: Kernels>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let shape @ [batch, channels, height, width] = x.dims();
    let groups = channels.div_ceil(GROUP);
    let values = [channels / groups * height * width];
    let (ones, zeros) = (
        Tensor::ones(values, &x.device()),
        Tensor::zeros(values, &x.device()),
    );
    let rows = x.reshape([batch, groups, values[0]]);
    relu(layer_norm(rows, ones, zeros, EPSILON).reshape(shape))
}

impl CifarCnnConfig {
    /// A network with Burn's initial weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> CifarCnn<B> {
        let [first, second, third] = self.channels;
        let blocks = [[self.stem, first], [first, second], [second, third]];
        CifarCnn {
            stem: layer([3, self.stem], 3, 1, device),
            blocks: blocks
                .map(|[from, to]| ResidualBlock {
                    convolutions: [
                        layer([from, to], 3, 2, device),
                        layer([to, to], 3, 1, device),
                    ],
                    shortcut: layer([from, to], 1, 2, device),
                })
                .into(),
            features: LinearConfig::new(third, self.features).init(device),
            logits: LinearConfig::new(self.features, self.classes).init(device),
        }
    }
}

impl<B: Kernels> ResidualBlock<B> {
    /// `[batch, from, side, side]` to `[batch, to, side / 2, side / 2]`.
    fn forward(&self, hidden: Tensor<B, 4>) -> Tensor<B, 4> {
        let [first, second] = &self.convolutions;
        let hidden = active(hidden);
        let shortcut = convolution(hidden.clone(), &self.shortcut, None, false);
        let inner = active(convolution(hidden, first, None, false));
        convolution(inner, second, None, false) + shortcut
    }
}

impl<B: Kernels> Classifier<B> for CifarCnn<B> {
    fn name(&self) -> &'static str {
        CIFAR_CNN_NAME
    }

    fn shape(&self) -> [usize; 3] {
        [3, 32, 32]
    }

    fn last_layers(&self) -> [&Linear<B>; 2] {
        [&self.features, &self.logits]
    }

    fn hidden(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let stem = convolution(images, &self.stem, None, false);
        let hidden = self
            .blocks
            .iter()
            .fold(stem, |hidden, block| block.forward(hidden));
        let hidden = active(hidden).flatten::<3>(2, 3);
        hidden.mean_dim(2).squeeze_dim(2)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::testing::assert_features_are_the_images_own;

    #[test]
    fn an_images_features_do_not_depend_on_its_batch() {
        assert_features_are_the_images_own(&CifarCnnConfig::new().init(&FlexDevice));
    }

    #[test]
    fn it_stays_small() {
        let network = CifarCnnConfig::new().init::<Flex>(&FlexDevice);
        // 896 of the stem; 57,536, 229,760 and 918,272 of the blocks; 16,448 of the features, 650
        // of the logits.
        assert_eq!(network.num_params(), 1_223_562);
    }
}
