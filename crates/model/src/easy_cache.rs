//! The network's last correction of its input, used again while little is expected to change.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

use crate::rows::{RowSplit, rows_of};
use crate::{
    BatchMemory, DecisionScope, Denoiser, ModelError, NoisyBatch, Prediction, Remembered,
    bytes_per_row, read_back,
};

/// The first of so many equal parts of all evaluations is computed in full.
const WARM_UP: usize = 5;

/// EasyCache (Zhou et al. 2025, arXiv 2507.02860): while the estimated change of the output since the
/// last full evaluation is small, the prediction is the input and what the network added to it then,
/// and nothing is computed.
///
/// With inputs `x` and outputs `v`, `k = mean |v_i - v_j| / mean |x_i - x_j|` of the last two full
/// evaluations `i` and `j`. Every evaluation `t` adds `k mean |x_t - x_(t-1)| / mean |v_i|` to an estimate
/// `E`; while `E` is below the tolerance, the prediction is `x_t + (v_i - x_i)`, else the network is
/// evaluated and `E` is zero again. The first fifth of the evaluations and the last one are full. The
/// published tolerances are 0.05, 0.1 and 0.2; 0 skips nothing.
///
/// With [`DecisionScope::Sample`] a sample's result does not depend on the rest of its batch. It depends on
/// the evaluations before: the batch must stay the same from [`Denoiser::begin`] on.
#[derive(Debug)]
pub struct EasyCache<B: Backend, D> {
    network: D,
    tolerance: f64,
    scope: DecisionScope,
    evaluations: usize,
    memory: BatchMemory<Memory<B>>,
}

/// What is known of a batch's earlier evaluations.
#[derive(Clone, Debug)]
struct Memory<B: Backend> {
    /// Evaluations so far.
    count: usize,
    /// The last input `[batch, channels, height, width]`.
    last_input: Tensor<B, 4>,
    /// Input and output of each sample's last full evaluation.
    full_input: Tensor<B, 4>,
    full_output: Tensor<B, 4>,
    samples: Vec<SampleMemory>,
}

/// What is known of a sample, or of all that decide together.
#[derive(Clone, Copy, Debug, Default)]
struct SampleMemory {
    /// Mean size of the last full evaluation's output.
    output_size: f64,
    /// Change of the output over change of the input, between the last two full evaluations.
    rate: Option<f64>,
    /// The output's relative change since the last full evaluation, estimated.
    estimate: f64,
}

impl<B: Backend> Remembered for Memory<B> {
    fn bytes_per_sample(&self) -> usize {
        2 * bytes_per_row(&self.full_input) + bytes_per_row(&self.full_output)
    }
}

impl<B: Backend, D: Denoiser<B>> EasyCache<B, D> {
    /// Skips evaluations of `network` in walks of so many `evaluations`.
    pub fn new(network: D, tolerance: f64, scope: DecisionScope, evaluations: usize) -> Self {
        Self {
            network,
            tolerance,
            scope,
            evaluations,
            memory: BatchMemory::default(),
        }
    }

    /// Which samples of a batch are evaluated in full; notes in `memory` what they are expected to have
    /// changed by.
    fn decide(
        &self,
        memory: &mut Memory<B>,
        batch: &NoisyBatch<B>,
    ) -> Result<RowSplit, ModelError> {
        let warm_up = memory.count < self.evaluations.div_ceil(WARM_UP);
        if warm_up || memory.count + 1 >= self.evaluations {
            return Ok(RowSplit::new(&vec![true; batch.samples()]));
        }
        let moved = batch.noisy.clone() - memory.last_input.clone();
        let moved = self.mean_sizes(moved, batch.pairs)?;
        let full = memory.samples.iter_mut().zip(moved).map(|(sample, moved)| {
            let Some(rate) = sample.rate else {
                return true;
            };
            sample.estimate += rate * moved / sample.output_size;
            // Also where it is no number.
            sample.estimate.is_nan() || sample.estimate >= self.tolerance
        });
        Ok(RowSplit::new(&full.collect::<Vec<bool>>()))
    }

