//! How far samples are from the test images.

use std::path::Path;

use adadiff_data::{FashionMnist, PIXELS, SIDE, Split, from_byte, to_byte};
use adadiff_metrics::{
    FEATURES_NAME, FashionCnn, FashionCnnConfig, Gaussian, GaussianStats, frechet_distance,
};
use adadiff_model::kernels::Kernels;
use adadiff_train::weights::load;
use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};

/// Images in one pass of the feature extractor.
const BATCH: usize = 250;

/// The bundled feature extractor and the statistics of the 10,000 bundled test images.
#[derive(Debug)]
pub struct Judge<B: Kernels> {
    extractor: FashionCnn<B>,
    reference: Gaussian,
    device: B::Device,
}

impl<B: Kernels> Judge<B> {
    /// Loads the extractor and measures the test images.
    ///
    /// # Errors
    /// Where a bundled file was broken or the device fails.
    pub fn new(device: &B::Device) -> Result<Self> {
        let weights = include_bytes!("../assets/fashion_mnist/fashion_cnn.safetensors");
        let path = Path::new("the bundled feature extractor");
        let extractor = FashionCnnConfig::new().init::<B>(device);
        let extractor = load(extractor, weights.to_vec(), path)?;
        let images = test_images()?;
        let pixels: Vec<f32> = (0..images.len())
            .flat_map(|i| images.image(i, false))
            .collect();
        let statistics = statistics(&extractor, &pixels, device)?;
        Ok(Self {
            extractor,
            reference: statistics.gaussian()?,
            device: device.clone(),
        })
    }

    /// The features' name.
    pub fn features(&self) -> &'static str {
        FEATURES_NAME
    }

    /// The Fréchet distance of images in `[-1, 1]` from the test images. They are rounded to 8 bits
    /// first, as the test images are.
    ///
    /// # Errors
    /// Where there are too few samples for a covariance of full rank.
    pub fn frechet_distance(&self, pixels: &[f32]) -> Result<f64> {
        let rounded: Vec<f32> = pixels
            .iter()
            .map(|&pixel| from_byte(to_byte(pixel)))
            .collect();
        let statistics = statistics(&self.extractor, &rounded, &self.device)?;
        let (samples, dims) = (statistics.count(), statistics.dims());
        if samples <= dims as u64 {
            bail!(
                "a Fréchet distance over {dims} features needs more than {dims} samples, found {samples}"
            );
        }
        Ok(frechet_distance(&statistics.gaussian()?, &self.reference)?)
    }
}

/// The bundled test split.
///
/// # Errors
/// Never, unless a file in the repository was broken.
pub fn test_images() -> Result<FashionMnist> {
    let images = include_bytes!("../assets/fashion_mnist/t10k-images-idx3-ubyte.gz");
    let labels = include_bytes!("../assets/fashion_mnist/t10k-labels-idx1-ubyte.gz");
    Ok(FashionMnist::from_gz_bytes(
        "the bundled test images",
        Split::Test,
        images,
        labels,
    )?)
}

fn statistics<B: Kernels>(
    extractor: &FashionCnn<B>,
    pixels: &[f32],
    device: &B::Device,
) -> Result<GaussianStats> {
    let mut statistics: Option<GaussianStats> = None;
    for pixels in pixels.chunks(BATCH * PIXELS) {
        let shape = [pixels.len() / PIXELS, 1, SIDE, SIDE];
        let images = Tensor::<B, 4>::from_data(TensorData::new(pixels.to_vec(), shape), device);
        let features = extractor.features(images);
        let [_, dims] = features.dims();
        let features: Vec<f32> = features.into_data().iter::<f32>().collect();
        statistics
            .get_or_insert_with(|| GaussianStats::new(dims))
            .push(&features)?;
    }
    match statistics {
        Some(statistics) => Ok(statistics),
        None => bail!("there are no images to judge"),
    }
}
