//! Which features samples are judged by, as the command line names them.

use std::path::PathBuf;

use adadiff_metrics::{CIFAR_CNN_NAME, FASHION_CNN_NAME, FeatureOrigin, Preprocessing};
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{FeatureExtractor, INCEPTION_NAME, PIXELS_NAME};
use adadiff_storage::sha256_file;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::bundled::{cifar_cnn, fashion_cnn};
use crate::networks::open_inception;
use crate::presets::DataSet;

/// Features to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeatureName {
    /// FID's Inception network, whose weights --inception names
    Inception,
    /// The bundled classifier of Fashion-MNIST
    FashionCnn,
    /// The bundled classifier of CIFAR-10
    CifarCnn,
    /// The mean colours of 4 x 4 areas: shows that everything works, judges nothing
    Pixels,
}

/// What samples are judged by, and the exit rule `distance` is calibrated by.
#[derive(Clone, Debug, Default, Args)]
pub struct EvaluatorOptions {
    /// Features to judge by, and to calibrate `--exit-rule distance` by [default: inception; for
    /// Fashion-MNIST and CIFAR-10 their own, unless --inception is given]
    #[arg(long, value_enum)]
    pub features: Option<FeatureName>,
    /// The weights of FID's Inception network, pt_inception-2015-12-05-6726825d.pth of pytorch-fid
    #[arg(long, value_name = "FILE")]
    pub inception: Option<PathBuf>,
    /// Statistics of the images to compare with, also for `--exit-rule distance`: an .npz of mu and
    /// sigma as `reference` and pytorch-fid write it [default: those of --data; without it, for
    /// Fashion-MNIST and CIFAR-10, those that come with the program]
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
}

impl FeatureName {
    /// The classifier that comes with the program for a data set.
    pub(super) fn own(data: DataSet) -> Option<Self> {
        match data {
            DataSet::FashionMnist => Some(Self::FashionCnn),
            DataSet::Cifar10 => Some(Self::CifarCnn),
            _ => None,
        }
    }

    /// The features' name in results.
    pub fn in_results(self) -> &'static str {
        match self {
            Self::FashionCnn => FASHION_CNN_NAME,
            Self::CifarCnn => CIFAR_CNN_NAME,
            Self::Inception => INCEPTION_NAME,
            Self::Pixels => PIXELS_NAME,
        }
    }
}

/// How features of this name in results are made, as statistics remember it, whatever their network's
/// weights.
pub fn origin_of(features: &str) -> FeatureOrigin {
    let mode = if features == FeatureName::Inception.in_results() {
        Preprocessing::PytorchFid.name()
    } else {
        features
    };
    FeatureOrigin {
        mode: Some(mode.to_owned()),
        weights_sha256: None,
    }
}

impl EvaluatorOptions {
    /// The features' name in results.
    pub fn features(&self, data: DataSet) -> &'static str {
        self.name(data).in_results()
    }

    /// The features.
    pub(super) fn name(&self, data: DataSet) -> FeatureName {
        let own = FeatureName::own(data).filter(|_| self.inception.is_none());
        self.features.or(own).unwrap_or(FeatureName::Inception)
    }

    /// Whether the features of a data set's samples can be told: their network was named, or none is
    /// needed.
    pub fn suffices(&self, data: DataSet) -> bool {
        self.inception.is_some() || self.name(data) != FeatureName::Inception
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.inception, &self.reference].into_iter().flatten()
    }

    /// How the features are made, as statistics remember it.
    ///
    /// # Errors
    /// Where the network's weights cannot be read.
    pub fn origin(&self, data: DataSet) -> Result<FeatureOrigin> {
        let weights = self.inception.as_deref();
        let weights = weights.filter(|_| self.name(data) == FeatureName::Inception);
        Ok(FeatureOrigin {
            weights_sha256: weights.map(sha256_file).transpose()?,
            ..origin_of(self.features(data))
        })
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
    ) -> Result<FeatureExtractor<B>> {
        match self.name(data) {
            FeatureName::FashionCnn => Ok(FeatureExtractor::Classifier(fashion_cnn(device)?)),
            FeatureName::CifarCnn => Ok(FeatureExtractor::Classifier(cifar_cnn(device)?)),
            FeatureName::Pixels => Ok(FeatureExtractor::Pixels { channels }),
            FeatureName::Inception => {
                let weights = self.inception.as_deref().context(
                    "samples are judged by the features of FID's Inception network: name its \
                     weights, pt_inception-2015-12-05-6726825d.pth from \
                     https://github.com/mseitzer/pytorch-fid/releases, with --inception FILE, or \
                     choose --features pixels to see that everything works",
                )?;
                Ok(FeatureExtractor::Inception(Box::new(open_inception(
                    weights, device,
                )?)))
            }
        }
    }
}
