//! Depths that depend on the timestep alone.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy};

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

    /// The depth at a timestep, if the schedule has any.
    pub fn depth(&self, timestep: f64) -> Option<usize> {
        let distance = |depth: &ScheduledDepth| (depth.timestep - timestep).abs();
        self.depths
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .map(|depth| depth.blocks)
    }
}

impl ExitPolicy for DepthSchedule {
    fn needs_uncertainty(&self, _context: BlockContext) -> bool {
        false
    }

    fn leaves(&self, context: BlockContext, _uncertainty: &[f32]) -> bool {
        self.depth(context.timestep)
            .is_some_and(|depth| context.block + 1 >= depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn samples_leave_after_the_scheduled_depth_and_are_never_judged() {
        let after = |block| BlockContext {
            block,
            blocks: 9,
            timestep: 510.0,
        };
        let leaves = [0, 1, 2, 3, 4].map(|block| schedule().leaves(after(block), &[]));
        assert_eq!(leaves, [false, false, false, true, true]);
        assert!((0..9).all(|block| !schedule().needs_uncertainty(after(block))));
        assert!((0..9).all(|block| !DepthSchedule::default().leaves(after(block), &[])));
    }
}
