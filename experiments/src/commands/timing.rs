//! The command `timing`: how much of the skipped blocks' time a device really saves.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_storage::{to_json_lines, write_atomically};
use anyhow::Result;

use crate::budget::Wish;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::methods::{timing, timing_table};
use crate::study::Study;
use crate::terminal::evaluations_bar;

/// What to time.
#[derive(Debug)]
pub struct TimeExits<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// The budget, where it is none of blocks.
    pub wish: Option<Wish>,
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
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        let bar = evaluations_bar();
        if let Some(wish) = &self.wish {
            wish.enter(&mut study, None, &device, &bar)?;
        }
        bar.set_message("calibrating");
        let calibration = study.threshold(study.preset.sampling.reduction, &bar)?;
        bar.set_message("speed");
        let timings = timing::measure(&study, &calibration, &self.batches, self.rounds, &bar)?;
        bar.finish_and_clear();
        println!("{}", timing_table(&timings).terminal());
        if let Some(path) = &self.out {
            write_atomically(path, to_json_lines(&timings)?.as_bytes())?;
            println!("timings: {}", path.display());
        }
        Ok(())
    }
}
