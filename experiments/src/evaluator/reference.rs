//! What samples are compared with, and what calibrations measure their distance by.

use std::error::Error;
use std::fs;
use std::path::Path;

use adadiff_data::{BadImages, Split};
use adadiff_metrics::{read_origin, read_statistics};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    CalibrationReference, Evaluator, PipelineError, ReferenceId, ReferenceSource,
};
use adadiff_storage::sha256_file;
use anyhow::{Context, Result, bail};

use super::bundled::{bundled, image_statistics};
use super::options::{EvaluatorOptions, FeatureName};
use crate::presets::{DataSet, DatasetPath};
use crate::terminal::{Terminal, samples_bar};

/// The features that samples are judged by, and the images of a data set that they are compared with.
#[derive(Clone, Debug, Default)]
pub struct DataSetReference {
    /// The features, and statistics of them.
    pub options: EvaluatorOptions,
    /// The images, where there are no statistics.
    pub dataset: DatasetPath,
}

impl DataSetReference {
    /// Whether it comes with the program. Someone's own copy of CIFAR-10 is judged by itself: the bundled statistics are of
    /// a JPEG copy.
    fn is_bundled(&self, data: DataSet) -> bool {
        self.options.reference.is_none()
            && FeatureName::own(data) == Some(self.options.name(data))
            && (data == DataSet::FashionMnist || self.dataset.data.is_none())
    }

    /// What it is called in what is stored; nothing where it comes with the program.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn id(&self, data: DataSet) -> Result<Option<ReferenceId>> {
        if self.is_bundled(data) {
            return Ok(None);
        }
        let reference = match (&self.options.reference, &self.dataset.data) {
            (Some(statistics), _) => statistics_id(statistics)?,
            (None, Some(images)) => {
                let whole = fs::canonicalize(images).unwrap_or_else(|_| images.clone());
                format!("images of {}", whole.display())
            }
            (None, None) => "the data set's images".to_owned(),
        };
        Ok(Some(ReferenceId {
            features: self.options.features(data).to_owned(),
            reference,
        }))
    }

    /// Whether what was measured by `stored` is what is asked for: where features or statistics are
    /// named, those must be the same. What is left open is what was stored; with a data set that has features of its
    /// own nothing is open.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn accepts(&self, data: DataSet, stored: Option<&ReferenceId>) -> Result<bool> {
        if self.is_bundled(data) {
            return Ok(stored.is_none());
        }
        let (options, own) = (&self.options, FeatureName::own(data));
        let Some(stored) = stored else {
            return Ok(own.is_none());
        };
        let open = own.is_none() && options.features.is_none() && options.inception.is_none();
        let features = open || stored.features == options.features(data);
        Ok(features
            && match &options.reference {
                Some(statistics) => stored.reference == statistics_id(statistics)?,
                None => true,
            })
    }

    /// What figures are judged by, for samples of this shape: the bundled test images, or their statistics, where nothing
    /// else is named.
    ///
    /// # Errors
    /// Where network or reference are missing, damaged or of other features.
    pub fn evaluator<B: Kernels>(
        &self,
        data: DataSet,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Result<Evaluator<B>> {
        if self.is_bundled(data) {
            return bundled(data, Split::Test, shape, device);
        }
        let extractor = self.options.extractor::<B>(data, shape[0], device)?;
        let reference = match &self.options.reference {
            Some(path) => {
                read_origin(path)?.ensure_same(&self.options.origin(data)?)?;
                read_statistics(path)?
            }
            None => {
                let images = data.open(&self.dataset).context(
                    "there is nothing to compare samples with: name statistics with --reference, \
                     or the images",
                )?;
                if images.shape() != shape {
                    bail!(
                        "the samples are images of {shape:?}, those to compare with have {:?}",
                        images.shape()
                    );
                }
                let bar = samples_bar(images.len() as u64).with_prefix("reference");
                let terminal = Terminal::over(bar);
                // Statistics that nobody looks at before they are used are of all images.
                let mut none_bad = BadImages::new(0);
                let statistics =
                    image_statistics(&extractor, &*images, &mut none_bad, device, &terminal)?;
                terminal.finish();
                statistics.gaussian()?
            }
        };
        let evaluator = Evaluator::new(extractor, reference, shape, device.clone());
        evaluator.map_err(|error| {
            let is_other = matches!(error, PipelineError::OtherFeatures { .. });
            let error = anyhow::Error::from(error);
            if is_other && self.options.inception.is_none() {
                error.context(
                    "these are statistics of other features: where they are of FID's network, name its weights with \
                     --inception FILE",
                )
            } else {
                error
            }
        })
    }

    /// What calibrations of a network on a data set measure distances by.
    pub fn of_calibrations(&self, data: DataSet) -> DataSetCalibration {
        let reference = self.clone();
        DataSetCalibration { reference, data }
    }
}

