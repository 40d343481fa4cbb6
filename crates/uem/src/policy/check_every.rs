//! Judging samples after some blocks only.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal};
use crate::{Forecast, Kept};

/// A policy that is asked after every `every`-th block only.
///
/// Each question reads the uncertainties back from the device, which stalls the queue of a GPU, and
/// runs an estimator; between two questions nobody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckEvery<P> {
    /// The policy that is asked.
    pub policy: P,
    /// Blocks from one question to the next.
    pub every: NonZeroUsize,
}

/// Whether samples are judged after this block, counted from 0.
pub(crate) fn is_checked(block: usize, every: NonZeroUsize) -> bool {
    (block + 1).is_multiple_of(every.get())
}

impl<P: ExitPolicy> ExitPolicy for CheckEvery<P> {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        if is_checked(context.block, self.every) {
            self.policy.signal(context)
        } else {
            ExitSignal::None
        }
    }

    fn should_exit(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        is_checked(context.block, self.every) && self.policy.should_exit(context, uncertainty)
    }

    fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        self.policy.forecast(context)
    }

    fn keeps(&self, context: BlockContext) -> Option<Kept> {
        self.policy.keeps(context)
    }

    fn forecast_time(&self, timestep: f64) -> f64 {
        self.policy.forecast_time(timestep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExitTrace, Threshold, TraceStep};

    #[test]
    fn samples_leave_after_checked_blocks_alone() {
        let trace = ExitTrace {
            blocks_per_prediction: 7,
            steps: vec![TraceStep {
                timestep: 500.0,
                blocks: vec![7; 4],
                uncertainty: vec![
                    vec![0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], // sure between two checks alone
                    vec![0.9, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9],
                    vec![0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1],
                    vec![0.9; 7],
                ],
            }],
        };
        let policy = CheckEvery {
            policy: Threshold { uncertainty: 0.5 },
            every: NonZeroUsize::new(3).unwrap(),
        };
        let replayed = trace.replay(&policy).unwrap();
        assert_eq!(replayed.steps[0].blocks, [7, 3, 6, 7]);
        // Judged after blocks 3 and 6, until they leave.
        let judged: Vec<usize> = replayed.steps[0].uncertainty.iter().map(Vec::len).collect();
        assert_eq!(judged, [2, 1, 2, 2]);
    }
}
