//! The exit rule of the published code.

use serde::{Deserialize, Serialize};

use super::{BlockContext, ExitPolicy};

/// In the in-blocks the first crossing of the threshold only arms a flag and the next one leaves;
/// from the mid block on the first crossing leaves, whatever happened before
/// (`UViT.forward` of the published code, per sample).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// Mean uncertainty in `[0, 1]` under which a block counts as crossing.
    pub uncertainty: f32,
}

impl ExitPolicy for Patience {
    fn needs_uncertainty(&self, _context: BlockContext) -> bool {
        true
    }

    fn leaves(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        let crosses = |value: &&f32| **value < self.uncertainty;
        if !uncertainty.last().as_ref().is_some_and(crosses) {
            return false;
        }
        let in_blocks = context.blocks / 2;
        context.block >= in_blocks || uncertainty.iter().filter(crosses).count() >= 2
    }
}
