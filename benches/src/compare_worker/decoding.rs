//! Latents to images by Stable Diffusion's autoencoder.

use std::hint::black_box;

use adadiff_model::autoencoder::{Autoencoder, AutoencoderConfig};
use adadiff_model::kernels::Kernels;
use anyhow::Result;
use burn::tensor::Tensor;

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// The network and latents.
pub struct Decoding<B: Kernels> {
    network: Autoencoder<B>,
    latents: Tensor<B, 4>,
    device: B::Device,
}

impl<B: Kernels> Decoding<B> {
    pub fn load(folder: &Folder, device: &B::Device) -> Result<Self> {
        let config = AutoencoderConfig::stable_diffusion();
        Ok(Self {
            network: config.import(&folder.weights()?, device)?,
            latents: folder.inputs()?.tensor("latents", device)?,
            device: device.clone(),
        })
    }

    fn images(&self) -> Result<Tensor<B, 4>> {
        Ok(self.network.decode(self.latents.clone())?)
    }
}

impl<B: Kernels> Work for Decoding<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.images()?);
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        Ok(vec![("images", self.images()?.into_data())])
    }
}
