//! The command line of the Fashion-MNIST experiment.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::calibrate::Calibrate;
use crate::calibrations::Calibrations;
use crate::device::{DeviceName, run_on};
use crate::import::Import;
use crate::main_job::MainJob;
use crate::options::{SamplingOptions, positive, share};
use crate::preset::{Place, Preset};
use crate::sample::{Exit, Sample};
use crate::train::Train;
use crate::train_features::TrainFeatures;

/// AdaDiff on Fashion-MNIST: without a command, compares the full network, static depths and
/// AdaDiff on the same samples and writes tables, pictures and a report.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sampling: SamplingOptions,
    /// Folder to write [default: runs/fashion_mnist/DATE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Samples of each row
    #[arg(long, value_name = "N", value_parser = positive, default_value = "512")]
    samples: usize,
    /// A small run that shows that everything works: 96 samples, few budgets
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train the backbone, then the joint objective; continues where it was interrupted
    Train(TrainOptions),
    /// Train the classifier whose features judge samples
    TrainFeatures(TrainFeaturesOptions),
    /// Draw samples into a picture
    Sample(SampleOptions),
    /// Find the thresholds for budgets and store them beside the checkpoint
    Calibrate(CalibrateOptions),
    /// Turn published PyTorch or safetensors weights into this project's own
    Import(ImportOptions),
}

#[derive(Debug, Args)]
struct TrainOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: DeviceName,
    /// Folder of the four Fashion-MNIST files [default: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Preset file with every hyperparameter [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    preset: Option<PathBuf>,
    /// Folder of checkpoints, logs and weights
    #[arg(long, value_name = "DIR", default_value = "runs/fashion_mnist-train")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct TrainFeaturesOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: DeviceName,
    /// Folder of the four Fashion-MNIST files [default: $ADADIFF_DATA, then Debian's]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Weights file to write
    #[arg(
        long,
        value_name = "FILE",
        default_value = "runs/fashion_cnn.safetensors"
    )]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct SampleOptions {
    #[command(flatten)]
    sampling: SamplingOptions,
    /// Folder to write [default: runs/fashion_mnist-sample/DATE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Number of samples
    #[arg(long, value_name = "N", value_parser = positive, default_value = "64")]
    samples: usize,
    /// Label of all samples, 0 to 9 [default: all classes in turn]
    #[arg(long, value_name = "LABEL")]
    class: Option<usize>,
    /// Sample without a label
    #[arg(long, conflicts_with_all = ["class", "guidance"])]
    unconditional: bool,
    /// Guidance scale s of cond + s (cond - uncond) [default: the preset's]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Use the full network
    #[arg(long, conflicts_with_all = ["reduction", "depth"])]
    full: bool,
    /// Leave after this many blocks
    #[arg(long, value_name = "BLOCKS", conflicts_with = "reduction")]
    depth: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
struct CalibrateOptions {
    #[command(flatten)]
    sampling: SamplingOptions,
    /// File to write [default: calibration.json beside --checkpoint]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Shares of blocks to skip, in place of --reduction
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = share, conflicts_with = "reduction")]
    reductions: Vec<f64>,
}

