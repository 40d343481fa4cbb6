//! The command line of the Fashion-MNIST experiment.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::device::{DeviceName, run_on};
use crate::preset::Preset;
use crate::train::Train;

/// AdaDiff on Fashion-MNIST.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, global = true, default_value = "flex")]
    device: DeviceName,
    /// Folder to write to
    #[arg(long, global = true)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train the backbone, then the joint objective; continues where it was interrupted
    Train {
        /// Folder of the four Fashion-MNIST files
        #[arg(long)]
        data: Option<PathBuf>,
        /// Preset file with every hyperparameter
        #[arg(long)]
        preset: Option<PathBuf>,
    },
}

static STOP: AtomicBool = AtomicBool::new(false);

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
        Some(Command::Train { data, preset }) => {
            let preset = match preset {
                Some(path) => Preset::read(&path)?,
                None => Preset::fashion_mnist()?,
            };
            let out = arguments.out.unwrap_or_else(|| PathBuf::from("runs/fashion_mnist-train"));
            run_on(arguments.device, Train { preset, data, out, stop: &STOP })
        }
        None => Ok(()),
    }
}
