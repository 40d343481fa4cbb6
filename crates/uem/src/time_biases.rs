//! What a timestep adds to the outputs of estimators: every evaluation at that timestep needs it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use adadiff_model::kernels::Kernels;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::UncertaintyEstimator;

/// Biases that are kept: those of more timesteps than a solver takes, batch after batch the same.
const MOST: usize = 1 << 15;

/// The biases `[1, outputs]` of a network's estimators, by the bits of a timestep and the block.
#[derive(Debug)]
pub(crate) struct TimeBiases<B: Backend> {
    known: Mutex<BTreeMap<(u64, usize), Tensor<B, 2>>>,
}

impl<B: Kernels> TimeBiases<B> {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::default(),
        }
    }

    /// The biases of `estimator`, which is that of `block`, at a timestep whose embedding is every row of
    /// `time_embedding`.
    pub(crate) fn of(
        &self,
        estimator: &UncertaintyEstimator<B>,
        block: usize,
        timestep: f64,
        time_embedding: impl FnOnce() -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (timestep.to_bits(), block);
        if let Some(biases) = known.get(&key) {
            return biases.clone();
        }
        let biases = estimator.biases(time_embedding().narrow(0, 0, 1));
        if known.len() < MOST {
            known.insert(key, biases.clone());
        }
        biases
    }
}
