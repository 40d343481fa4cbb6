//! What a timestep adds to the outputs of estimators: every evaluation at that timestep needs it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use adadiff_model::TokenState;
use adadiff_model::kernels::Kernels;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::{AdaDiff, BlockContext};

/// Biases that are kept: those of a thousand timesteps of a network of thirty blocks. A solver's
/// timesteps are the same batch after batch.
const MOST: usize = 1 << 15;

/// By the bits of a timestep and the block.
type Known<B> = BTreeMap<(u64, usize), Tensor<B, 2>>;

/// The biases `[1, outputs]` of a network's estimators.
#[derive(Debug)]
pub(crate) struct TimestepBiasCache<B: Backend> {
    known: Mutex<Known<B>>,
}

impl<B: Kernels> TimestepBiasCache<B> {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::default(),
        }
    }

    /// The mean uncertainty `[active]` of each sample after a block of `model`. All are at the same
    /// timestep.
    pub(crate) fn mean_uncertainty(
        &self,
        model: &AdaDiff<B>,
        BlockContext {
            block, timestep, ..
        }: BlockContext,
        state: &TokenState<B>,
    ) -> Tensor<B, 1> {
        let estimator = model.estimator(block);
        let key = (timestep.to_bits(), block);
        let biases = self.get(key, || {
            let time_embedding = state.time_embedding().narrow(0, 0, 1);
            estimator.biases(time_embedding).detach()
        });
        estimator.mean(state.hidden(), biases, model.backbone.extra_tokens())
    }

    fn get(&self, key: (u64, usize), make: impl FnOnce() -> Tensor<B, 2>) -> Tensor<B, 2> {
        if let Some(biases) = self.lock().get(&key) {
            return biases.clone();
        }
        // The lock is not held during an operation, whose thread may do others' work while it waits.
        let biases = make();
        let mut known = self.lock();
        if known.len() < MOST {
            known.insert(key, biases.clone());
        }
        biases
    }

    fn lock(&self) -> MutexGuard<'_, Known<B>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
