//! The command `timing`: how much of the skipped blocks' time a device really saves.

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Monitor;
use adadiff_storage::{to_json_lines, write_atomically};
use anyhow::Result;
use clap::Args;

use super::Task;
use super::inputs::InputOptions;
use crate::checkpoint::LoadedCheckpoint;
use crate::methods::timing::{BATCHES, ROUNDS};
use crate::methods::{timing, timing_table};
use crate::presets::positive;
use crate::terminal::{Terminal, say};

/// Options of `timing`.
#[derive(Debug, Args)]
pub struct TimingOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
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

impl DeviceTask for Task<'_, TimingOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let TimingOptions {
            inputs,
            batches,
            rounds,
            out,
        } = self.options;
        if let Some(path) = &out {
            inputs.check_output(path)?;
        }
        let mut inputs = inputs.resolve(self.experiment)?;
        let request = inputs.request.take();
        let mut loaded: LoadedCheckpoint<B> = inputs.load(&device)?;
        let terminal = Terminal::evaluations();
        if let Some(request) = request {
            request.adopt(&mut loaded, None, &terminal)?;
        }
        terminal.stage("calibrating");
        let reduction = loaded.preset().sampling.reduction;
        let calibration = loaded.calibrator().for_reduction(reduction, &terminal)?;
        terminal.stage("speed");
        let pipeline = loaded.pipeline();
        let timings = timing::measure(pipeline, &calibration, &batches, rounds, &terminal)?;
        terminal.finish();
        if let Some(path) = &out {
            write_atomically(path, to_json_lines(&timings)?.as_bytes())?;
        }
        say!("{}", timing_table(&timings).terminal())?;
        match &out {
            Some(path) => say!("timings: {}", path.display()),
            None => Ok(()),
        }
    }
}
