//! Networks that tell classes apart, and whose features judge samples.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// A network that tells the classes of images apart.
pub trait Classifier<B: Backend> {
    /// Channels, height and width of the images.
    const SHAPE: [usize; 3];

    /// Number of features.
    fn dims(&self) -> usize;

    /// Number of classes that are told apart.
    fn classes(&self) -> usize;

    /// The features of images in `[-1, 1]`, before their activation, so that none is constant.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, features]`.
    fn features(&self, images: Tensor<B, 4>) -> Tensor<B, 2>;

    /// The logits of the classes.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, classes]`.
    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2>;
}
