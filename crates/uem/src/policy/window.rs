//! Exits within bounds that depend on the timestep.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal, is_checked, nearest};
use crate::{Forecast, Kept};

/// Where samples may leave at one timestep of [`ExitWindows`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitWindow {
    /// The timestep, in the units the network is given.
    pub timestep: f64,
    /// Blocks that every sample runs.
    pub least: usize,
    /// Blocks that no sample exceeds.
    pub most: usize,
    /// Between the two a sample leaves where its mean uncertainty is under this.
    pub uncertainty: f32,
    /// The forecast that samples leave with after the least number of blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// They do so where their [movement](ExitSignal::Movement) is under this, where it is given, and run the most
    /// blocks where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movement: Option<f32>,
    /// The logarithm of the signal-to-noise ratio, over which forecasts are then polynomials. Over timesteps, as without it,
    /// those of order 2 measured better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_snr: Option<f64>,
}

/// Each sample runs between the least and the most blocks of the nearest timestep, and leaves where
/// its uncertainty is under that timestep's threshold, judged after every `every`-th block. Estimators
/// run within the window alone: where least and most are the same, none does.
#[derive(Clone, Debug, PartialEq)]
pub struct ExitWindows {
    windows: Vec<ExitWindow>,
    every: NonZeroUsize,
}

impl ExitWindows {
    /// Exits within these windows, which are those of evaluations in their order, from noise on; without any
    /// nobody leaves.
    pub fn new(windows: Vec<ExitWindow>, every: NonZeroUsize) -> Self {
        Self { windows, every }
    }

    /// The windows.
    pub fn windows(&self) -> &[ExitWindow] {
        &self.windows
    }

    /// The window at a timestep, if there is any.
    pub fn window(&self, timestep: f64) -> Option<&ExitWindow> {
        nearest(&self.windows, timestep, |window| window.timestep)
    }
}

impl ExitWindow {
    /// Everybody runs so many blocks.
    pub fn fixed(timestep: f64, blocks: usize) -> Self {
        Self {
            timestep,
            least: blocks,
            most: blocks,
            uncertainty: 0.0,
            forecast: None,
            movement: None,
            log_snr: None,
        }
    }

    /// The forecast, where it is not worth nothing.
    fn told(&self) -> Option<Forecast> {
        self.forecast.filter(|forecast| forecast.coefficient != 0.0)
    }

    /// Whether samples may run all of so many blocks.
    fn may_be_full(&self, blocks: usize) -> bool {
        self.most >= blocks || self.told().is_some()
    }

    /// Blocks that a sample runs whose uncertainty after every block is known.
    pub fn exit(&self, uncertainty: &[f32], every: NonZeroUsize) -> usize {
        let blocks = uncertainty.len();
        let sure =
            |&run: &usize| is_checked(run - 1, every) && uncertainty[run - 1] < self.uncertainty;
        let least = self.least.max(1);
        let exit = (least..self.most.min(blocks)).find(sure);
        exit.unwrap_or(self.most.max(least)).min(blocks)
    }
}

