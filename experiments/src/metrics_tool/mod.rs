//! The program `metrics`: how far a set of samples is from another, as published tools measure it.

mod count;
mod digest;
#[cfg(test)]
mod fault_tests;
mod gather;
mod judge;
mod networks;
mod plan;
mod record;
mod sets;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use adadiff_backends::DeviceName;
use adadiff_metrics::Preprocessing;
use anyhow::{Context, Error, Result};
use clap::{Parser, ValueEnum};

use crate::presets::positive;
use plan::MetricsPlan;
use record::MetricsRecord;

/// Measures how far samples are from a reference: one line of JSON on standard output, all else on
/// standard error.
///
/// SAMPLES and REFERENCE are each a folder of PNG, JPEG, WebP, BMP, PGM and PPM images (those of folders
/// below it included, hidden ones left out), a .zip of them, an .npz of images (arr_0: N x H x W x 3 bytes), an .npy or .npz of
/// features of any network (N x D), or an .npz of statistics (mu, sigma), which suffice for `fid`.
#[derive(Debug, Parser)]
#[command(name = "metrics", version)]
struct Arguments {
    /// What is judged
    #[arg(value_name = "SAMPLES")]
    judged: PathBuf,
    /// What it is compared with; `is` and --write-statistics need none
    reference: Option<PathBuf>,
    /// What to measure [default: fid, where there is a reference]
    #[arg(long, value_enum, value_delimiter = ',')]
    metrics: Vec<Metric>,
    /// The weights of FID's Inception network, pt_inception-2015-12-05-6726825d.pth of pytorch-fid
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The weights of CLIP's ViT-L/14 at 336 pixels for `cmmd`, pytorch_model.bin or
    /// model.safetensors of openai/clip-vit-large-patch14-336
    #[arg(long, value_name = "FILE")]
    clip_weights: Option<PathBuf>,
    /// Whose way of resizing images to follow, that of statistics that are given included; `cmmd` has
    /// its own
    #[arg(long, value_enum, default_value = "pytorch-fid")]
    mode: Mode,
    /// Judge this many samples, the first by name; fewer are refused [default: all there are]
    #[arg(long, value_name = "N", value_parser = positive)]
    samples: Option<usize>,
    /// Accept fewer samples than were asked for or than there are features
    #[arg(long)]
    allow_small: bool,
    /// Write the statistics of SAMPLES, for pytorch-fid, clean-fid and this program
    #[arg(long, value_name = "FILE")]
    write_statistics: Option<PathBuf>,
    /// Image files that may turn out to be none; they are named and passed over
    #[arg(long, value_name = "N", default_value = "10")]
    skip_bad: usize,
    /// Neighbours that the balls of `pr` reach to
    #[arg(long, value_name = "K", value_parser = positive, default_value = "3")]
    neighbours: usize,
    /// Parts of the samples over which `is` is averaged
    #[arg(long, value_name = "N", value_parser = positive, default_value = "10")]
    splits: usize,
    /// Random subsets over which `kid` is averaged
    #[arg(long, value_name = "N", value_parser = positive, default_value = "100")]
    kid_subsets: usize,
    /// Samples in each of them
    #[arg(long, value_name = "N", value_parser = positive, default_value = "1000")]
    kid_subset_size: usize,
    /// Seed of the subsets of `kid` and of the order in which `is` deals out samples to its parts
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: DeviceName,
    /// Images that go through a network together
    #[arg(long, value_name = "N", value_parser = positive, default_value = "50")]
    batch: usize,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Metric {
    /// Fréchet inception distance
    Fid,
    /// Kernel inception distance: mean and spread over random subsets
    Kid,
    /// Inception score of SAMPLES
    Is,
    /// Improved precision and recall, on the features of `fid`
    Pr,
    /// CLIP maximum mean discrepancy, of images or of CLIP's embeddings given as features
    Cmmd,
}

/// The published ways of resizing.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// pytorch-fid's: bilinear without a filter against aliasing, 2x - 1
    PytorchFid,
    /// clean-fid's: bicubic with a filter against aliasing, (x - 128) / 128
    Clean,
    /// TensorFlow 1's, as torch-fidelity has it: bilinear from the corner, (x - 128) / 128
    Tf,
}

impl From<Mode> for Preprocessing {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::PytorchFid => Self::PytorchFid,
            Mode::Clean => Self::Clean,
            Mode::Tf => Self::Tf,
        }
    }
}

/// Runs the program; errors are told on standard error.
#[cfg(all(feature = "programs", not(test)))]
pub fn main() -> ExitCode {
    adadiff_backends::keep_freed_memory();
    match run(Arguments::parse()).and_then(|outcome| outcome.tell(&mut io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads that either, there is nobody to tell.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a run found, and what went wrong after that.
#[derive(Debug)]
struct MetricsRun {
    record: MetricsRecord,
    fault: Option<Error>,
}

impl MetricsRun {
    /// Writes the record as a line to `out`, and its notes to standard error.
    ///
    /// # Errors
    /// Where the line cannot be written: then the error holds it. And with what went wrong before.
    fn tell(self, out: &mut impl Write) -> Result<()> {
        for note in &self.record.notes {
            let _ = writeln!(io::stderr(), "note: {note}");
        }
        let line = serde_json::to_string(&self.record)?;
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        written.with_context(|| format!("standard output takes no more; the result is {line}"))?;
        self.fault.map_or(Ok(()), Err)
    }
}

fn run(arguments: Arguments) -> Result<MetricsRun> {
    MetricsPlan::new(arguments)?.carry_out()
}
