//! Fashion-MNIST's own features, test images and statistics, and those of any data set.

use std::path::Path;

use adadiff_data::{BadImage, BadImages, FashionMnist, ImageSet, Split};
use adadiff_metrics::{FashionCnnConfig, GaussianStats, parse_statistics};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, FeatureExtractor, Monitor, PipelineError, Silent};
use adadiff_weights::native::load;
use anyhow::{Result, ensure};
use rayon::prelude::*;

/// The bundled classifier.
///
/// # Errors
/// Never, unless a file in the repository was broken.
pub fn fashion_cnn<B: Kernels>(device: &B::Device) -> Result<FeatureExtractor<B>> {
    let weights = include_bytes!("../../assets/fashion_mnist/fashion_cnn.safetensors");
    let path = Path::new("the bundled feature extractor");
    let network = FashionCnnConfig::new().init::<B>(device);
    let network = load(network, weights.to_vec(), path)?;
    Ok(FeatureExtractor::FashionCnn(Box::new(network)))
}

/// The bundled features of Fashion-MNIST and its 10,000 bundled test images.
///
/// # Errors
/// Where a bundled file was broken or the device fails.
pub fn fashion_mnist<B: Kernels>(device: &B::Device) -> Result<Evaluator<B>> {
    let images = test_images()?;
    let extractor = fashion_cnn(device)?;
    let mut none_bad = BadImages::new(0);
    let reference = image_statistics(&extractor, &images, &mut none_bad, device, &Silent)?;
    let shape = ImageSet::shape(&images);
    Ok(Evaluator::new(
        extractor,
        reference.gaussian()?,
        shape,
        device.clone(),
    )?)
}

/// The bundled features of Fashion-MNIST and its statistics of the 60,000 training images, as
/// `reference` writes them, for samples of this shape.
///
/// # Errors
/// Never, unless a bundled file was broken.
pub fn fashion_mnist_training<B: Kernels>(
    shape: [usize; 3],
    device: &B::Device,
) -> Result<Evaluator<B>> {
    let statistics = include_bytes!("../../assets/fashion_mnist/train_statistics.npz");
    let reference = parse_statistics(statistics, Path::new("the bundled statistics"))?;
    let extractor = fashion_cnn(device)?;
    Ok(Evaluator::new(extractor, reference, shape, device.clone())?)
}

/// The bundled test split.
///
/// # Errors
/// Never, unless a file in the repository was broken.
pub fn test_images() -> Result<FashionMnist> {
    let images = include_bytes!("../../assets/fashion_mnist/t10k-images-idx3-ubyte.gz");
    let labels = include_bytes!("../../assets/fashion_mnist/t10k-labels-idx1-ubyte.gz");
    Ok(FashionMnist::from_gz_bytes(
        "the bundled test images",
        Split::Test,
        images,
        labels,
    )?)
}

/// The statistics of a data set's images, each of which counts one on `monitor`; those that cannot be
/// used are left out and counted as `bad`.
///
/// # Errors
/// Where more of them are bad than may be, or the device fails.
pub fn image_statistics<B: Kernels>(
    extractor: &FeatureExtractor<B>,
    images: &dyn ImageSet,
    bad: &mut BadImages,
    device: &B::Device,
    monitor: &dyn Monitor,
) -> Result<GaussianStats> {
    let mut statistics = GaussianStats::new(extractor.dims());
    let shape = images.shape();
    for first in (0..images.len()).step_by(extractor.batch()) {
        ensure!(!monitor.stopped(), PipelineError::Interrupted);
        let indices = first..images.len().min(first + extractor.batch());
        let read = indices.clone().into_par_iter();
        let read: Vec<_> = read.map(|index| images.image(index, false)).collect();
        let mut pixels = Vec::new();
        for (index, image) in indices.clone().zip(read) {
            match image {
                Ok(image) => pixels.extend(image),
                Err(error) => {
                    bad.add(BadImage::new(index, images.name(index), &error))?;
                }
            }
        }
        if !pixels.is_empty() {
            extractor.add_exact(&mut statistics, &pixels, shape, device, monitor)?;
        }
        monitor.advance(indices.len() as u64);
    }
    Ok(statistics)
}
