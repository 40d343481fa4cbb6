//! How far every block's noise prediction is from the network's, along sampling paths.

use std::cell::RefCell;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Denoiser, ModelError, NoisyBatch, Prediction, gather, read_back};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::policy::replay;
use crate::{AdaDiff, ExitPolicy};

/// What was recorded in one network evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorStep {
    /// The timestep given to the network.
    pub timestep: f64,
    /// For each sample, for each block, the mean squared difference of the block's noise prediction
    /// from the last block's.
    pub errors: Vec<Vec<f32>>,
    /// For each sample, for each block, the mean uncertainty.
    pub uncertainty: Vec<Vec<f32>>,
}

/// Evaluation x sample x block: errors and uncertainties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorTrace {
    /// The evaluations in the order in which they happened.
    pub steps: Vec<ErrorStep>,
}

/// Runs and decodes every block, and records how far its noise prediction is from the last one's; what
/// it predicts is that of the exits of a policy, so that the paths are those that the policy leads to.
#[derive(Debug)]
pub struct BlockErrorRecorder<'a, B: Backend, P> {
    model: &'a AdaDiff<B>,
    policy: P,
    /// Whether the policy is shown the errors themselves.
    by_errors: bool,
    /// Whether anything is recorded.
    records: bool,
    trace: RefCell<ErrorTrace>,
    /// Evaluations of the current batch so far.
    step: RefCell<usize>,
}

impl<'a, B: Kernels, P: ExitPolicy> BlockErrorRecorder<'a, B, P> {
    /// Records along the paths that `policy` leads to, which may ask for uncertainties.
    pub fn new(model: &'a AdaDiff<B>, policy: P) -> Self {
        Self {
            model,
            policy,
            by_errors: false,
            records: true,
            trace: RefCell::default(),
            step: RefCell::default(),
        }
    }

    /// The same where the policy is shown each block's error in the place of its uncertainty, which the record has there,
    /// too: what an estimator that were never wrong would make of the policy.
    pub fn by_errors(self) -> Self {
        Self {
            by_errors: true,
            ..self
        }
    }

    /// The same where nothing is recorded, which of many samples would be much.
    pub fn unrecorded(self) -> Self {
        Self {
            records: false,
            ..self
        }
    }

    /// What was recorded.
    pub fn into_trace(self) -> ErrorTrace {
        self.trace.into_inner()
    }

    /// Adds a batch's evaluation to those of earlier batches.
    fn record(&self, timestep: f64, errors: Vec<Vec<f32>>, uncertainty: Vec<Vec<f32>>) {
        let (mut trace, mut step) = (self.trace.borrow_mut(), self.step.borrow_mut());
        if trace.steps.len() == *step {
            trace.steps.push(ErrorStep {
                timestep,
                ..ErrorStep::default()
            });
        }
        trace.steps[*step].errors.extend(errors);
        trace.steps[*step].uncertainty.extend(uncertainty);
        *step += 1;
    }
}

impl<B: Kernels, P: ExitPolicy> Denoiser<B> for BlockErrorRecorder<'_, B, P> {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        let backbone = &self.model.backbone;
        let (samples, timestep) = (batch.samples(), batch.timestep);
        let blocks = backbone.num_blocks();
        let state = backbone.embed_batch(batch)?;
        let (mut hidden, mut means) = (Vec::new(), Vec::new());
        backbone.for_each_block(0..blocks, state, |block, state| {
            if !self.by_errors {
                let estimator = self.model.estimator(block);
                let biases = estimator.biases(state.time_embedding());
                means.push(estimator.mean(state.hidden(), biases, backbone.extra_tokens()));
            }
            hidden.push(state.hidden());
        });
        let noise = self.model.decode_all(hidden);
        let last = noise[blocks - 1].clone();
        let errors = noise.iter().map(|noise| {
            let difference: Tensor<B, 2> = (noise.clone() - last.clone()).flatten(1, 3);
            (difference.clone() * difference)
                .mean_dim(1)
                .reshape([samples])
        });
        let errors = by_sample(errors.collect())?;
        let uncertainty = if self.by_errors {
            errors.clone()
        } else {
            by_sample(means)?
        };

        let exit = |signals: &Vec<f32>| {
            let exit = replay(&self.policy, timestep, blocks, signals);
            exit.map_or(blocks, |(exit, _)| exit)
        };
        let exits: Vec<usize> = uncertainty.iter().map(exit).collect();
        let rows = exits.iter().enumerate();
        let rows: Vec<usize> = rows.map(|(row, exit)| (exit - 1) * samples + row).collect();
        if self.records {
            self.record(timestep, errors, uncertainty.clone());
        }
        Ok(Prediction {
            noise: gather(Tensor::cat(noise, 0), &rows),
            blocks: exits.into_iter().map(|exit| exit as u32).collect(),
            exit_signal: uncertainty,
            uncertainty_map: None,
        })
    }

    fn blocks_per_prediction(&self) -> u32 {
        self.model.backbone.num_blocks() as u32
    }

    fn begin(&self) {
        self.step.replace(0);
    }
}

/// Values `[batch]` of every block as those of each sample, block after block.
fn by_sample<B: Backend>(blocks: Vec<Tensor<B, 1>>) -> Result<Vec<Vec<f32>>, ModelError> {
    let count = blocks.len();
    let values = Tensor::stack::<2>(blocks, 1); // [batch, blocks]
    let values: Vec<f32> = read_back(values)?;
    Ok(values.chunks(count).map(<[f32]>::to_vec).collect())
}
