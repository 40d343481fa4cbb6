//! From images to features.

use adadiff_metrics::{INCEPTION_FEATURES, ImageBatch, Inception, Preprocessing};
use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

/// A network that tells features of images.
pub trait Extractor {
    /// Features of each image.
    fn dims(&self) -> usize;

    /// Features of images, and the probabilities of their classes where these are asked for.
    ///
    /// # Errors
    /// Where the device fails.
    fn extract(&self, images: &[ImageBatch], probabilities: bool) -> Result<Extracted>;
}

/// What an [`Extractor`] tells, row by row.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// `[images, dims]`.
    pub features: Vec<f32>,
    /// `[images, classes]`, or nothing.
    pub probabilities: Vec<f32>,
}

/// FID's network on a device.
#[derive(Debug)]
pub struct InceptionExtractor<B: Backend> {
    /// The network.
    pub network: Inception<B>,
    /// How it gets its images.
    pub preprocessing: Preprocessing,
    /// The device that it is on.
    pub device: B::Device,
}

impl<B: Backend> InceptionExtractor<B> {
    /// The type of the numbers that the device computes with.
    pub fn dtype(&self) -> DType {
        Tensor::<B, 1>::zeros([1], &self.device).dtype()
    }
}

impl<B: Backend> Extractor for InceptionExtractor<B> {
    fn dims(&self) -> usize {
        INCEPTION_FEATURES
    }

    fn extract(&self, images: &[ImageBatch], probabilities: bool) -> Result<Extracted> {
        let prepared = images.iter().map(|images| {
            let images = images.to_device::<B>(&self.device);
            self.preprocessing.prepare(images)
        });
        let output = self
            .network
            .forward_prepared(Tensor::cat(prepared.collect(), 0));
        let rows = |values: Tensor<B, 2>| values.into_data().iter::<f32>().collect();
        Ok(Extracted {
            features: rows(output.features),
            probabilities: match probabilities {
                true => rows(softmax(output.logits_unbiased, 1)),
                false => Vec::new(),
            },
        })
    }
}
