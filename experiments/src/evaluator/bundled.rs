//! What samples are judged by where nothing is named: a data set's own classifier and statistics, which come with the
//! program; and the statistics of any images.

use std::path::Path;

use adadiff_data::{BadImage, BadImages, FashionMnist, ImageSet, Split};
use adadiff_metrics::{
    CifarCnnConfig, Classifier, FashionCnnConfig, GaussianStats, parse_statistics,
};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, FeatureExtractor, Monitor, PipelineError, Silent};
use adadiff_weights::native::{load, metadata};
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use crate::presets::DataSet;

/// The key of the share of test images in a classifier's header that it names rightly.
pub const TEST_ACCURACY_KEY: &str = "test_accuracy";

/// What comes with the program for a data set.
struct Bundled {
    classifier: &'static [u8],
    training: &'static [u8],
    /// Of the test images; absent where these come with the program themselves.
    test: Option<&'static [u8]>,
}

const FASHION_MNIST: Bundled = Bundled {
    classifier: include_bytes!("../../assets/fashion_mnist/fashion_cnn.safetensors"),
    training: include_bytes!("../../assets/fashion_mnist/train_statistics.npz"),
    test: None,
};

const CIFAR10: Bundled = Bundled {
    classifier: include_bytes!("../../assets/cifar10/cifar_cnn.safetensors"),
    training: include_bytes!("../../assets/cifar10/train_statistics.npz"),
    test: Some(include_bytes!("../../assets/cifar10/test_statistics.npz")),
};

/// What messages call a classifier's file.
const CLASSIFIER: &str = "the bundled classifier";

/// The classifier of Fashion-MNIST that comes with the program.
///
/// # Errors
/// Never, unless a file in the repository was broken.
pub fn fashion_cnn<B: Kernels>(device: &B::Device) -> Result<Box<dyn Classifier<B>>> {
    let network = FashionCnnConfig::new().init::<B>(device);
    let bytes = FASHION_MNIST.classifier.to_vec();
    Ok(Box::new(load(network, bytes, Path::new(CLASSIFIER))?))
}

/// The classifier of CIFAR-10 that comes with the program.
///
/// # Errors
/// As [`fashion_cnn`].
pub fn cifar_cnn<B: Kernels>(device: &B::Device) -> Result<Box<dyn Classifier<B>>> {
    let network = CifarCnnConfig::new().init::<B>(device);
    let bytes = CIFAR10.classifier.to_vec();
    Ok(Box::new(load(network, bytes, Path::new(CLASSIFIER))?))
}

/// The classifier of a data set.
pub struct BundledClassifier<B: Kernels> {
    pub network: Box<dyn Classifier<B>>,
    bundled: Bundled,
}

impl<B: Kernels> BundledClassifier<B> {
    /// The one that comes with the program, where one does.
    ///
    /// # Errors
    /// As [`fashion_cnn`].
    pub fn of(data: DataSet, device: &B::Device) -> Result<Option<Self>> {
        let (network, bundled) = match data {
            DataSet::FashionMnist => (fashion_cnn(device)?, FASHION_MNIST),
            DataSet::Cifar10 => (cifar_cnn(device)?, CIFAR10),
            _ => return Ok(None),
        };
        Ok(Some(Self { network, bundled }))
    }

    /// The share of test images in `[0, 1]` that it names rightly.
    ///
    /// # Errors
    /// As [`fashion_cnn`].
    pub fn test_accuracy(&self) -> Result<f64> {
        let header = metadata(self.bundled.classifier, Path::new(CLASSIFIER))?;
        let accuracy = header.get(TEST_ACCURACY_KEY);
        let accuracy = accuracy.context("the bundled classifier does not say how good it is")?;
        Ok(accuracy.parse()?)
    }
}

/// The classifier of a data set and the statistics of its images that come with the program, for samples of this shape:
/// of the training images, which calibrations use, or of the test images, which figures are judged against.
///
/// # Errors
/// Where none does, or the device fails.
pub fn bundled<B: Kernels>(
    data: DataSet,
    split: Split,
    shape: [usize; 3],
    device: &B::Device,
) -> Result<Evaluator<B>> {
    let own = BundledClassifier::of(data, device)?;
    let BundledClassifier { network, bundled } =
        own.with_context(|| format!("no classifier of {} comes with the program", data.title()))?;
    let extractor = FeatureExtractor::Classifier(network);
    let statistics = match split {
        Split::Train => Some(bundled.training),
        Split::Test => bundled.test,
    };
    let reference = match statistics {
        Some(statistics) => parse_statistics(statistics, Path::new("the bundled statistics"))?,
        None => {
            let images = test_images()?;
            let mut none_bad = BadImages::new(0);
            image_statistics(&extractor, &images, &mut none_bad, device, &Silent)?.gaussian()?
        }
    };
    let device = device.clone();
    Ok(Evaluator::new(extractor, reference, shape, device)?)
}

/// Fashion-MNIST's test split, which comes with the program.
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
