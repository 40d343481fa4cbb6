//! The adaptive network: blocks run only for the samples that still need them.

use std::ops::ControlFlow;

use adadiff_model::kernels::{Kernels, mean_cosine};
use adadiff_model::{Condition, Denoiser, ModelError, Prediction, TokenState, gather, read_back};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::policy::{BlockContext, ExitSignal};
use crate::timestep_biases::TimestepBiasCache;
use crate::{AdaDiff, ExitPolicy};

/// A network and a policy that says when its samples leave.
///
/// After a block the leaving samples are gathered out; skips are gathered once, where they are
/// consumed; the hidden states of all samples are decoded together at the end and return in the
/// original order. The result for a sample does not depend on the rest of the batch.
#[derive(Debug)]
pub struct AdaptiveUVit<'a, B: Backend, P> {
    model: &'a AdaDiff<B>,
    policy: P,
    time_biases: TimestepBiasCache<B>,
    keep_maps: bool,
    /// What is recorded of every block.
    recorded: ExitSignal,
}

/// Samples that left the network after the same block.
struct ExitedRows<B: Backend> {
    block: usize,
    hidden: Tensor<B, 3>,
    /// Uncertainty of each value of each patch, where maps are kept.
    map: Option<Tensor<B, 3>>,
    samples: Vec<usize>,
}

/// What is known of a batch on its way through the blocks.
struct Evaluation<B: Backend> {
    exited: Vec<ExitedRows<B>>,
    /// Blocks run by each sample that has exited, 0 for the others.
    blocks: Vec<u32>,
    /// What the policy asked for of each sample so far.
    signals: Vec<Vec<f32>>,
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
            _ => Ok(Vec::new()),
        }
    }

    /// Positions of the active samples that exit after a block, and of those that go on.
    fn part(
        &self,
        context: BlockContext,
        samples: &[usize],
        evaluation: &Evaluation<B>,
    ) -> (Vec<usize>, Vec<usize>) {
        let exits = |sample: usize| {
            let signals = &evaluation.signals[sample];
            evaluation.blocks[sample] == 0
                && (context.is_last() || self.policy.should_exit(context, signals))
        };
        (0..samples.len()).partition(|&row| exits(samples[row]))
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
        let state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut evaluation = Evaluation {
            exited: Vec::new(),
            blocks: vec![0; batch],
            signals: vec![Vec::new(); batch],
        };
        let first = BlockContext {
            block: 0,
            blocks: backbone.num_blocks(),
            timestep,
        };
        let mut before = self.input_to_compare(first, &state);
        backbone.walk_blocks(0..first.blocks, state, |block, state| {
            let context = BlockContext { block, ..first };
            evaluation.note(
                state.samples(),
                self.read_signal(context, before.take(), state)?,
            );
            let (exiting, staying) = self.part(context, state.samples(), &evaluation);
            if !exiting.is_empty() {
                evaluation.exit(block, state, &exiting, self.keep_maps.then_some(self.model));
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
        Ok(evaluation.finish(self.model))
    }
}

impl<B: Kernels> Evaluation<B> {
    /// Notes one value of each of `samples`, or none of any.
    fn note(&mut self, samples: &[usize], signal: Vec<f32>) {
        for (&sample, value) in samples.iter().zip(signal) {
            self.signals[sample].push(value);
        }
    }

    /// Sets the samples in `rows` of `state` aside, with their maps where a network is given to
    /// estimate them.
    fn exit(
        &mut self,
        block: usize,
        state: &TokenState<B>,
        rows: &[usize],
        estimating: Option<&AdaDiff<B>>,
    ) {
        let mut exiting = state.clone();
        exiting.keep(rows);
        for &sample in exiting.samples() {
            self.blocks[sample] = block as u32 + 1;
        }
        let hidden = exiting.hidden();
        self.exited.push(ExitedRows {
            block,
            map: estimating.map(|model| {
                let estimator = model.estimator(block);
                let map = estimator.forward(hidden.clone(), exiting.time_embedding());
                model.backbone.image_tokens(map)
            }),
            hidden,
            samples: exiting.samples().to_vec(),
        });
    }

    /// Decodes all exited rows together and restores the original order.
    fn finish(self, model: &AdaDiff<B>) -> Prediction<B> {
        let mut position = vec![0; self.blocks.len()];
        let samples = self.exited.iter().flat_map(|exited| &exited.samples);
        for (row, &sample) in samples.enumerate() {
            position[sample] = row;
        }
        let in_order = position.is_sorted();
        let restore = |image: Tensor<B, 4>| {
            if in_order {
                image
            } else {
                gather(image, &position)
            }
        };

        let maps: Option<Vec<_>> = self
            .exited
            .iter()
            .map(|exited| exited.map.clone())
            .collect();
        let noise = if model.shares_decoder() {
            let hidden = self.exited.into_iter().map(|exited| exited.hidden);
            model.backbone.decode(join(hidden.collect()))
        } else {
            let decode = |exited: ExitedRows<B>| model.decode(exited.block, exited.hidden);
            join(self.exited.into_iter().map(decode).collect())
        };
        Prediction {
            noise: restore(noise),
            blocks: self.blocks,
            exit_signal: self.signals,
            uncertainty_map: maps.map(|maps| restore(model.backbone.unpatchify(join(maps)))),
        }
    }
}

/// Joins rows; a single part is not copied.
fn join<B: Backend, const D: usize>(mut parts: Vec<Tensor<B, D>>) -> Tensor<B, D> {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tensor::cat(parts, 0)
    }
}

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for AdaptiveUVit<'_, B, P> {
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
