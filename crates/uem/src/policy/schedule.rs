//! Depths that depend on the timestep alone.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal, ExitWindow, nearest};
use crate::{ErrorTrace, ExitTrace};

/// The depth at one timestep of a [`DepthSchedule`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledDepth {
    /// The timestep, in the units the network is given.
    pub timestep: f64,
    /// Blocks to run there.
    pub blocks: usize,
}

/// Everybody runs the depth of the nearest scheduled timestep. No uncertainty has to be read back
/// from the device, which matters where reading back stalls its queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DepthSchedule {
    depths: Vec<ScheduledDepth>,
}

impl DepthSchedule {
    /// A schedule of these depths; an empty one never lets anybody leave.
    pub fn new(depths: Vec<ScheduledDepth>) -> Self {
        Self { depths }
    }

    /// The schedule that comes nearest to recorded exits: at each evaluation the mean depth of its
    /// samples, rounded so that all evaluations together run as many blocks as were recorded.
    pub fn from_exits(trace: &ExitTrace) -> Self {
        Self::from_means(trace.steps.iter().map(|step| {
            let total: u32 = step.blocks.iter().sum();
            let samples = step.blocks.len().max(1) as f64;
            (step.timestep, f64::from(total) / samples)
        }))
    }

    /// [`Self::from_exits`] for the exits that recorded samples take within `windows`, one for each
    /// recorded evaluation, judged after every `check_every`-th block.
    pub fn from_windows(
        trace: &ErrorTrace,
        windows: &[ExitWindow],
        check_every: NonZeroUsize,
    ) -> Self {
        Self::from_means(trace.steps.iter().zip(windows).map(|(step, window)| {
            let samples = step.uncertainty.iter();
            let total: usize = samples.map(|sample| window.exit(sample, check_every)).sum();
            let samples = step.uncertainty.len().max(1) as f64;
            (step.timestep, total as f64 / samples)
        }))
    }

    /// Rounds mean depths over timesteps so that their sum stays.
    fn from_means(means: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut owed = 0.0;
        let depths = means.map(|(timestep, mean)| {
            owed += mean;
            let blocks = owed.round().max(1.0);
            owed -= blocks;
            ScheduledDepth {
                timestep,
                blocks: blocks as usize,
            }
        });
        Self {
            depths: depths.collect(),
        }
    }

    /// The depths in the order in which they were given.
    pub fn depths(&self) -> &[ScheduledDepth] {
        &self.depths
    }

    /// The depth at a timestep, if the schedule has any.
    pub fn depth(&self, timestep: f64) -> Option<usize> {
        nearest(&self.depths, timestep, |depth| depth.timestep).map(|depth| depth.blocks)
    }
}

impl ExitPolicy for DepthSchedule {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::None
    }

    fn should_exit(&self, context: BlockContext, _uncertainty: &[f32]) -> bool {
        self.depth(context.timestep)
            .is_some_and(|depth| context.block + 1 >= depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorStep, TraceStep};

    fn schedule() -> DepthSchedule {
        let depth = |timestep, blocks| ScheduledDepth { timestep, blocks };
        DepthSchedule::new(vec![depth(900.0, 2), depth(500.0, 4), depth(100.0, 7)])
    }

    #[test]
    fn the_nearest_scheduled_timestep_decides() {
        for (timestep, blocks) in [
            (999.0, 2),
            (701.0, 2),
            (699.0, 4),
            (301.0, 4),
            (299.0, 7),
            (0.0, 7),
        ] {
            assert_eq!(
                schedule().depth(timestep),
                Some(blocks),
                "timestep {timestep}"
            );
        }
        assert_eq!(DepthSchedule::default().depth(500.0), None);
    }

    #[test]
    fn a_schedule_of_recorded_exits_runs_as_many_blocks() {
        let step = |timestep, blocks: [u32; 4]| TraceStep {
            timestep,
            blocks: blocks.to_vec(),
            uncertainty: Vec::new(),
        };
        let trace = ExitTrace {
            blocks_per_prediction: 9,
            steps: vec![
                step(900.0, [1, 1, 1, 2]), // 1.25
                step(600.0, [2, 2, 3, 2]), // 2.25
                step(300.0, [5, 5, 5, 6]), // 5.25
                step(0.0, [9, 9, 8, 9]),   // 8.75
            ],
        };
        let schedule = DepthSchedule::from_exits(&trace);
        let depths: Vec<usize> = schedule.depths().iter().map(|depth| depth.blocks).collect();
        // What rounding 1.25 and 2.25 left over, with 5.25, makes 5.75.
        assert_eq!(depths, [1, 3, 5, 9]);
        let replayed = trace.replay(&schedule).unwrap();
        assert_eq!(replayed.blocks_total(), 4 * 18);
        assert!((trace.blocks_total() as i64 - 4 * 18).abs() <= 2);
    }

    #[test]
    fn a_schedule_of_windows_runs_as_many_blocks_as_samples_run_within_them() {
        let uncertainty = vec![vec![0.1; 5], vec![0.9, 0.9, 0.4, 0.9, 0.9], vec![0.9; 5]];
        let step = |timestep| ErrorStep {
            timestep,
            errors: vec![vec![0.0; 5]; 3],
            uncertainty: uncertainty.clone(),
        };
        let window = |timestep, least, most| ExitWindow {
            most,
            uncertainty: 0.5,
            ..ExitWindow::fixed(timestep, least)
        };
        let trace = ErrorTrace {
            steps: vec![step(900.0), step(500.0), step(100.0)],
        };
        // Samples leave after 1, 3 and 5 blocks, after 2, 3 and 3, and after 5.
        let windows = [
            window(900.0, 1, 5),
            window(500.0, 2, 3),
            window(100.0, 5, 5),
        ];
        let schedule = DepthSchedule::from_windows(&trace, &windows, NonZeroUsize::MIN);
        let depths = [(900.0, 3), (500.0, 3), (100.0, 5)]
            .map(|(timestep, blocks)| ScheduledDepth { timestep, blocks });
        assert_eq!(schedule.depths(), depths);
        // Judged after every other block they leave after 2, 5 and 5, and after 2, 3 and 3.
        let every = NonZeroUsize::new(2).unwrap();
        let schedule = DepthSchedule::from_windows(&trace, &windows, every);
        let blocks: Vec<usize> = schedule.depths().iter().map(|depth| depth.blocks).collect();
        assert_eq!(blocks, [4, 3, 5]);
    }

    #[test]
    fn samples_leave_after_the_scheduled_depth_and_are_never_judged() {
        let after = |block| BlockContext {
            block,
            blocks: 9,
            timestep: 510.0,
        };
        let leaves = [0, 1, 2, 3, 4].map(|block| schedule().should_exit(after(block), &[]));
        assert_eq!(leaves, [false, false, false, true, true]);
        assert!((0..9).all(|block| schedule().signal(after(block)) == ExitSignal::None));
        assert!((0..9).all(|block| !DepthSchedule::default().should_exit(after(block), &[])));
    }
}
