//! What is kept from one evaluation to the next.

use adadiff_model::bytes_per_row;
use adadiff_model::kernels::Kernels;

use super::AdaptiveUVit;
use crate::{BlockContext, ExitPolicy, ExitSignal, Kept};

impl<B: Kernels, P: ExitPolicy> AdaptiveUVit<'_, B, P> {
    /// What is kept in an evaluation, by blocks.
    pub(super) fn kept(&self, first: BlockContext) -> Vec<(usize, Kept)> {
        let kept = |block: usize| {
            let of = self.policy.keeps(BlockContext { block, ..first })?;
            let of = Kept {
                last_blocks: of.last_blocks.min(block + 1),
                ..of
            };
            (block + 1 + of.last_blocks < first.blocks).then_some((block, of))
        };
        (0..first.blocks).filter_map(kept).collect()
    }

    /// Whether an evaluation keeps movements, or compares them.
    pub(super) fn has_movements(&self, first: BlockContext, kept: &[(usize, Kept)]) -> bool {
        let mut contexts = (0..first.blocks).map(|block| BlockContext { block, ..first });
        kept.iter().any(|(_, of)| of.movement)
            || contexts.any(|context| self.signal(context) == ExitSignal::Movement)
    }

    /// The most bytes that a sample may be kept of from one evaluation to the next where the network is asked
    /// about `timesteps`.
    pub fn most_memory(&self, timesteps: &[f64]) -> usize {
        let backbone = &self.model.backbone;
        let rows = |&timestep: &f64| {
            let kept = self.kept(BlockContext {
                block: 0,
                blocks: backbone.num_blocks(),
                timestep,
            });
            let of_block = |(_, of): &(usize, Kept)| of.order + 1 + usize::from(of.movement);
            kept.iter().map(of_block).sum::<usize>()
        };
        let most = timesteps.iter().map(rows).max().unwrap_or(0);
        most * bytes_per_row(&backbone.pos_embed.val())
    }
}
