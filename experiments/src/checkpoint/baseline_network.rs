//! Second networks that some methods need beside the one that they make faster.

use std::path::{Path, PathBuf};

use adadiff_model::UVit;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{AdaDiff, AdaDiffConfig};
use anyhow::{Context, Result, ensure};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::checkpoint::Checkpoint;
use crate::presets::Preset;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaselineNetwork {
    Shallow,
    /// The network with the estimator of BERxiT.
    LearnedExit,
}

impl BaselineNetwork {
    pub const ALL: [Self; 2] = [Self::Shallow, Self::LearnedExit];

    /// The variant of a preset that trains it.
    pub fn variant(self) -> &'static str {
        match self {
            Self::Shallow => "shallow",
            Self::LearnedExit => "learned-exit",
        }
    }

    /// Its file beside the weights at `weights`.
    pub fn path_beside(self, weights: &Path) -> PathBuf {
        weights.with_file_name(format!("{}.safetensors", self.variant()))
    }

    /// What to do where it is missing.
    fn missing(self, preset: &Preset) -> String {
        let how = match self {
            Self::Shallow => "--backbone-only",
            Self::LearnedExit => "--backbone WEIGHTS",
        };
        format!(
            "train it with `train --preset {}-{} {how}` and put its weights beside the network's as \
             {}.safetensors",
            preset.name,
            self.variant(),
            self.variant()
        )
    }
}

/// A second network on a device.
#[derive(Clone, Debug)]
pub struct LoadedBaseline<B: Kernels> {
    pub baseline: BaselineNetwork,
    pub config: AdaDiffConfig,
    pub model: AdaDiff<B>,
}

/// The second networks of a study.
#[derive(Clone, Debug)]
pub struct BaselineNetworks<B: Kernels> {
    networks: Vec<LoadedBaseline<B>>,
}

impl<B: Kernels> Default for BaselineNetworks<B> {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
        }
    }
}

impl<B: Kernels> BaselineNetworks<B> {
    /// Puts a second network on the device of the first, `first`, whose preset is `preset`.
    ///
    /// # Errors
    /// Where it does not suit the first one, or its weights are damaged.
    pub fn insert(
        &mut self,
        baseline: BaselineNetwork,
        checkpoint: &Checkpoint,
        preset: &Preset,
        first: &AdaDiff<B>,
        device: &B::Device,
    ) -> Result<()> {
        let (theirs, ours) = (&checkpoint.preset.model.backbone, &preset.model.backbone);
        let suits = theirs.image_shape() == ours.image_shape()
            && theirs.classes == ours.classes
            && theirs.text == ours.text
            && checkpoint.preset.schedule == preset.schedule
            && checkpoint.preset.latents == preset.latents;
        ensure!(
            suits,
            "{} does not suit the network: it was trained on other images, conditions or noise",
            checkpoint.path.display()
        );
        ensure!(
            baseline != BaselineNetwork::LearnedExit || theirs == ours,
            "{} holds another backbone than the network whose exits it is to learn",
            checkpoint.path.display()
        );
        let model = checkpoint.model(device)?;
        // Its estimator learned what the exits of these weights are worth, and its samples are theirs.
        ensure!(
            baseline != BaselineNetwork::LearnedExit || is_alike(&first.backbone, &model.backbone),
            "{} was trained on other weights than those of the network whose exits it is to learn: \
             train it again from these with --backbone",
            checkpoint.path.display()
        );
        let model = preset.sampling.precision.cast(model, device)?;
        self.networks.retain(|network| network.baseline != baseline);
        self.networks.push(LoadedBaseline {
            baseline,
            config: checkpoint.preset.model.clone(),
            model,
        });
        Ok(())
    }

    /// A second network.
    ///
    /// # Errors
    /// Says how to make it where it is missing.
    pub fn get(&self, baseline: BaselineNetwork, preset: &Preset) -> Result<&LoadedBaseline<B>> {
        let mut networks = self.networks.iter();
        networks
            .find(|network| network.baseline == baseline)
            .with_context(|| {
                format!(
                    "the network '{}' is missing: {}",
                    baseline.variant(),
                    baseline.missing(preset)
                )
            })
    }
}

/// All weights of a network, in their order.
#[derive(Default)]
struct Weights(Vec<f32>);

impl<B: Backend> ModuleVisitor<B> for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.extend(param.val().into_data().iter::<f32>());
    }
}

/// Whether two networks have the same weights, as far as half precision tells, which files of weights
/// are in.
fn is_alike<B: Kernels>(one: &UVit<B>, other: &UVit<B>) -> bool {
    let [one, other] = [one, other].map(|network| {
        let mut weights = Weights::default();
        network.visit(&mut weights);
        weights.0
    });
    // A unit in the last place, and of numbers near zero the least one.
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= (a.abs() / 1024.0).max(6e-8);
    one.len() == other.len() && one.iter().zip(&other).all(close)
}
