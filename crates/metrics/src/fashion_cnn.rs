//! A small convolutional network whose features judge images of clothes.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;

use crate::Classifier;

/// The name of [`FashionCnn`]'s features in results.
pub const FASHION_CNN_NAME: &str = "fashion-cnn";

/// Side of the images.
const SIDE: usize = 32;

/// Configuration of a [`FashionCnn`].
#[derive(Config, Debug)]
pub struct FashionCnnConfig {
    /// Channels after each of the three convolutions.
    #[config(default = "[32, 64, 128]")]
    pub channels: [usize; 3],
    /// Features; few, so that some hundred samples give a covariance of full rank.
    #[config(default = 64)]
    pub features: usize,
    /// Classes told apart.
    #[config(default = 10)]
    pub classes: usize,
}

/// Three 3x3 convolutions of stride 2 with ReLU; then the features and, from their ReLU, the
/// logits. Nothing is normalised over the batch: an image's features are its own.
#[derive(Module, Debug)]
pub struct FashionCnn<B: Backend> {
    convolutions: Vec<Conv2d<B>>,
    features: Linear<B>,
    logits: Linear<B>,
}

impl FashionCnnConfig {
    /// A network with Burn's initial weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> FashionCnn<B> {
        let [first, second, third] = self.channels;
        let convolutions = [[1, first], [first, second], [second, third]].map(|channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        });
        let side = SIDE >> convolutions.len();
        FashionCnn {
            convolutions: convolutions.into(),
            features: LinearConfig::new(third * side * side, self.features).init(device),
            logits: LinearConfig::new(self.features, self.classes).init(device),
        }
    }
}

impl<B: Backend> Classifier<B> for FashionCnn<B> {
    fn name(&self) -> &'static str {
        FASHION_CNN_NAME
    }

    fn shape(&self) -> [usize; 3] {
        [1, SIDE, SIDE]
    }

    fn last_layers(&self) -> [&Linear<B>; 2] {
        [&self.features, &self.logits]
    }

    fn hidden(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let hidden = self
            .convolutions
            .iter()
            .fold(images, |hidden, convolution| {
                relu(convolution.forward(hidden))
            });
        hidden.flatten(1, 3)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::testing::assert_features_are_the_images_own;

    #[test]
    fn an_images_features_do_not_depend_on_its_batch() {
        assert_features_are_the_images_own(&FashionCnnConfig::new().init(&FlexDevice));
    }

    #[test]
    fn it_stays_small() {
        let network = FashionCnnConfig::new().init::<Flex>(&FlexDevice);
        // 320 + 18,496 + 73,856 of the convolutions, 131,136 of the features, 650 of the logits.
        assert_eq!(network.num_params(), 224_458);
    }
}
