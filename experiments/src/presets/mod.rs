//! Presets: every hyperparameter of an experiment, in a TOML file.

mod data_set;
mod parse;
mod programs;
mod variants;

use std::num::NonZeroUsize;
use std::path::Path;

use adadiff_backends::Precision;
use adadiff_sampler::{DpmSolverPlusPlus, ScheduleConfig, SolverConfig};
use adadiff_train::TrainConfig;
use adadiff_uem::AdaDiffConfig;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

pub use data_set::{DataSet, Place};
pub use parse::{positive, share, speedup};
pub use programs::{CELEBA, CIFAR10, COCO, Experiment, FASHION_MNIST, FOLDER, IMAGENET};
pub use variants::variant_names;

use crate::calibrations::{Budget, ExitRule, every_block, is_every_block, is_zero};

/// Everything that an experiment depends on beside its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The experiment's name.
    pub name: String,
    /// The images.
    #[serde(default)]
    pub data: DataSet,
    /// Present where the network works on latents of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latents: Option<LatentPreset>,
    /// How much noise a time stands for, in training and in sampling.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// The network.
    pub model: AdaDiffConfig,
    /// The first phase: the backbone with L_simple.
    pub backbone_training: TrainConfig,
    /// The second phase: the joint objective, from the first one's averaged weights.
    pub joint_training: TrainConfig,
    /// How samples are drawn.
    pub sampling: SamplingPreset,
}

/// How the network's latents relate to the autoencoder's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentPreset {
    /// What the autoencoder's latents are multiplied by, so that their variance is about 1.
    pub scale_factor: f64,
}

/// How samples are drawn unless the command line says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingPreset {
    /// Network evaluations for each sample.
    pub steps: usize,
    /// Guidance scale s of cond + s (cond - uncond); zero for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub guidance: f64,
    /// The samples that the published figure was measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Samples of a batch.
    pub batch: usize,
    /// Seed of all noise.
    pub seed: u64,
    /// When samples leave the network.
    #[serde(default)]
    pub exit_rule: ExitRule,
    /// Samples are judged after every this many blocks.
    #[serde(default = "every_block", skip_serializing_if = "is_every_block")]
    pub check_every: NonZeroUsize,
    /// Share of blocks to skip, in `(0, 1)`.
    pub reduction: f64,
    /// What the network computes in.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// The update rule.
    #[serde(default = "fashion_mnist_solver")]
    pub solver: SolverConfig,
}

/// What presets without a solver mean: those of checkpoints that were written before there was a
/// choice.
fn fashion_mnist_solver() -> SolverConfig {
    SolverConfig::DpmSolverPlusPlus(DpmSolverPlusPlus {
        data_bound: Some(1.0),
        ..DpmSolverPlusPlus::default()
    })
}

impl SamplingPreset {
    /// What a threshold has to be calibrated for.
    pub fn budget(&self) -> Budget {
        Budget {
            exit_rule: self.exit_rule,
            check_every: self.check_every,
            reduction: self.reduction,
            steps: self.steps,
            guidance: self.guidance,
        }
    }
}

impl Preset {
    /// The preset of the Fashion-MNIST experiment.
    ///
    /// # Errors
    /// Never, unless the file in the repository was broken.
    pub fn fashion_mnist() -> Result<Self> {
        Self::parse(include_str!("../../presets/fashion_mnist.toml"))
    }

    /// Reads a preset file.
    ///
    /// # Errors
    /// Where the file cannot be read, has an unknown key, misses one, or has a senseless number.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the preset {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the preset {} is not usable", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let preset: Self = toml::from_str(text)?;
        preset.model.backbone.validate()?;
        preset.schedule.build().context("in schedule")?;
        if let Some(latents) = preset.latents {
            ensure!(
                latents.scale_factor > 0.0 && latents.scale_factor.is_finite(),
                "latents.scale_factor must be positive"
            );
        }
        preset
            .backbone_training
            .validate()
            .context("in backbone_training")?;
        preset
            .joint_training
            .validate()
            .context("in joint_training")?;
        let sampling = &preset.sampling;
        ensure!(sampling.steps > 0, "sampling.steps must be positive");
        ensure!(sampling.batch > 0, "sampling.batch must be positive");
        ensure!(
            sampling.guidance.is_finite(),
            "sampling.guidance must be a number"
        );
        ensure!(
            sampling.reduction > 0.0 && sampling.reduction < 1.0,
            "sampling.reduction must lie between 0 and 1"
        );
        Ok(preset)
    }

    /// The preset as TOML.
    ///
    /// # Errors
    /// Never in practice: every field can be written.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}
