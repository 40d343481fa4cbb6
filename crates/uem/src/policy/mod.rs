//! Who leaves the network when.

mod block_cache;
mod check_every;
mod fixed;
mod patience;
mod saturation;
mod schedule;
mod staircase;
mod threshold;
mod window;

pub use block_cache::BlockCache;
pub use check_every::CheckEvery;
pub(crate) use check_every::is_checked;
pub use fixed::{FixedDepth, FullDepth};
pub use patience::Patience;
pub use saturation::Saturation;
pub use schedule::{DepthSchedule, ScheduledDepth};
pub use threshold::Threshold;
pub use window::{ExitWindow, ExitWindows};

use std::fmt::Debug;
use std::ops::Deref;

use crate::{Forecast, Kept};

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

impl BlockContext {
    /// Whether no block follows.
    pub fn is_last(self) -> bool {
        self.block + 1 == self.blocks
    }
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
    /// How much otherwise than in the evaluation in which the sample last ran to the end the blocks so far
    /// moved the hidden state: `mean |r - r*| / mean |r*|` with `r = h_k - h_0`, over the image tokens.
    /// [`f32::MAX`] for a sample that nothing is kept of ([`ExitPolicy::keeps`]).
    Movement,
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

    /// The forecast that a sample leaves with after this block, where it does not leave as it is.
    fn forecast(&self, _context: BlockContext) -> Option<Forecast> {
        None
    }

    /// What samples that run to the end in this evaluation keep of this block's state for later ones: only
    /// what may be asked for before they surely run to the end again.
    fn keeps(&self, _context: BlockContext) -> Option<Kept> {
        None
    }

    /// The time that forecasts are polynomials over, of the network's timestep.
    fn forecast_time(&self, timestep: f64) -> f64 {
        timestep
    }
}

/// What points to a policy, as `&P` and `Box<P>` do.
impl<T: Deref<Target: ExitPolicy> + Debug + Send + Sync> ExitPolicy for T {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        (**self).signal(context)
    }

    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool {
        (**self).should_exit(context, signals)
    }

    fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        (**self).forecast(context)
    }

    fn keeps(&self, context: BlockContext) -> Option<Kept> {
        (**self).keeps(context)
    }

    fn forecast_time(&self, timestep: f64) -> f64 {
        (**self).forecast_time(timestep)
    }
}

/// Blocks that a sample runs at a timestep under `policy`, and the signals that the policy asks for
/// until then, given its `signals` after every block.
///
/// Returns nothing where the policy asks for a signal that is not there.
pub fn replay(
    policy: &(impl ExitPolicy + ?Sized),
    timestep: f64,
    blocks: usize,
    signals: &[f32],
) -> Option<(usize, Vec<f32>)> {
    let mut seen = Vec::new();
    for block in 0..blocks - 1 {
        let context = BlockContext {
            block,
            blocks,
            timestep,
        };
        if policy.signal(context) != ExitSignal::None {
            seen.push(*signals.get(block)?);
        }
        if policy.should_exit(context, &seen) {
            return Some((block + 1, seen));
        }
    }
    Some((blocks, seen))
}

/// The exit with a forecast by which a sample under `policy` runs so many blocks in all at a timestep: the blocks
/// before it and those that are run after all, where there is such an exit.
pub fn forecast_exit(
    policy: &(impl ExitPolicy + ?Sized),
    timestep: f64,
    blocks: usize,
    run: usize,
) -> Option<(usize, usize)> {
    (0..blocks.saturating_sub(1)).find_map(|block| {
        let context = BlockContext {
            block,
            blocks,
            timestep,
        };
        let last_blocks = policy.forecast(context)?.last_blocks;
        (block + 1 + last_blocks == run).then_some((block + 1, last_blocks))
    })
}

/// The item whose timestep, which `timestep_of` tells, is nearest to `timestep`.
fn nearest<T>(items: &[T], timestep: f64, timestep_of: impl Fn(&T) -> f64) -> Option<&T> {
    let distance = |item: &T| (timestep_of(item) - timestep).abs();
    let by_distance = |a: &&T, b: &&T| distance(a).total_cmp(&distance(b));
    items.iter().min_by(by_distance)
}

#[cfg(test)]
mod testing {
    use super::{ExitPolicy, replay};

    /// Asserts that samples whose `certainty` (one minus uncertainty) after every block is given leave after
    /// the blocks, from 0, that were recorded under each threshold on certainty, where `policy` is made of
    /// the threshold on uncertainty.
    #[track_caller]
    pub(super) fn assert_exits<P: ExitPolicy, const SAMPLES: usize, const BLOCKS: usize>(
        policy: impl Fn(f32) -> P,
        certainty: [[f32; BLOCKS]; SAMPLES],
        recorded: &[(f32, [usize; SAMPLES])],
    ) {
        for &(threshold, expected) in recorded {
            let exits = certainty.map(|certainty| {
                let uncertainty = certainty.map(|certainty| 1.0 - certainty);
                let replayed = replay(&policy(1.0 - threshold), 500.0, BLOCKS, &uncertainty);
                let (blocks, seen) = replayed.unwrap();
                assert_eq!(seen, uncertainty[..blocks.min(BLOCKS - 1)]);
                blocks - 1
            });
            assert_eq!(exits, expected, "certainty {threshold}");
        }
    }
}