fn statistics_id(path: &Path) -> Result<String> {
    Ok(format!("SHA-256 {}", sha256_file(path)?))
}

/// A reference for calibrations. Where nothing is named it is the bundled statistics of the training images: the test
/// images are those that figures are judged against.
#[derive(Clone, Debug)]
pub struct DataSetCalibration {
    reference: DataSetReference,
    data: DataSet,
}

impl<B: Kernels> ReferenceSource<B> for DataSetCalibration {
    fn accepts(&self, stored: Option<&ReferenceId>) -> Result<bool, PipelineError> {
        self.reference.accepts(self.data, stored).map_err(unusable)
    }

    fn open(
        &self,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Result<CalibrationReference<B>, PipelineError> {
        let evaluator = || {
            if self.reference.is_bundled(self.data) {
                return bundled(self.data, Split::Train, shape, device);
            }
            let evaluator = self.reference.evaluator(self.data, shape, device);
            evaluator.context(
                "the exit rule `distance` is calibrated by how far samples are from a data set's \
                 images; `--exit-rule allocated` needs neither features nor images",
            )
        };
        Ok(CalibrationReference {
            id: self.reference.id(self.data).map_err(unusable)?,
            evaluator: evaluator().map_err(unusable)?,
        })
    }
}

fn unusable(error: anyhow::Error) -> PipelineError {
    PipelineError::Reference(Box::<dyn Error + Send + Sync>::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(features: Option<FeatureName>, reference: Option<&Path>) -> DataSetReference {
        DataSetReference {
            options: EvaluatorOptions {
                features,
                inception: None,
                reference: reference.map(Into::into),
            },
            dataset: DatasetPath::default(),
        }
    }

    fn id(reference: &DataSetReference, data: DataSet) -> Option<ReferenceId> {
        reference.id(data).unwrap()
    }

    #[test]
    fn a_reference_is_told_from_others_by_features_and_content() {
        let data = DataSet::FashionMnist;
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.npz", "b.npz", "c.npz"].map(|name| folder.path().join(name));
        for (path, content) in paths.iter().zip(["one", "two", "one"]) {
            fs::write(path, content).unwrap();
        }
        let [one, two, copy] = [0, 1, 2].map(|place| named(None, Some(&paths[place])));
        assert_eq!(id(&one, data), id(&copy, data));
        assert_ne!(id(&one, data), id(&two, data));
        assert_eq!(id(&one, data).unwrap().features, "fashion-cnn");
        let missing = named(None, Some(&folder.path().join("none.npz")));
        assert!(missing.id(data).is_err());

        // On Fashion-MNIST nothing named is something: its own.
        let stored = id(&one, data);
        for (reference, accepted) in [
            (&one, true),
            (&copy, true),
            (&two, false),
            (&named(None, None), false),
            (&named(Some(FeatureName::FashionCnn), None), false),
            (&named(Some(FeatureName::Pixels), None), false),
        ] {
            let found = reference.accepts(data, stored.as_ref()).unwrap();
            assert_eq!(found, accepted, "{reference:?}");
        }
        for features in [None, Some(FeatureName::FashionCnn)] {
            assert!(named(features, None).accepts(data, None).unwrap());
        }
        let pixels = named(Some(FeatureName::Pixels), None);
        assert!(!pixels.accepts(data, None).unwrap());
    }

    #[test]
    fn elsewhere_what_is_not_named_is_what_was_stored() {
        let data = DataSet::CelebA { side: 64 };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        fs::write(&path, "one").unwrap();
        let stored = id(&named(Some(FeatureName::Pixels), Some(&path)), data);
        let other = folder.path().join("b.npz");
        fs::write(&other, "two").unwrap();
        for (reference, accepted) in [
            (named(None, None), true),
            (named(Some(FeatureName::Pixels), None), true),
            (named(None, Some(&path)), true),
            (named(None, Some(&other)), false),
            (named(Some(FeatureName::Inception), None), false),
        ] {
            let found = reference.accepts(data, stored.as_ref()).unwrap();
            assert_eq!(found, accepted, "{reference:?}");
        }
    }

    #[test]
    fn ones_own_images_of_cifar_10_are_not_the_bundled_ones() {
        let data = DataSet::Cifar10;
        let own = |images: Option<&str>| DataSetReference {
            dataset: DatasetPath {
                data: images.map(Into::into),
                captions: None,
            },
            ..named(None, None)
        };
        assert_eq!(id(&own(None), data), None);
        assert!(own(None).accepts(data, None).unwrap());
        let named_by = id(&own(Some("cifar-10-batches-bin")), data).unwrap();
        assert_eq!(named_by.features, "cifar-cnn");
        let reference = own(Some("cifar-10-batches-bin"));
        assert!(!reference.accepts(data, None).unwrap());
        let inception = named(Some(FeatureName::Inception), None);
        assert!(!inception.accepts(data, None).unwrap());
    }
}
