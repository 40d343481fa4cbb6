//! Depths that depend on the timestep alone.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal, nearest};
use crate::ExitTrace;

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
        let mut owed = 0.0;
        let depths = trace.steps.iter().map(|step| {
            let total: u32 = step.blocks.iter().sum();
            owed += f64::from(total) / step.blocks.len().max(1) as f64;
            let blocks = owed.round().max(1.0);
            owed -= blocks;
            ScheduledDepth {
                timestep: step.timestep,
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
    use crate::TraceStep;

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
