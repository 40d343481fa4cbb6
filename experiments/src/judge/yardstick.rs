//! What calibrations measure the distance of samples by.

use std::fs;
use std::path::Path;

use adadiff_model::kernels::Kernels;
use adadiff_storage::sha256_file;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Judge, JudgeOptions};
use crate::presets::{DataSet, Place};

/// The features and the images that the exit rule [`Distance`](crate::ExitRule::Distance) brings
/// samples close to.
#[derive(Clone, Debug, Default)]
pub struct Yardstick {
    /// The features, and statistics of them.
    pub judge: JudgeOptions,
    /// The images, where there are no statistics.
    pub place: Place,
}

/// What a distance was measured by, in what is stored. Nothing stands for what comes with Fashion-MNIST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YardstickName {
    /// The features.
    pub features: String,
    /// What samples were compared with: the SHA-256 of a file of statistics, or where the images lie.
    pub reference: String,
}

impl YardstickName {
    /// What is measured by; nothing where that comes with Fashion-MNIST.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn of(judge: &JudgeOptions, place: &Place, data: DataSet) -> Result<Option<Self>> {
        if judge.is_bundled(data) {
            return Ok(None);
        }
        let reference = match (&judge.reference, &place.data) {
            (Some(statistics), _) => of_statistics(statistics)?,
            (None, Some(images)) => {
                let whole = fs::canonicalize(images).unwrap_or_else(|_| images.clone());
                format!("images of {}", whole.display())
            }
            (None, None) => "the data set's images".to_owned(),
        };
        Ok(Some(Self {
            features: judge.features(data).to_owned(),
            reference,
        }))
    }
}

impl JudgeOptions {
    /// Whether what was measured by `stored` is what these options ask for: where they name features or
    /// statistics, those must be the same. What they leave open is what was stored; with Fashion-MNIST
    /// nothing is open, as it has its own.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn accept(&self, stored: Option<&YardstickName>, data: DataSet) -> Result<bool> {
        if self.is_bundled(data) {
            return Ok(stored.is_none());
        }
        let Some(stored) = stored else {
            return Ok(data != DataSet::FashionMnist);
        };
        let open =
            data != DataSet::FashionMnist && self.features.is_none() && self.inception.is_none();
        let features = open || stored.features == self.features(data);
        Ok(features
            && match &self.reference {
                Some(statistics) => stored.reference == of_statistics(statistics)?,
                None => true,
            })
    }
}

fn of_statistics(path: &Path) -> Result<String> {
    Ok(format!("SHA-256 {}", sha256_file(path)?))
}

impl Yardstick {
    /// [`YardstickName::of`] it.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn name(&self, data: DataSet) -> Result<Option<YardstickName>> {
        YardstickName::of(&self.judge, &self.place, data)
    }

    /// Opens it for samples of this shape. For Fashion-MNIST it is the bundled statistics of the
    /// training images, where no others are named: the test images are those that figures are judged
    /// against.
    ///
    /// # Errors
    /// Where network or reference are missing, damaged or of other features.
    pub fn open<B: Kernels>(
        &self,
        data: DataSet,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Result<Judge<B>> {
        if self.judge.is_bundled(data) {
            return Judge::fashion_mnist_training(shape, device);
        }
        let judge = self.judge.judge(data, &self.place, shape, device);
        judge.context(
            "the exit rule `distance` is calibrated by how far samples are from a data set's \
             images; `--exit-rule allocated` needs neither features nor images",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::FeatureName;
    use super::*;

    fn options(features: Option<FeatureName>, reference: Option<&Path>) -> JudgeOptions {
        JudgeOptions {
            features,
            inception: None,
            reference: reference.map(Into::into),
        }
    }

    fn name(judge: &JudgeOptions, data: DataSet) -> Option<YardstickName> {
        YardstickName::of(judge, &Place::default(), data).unwrap()
    }

    #[test]
    fn a_yardstick_is_told_from_others_by_features_and_content() {
        let data = DataSet::FashionMnist;
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.npz", "b.npz", "c.npz"].map(|name| folder.path().join(name));
        for (path, content) in paths.iter().zip(["one", "two", "one"]) {
            fs::write(path, content).unwrap();
        }
        let [one, two, copy] = [0, 1, 2].map(|place| options(None, Some(&paths[place])));
        assert_eq!(name(&one, data), name(&copy, data));
        assert_ne!(name(&one, data), name(&two, data));
        assert_eq!(name(&one, data).unwrap().features, "fashion-cnn");
        let missing = options(None, Some(&folder.path().join("none.npz")));
        assert!(YardstickName::of(&missing, &Place::default(), data).is_err());

        // On Fashion-MNIST nothing named is something: its own.
        let stored = name(&one, data);
        for (judge, accepted) in [
            (&one, true),
            (&copy, true),
            (&two, false),
            (&options(None, None), false),
            (&options(Some(FeatureName::FashionCnn), None), false),
            (&options(Some(FeatureName::Pixels), None), false),
        ] {
            let found = judge.accept(stored.as_ref(), data).unwrap();
            assert_eq!(found, accepted, "{judge:?}");
        }
        for features in [None, Some(FeatureName::FashionCnn)] {
            assert!(options(features, None).accept(None, data).unwrap());
        }
        let pixels = options(Some(FeatureName::Pixels), None);
        assert!(!pixels.accept(None, data).unwrap());
    }

    #[test]
    fn elsewhere_what_is_not_named_is_what_was_stored() {
        let data = DataSet::Cifar10;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        fs::write(&path, "one").unwrap();
        let stored = name(&options(Some(FeatureName::Pixels), Some(&path)), data);
        let other = folder.path().join("b.npz");
        fs::write(&other, "two").unwrap();
        for (judge, accepted) in [
            (options(None, None), true),
            (options(Some(FeatureName::Pixels), None), true),
            (options(None, Some(&path)), true),
            (options(None, Some(&other)), false),
            (options(Some(FeatureName::Inception), None), false),
        ] {
            let found = judge.accept(stored.as_ref(), data).unwrap();
            assert_eq!(found, accepted, "{judge:?}");
        }
    }
}
