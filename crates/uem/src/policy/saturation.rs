//! Leaving where the hidden state has settled.

use serde::{Deserialize, Serialize};

use super::{BlockContext, Evidence, ExitPolicy};

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
    fn evidence(&self, _context: BlockContext) -> Evidence {
        Evidence::Change
    }

    fn leaves(&self, _context: BlockContext, evidence: &[f32]) -> bool {
        evidence.last().is_some_and(|&latest| latest < self.change)
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
        assert_eq!(policy.evidence(context), Evidence::Change);
        assert!(policy.leaves(context, &[0.5, 0.05]));
        assert!(!policy.leaves(context, &[0.05, 0.1]));
        assert!(!policy.leaves(context, &[]));
    }
}
