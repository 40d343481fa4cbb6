//! The command `timing`: how much of the skipped blocks' time a device really saves.

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Monitor;
use adadiff_storage::to_json_lines;
use adadiff_storage::write_atomically;
use anyhow::Result;

use crate::checkpoint::LoadedCheckpoint;

use super::inputs::Inputs;
use crate::methods::{timing, timing_table};
use crate::terminal::{Terminal, say};

/// What to time.
#[derive(Debug)]
pub struct TimeExits {
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    /// The sizes of batches.
    pub batches: Vec<usize>,
    /// Turns of each network.
    pub rounds: usize,
    /// The file of JSON lines to write, if one was named.
    pub out: Option<PathBuf>,
}

impl DeviceTask for TimeExits {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let terminal = Terminal::evaluations();
        let loaded: LoadedCheckpoint<B> = self.inputs.load(&device, &terminal)?;
        terminal.stage("calibrating");
        let reduction = loaded.preset().sampling.reduction;
        let calibration = loaded.calibrator().for_reduction(reduction, &terminal)?;
        terminal.stage("speed");
        let pipeline = loaded.pipeline();
        let (batches, rounds) = (&self.batches, self.rounds);
        let timings = timing::measure(pipeline, &calibration, batches, rounds, &terminal)?;
        terminal.finish();
        if let Some(path) = &self.out {
            write_atomically(path, to_json_lines(&timings)?.as_bytes())?;
        }
        say!("{}", timing_table(&timings).terminal())?;
        match &self.out {
            Some(path) => say!("timings: {}", path.display()),
            None => Ok(()),
        }
    }
}
