//! The command `timing`: how much of the skipped blocks' time a device really saves.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_storage::{to_json_lines, write_atomically};
use anyhow::Result;

use super::inputs::Inputs;
use crate::methods::{timing, timing_table};
use crate::study::Study;
use crate::terminal::{evaluations_bar, say};

/// What to time.
#[derive(Debug)]
pub struct TimeExits<'a> {
    /// What to sample from, and what samples are judged by.
    pub inputs: Inputs,
    /// The sizes of batches.
    pub batches: Vec<usize>,
    /// Turns of each network.
    pub rounds: usize,
    /// The file of JSON lines to write, if one was named.
    pub out: Option<PathBuf>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for TimeExits<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let bar = evaluations_bar();
        let study: Study<'_, B> = self.inputs.study(&device, self.stop, &bar)?;
        bar.set_message("calibrating");
        let calibration = study.threshold(study.preset.sampling.reduction, &bar)?;
        bar.set_message("speed");
        let timings = timing::measure(&study, &calibration, &self.batches, self.rounds, &bar)?;
        bar.finish_and_clear();
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