    /// The mean absolute value of each sample, or of all that decide together with it.
    fn mean_sizes(&self, values: Tensor<B, 4>, pairs: bool) -> Result<Vec<f64>, ModelError> {
        let [batch, channels, height, width] = values.dims();
        let values = values.reshape([batch, channels * height * width]);
        let means = values.cast(FloatDType::F32).abs().mean_dim(1);
        Ok(self.scope.means(read_back(means)?, pairs))
    }

    /// Notes full evaluations of the samples at `split.full`.
    fn note(
        &self,
        memory: &mut Memory<B>,
        split: &RowSplit,
        input: Tensor<B, 4>,
        output: Tensor<B, 4>,
        pairs: bool,
    ) -> Result<(), ModelError> {
        let before = [&memory.full_input, &memory.full_output].map(|old| rows_of(old, &split.full));
        let [old_input, old_output] = before;
        let moved = self.mean_sizes(input.clone() - old_input, pairs)?;
        let changed = self.mean_sizes(output.clone() - old_output, pairs)?;
        let sizes = self.mean_sizes(output.clone(), pairs)?;
        for (place, &row) in split.full.iter().enumerate() {
            memory.samples[row] = SampleMemory {
                output_size: sizes[place],
                rate: Some(changed[place] / moved[place]).filter(|rate| rate.is_finite()),
                estimate: 0.0,
            };
        }
        memory.full_input = split.replace(&memory.full_input, input);
        memory.full_output = split.replace(&memory.full_output, output);
        Ok(())
    }

    /// The first evaluation of a batch.
    fn first(&self, batch: NoisyBatch<B>) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let (noisy, pairs) = (batch.noisy.clone(), batch.pairs);
        let prediction = self.network.predict_batch(batch)?;
        let output = prediction.noise.clone();
        let sizes = self.mean_sizes(output.clone(), pairs)?;
        let samples = sizes.into_iter().map(|output_size| SampleMemory {
            output_size,
            ..SampleMemory::default()
        });
        let memory = Memory {
            count: 1,
            last_input: noisy.clone(),
            full_input: noisy,
            full_output: output,
            samples: samples.collect(),
        };
        Ok((prediction, memory))
    }

    /// A later one, of the same batch.
    fn next(
        &self,
        batch: NoisyBatch<B>,
        mut memory: Memory<B>,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let split = self.decide(&mut memory, &batch)?;
        let mut found = Prediction::new(batch.noisy.clone(), 0);
        let mut parts = Vec::new();
        if !split.full.is_empty() {
            let batch = batch.rows(&split.full);
            let (input, pairs) = (batch.noisy.clone(), batch.pairs);
            let full = self.network.predict_batch(batch)?;
            for (&row, blocks) in split.full.iter().zip(full.blocks) {
                found.blocks[row] = blocks;
            }
            parts.push(full.noise.clone());
            self.note(&mut memory, &split, input, full.noise, pairs)?;
        }
        if !split.rest.is_empty() {
            let [noisy, input, output] = [&batch.noisy, &memory.full_input, &memory.full_output]
                .map(|tensor| rows_of(tensor, &split.rest));
            parts.push(noisy + (output - input));
        }
        found.noise = split.join(parts);
        memory.count += 1;
        memory.last_input = batch.noisy;
        Ok((found, memory))
    }
}

impl<B: Backend, D: Denoiser<B>> Denoiser<B> for EasyCache<B, D> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        self.memory
            .evaluate(batch.noisy.dims(), |memory| match memory {
                Some(memory) => self.next(batch, memory),
                None => self.first(batch),
            })
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.network.blocks_per_prediction()
    }

    fn begin(&self) {
        self.memory.forget();
        self.network.begin();
    }

    fn memory_per_sample(&self) -> usize {
        self.memory.most_bytes() + self.network.memory_per_sample()
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "easy_cache_tests.rs"]
mod tests;
