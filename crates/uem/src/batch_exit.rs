//! The exit of the published code, which a whole batch takes together.

use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Denoiser, ModelError, NoisyBatch, Prediction, read_back};
use burn::tensor::backend::Backend;

use crate::policy::{BlockContext, ExitSignal};
use crate::timestep_biases::TimestepBiasCache;
use crate::{AdaDiff, ExitPolicy};

/// A network that a whole batch leaves together, where a policy says so of the mean over all its
/// samples: what the published code does when it is given more than one sample.
///
/// Unlike that of [`AdaptiveUVit`](crate::AdaptiveUVit), a sample's result **depends on its batch**;
/// with a batch of one sample both are the same. It is here because published figures were measured
/// so, not to be used.
#[derive(Debug)]
pub struct BatchExit<'a, B: Backend, P> {
    model: &'a AdaDiff<B>,
    policy: P,
    time_biases: TimestepBiasCache<B>,
}

impl<'a, B: Kernels, P: ExitPolicy> BatchExit<'a, B, P> {
    /// Lets `policy`, which may ask for [`ExitSignal::Uncertainty`], decide over the batches of `model`.
    pub fn new(model: &'a AdaDiff<B>, policy: P) -> Self {
        Self {
            model,
            policy,
            time_biases: TimestepBiasCache::new(),
        }
    }

    /// [`Denoiser::predict_batch`] on the thread that calls it.
    fn evaluate(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let backbone = &self.model.backbone;
        let (samples, timestep) = (batch.samples(), batch.timestep);
        let state = backbone.embed_batch(batch)?;
        let (mut means, mut exit) = (Vec::new(), 0);
        let blocks = backbone.num_blocks();
        let state = backbone.walk_blocks(0..blocks, state, |block, state| {
            let context = BlockContext {
                block,
                blocks,
                timestep,
            };
            exit = block;
            if context.is_last() {
                return Ok(ControlFlow::Break(()));
            }
            if self.policy.signal(context) == ExitSignal::Uncertainty {
                let mean = self
                    .time_biases
                    .mean_uncertainty(self.model, context, state);
                means.extend(read_back::<B, 1, _, f32>(mean.mean())?);
            }
            Ok::<_, ModelError>(if self.policy.should_exit(context, &means) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(Prediction {
            noise: self.model.decode(exit, state.hidden()),
            blocks: vec![exit as u32 + 1; samples],
            exit_signal: vec![means; samples],
            uncertainty_map: None,
        })
    }
}

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for BatchExit<'_, B, P> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        B::on_worker(|| self.evaluate(batch))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }
}
