//! What calibrations measure the distance of samples by.

use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};

use super::{FeatureName, Judge, JudgeOptions};
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

impl Yardstick {
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
        let bundled = self.judge.name(data) == FeatureName::FashionCnn;
        if data == DataSet::FashionMnist && bundled && self.judge.reference.is_none() {
            return Judge::fashion_mnist_training(device);
        }
        let judge = self.judge.judge(data, &self.place, shape, device);
        judge.context(
            "the exit rule `distance` is calibrated by how far samples are from a data set's \
             images; `--exit-rule allocated` needs none",
        )
    }
}
