//! This project's side of `benches/compare`: loads a case and answers the driver's requests, one
//! JSON line each.

mod arrays;
mod case;
mod decoding;
mod early_exit;
mod fid_features;
mod frechet_distance;
mod matrix_product;
mod memory;
mod multiply_adds;
mod noise_prediction;
mod sampling;
mod serve;
mod training_step;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use adadiff_backends::{DeviceName, run_on};
use anyhow::{Context, Result};
use clap::Parser;

/// The allocator of the binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures this project's side of a comparison; `benches/compare/run` starts it.
#[derive(Debug, Parser)]
struct Arguments {
    /// The case, a JSON object
    #[arg(long, value_name = "JSON")]
    case: String,
    /// The folder of the case's weights, inputs and outputs
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Device to compute on
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: DeviceName,
}

fn main() -> ExitCode {
    adadiff_backends::keep_freed_memory();
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<()> {
    let case = serde_json::from_str(&arguments.case)
        .context("the case is not one of this program's; see benches/compare/cases.py")?;
    let folder = arguments.folder;
    run_on(arguments.device, serve::Serve { case, folder })
}
