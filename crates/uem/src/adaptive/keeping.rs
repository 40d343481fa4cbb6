//! What is kept from one evaluation to the next.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, ModelError, Prediction, bytes_per_row};
use burn::tensor::Tensor;

use super::AdaptiveUVit;
use crate::memory::Memory;
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

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory<B>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Denoiser::predict`] by what is remembered, which is written once nothing can fail any more. No lock is held
    /// in between.
    pub(super) fn predict_from_memory(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
        pairs: bool,
    ) -> Result<Prediction<B>, ModelError> {
        let [batch, ..] = noisy.dims();
        let known = self.memory().clone();
        let known = if known.batch() == batch {
            known
        } else {
            Memory::new(batch)
        };
        let (prediction, memory) =
            B::on_worker(|| self.evaluate(noisy, timestep, condition, known, pairs))?;
        self.most_kept
            .fetch_max(memory.bytes_per_sample(), Ordering::Relaxed);
        *self.memory() = memory;
        Ok(prediction)
    }
}
