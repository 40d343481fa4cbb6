//! How samples are drawn unless a caller says otherwise.

use std::num::NonZeroUsize;

use adadiff_backends::Precision;
use adadiff_sampler::{DpmSolverPlusPlus, ScheduleConfig, SolverConfig};
use adadiff_uem::AdaDiffConfig;
use serde::{Deserialize, Serialize};

use crate::{CalibrationKey, ExitRule, PipelineError};

/// The most network evaluations of a sample, and samples of a batch, that make sense.
pub const MOST_SAMPLING: usize = 1 << 20;

/// What sampling from a network takes beside its weights.
///
/// It is part of the preset in the header of a weights file, whose other keys are not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "PresetHeader")]
pub struct PipelineConfig {
    /// How much noise a time stands for.
    pub schedule: ScheduleConfig,
    /// The network.
    pub model: AdaDiffConfig,
    /// Whether the last class label stands for "no class": where labels were dropped in training.
    pub has_no_class: bool,
    /// How samples are drawn.
    pub sampling: SamplingConfig,
}

/// What is read of a preset.
#[derive(Deserialize)]
struct PresetHeader {
    #[serde(default)]
    schedule: ScheduleConfig,
    model: AdaDiffConfig,
    backbone_training: Option<Training>,
    joint_training: Option<Training>,
    sampling: SamplingConfig,
}

/// What is read of a phase of training.
#[derive(Deserialize)]
struct Training {
    label_dropout: f64,
}

impl From<PresetHeader> for PipelineConfig {
    fn from(header: PresetHeader) -> Self {
        let mut phases = [header.backbone_training, header.joint_training]
            .into_iter()
            .flatten()
            .peekable();
        Self {
            schedule: header.schedule,
            model: header.model,
            has_no_class: phases.peek().is_none() || phases.any(|phase| phase.label_dropout > 0.0),
            sampling: header.sampling,
        }
    }
}

/// How samples are drawn unless a caller says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingConfig {
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

impl SamplingConfig {
    /// What the exits for a share of blocks have to be calibrated for.
    pub fn key(&self, reduction: f64) -> CalibrationKey {
        CalibrationKey {
            exit_rule: self.exit_rule,
            check_every: self.check_every,
            reduction,
            steps: self.steps,
            guidance: self.guidance,
        }
    }

    /// Checks that the numbers make sense.
    ///
    /// # Errors
    /// Names the first one that does not.
    pub fn validate(&self) -> Result<(), PipelineError> {
        for (makes_sense, fault) in [
            (
                (1..=MOST_SAMPLING).contains(&self.steps),
                "sampling.steps must be positive and at most 1048576",
            ),
            (
                (1..=MOST_SAMPLING).contains(&self.batch),
                "sampling.batch must be positive and at most 1048576",
            ),
            (
                self.samples.is_none_or(|samples| samples > 0),
                "sampling.samples must be positive",
            ),
            (
                self.guidance.is_finite(),
                "sampling.guidance must be a number",
            ),
            (
                self.reduction > 0.0 && self.reduction < 1.0,
                "sampling.reduction must lie between 0 and 1",
            ),
        ] {
            if !makes_sense {
                return Err(PipelineError::Config(fault));
            }
        }
        Ok(())
    }
}

/// Judging after every block.
pub(crate) fn every_block() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// Whether samples are judged after every block.
pub(crate) fn is_every_block(every: &NonZeroUsize) -> bool {
    every.get() == 1
}

/// No guidance.
pub(crate) fn is_zero(number: &f64) -> bool {
    *number == 0.0
}
