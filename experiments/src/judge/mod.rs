//! How far samples are from the images of a data set.

mod extractor;
mod plan;
mod yardstick;

use std::path::Path;

use adadiff_data::{FashionMnist, ImageSet, Split};
use adadiff_metrics::{Gaussian, GaussianStats, frechet_distance, parse_statistics};
use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use rayon::prelude::*;

use adadiff_storage::sha256_hex;
pub use extractor::Extractor;
#[cfg(test)]
pub use plan::FeatureName;
pub use plan::JudgeOptions;
pub use yardstick::{Yardstick, YardstickName};

/// A feature extractor and the statistics of the images that samples are compared with.
#[derive(Debug)]
pub struct Judge<B: Kernels> {
    extractor: Extractor<B>,
    reference: Gaussian,
    shape: [usize; 3],
    device: B::Device,
}

impl<B: Kernels> Judge<B> {
    /// Judges images of this shape by `extractor`'s features and their statistics over a reference.
    ///
    /// # Errors
    /// Where the statistics are of other features.
    pub fn new(
        extractor: Extractor<B>,
        reference: Gaussian,
        shape: [usize; 3],
        device: B::Device,
    ) -> Result<Self> {
        let (found, expected) = (reference.mean().len(), extractor.dims());
        if found != expected {
            bail!(
                "the reference statistics are of {found} features, {} has {expected}",
                extractor.name()
            );
        }
        Ok(Self {
            extractor,
            reference,
            shape,
            device,
        })
    }

    /// The bundled extractor of Fashion-MNIST and its 10,000 bundled test images.
    ///
    /// # Errors
    /// Where a bundled file was broken or the device fails.
    pub fn fashion_mnist(device: &B::Device) -> Result<Self> {
        let images = test_images()?;
        let extractor = Extractor::fashion_cnn(device)?;
        let bar = ProgressBar::hidden();
        let reference = image_statistics(&extractor, &images, device, &bar)?;
        let shape = ImageSet::shape(&images);
        Self::new(extractor, reference.gaussian()?, shape, device.clone())
    }

    /// The bundled extractor of Fashion-MNIST and its statistics of the 60,000 training images, as
    /// `reference` writes them, for samples of this shape.
    ///
    /// # Errors
    /// Never, unless a bundled file was broken.
    pub fn fashion_mnist_training(shape: [usize; 3], device: &B::Device) -> Result<Self> {
        let statistics = include_bytes!("../../assets/fashion_mnist/train_statistics.npz");
        let reference = parse_statistics(statistics, Path::new("the bundled statistics"))?;
        let extractor = Extractor::fashion_cnn(device)?;
        Self::new(extractor, reference, shape, device.clone())
    }

    /// The features' name.
    pub fn features(&self) -> &'static str {
        self.extractor.name()
    }

    /// The SHA-256 of the statistics that samples are compared with: of the mean's and then the
    /// covariance's numbers as little-endian doubles.
    pub fn reference_sha256(&self) -> String {
        let numbers = self
            .reference
            .mean()
            .iter()
            .chain(self.reference.covariance());
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        sha256_hex(&bytes)
    }

    /// Number of features.
    pub fn dims(&self) -> usize {
        self.extractor.dims()
    }

    /// Statistics to [`add`](Self::add) the samples from `first_sample` on to.
    ///
    /// # Errors
    /// Where a run cannot be cut there.
    pub fn no_statistics(&self, first_sample: u64) -> Result<GaussianStats> {
        self.extractor.no_statistics(first_sample)
    }

    /// Adds samples in `[-1, 1]`, as [`Extractor::add`] does.
    ///
    /// # Errors
    /// Where the pixels are no such images, or not finite.
    pub fn add(&self, statistics: &mut GaussianStats, pixels: &[f32]) -> Result<()> {
        self.extractor
            .add(statistics, pixels, self.shape, &self.device)
    }

    /// The Fréchet distance of samples from the reference.
    ///
    /// # Errors
    /// Where there are too few samples for a covariance of full rank.
    pub fn frechet_distance(&self, statistics: &GaussianStats) -> Result<f64> {
        distance_from(&self.reference, statistics)
    }
}

/// Refuses samples that are too few for a covariance of full rank. `asked` says where their number
/// comes from.
///
/// # Errors
/// Where there are no more of them than features.
pub fn ensure_enough(samples: u64, dims: usize, asked: &str) -> Result<()> {
    ensure!(
        samples > dims as u64,
        "a Fréchet distance over {dims} features needs more than {dims} samples, {asked}"
    );
    Ok(())
}

/// The Fréchet distance of samples from a reference.
///
/// # Errors
/// Where there are too few samples for a covariance of full rank.
pub fn distance_from(reference: &Gaussian, statistics: &GaussianStats) -> Result<f64> {
    let samples = statistics.count();
    ensure_enough(samples, statistics.dims(), &format!("found {samples}"))?;
    Ok(frechet_distance(&statistics.gaussian()?, reference)?)
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

/// The statistics of a data set's images, each of which counts one on `bar`.
///
/// # Errors
/// Where an image cannot be read, which would change the figure, or the device fails.
pub fn image_statistics<B: Kernels>(
    extractor: &Extractor<B>,
    images: &dyn ImageSet,
    device: &B::Device,
    bar: &ProgressBar,
) -> Result<GaussianStats> {
    let mut statistics = GaussianStats::new(extractor.dims());
    let shape = images.shape();
    for first in (0..images.len()).step_by(extractor.batch()) {
        let indices = first..images.len().min(first + extractor.batch());
        let read = |index| {
            let image = images.image(index, false);
            image.with_context(|| format!("{} is needed for the statistics", images.name(index)))
        };
        let pixels: Vec<Vec<f32>> = indices
            .clone()
            .into_par_iter()
            .map(read)
            .collect::<Result<_>>()?;
        extractor.add_exact(&mut statistics, &pixels.concat(), shape, device)?;
        bar.inc(indices.len() as u64);
    }
    Ok(statistics)
}
