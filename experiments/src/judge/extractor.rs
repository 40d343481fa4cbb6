//! The features that samples are judged by.

use std::path::Path;

use adadiff_metrics::{
    FEATURES_NAME, FashionCnn, FashionCnnConfig, INCEPTION_FEATURES, Inception, Preprocessing,
};
use adadiff_model::kernels::Kernels;
use adadiff_train::weights::load;
use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;

use crate::network_file::open_inception;

/// Side of what [`Extractor::Pixels`] reduces images to.
const PIXEL_SIDE: usize = 4;

/// A network, or less, that tells features of images.
#[derive(Debug)]
pub enum Extractor<B: Kernels> {
    /// The small classifier of Fashion-MNIST that comes with this program.
    FashionCnn(FashionCnn<B>),
    /// FID's network, fed as pytorch-fid does.
    Inception(Box<Inception<B>>),
    /// The colours of 4 x 4 areas: no weights needed, and no judgement of what an image shows.
    Pixels {
        /// Channels of the images.
        channels: usize,
    },
}

impl<B: Kernels> Extractor<B> {
    /// The bundled classifier.
    ///
    /// # Errors
    /// Never, unless a file in the repository was broken.
    pub fn fashion_cnn(device: &B::Device) -> Result<Self> {
        let weights = include_bytes!("../../assets/fashion_mnist/fashion_cnn.safetensors");
        let path = Path::new("the bundled feature extractor");
        let network = FashionCnnConfig::new().init::<B>(device);
        Ok(Self::FashionCnn(load(network, weights.to_vec(), path)?))
    }

    /// FID's network from a file of its weights.
    ///
    /// # Errors
    /// Where the file holds anything else.
    pub fn inception(path: &Path, device: &B::Device) -> Result<Self> {
        Ok(Self::Inception(Box::new(open_inception(path, device)?)))
    }

    /// The name of the features in results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FashionCnn(_) => FEATURES_NAME,
            Self::Inception(_) => "inception-2015-12-05",
            Self::Pixels { .. } => "pixels-4x4",
        }
    }

    /// Number of features.
    pub fn dims(&self) -> usize {
        match self {
            Self::FashionCnn(network) => network.dims(),
            Self::Inception(_) => INCEPTION_FEATURES,
            Self::Pixels { channels } => channels * PIXEL_SIDE * PIXEL_SIDE,
        }
    }

    /// Images in one pass.
    pub fn batch(&self) -> usize {
        match self {
            Self::Inception(_) => 50,
            Self::FashionCnn(_) | Self::Pixels { .. } => 250,
        }
    }

    /// The features `[images, dims]` of images `[images, channels, height, width]` in `[-1, 1]`.
    ///
    /// # Errors
    /// Where the images have other channels.
    pub fn features(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 2>> {
        let [batch, channels, ..] = images.dims();
        match self {
            Self::FashionCnn(network) => {
                ensure!(channels == 1, "{} is for grey images", self.name());
                Ok(network.features(images))
            }
            Self::Inception(network) => {
                let images = (images + 1.0) * 127.5;
                let images = match channels {
                    1 => images.repeat_dim(1, 3),
                    _ => images,
                };
                let prepared = Preprocessing::PytorchFid.prepare(images);
                Ok(network.forward_prepared(prepared).features)
            }
            Self::Pixels { .. } => {
                let areas = adaptive_avg_pool2d(images, [PIXEL_SIDE, PIXEL_SIDE]);
                Ok(areas.reshape([batch, self.dims()]))
            }
        }
    }
}
