//! The command line.

use std::path::PathBuf;

use adadiff_backends::{DeviceName, RankOptions};
use adadiff_train::{TrainConfig, Validation};
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use super::calibrate::CalibrateOptions;
use super::compare::CompareOptions;
use super::evaluate::{EvaluateOptions, MergeOptions};
use super::options::DatasetOptions;
use super::prepare::PrepareOptions;
use super::reference::ReferenceOptions;
use super::sample::SampleOptions;
use super::timing::TimingOptions;
use super::train_features::TrainFeaturesOptions;
use crate::commands::backends::BackendsOptions;
use crate::commands::table_options::{FigureOptions, StudyOptions, TableOptions};
use crate::evaluator::EvaluatorOptions;
use crate::presets::positive;

/// What the program is asked to do; without a command it compares methods.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The comparison.
    #[command(flatten)]
    pub compare: CompareOptions,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Encode images and captions once, for training on latents; continues where it was interrupted
    Prepare(PrepareOptions),
    /// Train the backbone, then the joint objective; continues where it was interrupted
    Train(TrainOptions),
    /// Train the classifier whose features judge samples, of Fashion-MNIST or CIFAR-10
    TrainFeatures(TrainFeaturesOptions),
    /// Measure the images that samples are compared with, once and for all
    Reference(ReferenceOptions),
    /// Draw and judge many samples of one method, alone or as one of many processes; continues where
    /// it was interrupted
    Evaluate(EvaluateOptions),
    /// Add up the parts that the processes of `evaluate` left
    Merge(MergeOptions),
    /// Measure and draw the paper's tables; continues where it was interrupted
    Table(TableOptions),
    /// Measure and draw the paper's figures, with their data; continues where it was interrupted
    Figure(FigureOptions),
    /// Write the document of a study from its results
    Study(StudyOptions),
    /// Draw samples into a picture
    Sample(SampleOptions),
    /// Find the thresholds for budgets and store them beside the checkpoint
    Calibrate(CalibrateOptions),
    /// Measure how much of the skipped blocks' time a device really saves
    Timing(TimingOptions),
    /// Compare devices: one checkpoint with the same seeds on every device that is there
    Backends(BackendsOptions),
    /// Turn published PyTorch or safetensors weights into this project's own
    Import(ImportOptions),
}

/// Options of `train`.
#[derive(Debug, Args)]
pub struct TrainOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// What shared a batch among devices before there was MPI.
    #[arg(long, value_name = "DEVICES", hide = true)]
    pub devices: Option<String>,
    /// What shared a batch among processes before there was MPI.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub leader: Option<String>,
    /// Which of several processes this is.
    #[command(flatten)]
    pub rank: RankOptions,
    /// Compute on the device whose index is the process's number among those of its machine
    #[arg(long)]
    pub device_by_rank: bool,
    /// The images.
    #[command(flatten)]
    pub dataset: DatasetOptions,
    /// Latents in place of images: a folder that `prepare` wrote, or one of U-ViT's .npy files
    #[arg(long, value_name = "DIR")]
    pub latents: Option<PathBuf>,
    /// The weights of Stable Diffusion's autoencoder, to draw and judge samples during training
    #[arg(long, value_name = "FILE")]
    pub autoencoder: Option<PathBuf>,
    /// Preset with every hyperparameter, built in by name, or a variant of one such as
    /// fashion_mnist-own-heads, or from a file ending in .toml [default: the program's first]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// A hyperparameter that differs from the preset's, for example joint_training.steps=4000; may
    /// be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Print the preset and what training would take, and train nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Weights to start the second phase from, in place of the first phase: a published U-ViT, or the
    /// backbone of weights that `train` wrote
    #[arg(long, value_name = "FILE")]
    pub backbone: Option<PathBuf>,
    /// Train the first phase alone
    #[arg(long, conflicts_with = "backbone")]
    pub backbone_only: bool,
    /// Continue a run though learning rate, warm-up, cool-down, betas, epsilon, weight decay or
    /// clipping are other than it was begun with, for example after it has diverged
    #[arg(long)]
    pub change_optimizer: bool,
    /// What samples are judged by during training.
    #[command(flatten)]
    pub evaluator: EvaluatorOptions,
    /// Steps between judgements by the Fréchet distance of a few samples; the best weights are kept;
    /// 0 for none [default: the preset's]
    #[arg(long, value_name = "STEPS")]
    pub judge_every: Option<u64>,
    /// Samples of a judgement [default: the preset's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub judge_samples: Option<usize>,
    /// Folder of checkpoints, logs and weights [default: runs/PRESET-train]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl TrainOptions {
    /// Says what took the place of options that there were.
    ///
    /// # Errors
    /// Where one of them is given.
    pub fn refuse_old(&self) -> Result<()> {
        let given = [("--devices", &self.devices), ("--leader", &self.leader)];
        match given.into_iter().find(|(_, value)| value.is_some()) {
            None => Ok(()),
            Some((option, _)) => bail!(
                "{option} is no more: a program that was built with `--features mpi` shares every \
                 batch among the processes that MPI starts, one for each device: \
                 `mpirun -n 4 PROGRAM train --device cuda --device-by-rank …`"
            ),
        }
    }

    /// Enters how samples are judged into a phase.
    ///
    /// # Errors
    /// Where only one of two numbers is known, or they make no sense.
    pub fn apply_to(&self, phase: &mut TrainConfig) -> Result<()> {
        phase.judge = match (phase.judge.take(), self.judge_every) {
            (_, Some(0)) | (None, None) => None,
            (Some(preset), every) => Some(Validation {
                every: every.unwrap_or(preset.every),
                samples: self.judge_samples.unwrap_or(preset.samples),
                ..preset
            }),
            (None, Some(every)) => Some(Validation {
                every,
                samples: self.judge_samples.context(
                    "the preset does not say how many samples are judged: name their number with \
                     --judge-samples",
                )?,
                steps: None,
                solver: None,
            }),
        };
        Ok(phase.validate()?)
    }
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Published weights, .pth, .pt, .bin or .safetensors: of a U-ViT, AdaDiff, Stable Diffusion's
    /// autoencoder, CLIP's text or image model or FID's Inception network
    pub file: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Preset that the weights must suit, built in by name or from a file ending in .toml
    /// [default: the program's first, with the file's network]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Attention heads, which no file tells [default: the preset's, or as published for the width]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub heads: Option<usize>,
    /// Tokens of a text context [default: 77, CLIP's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub text_tokens: Option<usize>,
    /// Dictionary or prefix of names in the file that holds the network, such as model_ema [default:
    /// where the network is found, the averaged weights where there are several]
    #[arg(long, value_name = "NAME")]
    pub state_dict: Option<String>,
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
}
