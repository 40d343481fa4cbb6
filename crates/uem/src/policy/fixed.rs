//! Depths that depend on nothing.

use std::num::NonZeroUsize;

use super::{BlockContext, ExitPolicy, ExitSignal};

/// Nobody leaves early: the full network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FullDepth;

impl ExitPolicy for FullDepth {
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::None
    }

    fn should_exit(&self, _context: BlockContext, _uncertainty: &[f32]) -> bool {
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
    fn signal(&self, _context: BlockContext) -> ExitSignal {
        ExitSignal::None
    }

    fn should_exit(&self, context: BlockContext, _uncertainty: &[f32]) -> bool {
        context.block + 1 >= self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(block: usize) -> BlockContext {
        BlockContext {
            block,
            blocks: 5,
            timestep: 1.0,
        }
    }

    #[test]
    fn everybody_leaves_after_the_fixed_number_of_blocks() {
        let three = FixedDepth(NonZeroUsize::MIN.saturating_add(2));
        assert_eq!(
            [0, 1, 2, 3].map(|block| three.should_exit(after(block), &[])),
            [false, false, true, true]
        );
        let one = FixedDepth(NonZeroUsize::MIN);
        assert!(one.should_exit(after(0), &[]));
        let more_than_there_are = FixedDepth(NonZeroUsize::MAX);
        assert!((0..5).all(|block| !more_than_there_are.should_exit(after(block), &[])));
        assert!((0..5).all(|block| !FullDepth.should_exit(after(block), &[0.0])));
        assert!((0..5).all(|block| three.signal(after(block)) == ExitSignal::None));
        assert!((0..5).all(|block| FullDepth.signal(after(block)) == ExitSignal::None));
    }
}
