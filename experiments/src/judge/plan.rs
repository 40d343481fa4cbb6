//! Which features samples are judged by, and against what.

use std::path::PathBuf;

use adadiff_metrics::{FEATURES_NAME, read_statistics};
use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::{Extractor, Judge, image_statistics};
use crate::presets::{DataSet, Place};
use crate::terminal::samples_bar;

/// Features to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeatureName {
    /// FID's Inception network, whose weights --inception names
    Inception,
    /// The bundled classifier of Fashion-MNIST
    FashionCnn,
    /// The mean colours of 4 x 4 areas: shows that everything works, judges nothing
    Pixels,
}

/// What samples are judged by, and the exit rule `distance` is calibrated by.
#[derive(Clone, Debug, Default, Args)]
pub struct JudgeOptions {
    /// Features to judge by, and to calibrate `--exit-rule distance` by [default: inception; for
    /// Fashion-MNIST its own]
    #[arg(long, value_enum)]
    pub features: Option<FeatureName>,
    /// The weights of FID's Inception network, pt_inception-2015-12-05-6726825d.pth of pytorch-fid
    #[arg(long, value_name = "FILE")]
    pub inception: Option<PathBuf>,
    /// Statistics of the images to compare with, also for `--exit-rule distance`: an .npz of mu and
    /// sigma as `reference` and pytorch-fid write it [default: those of --data]
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
}

impl FeatureName {
    /// The features' name in results.
    pub fn in_results(self) -> &'static str {
        match self {
            Self::FashionCnn => FEATURES_NAME,
            Self::Inception => "inception-2015-12-05",
            Self::Pixels => "pixels-4x4",
        }
    }
}

impl JudgeOptions {
    /// The features' name in results.
    pub fn features(&self, data: DataSet) -> &'static str {
        self.name(data).in_results()
    }

    /// The features.
    fn name(&self, data: DataSet) -> FeatureName {
        match (self.features, &self.inception, data) {
            (Some(name), ..) => name,
            (None, None, DataSet::FashionMnist) => FeatureName::FashionCnn,
            (None, ..) => FeatureName::Inception,
        }
    }

    /// Whether features and reference are those that come with Fashion-MNIST.
    pub(super) fn is_bundled(&self, data: DataSet) -> bool {
        data == DataSet::FashionMnist
            && self.name(data) == FeatureName::FashionCnn
            && self.reference.is_none()
    }

    /// Whether the features of a data set's samples can be told: their network was named, or none is
    /// needed.
    pub fn suffices(&self, data: DataSet) -> bool {
        self.inception.is_some() || self.name(data) != FeatureName::Inception
    }

    /// Loads the network of the features.
    ///
    /// # Errors
    /// Where its weights are missing or damaged.
    pub fn extractor<B: Kernels>(
        &self,
        data: DataSet,
        channels: usize,
        device: &B::Device,
    ) -> Result<Extractor<B>> {
        match self.name(data) {
            FeatureName::FashionCnn => Extractor::fashion_cnn(device),
            FeatureName::Pixels => Ok(Extractor::Pixels { channels }),
            FeatureName::Inception => {
                let weights = self.inception.as_deref().context(
                    "samples are judged by the features of FID's Inception network: name its \
                     weights, pt_inception-2015-12-05-6726825d.pth from \
                     https://github.com/mseitzer/pytorch-fid/releases, with --inception FILE, or \
                     choose --features pixels to see that everything works",
                )?;
                Extractor::inception(weights, device)
            }
        }
    }

    /// Loads network and reference.
    ///
    /// # Errors
    /// Where either is missing, damaged or of other features.
    pub fn judge<B: Kernels>(
        &self,
        data: DataSet,
        place: &Place,
        shape: [usize; 3],
        device: &B::Device,
    ) -> Result<Judge<B>> {
        if self.is_bundled(data) {
            return Judge::fashion_mnist(device);
        }
        let extractor = self.extractor::<B>(data, shape[0], device)?;
        let reference = match &self.reference {
            Some(path) => read_statistics(path)?,
            None => {
                let images = data.open(place).context(
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
                let statistics = image_statistics(&extractor, &*images, device, &bar)?;
                bar.finish_and_clear();
                statistics.gaussian()?
            }
        };
        Judge::new(extractor, reference, shape, device.clone())
    }
}
