//! Networks that tell classes apart, and whose features judge samples.

use std::fmt::Debug;

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;

/// A network that tells the classes of images apart by two last layers: features and, from their
/// ReLU, logits.
pub trait Classifier<B: Backend>: Debug + Send + Sync {
    /// The name of its features in results: a Fréchet distance of them is "FD (name)". It is not FID, which is
    /// defined by Inception's features.
    fn name(&self) -> &'static str;

    /// Channels, height and width of the images.
    fn shape(&self) -> [usize; 3];

    /// The layers of the features and of the logits.
    fn last_layers(&self) -> [&Linear<B>; 2];

    /// What the layer of the features is given.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, width of the first last layer's input]`.
    fn hidden(&self, images: Tensor<B, 4>) -> Tensor<B, 2>;

    /// Number of features.
    fn dims(&self) -> usize {
        let [features, _] = self.last_layers();
        features.weight.dims()[1]
    }

    /// Number of classes that are told apart.
    fn classes(&self) -> usize {
        let [_, logits] = self.last_layers();
        logits.weight.dims()[1]
    }

    /// The features of images in `[-1, 1]`, before their activation, so that none is constant.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, features]`.
    fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let [features, _] = self.last_layers();
        features.forward(self.hidden(images))
    }

    /// The logits of the classes.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, classes]`.
    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let [_, logits] = self.last_layers();
        logits.forward(relu(self.features(images)))
    }
}
