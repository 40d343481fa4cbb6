//! The paper's exit rule.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal};

/// A sample leaves at the first block whose mean uncertainty is under the threshold
/// (AdaDiff, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Mean uncertainty in `[0, 1]`; the published scripts give one minus it.
    pub uncertainty: f32,
}

impl ExitPolicy for Threshold {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::Uncertainty
    }

    fn should_exit(&self, _context: BlockContext, uncertainty: &[f32]) -> bool {
        uncertainty
            .last()
            .is_some_and(|&latest| latest < self.uncertainty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::assert_exits;

    #[test]
    fn exits_are_those_of_the_published_text_to_image_code() {
        // Recorded from the published code, whose text-conditional network leaves at the first
        // crossing: mean certainty of six samples after every block, and their exits.
        let certainty = [
            [0.6619, 0.6643, 0.7136, 0.8867, 0.7524],
            [0.5918, 0.7896, 0.7160, 0.6052, 0.7044],
            [0.6259, 0.6421, 0.6906, 0.8036, 0.6663],
            [0.7322, 0.7409, 0.8095, 0.8650, 0.8065],
            [0.6977, 0.7729, 0.6795, 0.8618, 0.6914],
            [0.6375, 0.6638, 0.6858, 0.6933, 0.7348],
        ];
        let policy = |uncertainty| Threshold { uncertainty };
        assert_exits(
            policy,
            certainty,
            &[
                (0.64997, [0, 1, 2, 0, 0, 1]),
                (0.68820, [2, 1, 2, 0, 0, 3]),
                (0.69554, [2, 1, 3, 0, 0, 4]),
                (0.74667, [3, 1, 3, 2, 1, 4]),
                (0.80800, [3, 4, 4, 2, 3, 4]),
                (0.89669, [4, 4, 4, 4, 4, 4]),
            ],
        );
    }

    #[test]
    fn only_an_uncertainty_under_the_threshold_leaves() {
        let context = BlockContext {
            block: 2,
            blocks: 5,
            timestep: 1.0,
        };
        let policy = Threshold { uncertainty: 0.25 };
        assert!(!policy.should_exit(context, &[0.25]));
        assert!(policy.should_exit(context, &[0.25_f32.next_down()]));
        assert!(
            !policy.should_exit(context, &[0.1, 0.3]),
            "the latest block decides"
        );
        assert!(!policy.should_exit(context, &[f32::NAN]));
        assert!(!policy.should_exit(context, &[]));
    }
}
