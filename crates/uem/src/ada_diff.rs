//! The trainable network: a backbone with an estimator behind every block.

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Head, Initializer, ModelError, UVit, UVitConfig};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::{EstimatorForm, UncertaintyEstimator, UncertaintyForm};

/// Stream of the estimators' initial weights, apart from the backbone's.
const ESTIMATOR_SEED: u64 = 0x5545_4d00;

/// Which decoder makes a noise prediction of a block's hidden state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadForm {
    /// The backbone's own for all blocks.
    #[default]
    Shared,
    /// One for each block; the last block has the backbone's.
    Own,
}

/// The hyperparameters of [`AdaDiff`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaDiffConfig {
    /// What the estimators see.
    #[serde(default)]
    pub estimator: EstimatorForm,
    /// How finely they tell uncertainty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uncertainty: UncertaintyForm,
    /// Whether one estimator serves all blocks (BERxiT).
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared_estimator: bool,
    /// Which decoders blocks have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub heads: HeadForm,
    /// The backbone.
    pub backbone: UVitConfig,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A U-ViT with an uncertainty estimator behind every block (AdaDiff, section 3).
#[derive(Module, Debug)]
pub struct AdaDiff<B: Backend> {
    /// The noise prediction network.
    pub backbone: UVit<B>,
    /// One estimator for each block, in the order of execution, or one for all.
    pub estimators: Vec<UncertaintyEstimator<B>>,
    /// The decoders of all blocks but the last, in the order of execution; none where all blocks
    /// share the backbone's.
    pub heads: Vec<Head<B>>,
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
    /// AdaDiff as the paper has it, on a backbone.
    pub fn new(backbone: UVitConfig) -> Self {
        Self {
            estimator: EstimatorForm::default(),
            uncertainty: UncertaintyForm::default(),
            shared_estimator: false,
            heads: HeadForm::default(),
            backbone,
        }
    }

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
        let estimators = if self.shared_estimator {
            1
        } else {
            self.backbone.blocks()
        };
        let heads = match self.heads {
            HeadForm::Shared => 0,
            HeadForm::Own => self.backbone.blocks() - 1,
        };
        Ok(AdaDiff {
            estimators: (0..estimators)
                .map(|_| UncertaintyEstimator::init(self, &mut draw))
                .collect(),
            heads: (0..heads).map(|_| backbone.copy_of_decoder()).collect(),
            backbone,
        })
    }
}

impl<B: Kernels> AdaDiff<B> {
    /// The same estimators on another backbone; heads of its own start as copies of that one's
    /// decoder.
    pub fn with_backbone(self, backbone: UVit<B>) -> Self {
        Self {
            heads: self
                .heads
                .iter()
                .map(|_| backbone.copy_of_decoder())
                .collect(),
            backbone,
            ..self
        }
    }

    /// The estimator behind a block.
    pub fn estimator(&self, block: usize) -> &UncertaintyEstimator<B> {
        &self.estimators[block.min(self.estimators.len() - 1)]
    }

    /// Whether all blocks have the backbone's decoder.
    pub fn shares_decoder(&self) -> bool {
        self.heads.is_empty()
    }

    /// The noise prediction `[batch, channels, height, width]` of a block's hidden state
    /// `[batch, tokens, width]`.
    pub fn decode(&self, block: usize, hidden: Tensor<B, 3>) -> Tensor<B, 4> {
        match self.heads.get(block) {
            Some(head) => self.backbone.decode_by(head, hidden),
            None => self.backbone.decode(hidden),
        }
    }

    /// The uncertainty map `[batch, channels, height, width]` after a block, given its hidden state
    /// `[batch, tokens, width]` and the timestep embedding `[batch, width]`.
    pub fn uncertainty(
        &self,
        block: usize,
        hidden: Tensor<B, 3>,
        time_embedding: Tensor<B, 2>,
    ) -> Tensor<B, 4> {
        let patches = self.estimator(block).forward(hidden, time_embedding);
        self.backbone
            .unpatchify(self.backbone.image_tokens(patches))
    }

    /// The noise predictions of the hidden states of all blocks.
    pub fn decode_all(&self, hidden: Vec<Tensor<B, 3>>) -> Vec<Tensor<B, 4>> {
        if self.shares_decoder() {
            // One call serves all blocks.
            let blocks = hidden.len();
            return self
                .backbone
                .decode(Tensor::cat(hidden, 0))
                .chunk(blocks, 0);
        }
        let blocks = hidden.into_iter().enumerate();
        blocks
            .map(|(block, hidden)| self.decode(block, hidden))
            .collect()
    }

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
        let state = self.backbone.embed(noisy, timesteps, condition)?;
        let blocks = self.backbone.num_blocks();
        let mut hidden = Vec::with_capacity(blocks);
        let mut uncertainty = Vec::with_capacity(blocks);
        self.backbone
            .for_each_block(0..blocks, state, |block, state| {
                uncertainty.push(self.uncertainty(block, state.hidden(), state.time_embedding()));
                hidden.push(state.hidden());
            });
        Ok(LayerPredictions {
            noise: self.decode_all(hidden),
            uncertainty,
        })
    }
}
