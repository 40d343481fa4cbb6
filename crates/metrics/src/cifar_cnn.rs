//! A small residual network whose features judge images of CIFAR-10.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;

use crate::Classifier;

/// Channels of a group that is normalised together.
const GROUP: usize = 16;

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
    norm: GroupNorm<B>,
    features: Linear<B>,
    logits: Linear<B>,
}

/// Two 3x3 convolutions beside one of 1x1, each of which but the second halves the side.
#[derive(Module, Debug)]
struct ResidualBlock<B: Backend> {
    norms: [GroupNorm<B>; 2],
    convolutions: [Conv2d<B>; 2],
    shortcut: Conv2d<B>,
}

fn convolution<B: Backend>(
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

/// Normalisation without parameters of its own: the convolution behind it has what they would do.
fn norm<B: Backend>(channels: usize, device: &B::Device) -> GroupNorm<B> {
    GroupNormConfig::new(channels.div_ceil(GROUP), channels)
        .with_affine(false)
        .init(device)
}

impl CifarCnnConfig {
    /// A network with Burn's initial weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> CifarCnn<B> {
        let [first, second, third] = self.channels;
        let blocks = [[self.stem, first], [first, second], [second, third]];
        CifarCnn {
            stem: convolution([3, self.stem], 3, 1, device),
            blocks: blocks
                .map(|[from, to]| ResidualBlock {
                    norms: [norm(from, device), norm(to, device)],
                    convolutions: [
                        convolution([from, to], 3, 2, device),
                        convolution([to, to], 3, 1, device),
                    ],
                    shortcut: convolution([from, to], 1, 2, device),
                })
                .into(),
            norm: norm(third, device),
            features: LinearConfig::new(third, self.features).init(device),
            logits: LinearConfig::new(self.features, self.classes).init(device),
        }
    }
}

impl<B: Backend> ResidualBlock<B> {
    /// `[batch, from, side, side]` to `[batch, to, side / 2, side / 2]`.
    fn forward(&self, hidden: Tensor<B, 4>) -> Tensor<B, 4> {
        let [first, second] = &self.convolutions;
        let [before, between] = &self.norms;
        let active = relu(before.forward(hidden));
        let shortcut = self.shortcut.forward(active.clone());
        let inner = relu(between.forward(first.forward(active)));
        second.forward(inner) + shortcut
    }
}

impl<B: Backend> Classifier<B> for CifarCnn<B> {
    const SHAPE: [usize; 3] = [3, 32, 32];

    fn last_layers(&self) -> [&Linear<B>; 2] {
        [&self.features, &self.logits]
    }

    fn hidden(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let stem = self.stem.forward(images);
        let hidden = self
            .blocks
            .iter()
            .fold(stem, |hidden, block| block.forward(hidden));
        let hidden = relu(self.norm.forward(hidden)).flatten::<3>(2, 3);
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
