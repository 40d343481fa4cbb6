//! The adaptive network: blocks run only for the samples that still need them.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, ModelError, Prediction, TokenState, gather};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::policy::BlockContext;
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
    keep_maps: bool,
    record_all: bool,
}

/// Samples that left together.
struct Departure<B: Backend> {
    hidden: Tensor<B, 3>,
    /// Uncertainty of each value of each patch, where maps are kept.
    map: Option<Tensor<B, 3>>,
    samples: Vec<usize>,
}

/// Gathers what a prediction consists of.
struct Evaluation<B: Backend> {
    departures: Vec<Departure<B>>,
    blocks: Vec<u32>,
    uncertainty: Vec<Vec<f32>>,
}

impl<'a, B: Kernels, P: ExitPolicy> AdaptiveUVit<'a, B, P> {
    /// Lets `policy` decide over the exits of `model`.
    pub fn new(model: &'a AdaDiff<B>, policy: P) -> Self {
        Self {
            model,
            policy,
            keep_maps: false,
            record_all: false,
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
        Self {
            record_all: true,
            ..self
        }
    }

    /// The uncertainty map `[rows, patches, (p1 p2 C)]` after a block.
    fn map(
        &self,
        block: usize,
        hidden: Tensor<B, 3>,
        time_embedding: Tensor<B, 2>,
    ) -> Tensor<B, 3> {
        let map = self.model.estimators[block].forward(hidden, time_embedding);
        self.model.backbone.image_tokens(map)
    }

    /// Runs the estimator after a block and notes each active sample's mean.
    fn judge(
        &self,
        block: usize,
        state: &TokenState<B>,
        evaluation: &mut Evaluation<B>,
    ) -> Result<(), ModelError> {
        let extra_tokens = self.model.backbone.extra_tokens();
        let estimator = &self.model.estimators[block];
        let means = estimator.mean(state.hidden(), state.time_embedding(), extra_tokens);
        let means = means.into_data().convert::<f32>().into_vec::<f32>();
        let means = means.map_err(|error| ModelError::Device(format!("{error:?}")))?;
        for (&sample, mean) in state.samples().iter().zip(means) {
            evaluation.uncertainty[sample].push(mean);
        }
        Ok(())
    }

    /// Decodes all departures together and restores the original order.
    fn finish(&self, evaluation: Evaluation<B>) -> Prediction<B> {
        let Evaluation {
            departures,
            blocks,
            uncertainty,
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
        let hidden = departures
            .into_iter()
            .map(|departure| departure.hidden)
            .collect();
        let backbone = &self.model.backbone;
        Prediction {
            noise: restore(backbone.decode(join(hidden))),
            blocks,
            uncertainty,
            uncertainty_map: maps.map(|maps| restore(backbone.unpatchify(join(maps)))),
        }
    }
}

/// Joins rows; a single part is not copied.
fn join<B: Backend>(mut parts: Vec<Tensor<B, 3>>) -> Tensor<B, 3> {
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
        let backbone = &self.model.backbone;
        let [batch, ..] = noisy.dims();
        let depth = backbone.depth();
        let mut state = backbone.embed(noisy, &vec![timestep as f32; batch], condition)?;
        let mut evaluation = Evaluation {
            departures: Vec::new(),
            blocks: vec![depth as u32; batch],
            uncertainty: vec![Vec::new(); batch],
        };
        let mut left = vec![false; batch];
        for block in 0..depth {
            state = backbone.block(block, state);
            let context = BlockContext {
                block,
                blocks: depth,
                timestep,
            };
            let last = block + 1 == depth;
            let needed = self.record_all || !last && self.policy.needs_uncertainty(context);
            if needed {
                self.judge(block, &state, &mut evaluation)?;
            }

            let leaves = |sample: usize| {
                !left[sample]
                    && (last || self.policy.leaves(context, &evaluation.uncertainty[sample]))
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
            evaluation.departures.push(Departure {
                hidden,
                map,
                samples,
            });
            if self.record_all {
                continue;
            }
            if everybody {
                break;
            }
            state = state.keep(&staying);
        }
        Ok(self.finish(evaluation))
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.depth() as u32
    }
}
