//! The exit rule of the published code.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal};

/// In the in-blocks the first crossing of the threshold only arms a flag and the next one leaves;
/// from the mid block on the first crossing leaves, whatever happened before
/// (`UViT.forward` of the published code, per sample).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// Mean uncertainty in `[0, 1]` under which a block counts as crossing.
    pub uncertainty: f32,
}

impl ExitPolicy for Patience {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::Uncertainty
    }

    fn should_exit(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        let crosses = |value: &&f32| **value < self.uncertainty;
        if !uncertainty.last().as_ref().is_some_and(crosses) {
            return false;
        }
        let in_blocks = context.blocks / 2;
        context.block >= in_blocks || uncertainty.iter().filter(crosses).count() >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::assert_exits;

    #[test]
    fn exits_are_those_of_the_published_class_conditional_code() {
        // Recorded from the published code, called for one sample at a time: mean certainty of six
        // samples after every block, and their exits.
        let certainty = [
            [
                0.6577, 0.1982, 0.2393, 0.6348, 0.7658, 0.7178, 0.8239, 0.9657, 0.7996,
            ],
            [
                0.5364, 0.5376, 0.3301, 0.5281, 0.5980, 0.5470, 0.3259, 0.7629, 0.7182,
            ],
            [
                0.5538, 0.5475, 0.4002, 0.5556, 0.6031, 0.6190, 0.5177, 0.8001, 0.7537,
            ],
            [
                0.2985, 0.5558, 0.4043, 0.5268, 0.5567, 0.5370, 0.5583, 0.6814, 0.4157,
            ],
            [
                0.5209, 0.4742, 0.3724, 0.6299, 0.6216, 0.5755, 0.7788, 0.7929, 0.7287,
            ],
            [
                0.5600, 0.3685, 0.2781, 0.5178, 0.6880, 0.8207, 0.7968, 0.9446, 0.4475,
            ],
        ];
        let policy = |uncertainty| Patience { uncertainty };
        assert_exits(
            policy,
            certainty,
            &[
                (0.21874, [2, 1, 1, 1, 1, 1]),
                (0.51935, [3, 1, 1, 3, 3, 4]),
                (0.61105, [3, 7, 5, 7, 4, 4]),
                (0.77231, [6, 8, 7, 8, 6, 5]),
                (0.88462, [7, 8, 8, 8, 8, 7]),
                (0.97566, [8, 8, 8, 8, 8, 8]),
            ],
        );
    }

    #[test]
    fn exits_are_those_of_the_published_unconditional_code() {
        let certainty = [
            [0.4239, 0.3214, 0.7576, 0.3338, 0.3817, 0.3592, 0.6710],
            [0.3939, 0.3552, 0.7857, 0.4754, 0.5641, 0.4801, 0.6522],
            [0.3868, 0.4302, 0.8584, 0.3210, 0.4193, 0.5828, 0.5298],
            [0.5591, 0.4389, 0.7495, 0.5708, 0.4346, 0.4620, 0.6269],
            [0.3032, 0.3717, 0.7179, 0.3561, 0.3853, 0.5675, 0.6334],
            [0.5454, 0.3542, 0.8412, 0.4453, 0.4288, 0.4485, 0.6582],
        ];
        let policy = |uncertainty| Patience { uncertainty };
        assert_exits(
            policy,
            certainty,
            &[
                (0.31211, [1, 1, 1, 1, 2, 1]),
                (0.37513, [2, 2, 1, 1, 4, 2]),
                (0.42635, [6, 3, 2, 1, 5, 2]),
                (0.55226, [6, 4, 5, 2, 5, 6]),
                (0.60488, [6, 6, 6, 6, 6, 6]),
                (0.86839, [6, 6, 6, 6, 6, 6]),
            ],
        );
    }
}
