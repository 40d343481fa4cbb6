//! Who leaves the network when.

mod check_every;
mod excess;
mod fixed;
mod patience;
mod saturation;
mod schedule;
mod staircase;
mod threshold;
mod window;

pub use check_every::CheckEvery;
pub(crate) use check_every::is_checked;
pub use excess::{ExcessThreshold, UncertaintyFloor};
pub use fixed::{FixedDepth, FullDepth};
pub use patience::Patience;
pub use saturation::Saturation;
pub use schedule::{DepthSchedule, ScheduledDepth};
pub use threshold::Threshold;
pub use window::{ExitWindow, ExitWindows};

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

/// What a policy wants to know of every sample after a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExitSignal {
    /// Nothing, which costs nothing.
    #[default]
    None,
    /// The mean uncertainty in `[0, 1]` that the block's estimator tells.
    Uncertainty,
    /// How much the block changed the hidden state: one minus the cosine of an image token before and
    /// after it, mean over the tokens, in `[0, 2]`.
    Change,
}

/// Decides, after each block but the last, which samples leave.
///
/// A decision looks at one sample alone, so that a sample's result does not depend on its batch. It may be
/// asked for on any thread, and must not wait for another one.
pub trait ExitPolicy: Debug + Send + Sync {
    /// What the policy wants to know after this block.
    fn signal(&self, context: BlockContext) -> ExitSignal;

    /// Whether a sample leaves after this block.
    ///
    /// `signals` is what the policy asked for of this sample after every block so far, the latest
    /// last; blocks after which it asked for nothing have no entry.
    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool;
}

impl<P: ExitPolicy + ?Sized> ExitPolicy for Box<P> {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        (**self).signal(context)
    }

    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool {
        (**self).should_exit(context, signals)
    }
}

impl<P: ExitPolicy + ?Sized> ExitPolicy for &P {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        (**self).signal(context)
    }

    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool {
        (**self).should_exit(context, signals)
    }
}

#[cfg(test)]
mod testing {
    use super::{BlockContext, ExitPolicy, ExitSignal};

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
                assert_eq!(policy.signal(context), ExitSignal::Uncertainty);
                policy.should_exit(context, &uncertainty[..=block])
            };
            (0..BLOCKS - 1).find(leaves).unwrap_or(BLOCKS - 1)
        };
        certainty.iter().map(exit).collect()
    }
}
