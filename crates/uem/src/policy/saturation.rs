//! Leaving where the hidden state has settled.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy, ExitSignal};

/// A sample leaves at the first block that changes its hidden state by less than a threshold:
/// saturation of hidden states (CALM, Schuster et al. 2022, arXiv 2207.07061, section 3.4). Nothing
/// is trained for it.
///
/// CALM compares the cosine of a token before and after a block with a threshold; a sample here has
/// many tokens, of which the mean counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saturation {
    /// One minus the cosine, in `[0, 2]`, under which the hidden state has settled.
    pub change: f32,
}

impl ExitPolicy for Saturation {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::Change
    }

    fn should_exit(&self, _context: BlockContext, signals: &[f32]) -> bool {
        signals.last().is_some_and(|&latest| latest < self.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_state_that_hardly_changes_leaves() {
        let context = BlockContext {
            block: 1,
            blocks: 5,
            timestep: 1.0,
        };
        let policy = Saturation { change: 0.1 };
        assert_eq!(policy.signal(context), ExitSignal::Change);
        assert!(policy.should_exit(context, &[0.5, 0.05]));
        assert!(!policy.should_exit(context, &[0.05, 0.1]));
        assert!(!policy.should_exit(context, &[]));
    }
}
