//! Exits within bounds that depend on the timestep.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal, is_checked, nearest};

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
    /// Exits within these windows; without any nobody leaves.
    pub fn new(windows: Vec<ExitWindow>, every: NonZeroUsize) -> Self {
        Self { windows, every }
    }

    /// The window at a timestep, if there is any.
    pub fn window(&self, timestep: f64) -> Option<&ExitWindow> {
        nearest(&self.windows, timestep, |window| window.timestep)
    }
}

impl ExitWindow {
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
            let sure = || {
                is_checked(context.block, self.every)
                    && signals.last().is_some_and(|&u| u < window.uncertainty)
            };
            blocks >= window.least && (blocks >= window.most || sure())
        })
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
            timestep,
            least,
            most,
            uncertainty: 0.5,
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
}
