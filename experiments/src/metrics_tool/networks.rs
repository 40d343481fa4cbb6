//! From images to features, by the published networks.

use adadiff_data::centre_square;
use adadiff_metrics::{INCEPTION_FEATURES, ImageBatch, Inception, Preprocessing};
use adadiff_model::clip::ClipVision;
use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::RgbImage;
use rayon::prelude::*;

use super::gather::FeatureNeeds;

/// Networks that tell features of images.
pub trait FeatureNetworks {
    /// What is wanted of images.
    ///
    /// # Errors
    /// Where the device fails, or the network for it is not there.
    fn extract(&self, images: &[ImageBatch], wanted: FeatureNeeds) -> Result<Extracted>;
}

/// What [`FeatureNetworks`] tell, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extracted {
    /// Features of each image, 0 where none were wanted.
    pub dims: usize,
    /// `[images, dims]`, or nothing.
    pub features: Vec<f32>,
    /// `[images, classes]`, or nothing.
    pub probabilities: Vec<f32>,
    /// CLIP's embeddings `[images, embedding]`, or nothing.
    pub embeddings: Vec<f32>,
}

/// FID's and CMMD's networks on a device, those that are needed.
#[derive(Debug)]
pub struct DeviceNetworks<B: Kernels> {
    /// FID's network.
    pub inception: Option<Inception<B>>,
    /// How it gets its images.
    pub preprocessing: Preprocessing,
    /// CMMD's network.
    pub clip: Option<ClipVision<B>>,
    pub device: B::Device,
}

impl<B: Kernels> DeviceNetworks<B> {
    /// The name of the type of the numbers that the device computes with.
    pub fn dtype(&self) -> String {
        let number = Tensor::<B, 1>::zeros([1], &self.device);
        number.dtype().name().to_owned()
    }

    fn features(
        &self,
        images: &[ImageBatch],
        extracted: &mut Extracted,
        wanted: FeatureNeeds,
    ) -> Result<()> {
        let network = self.inception.as_ref();
        let network = network.context("FID's network is not there")?;
        let prepared = images.iter().map(|images| {
            let images = images.to_device::<B>(&self.device);
            self.preprocessing.prepare(images)
        });
        let output = network.forward_prepared(Tensor::cat(prepared.collect(), 0));
        extracted.dims = INCEPTION_FEATURES;
        extracted.features = rows(output.features);
        if wanted.probabilities {
            extracted.probabilities = rows(softmax(output.logits_unbiased, 1));
        }
        Ok(())
    }

    fn embeddings(&self, images: &[ImageBatch]) -> Result<Vec<f32>> {
        let network = self.clip.as_ref();
        let network = network.context("CMMD's network is not there")?;
        let side = network.config().image_size;
        let mut pixels = Vec::new();
        for batch in images {
            let [_, height, width, channels] = batch.shape();
            let images: Vec<&[u8]> = batch
                .pixels()
                .chunks_exact(height * width * channels)
                .collect();
            let squares = images.into_par_iter().map(|image| {
                let image = RgbImage::from_raw(width as u32, height as u32, image.to_vec());
                let image = image.context("an image is not of red, green and blue")?;
                Ok(centre_square(&image, side as u32).into_raw())
            });
            for square in squares.collect::<Result<Vec<_>>>()? {
                pixels.extend(square.into_iter().map(f32::from));
            }
        }
        let shape = [pixels.len() / (side * side * 3), side, side, 3];
        let images = Tensor::<B, 4>::from_data(TensorData::new(pixels, shape), &self.device);
        Ok(rows(network.embed(images.permute([0, 3, 1, 2]))?))
    }
}

impl<B: Kernels> FeatureNetworks for DeviceNetworks<B> {
    fn extract(&self, images: &[ImageBatch], wanted: FeatureNeeds) -> Result<Extracted> {
        let mut extracted = Extracted::default();
        if wanted.needs_inception() {
            self.features(images, &mut extracted, wanted)?;
        }
        if wanted.embeddings {
            extracted.embeddings = self.embeddings(images)?;
        }
        Ok(extracted)
    }
}

fn rows<B: Backend>(values: Tensor<B, 2>) -> Vec<f32> {
    values.into_data().iter::<f32>().collect()
}
