//! Hidden states that are forecast, and forecasts that are verified by the last block.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

use crate::kernels::Kernels;
use crate::rows::{RowSplit, rows_of};
use crate::taylor::TaylorFactors;
use crate::taylor_seer::FULL_AT_FIRST;
use crate::{
    BatchMemory, DecisionScope, Denoiser, ModelError, NoisyBatch, Prediction, Remembered,
    TokenState, UVit, UVitConfig, read_back,
};

/// Forecasts between two full evaluations, at least and at most.
const FORECASTS: [usize; 2] = [2, 5];

/// What is left of the tolerance at the end of the walk.
const DECAY: f64 = 0.01;

/// The smallest tolerance.
const FLOOR: f64 = 0.01;

/// Keeps a relative error finite.
const EPSILON: f64 = 1e-10;

/// SpeCa (Liu et al. 2025, arXiv 2509.11628): what all blocks add is forecast as in
/// [`TaylorSeer`](crate::TaylorSeer), for two to five evaluations after each full one; how long is decided
/// by the last block, which is run on the forecast of its own input.
///
/// The error `e` of a forecast `f` of the last block's output `r` is the mean of
/// `|f - r| / (max(|f|, |r|) + 1e-10)` over all numbers, as in the published code. Where it exceeds
/// `max(0.01, tolerance 0.01^progress)`, `progress` being the share of the walk that is done, the next
/// evaluation is full; the published tolerance is 0.1. The last out-block of a U-ViT needs the first
/// in-block's output, so that verifying takes both blocks.
///
/// With [`DecisionScope::Sample`] a sample's result does not depend on the rest of its batch. It depends on
/// the evaluations before: the batch must stay the same from [`Denoiser::begin`] on.
#[derive(Debug)]
pub struct SpeCa<'a, B: Backend> {
    network: &'a UVit<B>,
    tolerance: f64,
    order: usize,
    scope: DecisionScope,
    evaluations: usize,
    memory: BatchMemory<Memory<B>>,
}

/// What is known of a batch's earlier evaluations.
#[derive(Clone, Debug)]
struct Memory<B: Backend> {
    /// Evaluations so far.
    count: usize,
    /// What all blocks but the last add to the embedded tokens.
    before_last: TaylorFactors<B>,
    /// What all blocks add.
    all: TaylorFactors<B>,
    /// Forecasts of each sample since its last full evaluation.
    forecasts: Vec<usize>,
    /// The error of each sample's last forecast, where it was verified.
    errors: Vec<Option<f64>>,
}

impl<B: Backend> Remembered for Memory<B> {
    fn bytes_per_sample(&self) -> usize {
        self.before_last.bytes_per_sample() + self.all.bytes_per_sample()
    }
}

impl<'a, B: Kernels> SpeCa<'a, B> {
    /// Forecasts the blocks of `network` with a Taylor series of this order in walks of so many
    /// `evaluations`.
    pub fn new(
        network: &'a UVit<B>,
        tolerance: f64,
        order: usize,
        scope: DecisionScope,
        evaluations: usize,
    ) -> Self {
        Self {
            network,
            tolerance,
            order,
            scope,
            evaluations,
            memory: BatchMemory::default(),
        }
    }

    /// The error that a forecast may have for the evaluation `now` to be a forecast too.
    fn allowed(&self, now: usize) -> f64 {
        let progress = now as f64 / self.evaluations as f64;
        (self.tolerance * DECAY.powf(progress)).max(FLOOR)
    }

    /// Which samples are evaluated in full.
    fn split(&self, memory: &Memory<B>) -> RowSplit {
        let [least, most] = FORECASTS;
        let now = memory.count;
        let full = memory.forecasts.iter().zip(&memory.errors);
        let full = full.map(|(&forecasts, &error)| {
            let wrong = error.is_some_and(|error| error.is_nan() || error > self.allowed(now));
            now < FULL_AT_FIRST || forecasts >= most || forecasts >= least && wrong
        });
        RowSplit::new(&full.collect::<Vec<bool>>())
    }

    /// Whether the error of a sample's forecast in evaluation `now`, the `forecasts`-th in a row, will be
    /// asked for.
    fn verifies(&self, forecasts: usize, now: usize) -> bool {
        let [least, most] = FORECASTS;
        (least..most).contains(&forecasts) && now + 1 < self.evaluations
    }

