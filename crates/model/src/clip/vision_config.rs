//! The hyperparameters of a CLIP image model.

use serde::{Deserialize, Serialize};

use super::Activation;
use super::config::{check, default_epsilon};
use crate::ModelError;

/// The hyperparameters of a CLIP image model; the comments give their names in transformers'
/// `vision_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipVisionConfig {
    /// Side of the images (`image_size`), a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch (`patch_size`).
    pub patch_size: usize,
    /// Width of a token (`hidden_size`).
    pub width: usize,
    /// Width of a layer's hidden features (`intermediate_size`).
    pub mlp_width: usize,
    /// Transformer layers (`num_hidden_layers`).
    pub layers: usize,
    /// Attention heads; they divide `width` (`num_attention_heads`).
    pub heads: usize,
    /// Values of an embedding (`projection_dim`).
    pub embedding: usize,
    /// The activation of the two-layer networks (`hidden_act`).
    #[serde(default)]
    pub activation: Activation,
    /// The epsilon of the layer norms (`layer_norm_eps`).
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
}

impl ClipVisionConfig {
    /// The image model of CLIP ViT-L/14 at 336 pixels, by which CMMD compares images.
    pub fn vit_l_14_336() -> Self {
        Self {
            image_size: 336,
            patch_size: 14,
            width: 1024,
            mlp_width: 4096,
            layers: 24,
            heads: 16,
            embedding: 768,
            activation: Activation::QuickGelu,
            layer_norm_epsilon: default_epsilon(),
        }
    }

    /// Patches along a side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Tokens of an image: its patches and the class token.
    pub fn tokens(&self) -> usize {
        self.grid() * self.grid() + 1
    }

    /// Checks that the numbers describe a network.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first number that does not.
    pub fn validate(&self) -> Result<(), ModelError> {
        check(
            &[
                ("image_size", self.image_size),
                ("patch_size", self.patch_size),
                ("width", self.width),
                ("mlp_width", self.mlp_width),
                ("layers", self.layers),
                ("heads", self.heads),
                ("embedding", self.embedding),
            ],
            self.width,
            self.heads,
            self.layer_norm_epsilon,
        )?;
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(ModelError::Config(format!(
                "image_size {} is not a multiple of patch_size {}",
                self.image_size, self.patch_size
            )));
        }
        Ok(())
    }
}
