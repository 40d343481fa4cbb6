//! Who leaves the network when.

mod checked;
mod excess;
mod fixed;
mod patience;
mod schedule;
mod threshold;

pub use checked::CheckedBlocks;
pub(crate) use checked::is_checked;
pub use excess::{ExcessThreshold, UncertaintyFloor};
pub use fixed::{FixedDepth, Never};
pub use patience::Patience;
pub use schedule::{DepthSchedule, ScheduledDepth};
pub use threshold::Threshold;

use std::fmt::Debug;

/// Where a network evaluation stands after a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// The block that was just run, in the order of execution from 0.
    pub block: usize,
    /// All blocks of the network.
    pub blocks: usize,
    /// The timestep that the network was given.
    pub timestep: f64,
}

/// Decides, after each block but the last, which samples leave.
///
/// A decision looks at one sample alone, so that a sample's result does not depend on its batch.
pub trait ExitPolicy: Debug + Send + Sync {
    /// Whether the estimator of this block is to be run. A policy that needs no uncertainty
    /// answers `false` and costs none.
    fn needs_uncertainty(&self, context: BlockContext) -> bool;

    /// Whether a sample leaves after this block.
    ///
    /// `uncertainty` is the sample's mean uncertainty in `[0, 1]` of every block so far at which
    /// the policy asked for it, the latest last.
    fn leaves(&self, context: BlockContext, uncertainty: &[f32]) -> bool;
}

impl<P: ExitPolicy + ?Sized> ExitPolicy for Box<P> {
    fn needs_uncertainty(&self, context: BlockContext) -> bool {
        (**self).needs_uncertainty(context)
    }

    fn leaves(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        (**self).leaves(context, uncertainty)
    }
}

impl<P: ExitPolicy + ?Sized> ExitPolicy for &P {
    fn needs_uncertainty(&self, context: BlockContext) -> bool {
        (**self).needs_uncertainty(context)
    }

    fn leaves(&self, context: BlockContext, uncertainty: &[f32]) -> bool {
        (**self).leaves(context, uncertainty)
    }
}

#[cfg(test)]
mod testing {
    use super::{BlockContext, ExitPolicy};

    /// The block, from 0, that each sample leaves after, given its certainty (one minus
    /// uncertainty) after every block; the last block where the policy lets it run to the end.
    pub(super) fn exits<const BLOCKS: usize>(
        policy: &dyn ExitPolicy,
        certainty: &[[f32; BLOCKS]],
    ) -> Vec<usize> {
        let exit = |sample: &[f32; BLOCKS]| {
            let uncertainty = sample.map(|certainty| 1.0 - certainty);
            let leaves = |&block: &usize| {
                let context = BlockContext {
                    block,
                    blocks: BLOCKS,
                    timestep: 500.0,
                };
                assert!(policy.needs_uncertainty(context));
                policy.leaves(context, &uncertainty[..=block])
            };
            (0..BLOCKS - 1).find(leaves).unwrap_or(BLOCKS - 1)
        };
        certainty.iter().map(exit).collect()
    }
}
