//! The adaptive network: blocks run only for the samples that still need them.

mod keeping;
mod leaving;

use std::ops::ControlFlow;

use adadiff_model::kernels::{Kernels, mean_cosine};
use adadiff_model::{
    BatchMemory, Denoiser, ModelError, NoisyBatch, Prediction, TokenState, read_back,
};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::exited::Evaluation;
use crate::memory::Memory;
use crate::policy::{BlockContext, ExitSignal};
use crate::states::States;
use crate::timestep_biases::TimestepBiasCache;
use crate::{AdaDiff, ExitPolicy, Kept};

/// A network and a policy that says when its samples leave.
///
/// After a block the leaving samples are gathered out; skips are gathered once, where they are
/// consumed; the hidden states of all samples are decoded together at the end and return in the
/// original order. The result for a sample does not depend on the rest of the batch.
///
/// Where the policy has samples leave with a [`Forecast`](crate::Forecast), it depends on the evaluations before: what is kept of
/// them is forgotten at [`Denoiser::begin`], until when the batch must stay the same.
#[derive(Debug)]
pub struct AdaptiveUVit<'a, B: Backend, P> {
    model: &'a AdaDiff<B>,
    policy: P,
    time_biases: TimestepBiasCache<B>,
    keep_maps: bool,
    /// What is recorded of every block.
    recorded: ExitSignal,
    memory: BatchMemory<Memory<B>>,
}

impl<'a, B: Kernels, P: ExitPolicy> AdaptiveUVit<'a, B, P> {
    /// Lets `policy` decide over the exits of `model`.
    pub fn new(model: &'a AdaDiff<B>, policy: P) -> Self {
        Self {
            model,
            policy,
            time_biases: TimestepBiasCache::new(),
            keep_maps: false,
            recorded: ExitSignal::None,
            memory: BatchMemory::default(),
        }
    }

    /// Keeps the uncertainty map of the block each sample left at ([`Prediction::uncertainty_map`]);
    /// it costs one estimator a sample even where the policy needs none.
    pub fn with_maps(self) -> Self {
        Self {
            keep_maps: true,
            ..self
        }
    }

    /// Estimates the uncertainty of every block and goes on to the last one with every sample,
    /// while the predictions and [`Prediction::blocks`] are still those of the policy's exits. This
    /// saves nothing; it is how a threshold is calibrated.
    pub fn recording_all(self) -> Self {
        self.recording(ExitSignal::Uncertainty)
    }

    /// [`Self::recording_all`] of another signal, which must be what the policy asks for, where it
    /// asks for any.
    pub fn recording(self, recorded: ExitSignal) -> Self {
        Self { recorded, ..self }
    }

    /// What is to be known after a block: what is recorded of all, or what the policy asks for.
    fn signal(&self, context: BlockContext) -> ExitSignal {
        match self.recorded {
            ExitSignal::None if context.is_last() => ExitSignal::None,
            ExitSignal::None => self.policy.signal(context),
            recorded => recorded,
        }
    }

    /// The hidden state that the next block is given, where its change is going to be measured.
    fn input_to_compare(&self, next: BlockContext, state: &TokenState<B>) -> Option<Tensor<B, 3>> {
        (self.signal(next) == ExitSignal::Change).then(|| state.hidden())
    }

    /// Reads the signal of each active sample after a block, whose input was `before`.
    fn read_signal(
        &self,
        context: BlockContext,
        before: Option<Tensor<B, 3>>,
        state: &TokenState<B>,
        states: &States<B>,
        memory: &Memory<B>,
    ) -> Result<Vec<f32>, ModelError> {
        let extra_tokens = self.model.backbone.extra_tokens();
        match (self.signal(context), before) {
            (ExitSignal::Uncertainty, _) => read_back(
                self.time_biases
                    .mean_uncertainty(self.model, context, state),
            ),
            (ExitSignal::Change, Some(before)) => {
                read_back(mean_cosine(before, state.hidden(), extra_tokens).neg() + 1.0)
            }
            (ExitSignal::Movement, _) => {
                let image = |values| self.model.backbone.image_tokens(values);
                states.moved(context.block, state, memory, image)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// [`Denoiser::predict_batch`] with what is remembered of the batch.
    fn evaluate(
        &self,
        batch: NoisyBatch<B>,
        memory: Option<Memory<B>>,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let backbone = &self.model.backbone;
        let (samples, timestep, pairs) = (batch.samples(), batch.timestep, batch.pairs);
        let mut memory = memory.unwrap_or_else(|| Memory::new(samples));
        let state = backbone.embed_batch(batch)?;
        let mut evaluation = Evaluation::new(samples);
        let first = BlockContext {
            block: 0,
            blocks: backbone.num_blocks(),
            timestep,
        };
        let kept = self.kept(first);
        let embedded = self.has_movements(first, &kept).then(|| state.hidden());
        let mut states = States::new(embedded);
        let mut before = self.input_to_compare(first, &state);
        backbone.walk_blocks(0..first.blocks, state, |block, state| {
            let context = BlockContext { block, ..first };
            let signal = self.read_signal(context, before.take(), state, &states, &memory)?;
            evaluation.note(state.samples(), signal);
            let of_block = |(kept, of): &(usize, Kept)| {
                *kept == block || first.blocks - of.last_blocks == block + 1
            };
            if kept.iter().any(of_block) {
                states.note(block, state);
            }
            let (exiting, staying) =
                self.part(context, state.samples(), &mut evaluation, &memory, pairs);
            if !exiting.is_empty() {
                self.exit(context, state, &exiting, &memory, &mut evaluation);
            }
            // A recording goes on with every sample.
            if self.recorded == ExitSignal::None {
                if staying.is_empty() {
                    return Ok(ControlFlow::Break(()));
                }
                state.keep(&staying);
            }
            if !context.is_last() {
                let next = BlockContext {
                    block: block + 1,
                    ..context
                };
                before = self.input_to_compare(next, state);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let finished = evaluation.with_blocks(first.blocks);
        let new = kept.iter().filter_map(|&(block, of)| {
            let end = first.blocks - of.last_blocks;
            states.kept(block, end, timestep, of.movement, &finished)
        });
        let new = if finished.is_empty() {
            Vec::new()
        } else {
            new.collect()
        };
        memory.refresh(&finished, new, |block| {
            let of_block = kept.iter().find(|(kept, _)| *kept == block);
            of_block.map_or(0, |(_, of)| of.order + 1)
        });
        Ok((evaluation.finish(self.model), memory))
    }
}

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for AdaptiveUVit<'_, B, P> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        self.memory.evaluate(batch.noisy.dims(), |memory| {
            B::on_worker(|| self.evaluate(batch, memory))
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }

    fn begin(&self) {
        self.memory.forget();
    }

    fn memory_per_sample(&self) -> usize {
        self.memory.most_bytes()
    }
}
