//! Presets: every hyperparameter of an experiment, in a TOML file.

mod check;
mod data_set;
mod parse;
mod programs;
mod protocol;
mod solver_name;
mod variants;

use std::path::Path;

use adadiff_pipeline::{PipelineConfig, SamplingConfig};
use adadiff_sampler::ScheduleConfig;
use adadiff_train::TrainConfig;
use adadiff_uem::AdaDiffConfig;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

pub use data_set::{DataSet, DatasetPath};
pub use parse::{positive, share, speedup};
pub use programs::{ANY, CELEBA, CIFAR10, COCO, Experiment, FASHION_MNIST, FOLDER, IMAGENET};
pub use protocol::Protocol;
pub use solver_name::SolverName;
pub use variants::variant_names;

/// Everything that an experiment depends on beside its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The experiment's name.
    pub name: String,
    #[serde(default)]
    pub data: DataSet,
    /// Present where the network works on latents of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latents: Option<LatentPreset>,
    /// How much noise a time stands for, in training and in sampling.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    pub model: AdaDiffConfig,
    /// The first phase: the backbone with L_simple.
    pub backbone_training: TrainConfig,
    /// The second phase: the joint objective, from the first one's averaged weights.
    pub joint_training: TrainConfig,
    pub sampling: SamplingConfig,
}

/// How the network's latents relate to the autoencoder's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentPreset {
    /// What the autoencoder's latents are multiplied by, so that their variance is about 1.
    pub scale_factor: f64,
}

impl From<&Preset> for PipelineConfig {
    fn from(preset: &Preset) -> Self {
        Self {
            schedule: preset.schedule.clone(),
            model: preset.model.clone(),
            has_no_class: preset.drops_labels(),
            sampling: preset.sampling.clone(),
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
        let schedule = preset.schedule.build().context("in schedule")?;
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
        preset.sampling.validate()?;
        preset.check_sampling(schedule.as_ref())?;
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