    /// Runs all blocks: the last block's output, and what is added to the embedded tokens by all blocks but
    /// the last, and by all.
    fn run_full(&self, batch: NoisyBatch<B>) -> Result<[Tensor<B, 3>; 3], ModelError> {
        let network = self.network;
        let state = network.embed_batch(batch)?;
        let embedded = state.hidden();
        let last = network.num_blocks() - 1;
        let state = network.run_blocks(0..last, state);
        let before_last = state.hidden() - embedded.clone();
        let hidden = network.run_blocks(last..last + 1, state).hidden();
        Ok([hidden.clone(), before_last, hidden - embedded])
    }

    /// The error of the forecast `hidden` `[rows, tokens, width]` of the last block's output, where its input
    /// is forecast to be `before`; `state` are the embedded samples.
    fn verify(
        &self,
        state: TokenState<B>,
        before: Tensor<B, 3>,
        hidden: Tensor<B, 3>,
    ) -> Result<Vec<f64>, ModelError> {
        let network = self.network;
        let last = network.num_blocks() - 1;
        let state = if network.has_long_skips() {
            network.run_blocks(0..1, state)
        } else {
            state
        };
        let real = network.run_blocks(last..last + 1, state.with_hidden(before));
        let [real, hidden] = [real.hidden(), hidden].map(|tensor| tensor.cast(FloatDType::F32));
        let [rows, tokens, width] = real.dims();
        let size = real.clone().abs().max_pair(hidden.clone().abs()) + EPSILON;
        let errors = (hidden - real).abs() / size;
        read_back(errors.reshape([rows, tokens * width]).mean_dim(1))
    }

    /// A later evaluation of a batch of which something is known.
    fn next(
        &self,
        batch: &NoisyBatch<B>,
        mut memory: Memory<B>,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let (network, now) = (self.network, memory.count);
        let split = self.split(&memory);
        let mut hidden = Vec::new();
        let mut blocks = vec![network.num_blocks() as u32; memory.forecasts.len()];
        if !split.full.is_empty() {
            let [output, before_last, all] = self.run_full(batch.rows(&split.full))?;
            memory.before_last.update(&split, before_last, now);
            memory.all.update(&split, all, now);
            for &row in &split.full {
                (memory.forecasts[row], memory.errors[row]) = (0, None);
            }
            hidden.push(output);
        }
        if !split.rest.is_empty() {
            let rows = &split.rest;
            let mut state = network.embed_batch(batch.rows(rows))?;
            let forecast = state.hidden() + memory.all.forecast(rows, now);
            for &row in rows {
                memory.forecasts[row] += 1;
                (memory.errors[row], blocks[row]) = (None, 0);
            }
            let places: Vec<usize> = (0..rows.len())
                .filter(|&place| self.verifies(memory.forecasts[rows[place]], now))
                .collect();
            if !places.is_empty() {
                state.keep(&places);
                let verified: Vec<usize> = places.iter().map(|&place| rows[place]).collect();
                let before = state.hidden() + memory.before_last.forecast(&verified, now);
                let errors = self.verify(state, before, rows_of(&forecast, &places))?;
                for (&row, error) in verified.iter().zip(self.scope.means(errors, batch.pairs)) {
                    memory.errors[row] = Some(error);
                    blocks[row] = 1 + u32::from(network.has_long_skips());
                }
            }
            hidden.push(forecast);
        }
        memory.count += 1;
        let mut prediction = Prediction::new(network.decode(split.join(hidden)), 0);
        prediction.blocks = blocks;
        Ok((prediction, memory))
    }

    /// The first evaluation of a batch.
    fn first(&self, batch: NoisyBatch<B>) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let samples = batch.samples();
        let [hidden, before_last, all] = self.run_full(batch)?;
        let memory = Memory {
            count: 1,
            before_last: TaylorFactors::new(before_last, self.order, 0),
            all: TaylorFactors::new(all, self.order, 0),
            forecasts: vec![0; samples],
            errors: vec![None; samples],
        };
        let prediction = Prediction::new(self.network.decode(hidden), self.network.num_blocks());
        Ok((prediction, memory))
    }
}

impl<B: Kernels> Denoiser<B> for SpeCa<'_, B> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        self.memory.evaluate(batch.noisy.dims(), |memory| {
            B::on_worker(|| match memory {
                Some(memory) => self.next(&batch, memory),
                None => self.first(batch),
            })
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
    /// Blocks that an evaluation of [`SpeCa`] runs where it verifies a forecast, and its floating-point
    /// operations for one sample.
    pub fn verified_evaluation(&self) -> (u32, f64) {
        let blocks = self.flops().blocks;
        let skips = self.long_skips && blocks.len() > 1;
        let first = if skips { blocks[0] } else { 0.0 };
        let last = blocks[blocks.len() - 1];
        (1 + u32::from(skips), self.forecast_flops() + first + last)
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "speca_tests.rs"]
mod tests;
