//! What calibrations measure the distance of samples by.

use std::fs;

use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Judge, JudgeOptions};
use crate::metrics_tool::of_file;
use crate::preset::{DataSet, Place};

/// The features and the images that the exit rule [`Distance`](crate::ExitRule::Distance) brings
/// samples close to.
#[derive(Clone, Debug, Default)]
pub struct Yardstick {
    /// The features, and statistics of them.
    pub judge: JudgeOptions,
    /// The images, where there are no statistics.
    pub place: Place,
}

/// A yardstick that a user named, in what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YardstickName {
    /// The features.
    pub features: String,
    /// What samples are compared with: the SHA-256 of a file of statistics, or where the images lie.
    pub reference: String,
}

impl YardstickName {
    /// The name of what a user asked for; nothing where it is Fashion-MNIST's own, or the user named
    /// neither features nor statistics.
    ///
    /// # Errors
    /// Where the statistics cannot be read.
    pub fn of(judge: &JudgeOptions, place: &Place, data: DataSet) -> Result<Option<Self>> {
        let JudgeOptions {
            features,
            inception,
            reference,
        } = judge;
        let named = features.is_some() || inception.is_some() || reference.is_some();
        if !named || judge.is_bundled(data) {
            return Ok(None);
        }
        let reference = match (reference, &place.data) {
            (Some(statistics), _) => format!("SHA-256 {}", of_file(statistics)?),
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

    fn of(features: Option<FeatureName>, reference: Option<&std::path::Path>) -> Yardstick {
        Yardstick {
            judge: JudgeOptions {
                features,
                inception: None,
                reference: reference.map(Into::into),
            },
            place: Place::default(),
        }
    }

    #[test]
    fn a_yardstick_is_told_from_others_by_features_and_content() {
        let name = |yardstick: Yardstick| yardstick.name(DataSet::FashionMnist);
        assert_eq!(name(of(None, None)).unwrap(), None);
        let bundled = of(Some(FeatureName::FashionCnn), None);
        assert_eq!(name(bundled).unwrap(), None);
        let pixels = name(of(Some(FeatureName::Pixels), None)).unwrap().unwrap();
        assert_eq!(pixels.features, "pixels-4x4");

        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.npz", "b.npz", "c.npz"].map(|name| folder.path().join(name));
        for (path, content) in paths.iter().zip(["one", "two", "one"]) {
            fs::write(path, content).unwrap();
        }
        let [one, two, copy] = paths.map(|path| name(of(None, Some(&path))).unwrap());
        assert_eq!(one, copy);
        assert_ne!(one, two);
        assert_eq!(one.unwrap().features, "fashion-cnn");
        let missing = of(None, Some(&folder.path().join("none.npz")));
        assert!(name(missing).is_err());

        let unnamed = Yardstick::default().name(DataSet::Cifar10).unwrap();
        assert_eq!(unnamed, None);
    }
}
