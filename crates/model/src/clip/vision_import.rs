//! Published CLIP image weights: names and shapes as transformers has them.

use adadiff_weights::{Placements, WeightFile};

use super::import::{heads, layers, place_layers};
use super::{Activation, ClipVision, ClipVisionConfig};
use crate::import::dims;
use crate::kernels::Kernels;
use crate::{ImportError, ModelError};

/// The parts of a whole CLIP model that are not its image model.
const OTHER_PARTS: [&str; 3] = ["text_model", "text_projection", "logit_scale"];

/// What the tensors of a file do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClipVisionHints {
    /// Attention heads; absent for heads of width 64, as all published models have them.
    pub heads: Option<usize>,
    /// The activation.
    pub activation: Activation,
}

impl ClipVisionConfig {
    /// A tensor that every such model has, by which it is found in a file.
    pub const LANDMARK: &str = "vision_model.embeddings.patch_embedding.weight";

    /// Tells the configuration from the tensors of a file; the epsilon is the published one.
    ///
    /// # Errors
    /// Where a tensor that tells something is missing, the positions are no square of patches and
    /// a class token, or no number of heads is given for a width that heads of 64 do not divide.
    pub fn infer(file: &WeightFile, hints: ClipVisionHints) -> Result<Self, ImportError> {
        const NETWORK: &str = "CLIP image model";
        let file = &*file.network(Self::LANDMARK)?;
        let sizes = |name: &str| dims::<2>(file, NETWORK, name);
        let [width, _, patch_size, _] = dims::<4>(file, NETWORK, Self::LANDMARK)?;
        let [tokens, _] = sizes("vision_model.embeddings.position_embedding.weight")?;
        let [mlp_width, _] = sizes("vision_model.encoder.layers.0.mlp.fc1.weight")?;
        let [embedding, _] = sizes("visual_projection.weight")?;
        let grid = tokens.saturating_sub(1).isqrt();
        if tokens == 0 || grid * grid + 1 != tokens {
            return Err(ImportError::Unclear {
                path: file.path().to_owned(),
                reason: format!(
                    "its {tokens} positions are not those of a square of patches and a class token"
                ),
            });
        }
        let config = Self {
            image_size: grid.saturating_mul(patch_size),
            patch_size,
            width,
            mlp_width,
            layers: layers(file, "vision_model"),
            heads: heads(file, hints.heads, width)?,
            embedding,
            activation: hints.activation,
            ..Self::vit_l_14_336()
        };
        config.validate()?;
        Ok(config)
    }

    /// Builds the network and loads the weights of a file into it. Of a whole CLIP model, the rest
    /// is left out.
    ///
    /// # Errors
    /// Where the file does not hold exactly the tensors that the configuration needs, or the
    /// configuration describes no network.
    pub fn import<B: Kernels>(
        &self,
        file: &WeightFile,
        device: &B::Device,
    ) -> Result<ClipVision<B>, ImportError> {
        let file = file.network(Self::LANDMARK)?;
        let placed = file.place(self.placements()?)?;
        Ok(placed.load_into::<B, _>(self.init(device)?)?)
    }

    /// The published tensors of such a network and their places in [`ClipVision`].
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn placements(&self) -> Result<Placements, ModelError> {
        self.validate()?;
        let width = self.width;
        let mut list = Placements::default();
        let embeddings = "vision_model.embeddings";
        list.convolution_without_bias(
            &format!("{embeddings}.patch_embedding"),
            "patch_embedding",
            [3, width],
            [self.patch_size; 2],
        );
        let class = format!("{embeddings}.class_embedding");
        list.tensor(&class, "class_embedding", &[width]);
        list.embedding(
            &format!("{embeddings}.position_embedding"),
            "position_embedding",
            [self.tokens(), width],
        );
        // Numbers from 0, which transformers kept among the weights before 4.31.
        list.unused_tensor(&format!("{embeddings}.position_ids"), &[1, self.tokens()]);
        // Misspelt where it was published.
        list.norm("vision_model.pre_layrnorm", "pre_layer_norm", width);
        place_layers(
            &mut list,
            "vision_model",
            self.layers,
            [width, self.mlp_width],
        );
        list.norm("vision_model.post_layernorm", "post_layer_norm", width);
        let sizes = [width, self.embedding];
        list.linear("visual_projection", "projection", sizes, false);
        for part in OTHER_PARTS {
            list.leave_out(part);
        }
        Ok(list)
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "vision_import_tests.rs"]
mod tests;
