//! The trainable network: a backbone with an estimator behind every block.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Initializer, ModelError, UVit, UVitConfig};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{EstimatorForm, UncertaintyEstimator};

/// Stream of the estimators' initial weights, apart from the backbone's.
const ESTIMATOR_SEED: u64 = 0x5545_4d00;

/// The hyperparameters of [`AdaDiff`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaDiffConfig {
    /// What the estimators see.
    #[serde(default)]
    pub estimator: EstimatorForm,
    /// The backbone.
    pub backbone: UVitConfig,
}

/// A U-ViT with an uncertainty estimator behind every block (AdaDiff, section 3).
#[derive(Module, Debug)]
pub struct AdaDiff<B: Backend> {
    /// The noise prediction network.
    pub backbone: UVit<B>,
    /// One estimator for each block, in the order of execution.
    pub estimators: Vec<UncertaintyEstimator<B>>,
}

/// What every block predicts, for training: each `[batch, channels, height, width]`.
#[derive(Clone, Debug)]
pub struct LayerPredictions<B: Backend> {
    /// `g_i(L_i,t)`, the noise prediction of every block; the last is the network's.
    pub noise: Vec<Tensor<B, 4>>,
    /// `u_i,t`, the uncertainty in `[0, 1]` of every block.
    pub uncertainty: Vec<Tensor<B, 4>>,
}

impl AdaDiffConfig {
    /// Builds the network with weights drawn from `seed`, the same on every device.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn init<B: Kernels>(
        &self,
        seed: u64,
        device: &B::Device,
    ) -> Result<AdaDiff<B>, ModelError> {
        let backbone = self.backbone.init(seed, device)?;
        let mut draw = Initializer::new(seed ^ ESTIMATOR_SEED, device);
        let estimators = (0..self.backbone.blocks())
            .map(|_| UncertaintyEstimator::init(self.estimator, &self.backbone, &mut draw))
            .collect();
        Ok(AdaDiff {
            backbone,
            estimators,
        })
    }
}

impl<B: Kernels> AdaDiff<B> {
    /// Runs the whole network and decodes and judges every block.
    ///
    /// # Errors
    /// As [`UVit::forward`].
    pub fn layer_predictions(
        &self,
        noisy: Tensor<B, 4>,
        timesteps: &[f32],
        condition: &Condition<B>,
    ) -> Result<LayerPredictions<B>, ModelError> {
        let mut state = self.backbone.embed(noisy, timesteps, condition)?;
        let mut hidden = Vec::with_capacity(self.estimators.len());
        let mut uncertainty = Vec::with_capacity(self.estimators.len());
        for (block, estimator) in self.estimators.iter().enumerate() {
            state = self.backbone.block(block, state);
            let patches = estimator.forward(state.hidden(), state.time_embedding());
            let patches = self.backbone.image_tokens(patches);
            uncertainty.push(self.backbone.unpatchify(patches));
            hidden.push(state.hidden());
        }
        // The decoder is shared, so one call serves all blocks.
        let decoded = self.backbone.decode(Tensor::cat(hidden, 0));
        let noise = decoded.chunk(self.estimators.len(), 0);
        Ok(LayerPredictions { noise, uncertainty })
    }
}
