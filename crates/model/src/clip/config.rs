//! The hyperparameters of a CLIP text model, and what those of both models have to be.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The activation of the two-layer networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x sigmoid(1.702 x)`, which OpenAI's models were trained with.
    #[default]
    QuickGelu,
    /// The exact GELU, which most of OpenCLIP's models were trained with.
    Gelu,
}

/// The hyperparameters of a CLIP text model; the comments give their names in transformers'
/// `text_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Tokens in the vocabulary (`vocab_size`).
    pub vocabulary: usize,
    /// Width of a token (`hidden_size`).
    pub width: usize,
    /// Width of a layer's hidden features (`intermediate_size`).
    pub mlp_width: usize,
    /// Transformer layers (`num_hidden_layers`).
    pub layers: usize,
    /// Attention heads; they divide `width` (`num_attention_heads`).
    pub heads: usize,
    /// The most tokens of a text (`max_position_embeddings`).
    pub tokens: usize,
    /// The activation of the two-layer networks (`hidden_act`).
    #[serde(default)]
    pub activation: Activation,
    /// The epsilon of the layer norms (`layer_norm_eps`).
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
    /// The token that ends a text (`eos_token_id`).
    ///
    /// Configurations from before transformers 4.31 say 2, which is not that token. There, as in
    /// transformers, 2 stands for the highest token of the text, which the end token is.
    pub end_of_text: u32,
}

pub(super) fn default_epsilon() -> f64 {
    1e-5
}

impl ClipTextConfig {
    /// The text model of CLIP ViT-L/14, which Stable Diffusion, U-ViT and AdaDiff use.
    pub fn vit_l_14() -> Self {
        Self {
            vocabulary: 49408,
            width: 768,
            mlp_width: 3072,
            layers: 12,
            heads: 12,
            tokens: 77,
            activation: Activation::QuickGelu,
            layer_norm_epsilon: default_epsilon(),
            end_of_text: 49407,
        }
    }

    /// Checks that the numbers describe a network.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first number that does not.
    pub fn validate(&self) -> Result<(), ModelError> {
        check(
            &[
                ("vocabulary", self.vocabulary),
                ("width", self.width),
                ("mlp_width", self.mlp_width),
                ("layers", self.layers),
                ("heads", self.heads),
                ("tokens", self.tokens),
            ],
            self.width,
            self.heads,
            self.layer_norm_epsilon,
        )
    }
}

/// Checks what both models' numbers must be like.
pub(super) fn check(
    sizes: &[(&str, usize)],
    width: usize,
    heads: usize,
    epsilon: f64,
) -> Result<(), ModelError> {
    let fail = |message: String| Err(ModelError::Config(message));
    for &(name, value) in sizes {
        // No published network comes near the limit; it keeps sizes from overflowing.
        if value == 0 || value > 1 << 20 {
            return fail(format!("{name} must lie in 1..=1048576, found {value}"));
        }
    }
    if !width.is_multiple_of(heads) {
        return fail(format!("width {width} is not a multiple of heads {heads}"));
    }
    if !(epsilon.is_finite() && epsilon > 0.0) {
        return fail(format!(
            "layer_norm_epsilon must be positive, found {epsilon}"
        ));
    }
    Ok(())
}
