//! Hidden states that are forecast from those of earlier evaluations.

use std::num::NonZeroUsize;

use burn::tensor::backend::Backend;

use crate::kernels::Kernels;
use crate::rows::RowSplit;
use crate::taylor::TaylorFactors;
use crate::{
    BatchMemory, Denoiser, ModelError, NoisyBatch, Prediction, Remembered, UVit, UVitConfig,
};

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
    memory: BatchMemory<Memory<B>>,
}

#[derive(Clone, Debug)]
struct Memory<B: Backend> {
    /// Evaluations so far.
    count: usize,
    /// Of what all blocks add to the embedded tokens.
    change: TaylorFactors<B>,
}

impl<B: Backend> Remembered for Memory<B> {
    fn bytes_per_sample(&self) -> usize {
        self.change.bytes_per_sample()
    }
}

impl<'a, B: Kernels> TaylorSeer<'a, B> {
    /// Runs the blocks of `network` in every `interval`-th evaluation.
    pub fn new(network: &'a UVit<B>, interval: NonZeroUsize, order: usize) -> Self {
        Self {
            network,
            interval,
            order,
            memory: BatchMemory::default(),
        }
    }

    /// [`Denoiser::predict_batch`] with what is remembered of the batch.
    fn evaluate(
        &self,
        batch: NoisyBatch<B>,
        memory: Option<Memory<B>>,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let (network, samples) = (self.network, batch.samples());
        let now = memory.as_ref().map_or(0, |memory| memory.count);
        let full = now < FULL_AT_FIRST || (now + 1 - FULL_AT_FIRST) % self.interval == 0;
        let state = network.embed_batch(batch)?;
        let embedded = state.hidden();
        let change = memory.map(|memory| memory.change);
        let (hidden, run, change) = match change {
            Some(change) if !full => {
                let rows: Vec<usize> = (0..samples).collect();
                (embedded + change.forecast(&rows, now), 0, change)
            }
            change => {
                let blocks = network.num_blocks();
                let hidden = network.run_blocks(0..blocks, state).hidden();
                let value = hidden.clone() - embedded;
                let change = match change {
                    Some(mut change) => {
                        change.update(&RowSplit::new(&vec![true; samples]), value, now);
                        change
                    }
                    None => TaylorFactors::new(value, self.order, now),
                };
                (hidden, blocks, change)
            }
        };
        let count = now + 1;
        let prediction = Prediction::new(network.decode(hidden), run);
        Ok((prediction, Memory { count, change }))
    }
}

impl<B: Kernels> Denoiser<B> for TaylorSeer<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        self.memory.evaluate(batch.noisy.dims(), |memory| {
            B::on_worker(|| self.evaluate(batch, memory))
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.num_blocks() as u32
    }

    fn begin(&self) {
        self.memory.forget();
    }

    fn memory_per_sample(&self) -> usize {
        self.memory.most_bytes()
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
