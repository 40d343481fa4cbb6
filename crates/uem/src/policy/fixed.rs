//! Depths that depend on nothing.

use std::num::NonZeroUsize;

use super::{BlockContext, ExitPolicy};

/// Nobody leaves early: the full network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Never;

impl ExitPolicy for Never {
    fn needs_uncertainty(&self, _context: BlockContext) -> bool {
        false
    }

    fn leaves(&self, _context: BlockContext, _uncertainty: &[f32]) -> bool {
        false
    }
}

/// Everybody leaves after the same number of blocks: the static exit of the paper's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedDepth(
    /// Blocks to run; more than the network has means all.
    pub NonZeroUsize,
);

impl ExitPolicy for FixedDepth {
    fn needs_uncertainty(&self, _context: BlockContext) -> bool {
        false
    }

    fn leaves(&self, context: BlockContext, _uncertainty: &[f32]) -> bool {
        context.block + 1 >= self.0.get()
    }
}
