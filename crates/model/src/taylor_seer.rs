//! Hidden states that are forecast from those of earlier evaluations.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::kernels::Kernels;
use crate::rows::RowSplit;
use crate::taylor::TaylorFactors;
use crate::{Condition, Denoiser, ModelError, Prediction, UVit, UVitConfig};

/// Evaluations at the start that run all blocks.
pub(crate) const FULL_AT_FIRST: usize = 2;

/// TaylorSeer (Liu et al. 2025, arXiv 2503.06923) in its form "Lite": all blocks run in the first two
/// evaluations and in every `interval`-th one from then on. In between no block is run, and what all of
/// them would add to the embedded tokens is forecast by a Taylor series of this order, whose derivatives
/// are finite differences over evaluations. An `interval` of 1 forecasts nothing.
///
/// The published settings are intervals of 3, 4 and 5 with the orders 3, 4 and 3. All samples are alike,
/// so that a sample's result does not depend on its batch, but on the evaluations before: the batch must
/// stay the same from [`Denoiser::begin`] on.
#[derive(Debug)]
pub struct TaylorSeer<'a, B: Backend> {
    network: &'a UVit<B>,
    interval: NonZeroUsize,
    order: usize,
    memory: RefCell<Option<Memory<B>>>,
    /// Bytes of a sample's memory.
    most_kept: Cell<usize>,
}

#[derive(Clone, Debug)]
struct Memory<B: Backend> {
    /// Evaluations so far.
    count: usize,
    /// Of what all blocks add to the embedded tokens.
    change: TaylorFactors<B>,
}

impl<'a, B: Kernels> TaylorSeer<'a, B> {
    /// Runs the blocks of `network` in every `interval`-th evaluation.
    pub fn new(network: &'a UVit<B>, interval: NonZeroUsize, order: usize) -> Self {
        Self {
            network,
            interval,
            order,
            memory: RefCell::new(None),
            most_kept: Cell::new(0),
        }
    }
}

impl<B: Kernels> Denoiser<B> for TaylorSeer<'_, B> {
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        let (network, order) = (self.network, self.order);
        let [batch, ..] = noisy.dims();
        let memory = self.memory.borrow().clone();
        let memory = memory.filter(|memory| memory.change.batch() == batch);
        let now = memory.as_ref().map_or(0, |memory| memory.count);
        let full = now < FULL_AT_FIRST || (now + 1 - FULL_AT_FIRST) % self.interval == 0;
        let (prediction, change) = B::on_worker(|| {
            let state = network.embed(noisy, &vec![timestep as f32; batch], condition)?;
            let embedded = state.hidden();
            let change = memory.map(|memory| memory.change);
            if let (false, Some(change)) = (full, &change) {
                let rows: Vec<usize> = (0..batch).collect();
                let noise = network.decode(embedded + change.forecast(&rows, now));
                return Ok((Prediction::new(noise, 0), change.clone()));
            }
            let blocks = network.num_blocks();
            let hidden = network.run_blocks(0..blocks, state).hidden();
            let value = hidden.clone() - embedded;
            let change = match change {
                Some(mut change) => {
                    change.update(&RowSplit::new(&vec![true; batch]), value, now);
                    change
                }
                None => TaylorFactors::new(value, order, now),
            };
            Ok::<_, ModelError>((Prediction::new(network.decode(hidden), blocks), change))
        })?;
        let count = now + 1;
        self.most_kept.set(change.bytes_per_sample());
        self.memory.replace(Some(Memory { count, change }));
        Ok(prediction)
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.num_blocks() as u32
    }

    fn begin(&self) {
        self.memory.replace(None);
    }

    fn memory_per_sample(&self) -> usize {
        self.most_kept.get()
    }
}

impl UVitConfig {
    /// Floating-point operations of an evaluation of one sample whose blocks are forecast, and not run.
    pub fn forecast_flops(&self) -> f64 {
        let flops = self.flops();
        flops.embed + flops.decode
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "taylor_seer_tests.rs"]
mod tests;
