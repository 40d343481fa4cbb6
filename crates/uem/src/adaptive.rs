//! The adaptive network: blocks run only for the samples that still need them.

use adadiff_model::kernels::{Kernels, mean_cosine};
use adadiff_model::{Condition, Denoiser, ModelError, Prediction, TokenState, gather};
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

/// Samples that left together.
struct ExitedRows<B: Backend> {
    /// The block after which they left.
    block: usize,
    hidden: Tensor<B, 3>,
    /// Uncertainty of each value of each patch, where maps are kept.
    map: Option<Tensor<B, 3>>,
    samples: Vec<usize>,
}

/// Gathers what a prediction consists of.
struct Evaluation<B: Backend> {
    departures: Vec<ExitedRows<B>>,
    blocks: Vec<u32>,
    evidence: Vec<Vec<f32>>,
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

    /// [`Self::recording_all`] of other evidence, which must be what the policy asks for, where it
    /// asks for any.
    pub fn recording(self, recorded: ExitSignal) -> Self {
        Self { recorded, ..self }
    }

    /// The uncertainty map `[rows, patches, (p1 p2 C)]` after a block.
    fn map(
        &self,
        block: usize,
        hidden: Tensor<B, 3>,
        time_embedding: Tensor<B, 2>,
    ) -> Tensor<B, 3> {
        let map = self.model.estimator(block).forward(hidden, time_embedding);
        self.model.backbone.image_tokens(map)
    }

    /// What is to be known after a block: what is recorded of all, or what the policy asks for.
    fn signal(&self, context: BlockContext) -> ExitSignal {
        match self.recorded {
            ExitSignal::None if context.block + 1 < context.blocks => self.policy.signal(context),
            recorded => recorded,
        }
    }

    /// Gathers the evidence of each active sample after a block, whose input was `before`.
    fn judge(
        &self,
        evidence: ExitSignal,
        BlockContext {
            block, timestep, ..
        }: BlockContext,
        before: Option<Tensor<B, 3>>,
        state: &TokenState<B>,
    ) -> Result<Vec<f32>, ModelError> {
        let extra_tokens = self.model.backbone.extra_tokens();
        let values = match (evidence, before) {
            (ExitSignal::Uncertainty, _) => {
                let estimator = self.model.estimator(block);
                let time = || state.time_embedding();
                let biases = self.time_biases.get(estimator, block, timestep, time);
                estimator.mean(state.hidden(), biases, extra_tokens)
            }
            (ExitSignal::Change, Some(before)) => {
                mean_cosine(before, state.hidden(), extra_tokens).neg() + 1.0
            }
            _ => return Ok(Vec::new()),
        };
        let values = values.into_data().convert::<f32>().into_vec::<f32>();
        values.map_err(|error| ModelError::Device(format!("{error:?}")))
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
        let depth = backbone.num_blocks();
        let mut state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut evaluation = Evaluation {
            departures: Vec::new(),
            blocks: vec![depth as u32; batch],
            evidence: vec![Vec::new(); batch],
        };
        let mut left = vec![false; batch];
        for block in 0..depth {
            let context = BlockContext {
                block,
                blocks: depth,
                timestep,
            };
            let wanted = self.signal(context);
            let before = (wanted == ExitSignal::Change).then(|| state.hidden());
            state = backbone.block(block, state);
            let last = block + 1 == depth;
            let found = self.judge(wanted, context, before, &state)?;
            for (&sample, value) in state.samples().iter().zip(found) {
                evaluation.evidence[sample].push(value);
            }

            let leaves = |sample: usize| {
                !left[sample]
                    && (last
                        || self
                            .policy
                            .should_exit(context, &evaluation.evidence[sample]))
            };
            let (leaving, staying): (Vec<usize>, Vec<usize>) =
                (0..state.samples().len()).partition(|&row| leaves(state.samples()[row]));
            if leaving.is_empty() {
                continue;
            }
            let everybody = staying.is_empty();
            let (mut hidden, mut time_embedding) = (state.hidden(), state.time_embedding());
            if !everybody {
                hidden = gather(hidden, &leaving);
                time_embedding = gather(time_embedding, &leaving);
            }
            let map = self
                .keep_maps
                .then(|| self.map(block, hidden.clone(), time_embedding));
            let samples: Vec<usize> = leaving.iter().map(|&row| state.samples()[row]).collect();
            for &sample in &samples {
                evaluation.blocks[sample] = block as u32 + 1;
                left[sample] = true;
            }
            evaluation.departures.push(ExitedRows {
                block,
                hidden,
                map,
                samples,
            });
            if self.recorded != ExitSignal::None {
                continue;
            }
            if everybody {
                break;
            }
            state = state.keep(&staying);
        }
        Ok(self.finish(evaluation))
    }

    /// Decodes all departures together and restores the original order.
    fn finish(&self, evaluation: Evaluation<B>) -> Prediction<B> {
        let Evaluation {
            departures,
            blocks,
            evidence,
        } = evaluation;
        let mut position = vec![0; blocks.len()];
        let samples = departures.iter().flat_map(|departure| &departure.samples);
        for (row, &sample) in samples.enumerate() {
            position[sample] = row;
        }
        let in_order = position
            .iter()
            .enumerate()
            .all(|(sample, &row)| sample == row);
        let restore = |image: Tensor<B, 4>| {
            if in_order {
                image
            } else {
                gather(image, &position)
            }
        };

        let maps: Option<Vec<_>> = departures
            .iter()
            .map(|departure| departure.map.clone())
            .collect();
        let backbone = &self.model.backbone;
        let noise = match self.model.shares_decoder() {
            true => {
                let hidden = departures.into_iter().map(|departure| departure.hidden);
                backbone.decode(join(hidden.collect()))
            }
            false => {
                let decode =
                    |departure: ExitedRows<B>| self.model.decode(departure.block, departure.hidden);
                join(departures.into_iter().map(decode).collect())
            }
        };
        Prediction {
            noise: restore(noise),
            blocks,
            exit_signal: evidence,
            uncertainty_map: maps.map(|maps| restore(backbone.unpatchify(join(maps)))),
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