impl ExitPolicy for ExitWindows {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        let blocks = context.block + 1;
        match self.window(context.timestep) {
            Some(window) if window.movement.is_some() => {
                if blocks == window.least && blocks < window.most {
                    ExitSignal::Movement
                } else {
                    ExitSignal::None
                }
            }
            Some(window)
                if (window.least..window.most).contains(&blocks)
                    && is_checked(context.block, self.every) =>
            {
                ExitSignal::Uncertainty
            }
            _ => ExitSignal::None,
        }
    }

    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool {
        let blocks = context.block + 1;
        self.window(context.timestep).is_some_and(|window| {
            let under = |limit: f32| signals.last().is_some_and(|&signal| signal < limit);
            let sure = || match window.movement {
                Some(limit) => blocks == window.least && under(limit),
                None => is_checked(context.block, self.every) && under(window.uncertainty),
            };
            blocks >= window.least && (blocks >= window.most || sure())
        })
    }

    fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        let window = self.window(context.timestep)?;
        window.told().filter(|_| context.block + 1 == window.least)
    }

    fn keeps(&self, context: BlockContext) -> Option<Kept> {
        let window = self.window(context.timestep)?;
        if !window.may_be_full(context.blocks) {
            return None;
        }
        let mut kept: Option<Kept> = None;
        let later = self
            .windows
            .iter()
            .filter(|later| later.timestep < window.timestep);
        let mut full = 0;
        for later in later {
            match later.told() {
                Some(forecast) if later.least == context.block + 1 && full <= forecast.order => {
                    let before = kept.unwrap_or_default();
                    kept = Some(Kept {
                        order: before.order.max(forecast.order),
                        last_blocks: forecast.last_blocks,
                        movement: before.movement || later.movement.is_some(),
                    });
                }
                Some(_) => {}
                // Whatever is asked for after this is of a later evaluation.
                None if later.least >= context.blocks => full += 1,
                None => {}
            }
        }
        kept
    }

    fn forecast_time(&self, timestep: f64) -> f64 {
        let window = self.window(timestep);
        window.and_then(|window| window.log_snr).unwrap_or(timestep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExitTrace, TraceStep};

    #[test]
    fn samples_leave_within_the_window_of_the_nearest_timestep() {
        let uncertainty = vec![
            vec![0.1, 0.1, 0.1, 0.1, 0.1], // sure from the first block on
            vec![0.9, 0.9, 0.4, 0.9, 0.9],
            vec![0.9; 5],
        ];
        let step = |timestep| TraceStep {
            timestep,
            blocks: vec![5; 3],
            uncertainty: uncertainty.clone(),
        };
        let trace = ExitTrace {
            blocks_per_prediction: 5,
            steps: vec![step(900.0), step(100.0)],
        };
        let window = |timestep, least, most| ExitWindow {
            least,
            most,
            uncertainty: 0.5,
            ..ExitWindow::fixed(timestep, 5)
        };
        let windows = vec![window(800.0, 2, 4), window(0.0, 3, 3)];
        for (every, early, judged) in [(1, [2, 3, 4], [1, 2, 2]), (2, [2, 4, 4], [1, 1, 1])] {
            let every = NonZeroUsize::new(every).unwrap();
            let policy = ExitWindows::new(windows.clone(), every);
            let replayed = trace.replay(&policy).unwrap();
            assert_eq!(replayed.steps[0].blocks, early);
            assert_eq!(replayed.steps[1].blocks, [3, 3, 3]);
            let estimates = replayed.steps.iter().map(|step| {
                let counts = step.uncertainty.iter().map(Vec::len);
                counts.collect::<Vec<_>>()
            });
            assert!(estimates.eq([judged.to_vec(), vec![0; 3]]));
            for (step, window) in replayed.steps.iter().zip(&windows) {
                let exits = uncertainty.iter().map(|u| window.exit(u, every) as u32);
                assert!(exits.eq(step.blocks.iter().copied()));
            }
        }
    }

    #[test]
    fn without_windows_nobody_leaves() {
        let context = BlockContext {
            block: 3,
            blocks: 5,
            timestep: 1.0,
        };
        let none = ExitWindows::new(Vec::new(), NonZeroUsize::MIN);
        assert_eq!(none.signal(context), ExitSignal::None);
        assert!(!none.should_exit(context, &[0.0]));
    }

    #[test]
    fn what_is_left_with_before_the_next_run_to_the_end_is_kept() {
        let told = |timestep, blocks, order| ExitWindow {
            forecast: Some(Forecast {
                order,
                ..Forecast::default()
            }),
            ..ExitWindow::fixed(timestep, blocks)
        };
        let gate = ExitWindow {
            most: 5,
            movement: Some(0.1),
            ..told(300.0, 2, 0)
        };
        let windows = vec![
            ExitWindow::fixed(900.0, 5),
            ExitWindow::fixed(700.0, 3),
            told(600.0, 1, 0),
            ExitWindow::fixed(500.0, 5),
            told(400.0, 3, 1),
            gate,
            told(100.0, 1, 0),
            ExitWindow::fixed(80.0, 5),
            told(60.0, 4, 2),
            ExitWindow::fixed(0.0, 5),
        ];
        let policy = ExitWindows::new(windows, NonZeroUsize::MIN);
        let kept = |timestep| -> Vec<(usize, usize, bool)> {
            let blocks = (0..4).filter_map(|block| {
                let kept = policy.keeps(BlockContext {
                    block,
                    blocks: 5,
                    timestep,
                })?;
                Some((block + 1, kept.order, kept.movement))
            });
            blocks.collect()
        };
        // The line of 400 goes through the differences of 900 and 500.
        // So does the parabola of 60, and through that of 80.
        let far = (4, 2, false);
        assert_eq!(kept(900.0), [(1, 0, false), (3, 1, false), far]);
        assert_eq!(kept(700.0), [], "nobody runs to the end");
        let near = [(1, 0, false), (2, 0, true), (3, 1, false), far];
        assert_eq!(kept(500.0), near);
        let failed = [(1, 0, false), far];
        assert_eq!(kept(300.0), failed, "of those who fail at the gate");
        assert_eq!(kept(80.0), [far]);
        assert_eq!(kept(0.0), []);

        let after = |block| BlockContext {
            block,
            blocks: 5,
            timestep: 300.0,
        };
        let signals = [0, 1, 2, 3].map(|block| policy.signal(after(block)));
        let none = ExitSignal::None;
        assert_eq!(signals, [none, ExitSignal::Movement, none, none]);
        assert!(policy.should_exit(after(1), &[0.09]));
        let goes_on = (1..4).all(|block| !policy.should_exit(after(block), &[0.1]));
        assert!(goes_on && policy.forecast(after(1)).is_some());
        assert_eq!(policy.forecast(after(2)), None);
    }
}
