//! The features that samples are judged by.

use adadiff_data::{from_byte, to_byte};
use adadiff_metrics::{
    CHUNK, Classifier, GaussianStats, INCEPTION_FEATURES, Inception, Preprocessing,
};
use adadiff_model::kernels::Kernels;

use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Tensor, TensorData};

use crate::{Monitor, PipelineError};

/// Side of what [`FeatureExtractor::Pixels`] reduces images to.
const PIXEL_SIDE: usize = 4;

/// The name of FID's features in results.
pub const INCEPTION_NAME: &str = "inception-2015-12-05";

/// The name of [`FeatureExtractor::Pixels`] in results.
pub const PIXELS_NAME: &str = "pixels-4x4";

/// A network, or less, that tells features of images.
#[derive(Debug)]
pub enum FeatureExtractor<B: Kernels> {
    /// A small classifier of a data set.
    Classifier(Box<dyn Classifier<B>>),
    /// FID's network, fed as pytorch-fid does.
    Inception(Box<Inception<B>>),
    /// The colours of 4 x 4 areas: no weights needed, and no judgement of what an image shows.
    Pixels {
        /// Channels of the images.
        channels: usize,
    },
}

impl<B: Kernels> FeatureExtractor<B> {
    /// The name of the features in results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classifier(network) => network.name(),
            Self::Inception(_) => INCEPTION_NAME,
            Self::Pixels { .. } => PIXELS_NAME,
        }
    }

    /// Number of features.
    pub fn dims(&self) -> usize {
        match self {
            Self::Classifier(network) => network.dims(),
            Self::Inception(_) => INCEPTION_FEATURES,
            Self::Pixels { channels } => channels * PIXEL_SIDE * PIXEL_SIDE,
        }
    }

    /// Images in one pass.
    pub fn batch(&self) -> usize {
        match self {
            Self::Inception(_) => 50,
            Self::Classifier(_) | Self::Pixels { .. } => 250,
        }
    }

    /// The features `[images, dims]` of images `[images, channels, height, width]` in `[-1, 1]`.
    ///
    /// # Errors
    /// Where the images are not of the shape that a classifier is for.
    pub fn features(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 2>, PipelineError> {
        let [batch, channels, height, width] = images.dims();
        match self {
            Self::Classifier(network) => {
                let (expected, found) = (network.shape(), [channels, height, width]);
                if found != expected {
                    return Err(PipelineError::OtherImages {
                        features: self.name(),
                        expected,
                        found,
                    });
                }
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

    /// Statistics to [`add`](Self::add) the samples from `first_sample` on to.
    ///
    /// # Errors
    /// Where a run cannot be cut there.
    pub fn no_statistics(&self, first_sample: u64) -> Result<GaussianStats, PipelineError> {
        // A part that would start at the end of a run has no samples, wherever that is.
        let first_sample = first_sample.next_multiple_of(CHUNK);
        Ok(GaussianStats::starting_at(self.dims(), first_sample)?)
    }

    /// Adds samples in `[-1, 1]`, `[samples, channels, height, width]`, to statistics. They are
    /// rounded to 8 bits first, as published tools judge files of images.
    ///
    /// # Errors
    /// Where the pixels are no such images, or not finite, or the monitor stops it.
    pub fn add(
        &self,
        statistics: &mut GaussianStats,
        pixels: &[f32],
        shape: [usize; 3],
        device: &B::Device,
        monitor: &dyn Monitor,
    ) -> Result<(), PipelineError> {
        // Rounding would make a number of what is none.
        if let Some(sample) = first_not_finite(pixels, shape) {
            let sample = statistics.count() + sample;
            return Err(PipelineError::NotFinite { sample });
        }
        let rounded: Vec<f32> = pixels
            .iter()
            .map(|&pixel| from_byte(to_byte(pixel)))
            .collect();
        self.add_exact(statistics, &rounded, shape, device, monitor)
    }

    /// [`Self::add`] for images that are of 8 bits already.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_exact(
        &self,
        statistics: &mut GaussianStats,
        pixels: &[f32],
        [channels, height, width]: [usize; 3],
        device: &B::Device,
        monitor: &dyn Monitor,
    ) -> Result<(), PipelineError> {
        let size = channels * height * width;
        for pixels in pixels.chunks(self.batch() * size) {
            if monitor.stopped() {
                return Err(PipelineError::Interrupted);
            }
            let shape = [pixels.len() / size, channels, height, width];
            let images = Tensor::<B, 4>::from_data(TensorData::new(pixels.to_vec(), shape), device);
            let features: Vec<f32> = self.features(images)?.into_data().iter::<f32>().collect();
            statistics.push(&features)?;
        }
        Ok(())
    }
}

/// The first of several images that holds a value which is not finite.
pub(crate) fn first_not_finite(pixels: &[f32], shape: [usize; 3]) -> Option<u64> {
    let place = pixels.iter().position(|pixel| !pixel.is_finite())?;
    Some((place / shape.iter().product::<usize>().max(1)) as u64)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::Silent;
    use crate::testing::StopsAfter;

    #[test]
    fn samples_are_judged_as_images_of_8_bits() {
        println!("device: flex");
        let extractor = FeatureExtractor::<Flex>::Pixels { channels: 1 };
        let shape = [1, 4, 4];
        let exact: Vec<f32> = (0..64).map(|index| from_byte(index * 4)).collect();
        // Less than half a level beside them, and beyond both ends.
        let mut drawn: Vec<f32> = exact
            .iter()
            .zip([0.003, -0.003].iter().cycle())
            .map(|(pixel, offset)| pixel + offset)
            .collect();
        drawn[0] = -1.7;
        let statistics = |pixels: &[f32], is_exact: bool| {
            let mut statistics = extractor.no_statistics(0).unwrap();
            if is_exact {
                extractor.add_exact(&mut statistics, pixels, shape, &FlexDevice, &Silent)
            } else {
                extractor.add(&mut statistics, pixels, shape, &FlexDevice, &Silent)
            }
            .unwrap();
            statistics
        };
        assert_eq!(statistics(&drawn, false), statistics(&exact, true));
        assert_ne!(statistics(&drawn, true), statistics(&exact, true));
    }

    #[test]
    fn images_are_judged_until_the_monitor_stops_it() {
        println!("device: flex");
        let extractor = FeatureExtractor::<Flex>::Pixels { channels: 1 };
        let mut statistics = extractor.no_statistics(0).unwrap();
        let pixels = vec![0.0; 3 * extractor.batch() * 16];
        let monitor = StopsAfter(Cell::new(2));
        let stopped = extractor.add(&mut statistics, &pixels, [1, 4, 4], &FlexDevice, &monitor);
        assert!(matches!(stopped, Err(PipelineError::Interrupted)));
        assert_eq!(statistics.count(), 2 * extractor.batch() as u64);
    }

    #[test]
    fn an_image_of_no_numbers_is_refused_and_not_taken_for_black() {
        println!("device: flex");
        let extractor = FeatureExtractor::<Flex>::Pixels { channels: 1 };
        for broken in [f32::NAN, f32::INFINITY] {
            let mut pixels = vec![0.0; 3 * 16];
            pixels[35] = broken;
            let mut statistics = extractor.no_statistics(0).unwrap();
            let error = extractor
                .add(&mut statistics, &pixels, [1, 4, 4], &FlexDevice, &Silent)
                .unwrap_err();
            assert!(
                matches!(error, PipelineError::NotFinite { sample: 2 }),
                "{error}"
            );
            assert_eq!(statistics.count(), 0);
        }
    }
}
