//! The blocks in their order.

use adadiff_kernels::Kernels;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::convolution::{same_convolution, unpadded};
use super::pooling::{average, halving_maximum, maximum, spatial_mean};
use super::{BlockA, BlockB, BlockC, BlockD, BlockE, Convolution, Preprocessing};

/// Features of an image.
pub const INCEPTION_FEATURES: usize = 2048;

/// Classes of the logits; ImageNet's 1,000, one for the background, and some without meaning.
pub const INCEPTION_CLASSES: usize = 1008;

/// The FID network, in evaluation mode on every device. Its parts have the published names.
#[derive(Module, Debug)]
pub struct Inception<B: Backend> {
    conv2d_1a_3x3: Convolution<B>,
    conv2d_2a_3x3: Convolution<B>,
    conv2d_2b_3x3: Convolution<B>,
    conv2d_3b_1x1: Convolution<B>,
    conv2d_4a_3x3: Convolution<B>,
    mixed_5b: BlockA<B>,
    mixed_5c: BlockA<B>,
    mixed_5d: BlockA<B>,
    mixed_6a: BlockB<B>,
    mixed_6b: BlockC<B>,
    mixed_6c: BlockC<B>,
    mixed_6d: BlockC<B>,
    mixed_6e: BlockC<B>,
    mixed_7a: BlockD<B>,
    mixed_7b: BlockE<B>,
    mixed_7c: BlockE<B>,
    fc: Linear<B>,
}

/// What the network tells of a batch of images.
#[derive(Clone, Debug)]
pub struct InceptionOutput<B: Backend> {
    /// The mean over all positions of the last block, of which FID and KID are made: `pool3`,
    /// `[batch, 2048]`.
    pub features: Tensor<B, 2>,
    /// The same of the first three of pytorch-fid's blocks: after the first maximum, after the
    /// second, and of the last block of 17x17 positions. `[batch, 64]`, `[batch, 192]`,
    /// `[batch, 768]`.
    pub block_means: [Tensor<B, 2>; 3],
    /// The classes' logits `[batch, 1008]`.
    pub logits: Tensor<B, 2>,
    /// The logits without the bias, as published inception scores take them. `[batch, 1008]`.
    pub logits_unbiased: Tensor<B, 2>,
}

impl<B: Kernels> Inception<B> {
    /// The network with Burn's initial weights, to import others into.
    pub fn init(device: &B::Device) -> Self {
        Self {
            conv2d_1a_3x3: unpadded(3, 32, 3).halving().init(device),
            conv2d_2a_3x3: unpadded(32, 32, 3).init(device),
            conv2d_2b_3x3: same_convolution(32, 64, [3, 3]).init(device),
            conv2d_3b_1x1: unpadded(64, 80, 1).init(device),
            conv2d_4a_3x3: unpadded(80, 192, 3).init(device),
            mixed_5b: BlockA::init(192, 32, device),
            mixed_5c: BlockA::init(256, 64, device),
            mixed_5d: BlockA::init(288, 64, device),
            mixed_6a: BlockB::init(288, device),
            mixed_6b: BlockC::init(128, device),
            mixed_6c: BlockC::init(160, device),
            mixed_6d: BlockC::init(160, device),
            mixed_6e: BlockC::init(192, device),
            mixed_7a: BlockD::init(device),
            mixed_7b: BlockE::init(1280, device),
            mixed_7c: BlockE::init(2048, device),
            fc: LinearConfig::new(INCEPTION_FEATURES, INCEPTION_CLASSES).init(device),
        }
    }

    /// What the network tells of images with pixels in `[0, 255]`, of any size.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]`.
    ///
    /// # Panics
    /// Where there are no pixels, or other than three channels.
    pub fn forward(&self, images: Tensor<B, 4>, way: Preprocessing) -> InceptionOutput<B> {
        self.forward_prepared(way.prepare(images))
    }

    /// What the network tells of images that [`Preprocessing::prepare`] has prepared, so that
    /// images of different sizes can go through it together.
    ///
    /// # Shapes
    /// `[batch, 3, 299, 299]`.
    ///
    /// # Panics
    /// Where images have other than three channels or less than 75 pixels along an axis.
    pub fn forward_prepared(&self, images: Tensor<B, 4>) -> InceptionOutput<B> {
        let x = self.conv2d_1a_3x3.forward(images);
        let x = self.conv2d_2a_3x3.forward(x);
        let x = self.conv2d_2b_3x3.forward(x);
        let x = halving_maximum(x); // [batch, 64, 73, 73]
        let first = spatial_mean(x.clone());
        let x = self.conv2d_3b_1x1.forward(x);
        let x = self.conv2d_4a_3x3.forward(x);
        let x = halving_maximum(x); // [batch, 192, 35, 35]
        let second = spatial_mean(x.clone());
        let x = self.mixed_5b.forward(x);
        let x = self.mixed_5c.forward(x);
        let x = self.mixed_5d.forward(x);
        let x = self.mixed_6a.forward(x); // [batch, 768, 17, 17]
        let x = self.mixed_6b.forward(x);
        let x = self.mixed_6c.forward(x);
        let x = self.mixed_6d.forward(x);
        let x = self.mixed_6e.forward(x);
        let third = spatial_mean(x.clone());
        let x = self.mixed_7a.forward(x); // [batch, 1280, 8, 8]
        let x = self.mixed_7b.forward(x, average);
        let x = self.mixed_7c.forward(x, maximum);
        let features = spatial_mean(x);
        let logits_unbiased = features.clone().matmul(self.fc.weight.val());
        let logits = match &self.fc.bias {
            Some(bias) => logits_unbiased.clone() + bias.val().unsqueeze(),
            None => logits_unbiased.clone(),
        };
        InceptionOutput {
            features,
            block_means: [first, second, third],
            logits,
            logits_unbiased,
        }
    }
}
