//! The command `calibrate`: thresholds for budgets, stored beside the checkpoint.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use anyhow::Result;

use crate::budget::Wish;
use crate::calibrations::{Calibration, Calibrations, ExitRule};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::components::Surroundings;
use crate::study::Study;
use crate::terminal::evaluations_bar;

/// A share of blocks that was skipped beyond what was asked for is told from here on.
const MUCH: f64 = 0.02;

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
    type Output = Result<()>;

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
                println!("{}", told(&calibration));
            });
            calibrations.insert(calibration);
            calibrations.write(&self.out)?;
        }
        bar.finish_and_clear();
        println!("thresholds: {}", self.out.display());
        Ok(())
    }
}

/// What was found, in words.
fn told(calibration: &Calibration) -> String {
    let Calibration {
        exit_rule,
        reduction,
        reached,
        threshold,
        samples,
        ..
    } = calibration;
    let (asked, reached_percent) = (100.0 * reduction, 100.0 * reached);
    let how = match exit_rule {
        ExitRule::Threshold | ExitRule::Excess => format!("threshold {threshold:.6}, which skips"),
        ExitRule::Schedule => "a depth for each step, which skips".to_owned(),
        ExitRule::Allocated | ExitRule::Distance => {
            "bounds and a threshold for each step, which skip".to_owned()
        }
    };
    let more = match reached - reduction > MUCH {
        true => ", more than was asked for",
        false => "",
    };
    format!(
        "{asked:.0} % fewer blocks: {how} {reached_percent:.1} % of {samples} samples' blocks{more}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_told() {
        let of_one_threshold = Calibration::example();
        assert_eq!(
            told(&of_one_threshold),
            "40 % fewer blocks: threshold 0.100000, which skips 41.0 % of 64 samples' blocks"
        );
        let of_distance = Calibration {
            exit_rule: ExitRule::Distance,
            reduction: 0.15,
            ..of_one_threshold
        };
        assert_eq!(
            told(&of_distance),
            "15 % fewer blocks: bounds and a threshold for each step, which skip 41.0 % of 64 samples' \
             blocks, more than was asked for"
        );
    }
}
