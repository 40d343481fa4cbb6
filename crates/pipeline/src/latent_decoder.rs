//! From the network's latents to images.

use adadiff_model::autoencoder::Autoencoder;
use adadiff_model::kernels::Kernels;
use burn::tensor::{Tensor, TensorData};

use crate::{Monitor, PipelineError};

/// Latents that are decoded together.
const BATCH: usize = 8;

/// The decoder of a latent diffusion model.
#[derive(Clone, Debug)]
pub struct LatentDecoder<B: Kernels> {
    autoencoder: Autoencoder<B>,
    device: B::Device,
}

impl<B: Kernels> LatentDecoder<B> {
    /// Decodes with `autoencoder`, whose scale factor must be the one of the latents.
    pub fn new(autoencoder: Autoencoder<B>, device: B::Device) -> Self {
        Self {
            autoencoder,
            device,
        }
    }

    /// Channels, height and width of the images of latents of this shape.
    pub fn image_shape(&self, [_, height, width]: [usize; 3]) -> [usize; 3] {
        let reduction = self.autoencoder.reduction();
        [3, height * reduction, width * reduction]
    }

    /// The pixels of latents `[samples, channels, height, width]`, about in `[-1, 1]`.
    ///
    /// # Errors
    /// Where the latents are not the autoencoder's, or the monitor stops it.
    pub fn decode(
        &self,
        latents: &[f32],
        shape: [usize; 3],
        monitor: &dyn Monitor,
    ) -> Result<Vec<f32>, PipelineError> {
        let [channels, height, width] = shape;
        let mut pixels = Vec::new();
        for latents in latents.chunks(BATCH * channels * height * width) {
            if monitor.stopped() {
                return Err(PipelineError::Interrupted);
            }
            let samples = latents.len() / (channels * height * width);
            let data = TensorData::new(latents.to_vec(), [samples, channels, height, width]);
            let images = self
                .autoencoder
                .decode(Tensor::from_data(data, &self.device))?;
            pixels.extend(images.into_data().iter::<f32>());
        }
        Ok(pixels)
    }
}
