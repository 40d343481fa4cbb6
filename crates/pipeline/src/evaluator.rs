//! How far samples are from the images of a data set.

use adadiff_metrics::{Gaussian, GaussianStats, frechet_distance};
use adadiff_model::kernels::Kernels;
use adadiff_storage::sha256_hex;

use crate::{FeatureExtractor, Monitor, PipelineError};

/// A feature extractor and the statistics of the images that samples are compared with.
#[derive(Debug)]
pub struct Evaluator<B: Kernels> {
    extractor: FeatureExtractor<B>,
    reference: Gaussian,
    shape: [usize; 3],
    device: B::Device,
}

impl<B: Kernels> Evaluator<B> {
    /// Judges images of this shape by `extractor`'s features and their statistics over a reference.
    ///
    /// # Errors
    /// Where the statistics are of other features.
    pub fn new(
        extractor: FeatureExtractor<B>,
        reference: Gaussian,
        shape: [usize; 3],
        device: B::Device,
    ) -> Result<Self, PipelineError> {
        let (found, expected) = (reference.mean().len(), extractor.dims());
        if found != expected {
            return Err(PipelineError::OtherFeatures {
                found,
                features: extractor.name(),
                expected,
            });
        }
        Ok(Self {
            extractor,
            reference,
            shape,
            device,
        })
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
    pub fn no_statistics(&self, first_sample: u64) -> Result<GaussianStats, PipelineError> {
        self.extractor.no_statistics(first_sample)
    }

    /// Adds samples in `[-1, 1]`, as [`FeatureExtractor::add`] does.
    ///
    /// # Errors
    /// Where the pixels are no such images, or not finite, or the monitor stops it.
    pub fn add(
        &self,
        statistics: &mut GaussianStats,
        pixels: &[f32],
        monitor: &dyn Monitor,
    ) -> Result<(), PipelineError> {
        self.extractor
            .add(statistics, pixels, self.shape, &self.device, monitor)
    }

    /// The Fréchet distance of samples from the reference.
    ///
    /// # Errors
    /// Where there are too few samples for a covariance of full rank, or the distance is not finite.
    pub fn frechet_distance(&self, statistics: &GaussianStats) -> Result<f64, PipelineError> {
        distance_from(&self.reference, statistics)
    }
}

/// Refuses samples that are too few for a covariance of full rank. `asked` says where their number
/// comes from.
///
/// # Errors
/// Where there are no more of them than features.
pub fn ensure_enough(samples: u64, dims: usize, asked: &str) -> Result<(), PipelineError> {
    if samples > dims as u64 {
        return Ok(());
    }
    Err(PipelineError::TooFewSamples {
        dims,
        asked: asked.to_owned(),
    })
}

/// The Fréchet distance of samples from a reference.
///
/// # Errors
/// Where there are too few samples for a covariance of full rank, or the distance is not finite.
pub fn distance_from(
    reference: &Gaussian,
    statistics: &GaussianStats,
) -> Result<f64, PipelineError> {
    let samples = statistics.count();
    ensure_enough(samples, statistics.dims(), &format!("found {samples}"))?;
    let distance = frechet_distance(&statistics.gaussian()?, reference)?;
    if distance.is_finite() {
        Ok(distance)
    } else {
        Err(PipelineError::NoDistance)
    }
}
