//! The command `calibrate`: thresholds for budgets, stored beside the checkpoint.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_model::kernels::Kernels;
use anyhow::Result;

use crate::budget::Wish;
use crate::calibrations::Calibrations;
use crate::checkpoint::Checkpoint;
use crate::device::DeviceTask;
use crate::progress::evaluations_bar;
use crate::study::Study;
use crate::surroundings::Surroundings;

/// What to calibrate.
#[derive(Debug)]
pub struct Calibrate<'a> {
    /// The trained network.
    pub checkpoint: Checkpoint,
    /// What stands before and behind it.
    pub surroundings: Surroundings,
    /// The budget, where it is none of blocks.
    pub wish: Option<Wish>,
    /// The file to write.
    pub out: PathBuf,
    /// The shares of blocks to skip, where there is no other budget.
    pub reductions: Vec<f64>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

impl DeviceTask for Calibrate<'_> {
    type Output = ();

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let mut calibrations = Calibrations::read(&self.out)?;
        let mut study: Study<'_, B> =
            self.surroundings
                .study(self.checkpoint, &device, self.stop)?;
        let bar = evaluations_bar();
        if let Some(wish) = &self.wish {
            study.forget();
            let calibration = wish.enter(&mut study, None, &device, &bar)?;
            calibrations.insert(calibration);
            calibrations.write(&self.out)?;
            bar.finish_and_clear();
            println!("thresholds: {}", self.out.display());
            return Ok(());
        }
        bar.set_length(study.calibration_evaluations() * self.reductions.len() as u64);
        for reduction in self.reductions {
            bar.set_message(format!("{:.0} % fewer blocks", 100.0 * reduction));
            let calibration = study.calibrate(study.budget(reduction), &bar)?;
            bar.suspend(|| {
                println!(
                    "{:.0} % fewer blocks: threshold {:.6}, which skips {:.1} % of {} samples' blocks",
                    100.0 * reduction,
                    calibration.threshold,
                    100.0 * calibration.reached,
                    calibration.samples
                );
            });
            calibrations.insert(calibration);
            calibrations.write(&self.out)?;
        }
        bar.finish_and_clear();
        println!("thresholds: {}", self.out.display());
        Ok(())
    }
}
