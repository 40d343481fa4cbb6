//! The command `calibrate`: thresholds for budgets, stored beside the checkpoint.

use std::path::PathBuf;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Calibration, CalibrationFile, Evidence, ExitSetting, Monitor};
use anyhow::{Result, bail};
use clap::Args;

use super::inputs::InputOptions;
use super::{Task, budget_request};
use crate::checkpoint::LoadedCheckpoint;
use crate::presets::share;
use crate::terminal::Terminal;

/// A share of blocks that was skipped beyond what was asked for is told from here on.
const MUCH: f64 = 0.02;

/// Options of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateOptions {
    /// What to sample from, and what samples are judged by.
    #[command(flatten)]
    pub inputs: InputOptions,
    /// File to write [default: calibration.json beside --checkpoint]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Shares of blocks to skip, in place of --reduction
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = share, conflicts_with_all = ["reduction", "speedup", "max_fd_increase"])]
    pub reductions: Vec<f64>,
}

impl DeviceTask for Task<'_, CalibrateOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let options = self.options;
        let mut inputs = options.inputs.resolve(self.experiment)?;
        let out = match (options.out, &inputs.weights) {
            (Some(out), _) => out,
            (None, Some(weights)) => CalibrationFile::path_beside(weights),
            (None, None) => bail!(
                "the bundled checkpoint is part of the program; name a file for its thresholds \
                 with --out, or weights of your own with --checkpoint"
            ),
        };
        let reductions = if options.reductions.is_empty() {
            vec![inputs.checkpoint.preset.sampling.reduction]
        } else {
            options.reductions
        };
        // A file that cannot be added to is told before anything is measured for it.
        CalibrationFile::check(&out)?;
        let request = inputs.request.take();
        let mut loaded: LoadedCheckpoint<B> = inputs.load(&device)?;
        let terminal = Terminal::evaluations();
        // What was found is stored before it is told of, whoever reads that.
        let store = |loaded: &LoadedCheckpoint<B>, found: &Calibration| {
            CalibrationFile::add(&out, loaded.calibrator().entry(found.clone()))
        };
        if let Some(request) = request {
            loaded.forget();
            let found = request.find(&loaded, None, &terminal)?;
            store(&loaded, &found)?;
            budget_request::tell(&found, &terminal)?;
        } else {
            let calibrator = loaded.calibrator();
            terminal.expect(calibrator.evaluations() * reductions.len() as u64);
            for reduction in reductions {
                terminal.stage(&format!("{:.0} % fewer blocks", 100.0 * reduction));
                let found = calibrator.calibrate(calibrator.key(reduction), &terminal)?;
                store(&loaded, &found)?;
                terminal.print(format_args!("{}", describe(&found)))?;
            }
        }
        terminal.finish();
        terminal.print(format_args!("thresholds: {}", out.display()))
    }
}

/// What was found, in words.
fn describe(calibration: &Calibration) -> String {
    let Calibration {
        exits,
        reduction,
        reached,
        samples,
        ..
    } = calibration;
    let (asked, reached_percent) = (100.0 * reduction, 100.0 * reached);
    let how = match exits {
        ExitSetting::Threshold { uncertainty } => {
            format!("threshold {uncertainty:.6}, which skips")
        }
        ExitSetting::Schedule { .. } => "a depth for each step, which skips".to_owned(),
        ExitSetting::Allocated { .. } | ExitSetting::Distance { .. } => {
            "bounds and a threshold for each step, which skip".to_owned()
        }
        ExitSetting::Forecast { windows, .. } => {
            let told = windows.iter().filter(|window| window.forecast.is_some());
            let count = told.count();
            format!("a depth for each step, with a forecast in {count} of them, which skip")
        }
    };
    let more = if reached - reduction > MUCH {
        ", more than was asked for"
    } else {
        ""
    };
    let worth = match exits {
        ExitSetting::Forecast { evidence, .. } => worth_of_choosing(evidence.as_ref()),
        _ => String::new(),
    };
    format!(
        "{asked:.0} % fewer blocks: {how} {reached_percent:.1} % of {samples} samples' \
         blocks{more}{worth}"
    )
}

/// What choosing by sample was found to be worth, in words.
fn worth_of_choosing(evidence: Option<&Evidence>) -> String {
    let Some(Evidence {
        scheduled,
        by_sample,
        samples,
        ..
    }) = evidence
    else {
        return "; no choice by sample was found that keeps to the budget: the schedule is used"
            .to_owned();
    };
    let (worth, used) = if by_sample < scheduled {
        ("better", "samples choose")
    } else {
        ("no better", "the schedule is used")
    };
    format!(
        "; choosing by sample is {worth} on {samples} other samples (FD {by_sample:.2}, that of the \
         schedule {scheduled:.2}): {used}"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// A threshold that skips what was asked for.
    pub fn calibration() -> Calibration {
        Calibration {
            exits: ExitSetting::Threshold { uncertainty: 0.1 },
            check_every: NonZeroUsize::MIN,
            reduction: 0.4,
            reached: 0.41,
            steps: 2,
            guidance: 0.0,
            samples: 64,
            seed: 7,
            result: None,
        }
    }

    #[test]
    fn what_was_found_is_told() {
        let of_one_threshold = calibration();
        assert_eq!(
            describe(&of_one_threshold),
            "40 % fewer blocks: threshold 0.100000, which skips 41.0 % of 64 samples' blocks"
        );
        let of_distance = Calibration {
            exits: ExitSetting::Distance {
                windows: Vec::new(),
                price: 0.1,
                reference: None,
            },
            reduction: 0.15,
            ..of_one_threshold
        };
        assert_eq!(
            describe(&of_distance),
            "15 % fewer blocks: bounds and a threshold for each step, which skip 41.0 % of 64 samples' \
             blocks, more than was asked for"
        );
        let of_forecast = Calibration {
            exits: ExitSetting::Forecast {
                windows: Vec::new(),
                increase: 0.1,
                reference: None,
                evidence: Some(Evidence {
                    scheduled: 25.0,
                    by_sample: 25.5,
                    samples: 512,
                    seed: 8,
                }),
            },
            ..of_distance
        };
        assert_eq!(
            describe(&of_forecast),
            "15 % fewer blocks: a depth for each step, with a forecast in 0 of them, which skip 41.0 % of \
             64 samples' blocks, more than was asked for; choosing by sample is no better on 512 other \
             samples (FD 25.50, that of the schedule 25.00): the schedule is used"
        );
    }
}
