//! The one interface that solvers know: something that predicts noise.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::{Condition, ModelError};

/// A noise prediction and what it cost.
#[derive(Clone, Debug)]
pub struct Prediction<B: Backend> {
    /// The predicted noise `[batch, channels, height, width]`.
    pub noise: Tensor<B, 4>,
    /// Blocks run for each sample, summed over network evaluations (guidance evaluates twice).
    pub blocks: Vec<u32>,
    /// For each sample what exits are decided by, after every block where it was asked for, in the
    /// order of execution: the mean uncertainty in `[0, 1]`, or how much the block changed the hidden
    /// state, in `[0, 2]`. Empty where no exit is decided.
    pub exit_signal: Vec<Vec<f32>>,
    /// The uncertainty map `[batch, channels, height, width]` of the block each sample left at,
    /// where the denoiser was asked to keep it.
    pub uncertainty_map: Option<Tensor<B, 4>>,
}

impl<B: Backend> Prediction<B> {
    /// A prediction for which every sample ran so many blocks, and no exit was decided.
    pub fn new(noise: Tensor<B, 4>, blocks: usize) -> Self {
        let [batch, ..] = noise.dims();
        Self {
            noise,
            blocks: vec![blocks as u32; batch],
            exit_signal: vec![Vec::new(); batch],
            uncertainty_map: None,
        }
    }
}

/// Noisy samples that are evaluated together.
#[derive(Clone, Debug)]
pub struct NoisyBatch<B: Backend> {
    /// `[batch, channels, height, width]`.
    pub noisy: Tensor<B, 4>,
    /// In the units that the network was trained with: `999 t` for the continuous schedule, the step
    /// number for discrete ones.
    pub timestep: f64,
    /// One row a sample.
    pub condition: Condition<B>,
    /// Whether both halves of the batch are the same samples, as guidance has them: under one condition,
    /// then under another. A denoiser that spares a sample work by what it remembers of it does so in
    /// both halves or in none.
    pub pairs: bool,
}

impl<B: Backend> NoisyBatch<B> {
    /// Samples in the batch.
    pub fn samples(&self) -> usize {
        self.noisy.dims()[0]
    }

    /// The timestep of every sample.
    pub fn timesteps(&self) -> Vec<f32> {
        vec![self.timestep as f32; self.samples()]
    }

    /// The samples at ascending `rows`.
    pub(crate) fn rows(&self, rows: &[usize]) -> Self {
        if rows.len() == self.samples() {
            return self.clone();
        }
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = TensorData::new(indices, [rows.len()]);
        let indices = Tensor::<B, 1, Int>::from_data(indices, &self.noisy.device());
        Self {
            noisy: self.noisy.clone().select(0, indices.clone()),
            condition: self.condition.select(indices),
            ..*self
        }
    }
}

/// A network, or a wrapper around one, that predicts the noise in noisy samples.
pub trait Denoiser<B: Backend> {
    /// Predicts the noise in a batch.
    ///
    /// # Errors
    /// Where the shapes or the kind of the condition do not suit the network.
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError>;

    /// [`Self::predict_batch`] of a batch of different samples.
    ///
    /// # Errors
    /// As [`Self::predict_batch`].
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        self.predict_batch(NoisyBatch {
            noisy,
            timestep,
            condition: condition.clone(),
            pairs: false,
        })
    }

    /// Blocks that one prediction runs for one sample where nothing is skipped.
    fn blocks_per_prediction(&self) -> u32;

    /// Called before the first prediction of each batch on its way through time: a denoiser that
    /// remembers earlier predictions forgets them here.
    fn begin(&self) {}

    /// Bytes that were kept from one prediction to the next for a sample, the most of all so far; 0
    /// for a denoiser that remembers nothing.
    fn memory_per_sample(&self) -> usize {
        0
    }
}

impl<B: Backend, D: Denoiser<B> + ?Sized> Denoiser<B> for &D {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        (**self).predict_batch(batch)
    }

    fn blocks_per_prediction(&self) -> u32 {
        (**self).blocks_per_prediction()
    }

    fn begin(&self) {
        (**self).begin();
    }

    fn memory_per_sample(&self) -> usize {
        (**self).memory_per_sample()
    }
}
