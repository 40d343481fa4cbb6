//! First-block caching, decided for each sample.

use std::num::NonZeroUsize;

use super::{BlockContext, ExitPolicy, ExitSignal};
use crate::{Forecast, Kept};

/// The cache of ParaAttention and diffusers (`FBCache`; `DBCache` with more blocks): where the first blocks
/// move a sample's hidden state about as they did when it last ran to the end, the blocks after them are not
/// run, and what they added then is added again.
///
/// As published, but that each sample decides for itself. On a U-ViT with long skips the blocks that are not
/// run lie between matching ones: as many run at the end as at the beginning. The gate asks for a
/// movement under the threshold, the published one for one that does not exceed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockCache {
    /// Blocks that run in every evaluation, from the first on.
    pub first: NonZeroUsize,
    /// Blocks that run in every evaluation at the end.
    pub last: usize,
    /// The threshold on [`ExitSignal::Movement`], tau.
    pub movement: f32,
    /// Above this timestep every block runs: the warm-up.
    pub from: f64,
    /// Evaluations in a row, at most, that use what was kept.
    pub longest: Option<NonZeroUsize>,
}

impl BlockCache {
    fn is_gate(&self, context: BlockContext) -> bool {
        let run = context.block + 1;
        run == self.first.get() && run + self.last < context.blocks
    }
}

impl ExitPolicy for BlockCache {
    fn signal(&self, context: BlockContext) -> ExitSignal {
        if self.is_gate(context) && context.timestep <= self.from {
            ExitSignal::Movement
        } else {
            ExitSignal::None
        }
    }

    fn should_exit(&self, context: BlockContext, signals: &[f32]) -> bool {
        self.signal(context) == ExitSignal::Movement
            && signals.last().is_some_and(|&moved| moved < self.movement)
    }

    fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        self.is_gate(context).then_some(Forecast {
            last_blocks: self.last,
            longest: self.longest,
            ..Forecast::default()
        })
    }

    fn keeps(&self, context: BlockContext) -> Option<Kept> {
        self.is_gate(context).then_some(Kept {
            order: 0,
            last_blocks: self.last,
            movement: true,
        })
    }
}
