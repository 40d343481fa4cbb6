//! Samples that have left the network, until all of a batch have.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Prediction, TokenState, gather};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::AdaDiff;

/// Samples that left the network after the same block.
struct ExitedRows<B: Backend> {
    /// The block whose head decodes them.
    block: usize,
    hidden: Tensor<B, 3>,
    /// Uncertainty of each value of each patch, where maps are kept.
    map: Option<Tensor<B, 3>>,
    samples: Vec<usize>,
}

/// What is known of a batch on its way through the blocks.
pub(crate) struct Evaluation<B: Backend> {
    exited: Vec<ExitedRows<B>>,
    /// Blocks run by each sample that has exited, 0 for the others.
    pub(crate) blocks: Vec<u32>,
    /// Whether a sample runs to the end though the policy would let it leave with a forecast.
    pub(crate) runs_on: Vec<bool>,
    /// What the policy asked for of each sample so far.
    pub(crate) signals: Vec<Vec<f32>>,
}

impl<B: Kernels> Evaluation<B> {
    pub(crate) fn new(batch: usize) -> Self {
        Self {
            exited: Vec::new(),
            blocks: vec![0; batch],
            runs_on: vec![false; batch],
            signals: vec![Vec::new(); batch],
        }
    }

    /// Notes one value of each of `samples`, or none of any.
    pub(crate) fn note(&mut self, samples: &[usize], signal: Vec<f32>) {
        for (&sample, value) in samples.iter().zip(signal) {
            self.signals[sample].push(value);
        }
    }

    /// Sets samples aside that leave after `block` blocks were run, the last of them `decoded_as`; `map` is of the state
    /// that they leave in.
    pub(crate) fn exit(
        &mut self,
        blocks: usize,
        decoded_as: usize,
        hidden: Tensor<B, 3>,
        map: Option<Tensor<B, 3>>,
        samples: &[usize],
    ) {
        for &sample in samples {
            self.blocks[sample] = blocks as u32;
        }
        self.exited.push(ExitedRows {
            block: decoded_as,
            hidden,
            map,
            samples: samples.to_vec(),
        });
    }

    /// The samples that have run so many blocks.
    pub(crate) fn with_blocks(&self, blocks: usize) -> Vec<usize> {
        let samples = self.blocks.iter().enumerate();
        let run = samples.filter(|(_, run)| **run as usize == blocks);
        run.map(|(sample, _)| sample).collect()
    }

    /// Decodes all exited rows together and restores the original order.
    pub(crate) fn finish(self, model: &AdaDiff<B>) -> Prediction<B> {
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

/// The uncertainty map of samples that leave after a block.
pub(crate) fn uncertainty_map<B: Kernels>(
    model: &AdaDiff<B>,
    block: usize,
    exiting: &TokenState<B>,
) -> Tensor<B, 3> {
    let estimator = model.estimator(block);
    let map = estimator.forward(exiting.hidden(), exiting.time_embedding());
    model.backbone.image_tokens(map)
}

/// Joins rows; a single part is not copied.
fn join<B: Backend, const D: usize>(mut parts: Vec<Tensor<B, D>>) -> Tensor<B, D> {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tensor::cat(parts, 0)
    }
}
