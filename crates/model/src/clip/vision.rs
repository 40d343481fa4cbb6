//! The CLIP image model.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::ClipVisionConfig;
use super::layer::{ClipLayer, LayerSizes, norm, normalise};
use crate::ModelError;
use crate::error::expect_shape;
use crate::kernels::Kernels;

/// Mean of red, green and blue, in `[0, 1]`, over the images that CLIP was trained on.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Their standard deviation.
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// The image model of CLIP: a vision transformer (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929)
/// with a norm before the first layer, whose class token is projected to the embedding.
#[derive(Module, Debug)]
pub struct ClipVision<B: Backend> {
    /// The patches' embedding, without a bias.
    pub(super) patch_embedding: Conv2d<B>,
    /// The token `[width]` that stands before the patches.
    pub(super) class_embedding: Param<Tensor<B, 1>>,
    pub(super) position_embedding: Embedding<B>,
    pub(super) pre_layer_norm: LayerNorm<B>,
    pub(super) layers: Vec<ClipLayer<B>>,
    /// The norm of the class token after the last layer.
    pub(super) post_layer_norm: LayerNorm<B>,
    /// From the class token to the embedding, without a bias.
    pub(super) projection: Linear<B>,
    #[module(skip)]
    config: ClipVisionConfig,
}

impl ClipVisionConfig {
    /// Builds the network with random weights, which an import replaces.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn init<B: Kernels>(&self, device: &B::Device) -> Result<ClipVision<B>, ModelError> {
        self.validate()?;
        let patch = [self.patch_size; 2];
        let sizes = LayerSizes {
            width: self.width,
            mlp_width: self.mlp_width,
            heads: self.heads,
        };
        let projection = LinearConfig::new(self.width, self.embedding).with_bias(false);
        Ok(ClipVision {
            patch_embedding: Conv2dConfig::new([3, self.width], patch)
                .with_stride(patch)
                .with_bias(false)
                .init(device),
            class_embedding: Param::from_tensor(Tensor::zeros([self.width], device)),
            position_embedding: EmbeddingConfig::new(self.tokens(), self.width).init(device),
            pre_layer_norm: norm(self.width, device),
            layers: (0..self.layers)
                .map(|_| ClipLayer::init(sizes, device))
                .collect(),
            post_layer_norm: norm(self.width, device),
            projection: projection.init(device),
            config: self.clone(),
        })
    }
}

impl<B: Kernels> ClipVision<B> {
    /// The configuration.
    pub fn config(&self) -> &ClipVisionConfig {
        &self.config
    }

    /// The embeddings of images with pixels in `[0, 255]`, of no particular length.
    ///
    /// # Shapes
    /// `[batch, 3, image_size, image_size]` to `[batch, embedding]`.
    ///
    /// # Errors
    /// Where the images have another shape.
    pub fn embed(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 2>, ModelError> {
        let device = images.device();
        let of_channels = |values: [f32; 3]| {
            Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), &device)
        };
        self.check(&images)?;
        self.forward((images / 255.0 - of_channels(MEAN)) / of_channels(DEVIATION))
    }

    /// [`Self::embed`] of images that are normalised already.
    ///
    /// # Errors
    /// Where the images have another shape.
    pub fn forward(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 2>, ModelError> {
        self.check(&images)?;
        let [batch, ..] = images.dims();
        let ClipVisionConfig {
            width,
            layer_norm_epsilon: epsilon,
            activation,
            ..
        } = self.config;
        let patches = self.patch_embedding.forward(images); // [batch, width, grid, grid]
        let patches = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let class = self.class_embedding.val().reshape([1, 1, width]);
        let tokens = Tensor::cat(vec![class.expand([batch, 1, width]), patches], 1);
        let tokens = tokens + self.position_embedding.weight.val().unsqueeze();
        let mut x = normalise(&self.pre_layer_norm, tokens, epsilon);
        for layer in &self.layers {
            x = layer.forward(x, None, activation, epsilon);
        }
        let class = normalise(&self.post_layer_norm, x.narrow(1, 0, 1), epsilon);
        let class = class.reshape([batch, width]);
        Ok(class.matmul(self.projection.weight.val()))
    }

    fn check(&self, images: &Tensor<B, 4>) -> Result<(), ModelError> {
        let [batch, ..] = images.dims();
        let side = self.config.image_size;
        expect_shape("images", &[batch.max(1), 3, side, side], &images.dims())
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "vision_tests.rs"]
mod tests;
