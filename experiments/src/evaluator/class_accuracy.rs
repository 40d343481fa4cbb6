//! How many samples show the class that they were drawn for.

use std::fmt;

use adadiff_data::{ImageError, ImageSet, to_byte};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Conditions;
use adadiff_train::classifier_accuracy;
use anyhow::Result;

use super::bundled::BundledClassifier;
use crate::presets::DataSet;

/// The share of images that a data set's own classifier takes for what they are, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassAccuracy {
    /// Of samples, for the class that they were drawn for.
    pub samples: f64,
    /// Of the data set's test images.
    pub test_images: f64,
}

impl ClassAccuracy {
    /// That of samples in `[-1, 1]`, `[samples, channels, height, width]`, drawn for `conditions`; nothing where no
    /// classifier of the data set comes with the program, it is for other images, or they were not drawn by class.
    ///
    /// # Errors
    /// Where a bundled file was broken.
    pub fn new<B: Kernels>(
        data: DataSet,
        pixels: &[f32],
        shape: [usize; 3],
        conditions: &Conditions,
        device: &B::Device,
    ) -> Result<Option<Self>> {
        let Conditions::Classes(classes) = conditions else {
            return Ok(None);
        };
        let Some(own) = BundledClassifier::<B>::of(data, device)? else {
            return Ok(None);
        };
        let network = &*own.network;
        // The last label of a network may stand for "no class".
        let is_known = classes.iter().all(|&class| class < network.classes());
        if !is_known || network.shape() != shape {
            return Ok(None);
        }
        let drawn = Drawn {
            pixels,
            shape,
            classes,
        };
        Ok(Some(Self {
            samples: classifier_accuracy(network, &drawn, device)?,
            test_images: own.test_accuracy()?,
        }))
    }
}

impl fmt::Display for ClassAccuracy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [samples, test_images] = [self.samples, self.test_images].map(|share| 100.0 * share);
        write!(
            formatter,
            "a classifier takes {samples:.1} % of them for their class, {test_images:.1} % of the test images"
        )
    }
}

/// Samples as a data set, of 8 bits.
struct Drawn<'a> {
    pixels: &'a [f32],
    shape: [usize; 3],
    /// The classes that they were drawn for, in turn.
    classes: &'a [usize],
}

impl ImageSet for Drawn<'_> {
    fn len(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>()
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, ImageError> {
        let [channels, height, width] = self.shape;
        let plane = height * width;
        let image = &self.pixels[index * channels * plane..][..channels * plane];
        let places = 0..channels * plane;
        let values = places.map(|place| image[place % channels * plane + place / channels]);
        Ok(values.map(to_byte).collect())
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.classes.get(index % self.classes.len()).copied()
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::super::test_images;
    use super::*;

    #[test]
    fn test_images_taken_for_samples_are_recognised_as_often_as_the_header_says() {
        println!("device: flex");
        let images = test_images().unwrap();
        let data = DataSet::FashionMnist;
        let chosen = 0..500;
        let pixels: Vec<f32> = chosen
            .clone()
            .flat_map(|index| ImageSet::image(&images, index, false).unwrap())
            .collect();
        let labels: Vec<_> = chosen
            .map(|index| ImageSet::label(&images, index).unwrap())
            .collect();
        let accuracy = |classes: Vec<usize>| {
            let conditions = Conditions::Classes(classes);
            let shape = ImageSet::shape(&images);
            ClassAccuracy::new::<Flex>(data, &pixels, shape, &conditions, &FlexDevice).unwrap()
        };
        let found = accuracy(labels.clone()).unwrap();
        assert!((found.samples - found.test_images).abs() < 0.03, "{found}");
        let wrong = labels.iter().map(|label| (label + 1) % 10).collect();
        assert!(accuracy(wrong).unwrap().samples < 0.1);
        // Samples without a class have none to be taken for.
        assert_eq!(accuracy(vec![10]), None);
    }

    #[test]
    fn the_model_card_states_the_headers_accuracy() {
        println!("device: flex");
        let card = include_str!("../../assets/cifar10/MODEL_CARD.md");
        let own = BundledClassifier::<Flex>::of(DataSet::Cifar10, &FlexDevice).unwrap();
        let accuracy = 100.0 * own.unwrap().test_accuracy().unwrap();
        assert!(card.contains(&format!("{accuracy:.2} %")), "{accuracy}");
    }
}
