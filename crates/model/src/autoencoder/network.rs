//! The KL autoencoder as U-ViT and AdaDiff use it.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::AutoencoderConfig;
use super::decoder::AutoencoderDecoder;
use super::encoder::AutoencoderEncoder;
use super::layers::{convolution, convolve};
use crate::ModelError;
use crate::error::expect_shape;
use crate::kernels::Kernels;

/// The range that log-variances are clamped to.
const LOG_VARIANCES: (f64, f64) = (-30.0, 20.0);

/// The KL autoencoder: images to the moments of a normal distribution of latents, latents to images.
#[derive(Module, Debug)]
pub struct Autoencoder<B: Backend> {
    pub(super) encoder: AutoencoderEncoder<B>,
    pub(super) decoder: AutoencoderDecoder<B>,
    /// The 1x1 convolution to moments.
    pub(super) quant_conv: Conv2d<B>,
    /// The 1x1 convolution of latents.
    pub(super) post_quant_conv: Conv2d<B>,
    in_channels: usize,
    latent_channels: usize,
    reduction: usize,
    scale_factor: f64,
}

impl AutoencoderConfig {
    /// Builds the network with random weights, which an import replaces.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn init<B: Kernels>(&self, device: &B::Device) -> Result<Autoencoder<B>, ModelError> {
        self.validate()?;
        let (z, latent) = (self.z_channels, self.latent_channels);
        Ok(Autoencoder {
            encoder: AutoencoderEncoder::init(self, device),
            decoder: AutoencoderDecoder::init(self, device),
            quant_conv: convolution([2 * z, 2 * latent], 1, device),
            post_quant_conv: convolution([latent, z], 1, device),
            in_channels: self.in_channels,
            latent_channels: latent,
            reduction: self.reduction(),
            scale_factor: self.scale_factor,
        })
    }
}

impl<B: Kernels> Autoencoder<B> {
    /// The moments `[batch, (mean, log-variance) latent_channels, height / reduction, width /
    /// reduction]` of images `[batch, in_channels, height, width]` in `[-1, 1]`.
    ///
    /// # Errors
    /// Where the images have other channels, or height or width is not a multiple of the reduction.
    pub fn encode_moments(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 4>, ModelError> {
        let found = images.dims();
        let [batch, _, height, width] = found;
        let expected = [batch.max(1), self.in_channels, height.max(1), width.max(1)];
        expect_shape("images", &expected, &found)?;
        if !height.is_multiple_of(self.reduction) || !width.is_multiple_of(self.reduction) {
            return Err(ModelError::Indivisible {
                size: [height, width],
                divisor: self.reduction,
            });
        }
        Ok(convolve(&self.quant_conv, self.encoder.forward(images)))
    }

    /// Draws latents `[batch, latent_channels, height, width]` from moments; `noise` is standard
    /// normal, of the latents' shape. They are scaled by the scale factor.
    ///
    /// # Errors
    /// Where the shapes do not suit each other or the network.
    pub fn sample(
        &self,
        moments: Tensor<B, 4>,
        noise: Tensor<B, 4>,
    ) -> Result<Tensor<B, 4>, ModelError> {
        let channels = self.latent_channels;
        let [batch, _, height, width] = moments.dims();
        let expected = [batch, 2 * channels, height, width];
        expect_shape("moments", &expected, &moments.dims())?;
        let expected = [batch, channels, height, width];
        expect_shape("noise", &expected, &noise.dims())?;
        let mean = moments.clone().narrow(1, 0, channels);
        let log_variance = moments.narrow(1, channels, channels);
        let (least, most) = LOG_VARIANCES;
        let deviation = (log_variance.clamp(least, most) * 0.5).exp();
        Ok((mean + deviation * noise) * self.scale_factor)
    }

    /// Draws latents of images: [`Self::sample`] of their [`Self::encode_moments`].
    ///
    /// # Errors
    /// As those two.
    pub fn encode(
        &self,
        images: Tensor<B, 4>,
        noise: Tensor<B, 4>,
    ) -> Result<Tensor<B, 4>, ModelError> {
        self.sample(self.encode_moments(images)?, noise)
    }

    /// The images `[batch, out_channels, reduction height, reduction width]` of latents `[batch,
    /// latent_channels, height, width]`, about in `[-1, 1]`. The latents are divided by the scale
    /// factor first.
    ///
    /// # Errors
    /// Where the latents have other channels.
    pub fn decode(&self, latents: Tensor<B, 4>) -> Result<Tensor<B, 4>, ModelError> {
        let found = latents.dims();
        let [batch, _, height, width] = found.map(|size| size.max(1));
        let expected = [batch, self.latent_channels, height, width];
        expect_shape("latents", &expected, &found)?;
        let z = convolve(&self.post_quant_conv, latents / self.scale_factor);
        Ok(self.decoder.forward(z))
    }

    /// How many times smaller a latent is than its image, in height and in width.
    pub fn reduction(&self) -> usize {
        self.reduction
    }

    /// Channels of a latent.
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "network_tests.rs"]
mod tests;