#[derive(Debug, Args)]
struct ImportOptions {
    /// Published weights, .pth, .pt or .safetensors: of a U-ViT, AdaDiff, Stable Diffusion's
    /// autoencoder, CLIP's text model or FID's Inception network
    file: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Preset file that the weights must suit [default: the built-in one, with the file's network]
    #[arg(long, value_name = "FILE")]
    preset: Option<PathBuf>,
    /// Attention heads, which no file tells [default: the preset's, or as published for the width]
    #[arg(long, value_name = "N", value_parser = positive)]
    heads: Option<usize>,
    /// Tokens of a text context [default: 77, CLIP's]
    #[arg(long, value_name = "N", value_parser = positive)]
    text_tokens: Option<usize>,
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: DeviceName,
}

static STOP: AtomicBool = AtomicBool::new(false);

/// Samples of a quick run: enough for a covariance of 64 features.
const QUICK_SAMPLES: usize = 96;

/// The budgets of the curve beside the preset's own.
const CURVE: [f64; 5] = [0.15, 0.3, 0.45, 0.6, 0.75];

/// Runs the program; errors are told on standard error.
pub fn main() -> ExitCode {
    crate::allocator::keep_freed_memory();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
    match arguments.command {
        None => compare(arguments),
        Some(Command::Train(options)) => train(options),
        Some(Command::TrainFeatures(options)) => train_features(options),
        Some(Command::Sample(options)) => sample(options),
        Some(Command::Calibrate(options)) => calibrate(options),
        Some(Command::Import(options)) => import(options),
    }
}

fn compare(arguments: Arguments) -> Result<()> {
    let samples = match arguments.quick {
        true => arguments.samples.min(QUICK_SAMPLES),
        false => arguments.samples,
    };
    if samples <= 64 {
        bail!(
            "the Fréchet distance over 64 features needs more than 64 samples, {samples} were asked \
             for; `sample --samples {samples}` draws a few pictures without judging them"
        );
    }
    let job = MainJob {
        checkpoint: arguments.sampling.checkpoint()?,
        device: arguments.sampling.device,
        out: arguments.out,
        samples,
        curve_samples: samples.min(128),
        curve: if arguments.quick {
            vec![0.3, 0.6]
        } else {
            CURVE.to_vec()
        },
        command: std::env::args().collect::<Vec<_>>().join(" "),
        stop: &STOP,
    };
    run_on(arguments.sampling.device, job)?;
    Ok(())
}

fn train(options: TrainOptions) -> Result<()> {
    let preset = match &options.preset {
        Some(path) => Preset::read(path)?,
        None => Preset::fashion_mnist()?,
    };
    let TrainOptions {
        device, data, out, ..
    } = options;
    run_on(
        device,
        Train {
            preset,
            place: Place {
                data,
                ..Place::default()
            },
            out,
            stop: &STOP,
        },
    )
}

fn train_features(options: TrainFeaturesOptions) -> Result<()> {
    let TrainFeaturesOptions { device, data, out } = options;
    run_on(
        device,
        TrainFeatures {
            data,
            out,
            stop: &STOP,
        },
    )
}

fn sample(options: SampleOptions) -> Result<()> {
    let exit = match (options.full, options.depth) {
        (true, _) => Exit::Full,
        (false, Some(depth)) => Exit::Depth(depth),
        (false, None) => Exit::Adaptive,
    };
    let task = Sample {
        checkpoint: options.sampling.checkpoint()?,
        out: options.out,
        samples: options.samples,
        class: options.class,
        unconditional: options.unconditional,
        guidance: options.guidance,
        exit,
        stop: &STOP,
    };
    run_on(options.sampling.device, task)
}

fn calibrate(options: CalibrateOptions) -> Result<()> {
    let out = match (&options.out, &options.sampling.checkpoint) {
        (Some(out), _) => out.clone(),
        (None, Some(weights)) => Calibrations::path_beside(weights),
        (None, None) => bail!(
            "the bundled checkpoint is part of the program; name a file for its thresholds with \
             --out, or weights of your own with --checkpoint"
        ),
    };
    let checkpoint = options.sampling.checkpoint()?;
    let reductions = match options.reductions.is_empty() {
        true => vec![checkpoint.preset.sampling.reduction],
        false => options.reductions,
    };
    run_on(
        options.sampling.device,
        Calibrate {
            checkpoint,
            out,
            reductions,
            stop: &STOP,
        },
    )
}

fn import(options: ImportOptions) -> Result<()> {
    let ImportOptions {
        file,
        out,
        preset,
        heads,
        text_tokens,
        device,
    } = options;
    let preset = preset.as_deref().map(Preset::read).transpose()?;
    let task = Import {
        file,
        out,
        preset,
        heads,
        text_tokens,
    };
    run_on(device, task)
}
