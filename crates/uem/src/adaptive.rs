//! The adaptive network: blocks run only for the samples that still need them.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use adadiff_model::kernels::{Kernels, mean_cosine};
use adadiff_model::{
    Condition, Denoiser, ModelError, Prediction, TokenState, bytes_per_row, read_back,
};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::exited::{Evaluation, uncertainty_map};
use crate::memory::Memory;
use crate::policy::{BlockContext, ExitSignal};
use crate::states::{States, relative_difference, select_rows};
use crate::timestep_biases::TimestepBiasCache;
use crate::{AdaDiff, ExitPolicy, Forecast, Kept};

/// A network and a policy that says when its samples leave.
///
/// After a block the leaving samples are gathered out; skips are gathered once, where they are
/// consumed; the hidden states of all samples are decoded together at the end and return in the
/// original order. The result for a sample does not depend on the rest of the batch.
///
/// Where the policy has samples leave with a [`Forecast`], it depends on the evaluations before: what is kept of
/// them is forgotten at [`Denoiser::begin`], until when the batch must stay the same.
#[derive(Debug)]
pub struct AdaptiveUVit<'a, B: Backend, P> {
    model: &'a AdaDiff<B>,
    policy: P,
    time_biases: TimestepBiasCache<B>,
    keep_maps: bool,
    /// What is recorded of every block.
    recorded: ExitSignal,
    memory: Mutex<Memory<B>>,
    /// Bytes of a sample.
    most_kept: AtomicUsize,
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
            memory: Mutex::new(Memory::new(0)),
            most_kept: AtomicUsize::new(0),
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

    /// The forecast that samples leave with after a block, where they do not leave as they are.
    fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        let forecast = (!context.is_last()).then(|| self.policy.forecast(context));
        let told = forecast.flatten().filter(|told| told.coefficient != 0.0)?;
        Some(Forecast {
            last_blocks: told.last_blocks.min(context.block + 1),
            ..told
        })
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
                let mut moved = vec![f32::MAX; state.samples().len()];
                let now = states.movement(state.hidden(), state.samples());
                let known = memory.movement(context.block, state.samples());
                if let (Some(now), Some((rows, kept))) = (now, known) {
                    let now = select_rows(now, &rows);
                    let image = |values| self.model.backbone.image_tokens(values);
                    let values: Vec<f32> = read_back(relative_difference(image(now), image(kept)))?;
                    for (row, value) in rows.into_iter().zip(values) {
                        moved[row] = value;
                    }
                }
                Ok(moved)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Positions of the active samples that exit after a block, and of those that go on. One that should leave with a
    /// forecast, but has none, runs to the end; in pairs both of a sample's predictions do, or neither.
    fn part(
        &self,
        context: BlockContext,
        samples: &[usize],
        evaluation: &mut Evaluation<B>,
        memory: &Memory<B>,
        pairs: bool,
    ) -> (Vec<usize>, Vec<usize>) {
        let forecast = self.forecast(context);
        let batch = evaluation.blocks.len();
        let mut exits = vec![false; batch];
        for &sample in samples {
            let may = evaluation.blocks[sample] == 0 && !evaluation.runs_on[sample];
            let signals = &evaluation.signals[sample];
            exits[sample] = may && self.policy.should_exit(context, signals);
        }
        if let Some(forecast) = forecast {
            let wanted = exits.clone();
            let may =
                |sample: usize| wanted[sample] && memory.reaches(context.block, sample, forecast);
            for sample in (0..batch).filter(|&sample| wanted[sample]) {
                let other = (sample + batch / 2) % batch;
                let together = !pairs || may(other) || evaluation.blocks[other] != 0;
                exits[sample] = together && may(sample);
                evaluation.runs_on[sample] = !exits[sample];
            }
        }
        let left = &evaluation.blocks;
        let leaves = |sample: usize| left[sample] == 0 && (context.is_last() || exits[sample]);
        (0..samples.len()).partition(|&row| leaves(samples[row]))
    }

    /// Lets the samples in `rows` leave after a block.
    fn exit(
        &self,
        context: BlockContext,
        state: &TokenState<B>,
        rows: &[usize],
        memory: &Memory<B>,
        evaluation: &mut Evaluation<B>,
    ) {
        let mut exiting = state.clone();
        exiting.keep(rows);
        let map = self
            .keep_maps
            .then(|| uncertainty_map(self.model, context.block, &exiting));
        let samples = exiting.samples().to_vec();
        let (hidden, run) = (exiting.hidden(), context.block + 1);
        let Some(forecast) = self.forecast(context) else {
            return evaluation.exit(run, context.block, hidden, map, &samples);
        };
        let time = |timestep| self.policy.forecast_time(timestep);
        let told = memory.forecast(context.block, &samples, forecast, (context.timestep, time));
        let mut hidden = hidden + told;
        let last = forecast.last_blocks;
        if last > 0 {
            let (backbone, rest) = (&self.model.backbone, context.blocks - last);
            let state = backbone.jump(exiting, rest, hidden);
            hidden = backbone.run_blocks(rest..context.blocks, state).hidden();
        }
        evaluation.exit(run + last, context.blocks - 1, hidden, map, &samples);
    }

    /// [`Denoiser::predict`] on the thread that calls it, and what is remembered then.
    fn evaluate(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
        mut memory: Memory<B>,
        pairs: bool,
    ) -> Result<(Prediction<B>, Memory<B>), ModelError> {
        let backbone = &self.model.backbone;
        let [batch, ..] = noisy.dims();
        let state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut evaluation = Evaluation::new(batch);
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

    /// What is kept in an evaluation, by blocks.
    fn kept(&self, first: BlockContext) -> Vec<(usize, Kept)> {
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
    fn has_movements(&self, first: BlockContext, kept: &[(usize, Kept)]) -> bool {
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

    fn memory(&self) -> MutexGuard<'_, Memory<B>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Denoiser::predict`] by what is remembered, which is written once nothing can fail any more. No lock is held
    /// in between.
    fn predict_from_memory(
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

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for AdaptiveUVit<'_, B, P> {
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        self.predict_from_memory(noisy, timestep, condition, false)
    }

    fn predict_pairs(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        self.predict_from_memory(noisy, timestep, condition, true)
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }

    fn begin(&self) {
        *self.memory() = Memory::new(0);
    }

    fn memory_per_sample(&self) -> usize {
        self.most_kept.load(Ordering::Relaxed)
    }
}
