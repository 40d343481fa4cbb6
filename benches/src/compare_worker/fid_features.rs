//! FID's network on images, the resizing that pytorch-fid does included.

use std::hint::black_box;

use adadiff_kernels::Kernels;
use adadiff_metrics::{Inception, Preprocessing};
use anyhow::Result;
use burn::tensor::Tensor;

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// The network and images with pixels in `[0, 255]`.
pub struct FidFeatures<B: Kernels> {
    network: Inception<B>,
    images: Tensor<B, 4>,
    device: B::Device,
}

impl<B: Kernels> FidFeatures<B> {
    pub fn load(folder: &Folder, device: &B::Device) -> Result<Self> {
        Ok(Self {
            network: Inception::import(&folder.weights()?, device)?,
            images: folder.inputs()?.tensor("images", device)?,
            device: device.clone(),
        })
    }

    fn features(&self) -> Tensor<B, 2> {
        let output = self
            .network
            .forward(self.images.clone(), Preprocessing::PytorchFid);
        output.features
    }
}

impl<B: Kernels> Work for FidFeatures<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.features());
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        Ok(vec![("features", self.features().into_data())])
    }
}
