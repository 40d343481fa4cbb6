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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use adadiff_model::autoencoder::AutoencoderConfig;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::Silent;
    use crate::testing::StopsAfter;

    #[test]
    fn latents_are_decoded_until_the_monitor_stops_it() {
        println!("device: flex");
        let config = AutoencoderConfig {
            resolution: 4,
            channels: 32,
            channel_multipliers: vec![1, 1],
            residual_blocks: 1,
            ..AutoencoderConfig::stable_diffusion()
        };
        let decoder = LatentDecoder::<Flex>::new(config.init(&FlexDevice).unwrap(), FlexDevice);
        let shape = [config.latent_channels, 2, 2];
        let latents = vec![0.1; (BATCH + 1) * config.latent_channels * 4];
        let pixels = decoder.decode(&latents, shape, &Silent).unwrap();
        assert_eq!(pixels.len(), (BATCH + 1) * 3 * 4 * 4);
        // Between the two batches.
        let stopped = decoder.decode(&latents, shape, &StopsAfter(Cell::new(1)));
        assert!(matches!(stopped, Err(PipelineError::Interrupted)));
    }
}
