//! An exit rule that asks what the remaining blocks could still improve.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal, nearest};

/// The mean uncertainty of the last block at one timestep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncertaintyFloor {
    /// The timestep, in the units the network is given.
    pub timestep: f64,
    /// Mean uncertainty in `[0, 1]`.
    pub uncertainty: f32,
}

/// A sample leaves at the first block whose mean uncertainty exceeds the last block's, as it was
/// recorded at this timestep, by less than `excess`.
///
/// The paper's rule ([`super::Threshold`]) has one threshold for all timesteps. But how wrong even
/// the last block is depends on the timestep: near the image noise is hard to tell, so there one
/// threshold runs every block for nothing, while near pure noise it runs none where each would help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExcessThreshold {
    /// Mean uncertainty above the floor.
    pub excess: f32,
    /// The floors; the nearest timestep counts. Without any the floor is zero.
    pub floors: Vec<UncertaintyFloor>,
}

impl ExcessThreshold {
    /// The floor at a timestep.
    pub fn floor(&self, timestep: f64) -> f32 {
        let floor = nearest(&self.floors, timestep, |floor| floor.timestep);
        floor.map_or(0.0, |floor| floor.uncertainty)
    }
}

impl ExitPolicy for ExcessThreshold {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::Uncertainty
    }

    fn should_exit(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        let floor = self.floor(context.timestep);
        uncertainty
            .last()
            .is_some_and(|&latest| latest - floor < self.excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_floor_counts() {
        let floor = |timestep, uncertainty| UncertaintyFloor {
            timestep,
            uncertainty,
        };
        let policy = ExcessThreshold {
            excess: 0.1,
            floors: vec![floor(900.0, 0.0), floor(10.0, 0.5)],
        };
        let at = |timestep| BlockContext {
            block: 0,
            blocks: 13,
            timestep,
        };
        assert!(policy.should_exit(at(999.0), &[0.3, 0.09]));
        assert!(!policy.should_exit(at(999.0), &[0.09, 0.11]));
        assert!(policy.should_exit(at(20.0), &[0.59]));
        assert!(!policy.should_exit(at(20.0), &[0.61]));
    }
}
