//! The one interface that solvers know: something that predicts noise.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

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

/// A network, or a wrapper around one, that predicts the noise in noisy samples.
pub trait Denoiser<B: Backend> {
    /// Predicts the noise in `noisy` `[batch, channels, height, width]`.
    ///
    /// `timestep` is in the units that the network was trained with: `999 t` for the continuous
    /// schedule, the step number for discrete ones.
    ///
    /// # Errors
    /// Where the shapes or the kind of the condition do not suit the network.
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError>;

    /// Blocks that one prediction runs for one sample where nothing is skipped.
    fn blocks_per_prediction(&self) -> u32;

    /// [`Self::predict`] where both halves of the batch are the same samples, as guidance has them: under
    /// one condition, then under another. A denoiser that spares a sample work by what it remembers of
    /// it does so in both halves or in none.
    ///
    /// # Errors
    /// As [`Self::predict`].
    fn predict_pairs(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        self.predict(noisy, timestep, condition)
    }

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
    fn predict(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        (**self).predict(noisy, timestep, condition)
    }

    fn blocks_per_prediction(&self) -> u32 {
        (**self).blocks_per_prediction()
    }

    fn predict_pairs(
        &self,
        noisy: Tensor<B, 4>,
        timestep: f64,
        condition: &Condition<B>,
    ) -> Result<Prediction<B>, ModelError> {
        (**self).predict_pairs(noisy, timestep, condition)
    }

    fn begin(&self) {
        (**self).begin();
    }

    fn memory_per_sample(&self) -> usize {
        (**self).memory_per_sample()
    }
}
