//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use adadiff_backends::{DeviceName, RankOptions};
use adadiff_train::{Judging, TrainConfig};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::commands::backends::BackendsOptions;
use crate::commands::options::{PlaceOptions, PromptOptions, SamplingOptions};
use crate::commands::table_options::{FigureOptions, StudyOptions, TableOptions};
use crate::judge::JudgeOptions;
use crate::methods::timing::{BATCHES, ROUNDS};
use crate::presets::{positive, share};

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

/// Options of the comparison.
#[derive(Debug, Args)]
pub struct CompareOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What samples are judged by.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images to compare with, where there are no statistics of them.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// Folder to write [default: runs/PRESET/DATE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Samples of each row [default: the preset's, 512 for Fashion-MNIST]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub samples: Option<usize>,
    /// A small run that shows that everything works: 96 samples, few budgets
    #[arg(long)]
    pub quick: bool,
}

/// Options of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// The images.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// Preset that names the size of the images [default: the program's first]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// The weights of Stable Diffusion's autoencoder
    #[arg(long, value_name = "FILE")]
    pub autoencoder: PathBuf,
    /// The weights of CLIP's text model, for captions
    #[arg(long, value_name = "FILE")]
    pub text_model: Option<PathBuf>,
    /// The vocabulary of CLIP's tokenizer, bpe_simple_vocab_16e6.txt.gz or merges.txt
    #[arg(long, value_name = "FILE")]
    pub vocabulary: Option<PathBuf>,
    /// Store 16 bits for each number in place of 32
    #[arg(long)]
    pub half: bool,
    /// Images that are encoded together
    #[arg(long, value_name = "N", value_parser = positive, default_value = "16")]
    pub batch: usize,
    /// Images of a file; what an interruption loses at most
    #[arg(long, value_name = "N", value_parser = positive, default_value = "1024")]
    pub images_per_shard: usize,
    /// Images that may turn out bad; they are named and left out
    #[arg(long, value_name = "N", default_value = "100")]
    pub skip_bad: usize,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Options of `train`.
#[derive(Debug, Args)]
pub struct TrainOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// Devices that share every batch, for example cuda:0,cuda:1; one that is named twice is shared
    /// by two workers
    #[arg(
        long,
        value_name = "DEVICES",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<DeviceName>,
    /// Where the first of several processes that share every batch is reached, as HOST:PORT; which
    /// process this is and of how many, their launcher tells, or --rank and --world-size
    #[arg(long, value_name = "ADDRESS", conflicts_with = "devices")]
    pub leader: Option<String>,
    /// Which of several processes this is.
    #[command(flatten)]
    pub rank: RankOptions,
    /// Compute on the device whose index is the process's number among those of its machine
    #[arg(long, requires = "leader")]
    pub device_by_rank: bool,
    /// The images.
    #[command(flatten)]
    pub place: PlaceOptions,
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
    /// What samples are judged by during training.
    #[command(flatten)]
    pub judge: JudgeOptions,
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
    /// Enters how samples are judged into a phase.
    ///
    /// # Errors
    /// Where only one of two numbers is known, or they make no sense.
    pub fn enter(&self, phase: &mut TrainConfig) -> Result<()> {
        phase.judge = match (phase.judge.take(), self.judge_every) {
            (_, Some(0)) | (None, None) => None,
            (Some(preset), every) => Some(Judging {
                every: every.unwrap_or(preset.every),
                samples: self.judge_samples.unwrap_or(preset.samples),
                ..preset
            }),
            (None, Some(every)) => Some(Judging {
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

/// Options of `train-features`.
#[derive(Debug, Args)]
pub struct TrainFeaturesOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// Folder or archive of the images [default for Fashion-MNIST: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Weights file to write [default: runs/fashion_cnn.safetensors or
    /// runs/cifar_cnn.safetensors]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `reference`.
#[derive(Debug, Args)]
pub struct ReferenceOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// The features.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// Preset that names the size of the images [default: the program's first]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Statistics file to write, .npz
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What samples are judged by; `merge` compares, or --max-fd-increase and the exit rule `distance`.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images that they compare with, where there are no statistics of them.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// Which of several processes this is.
    #[command(flatten)]
    pub rank: RankOptions,
    /// Compute on the device whose index is the process's number among those of its machine
    #[arg(long)]
    pub device_by_rank: bool,
    /// Samples of all processes [default: the preset's]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub samples: Option<usize>,
    /// Use the full network
    #[arg(long, conflicts_with_all = ["reduction", "speedup", "max_fd_increase", "depth"])]
    pub full: bool,
    /// Leave after this many blocks
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub depth: Option<NonZeroUsize>,
    /// Folder of the parts of all processes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Options of `merge`.
#[derive(Debug, Args)]
pub struct MergeOptions {
    /// The folder that the processes of `evaluate` wrote
    pub folder: PathBuf,
    /// Write the statistics of all samples, .npz
    #[arg(long, value_name = "FILE")]
    pub write_statistics: Option<PathBuf>,
    /// Statistics of the images to compare with, an .npz of mu and sigma as `reference` and
    /// pytorch-fid write it
    #[arg(long, value_name = "FILE")]
    pub reference: PathBuf,
}

/// Options of `sample`.
#[derive(Debug, Args)]
pub struct SampleOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What --max-fd-increase and the exit rule `distance` judge by.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images that they compare with, where there are no statistics of them.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// What to draw.
    #[command(flatten)]
    pub prompts: PromptOptions,
    /// Folder to write [default: runs/PRESET-sample/DATE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of samples
    #[arg(long, value_name = "N", value_parser = positive, default_value = "64")]
    pub samples: usize,
    /// Label of all samples, from 0 [default: all classes in turn]
    #[arg(long, value_name = "LABEL")]
    pub class: Option<usize>,
    /// Sample without a label
    #[arg(long, conflicts_with_all = ["class", "guidance"])]
    pub unconditional: bool,
    /// Use the full network
    #[arg(long, conflicts_with_all = ["reduction", "speedup", "max_fd_increase", "depth"])]
    pub full: bool,
    /// Leave after this many blocks
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub depth: Option<NonZeroUsize>,
}

/// Options of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What --max-fd-increase and the exit rule `distance` judge by.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images that they compare with, where there are no statistics of them.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// File to write [default: calibration.json beside --checkpoint]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Shares of blocks to skip, in place of --reduction
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = share, conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub reductions: Vec<f64>,
}

/// Options of `timing`.
#[derive(Debug, Args)]
pub struct TimingOptions {
    /// What to sample from.
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// What --max-fd-increase and the exit rule `distance` judge by.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// The images that they compare with, where there are no statistics of them.
    #[command(flatten)]
    pub place: PlaceOptions,
    /// Sizes of the batches to time, in place of --batch
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = positive, default_values_t = BATCHES, conflicts_with = "batch")]
    pub batches: Vec<usize>,
    /// Turns of each network, after one that does not count; their ratios' medians are shown
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = ROUNDS)]
    pub rounds: usize,
    /// File of JSON lines to write
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Published weights, .pth, .pt or .safetensors: of a U-ViT, AdaDiff, Stable Diffusion's
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
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
}
