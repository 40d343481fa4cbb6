//! The exit of the published code, which a whole batch takes together.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, ModelError, Prediction};
use burn::tensor::Tensor;
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

    /// [`Denoiser::predict`] on the thread that calls it.
    fn evaluate(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        let backbone = &self.model.backbone;
        let [batch, ..] = noisy.dims();
        let blocks = backbone.num_blocks();
        let mut state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut means = Vec::new();
        let mut exit = blocks - 1;
        for block in 0..blocks {
            state = backbone.block(block, state);
            let context = BlockContext {
                block,
                blocks,
                timestep,
            };
            if block + 1 == blocks {
                break;
            }
            if self.policy.signal(context) == ExitSignal::Uncertainty {
                let estimator = self.model.estimator(block);
                let time = || state.time_embedding();
                let biases = self.time_biases.get(estimator, block, timestep, time);
                let mean = estimator.mean(state.hidden(), biases, backbone.extra_tokens());
                let mean = mean.mean();
                let mean = mean.into_data().convert::<f32>().into_vec::<f32>();
                let mean = mean.map_err(|error| ModelError::Device(format!("{error:?}")))?;
                means.extend(mean);
            }
            if self.policy.should_exit(context, &means) {
                exit = block;
                break;
            }
        }
        Ok(Prediction {
            noise: self.model.decode(exit, state.hidden()),
            blocks: vec![exit as u32 + 1; batch],
            exit_signal: vec![means; batch],
            uncertainty_map: None,
        })
    }
}

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for BatchExit<'_, B, P> {
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        B::on_worker(|| self.evaluate(noisy, timestep, condition))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }
}
