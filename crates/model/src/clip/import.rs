//! Published CLIP weights, names and shapes as transformers has them: those of the text model, and
//! the layers of both models.

use adadiff_weights::{Placements, WeightFile};

use super::{Activation, ClipText, ClipTextConfig};
use crate::import::dims;
use crate::kernels::Kernels;
use crate::{ImportError, ModelError};

/// The width of a head in every published CLIP model.
const HEAD_WIDTH: usize = 64;

/// The parts of a whole CLIP model that are not its text model.
const OTHER_PARTS: [&str; 4] = [
    "vision_model",
    "visual_projection",
    "text_projection",
    "logit_scale",
];

/// What the tensors of a file do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipTextHints {
    /// Attention heads; absent for heads of width 64, as all published models have them.
    pub heads: Option<usize>,
    /// The activation.
    pub activation: Activation,
    /// The token that ends a text; absent for the last of the vocabulary.
    pub end_of_text: Option<u32>,
}

impl Default for ClipTextHints {
    /// As OpenAI's models have them.
    fn default() -> Self {
        Self {
            heads: None,
            activation: Activation::QuickGelu,
            end_of_text: None,
        }
    }
}

impl ClipTextConfig {
    /// A tensor that every such model has, by which it is found in a file.
    pub const LANDMARK: &str = "text_model.embeddings.token_embedding.weight";

    /// Tells the configuration from the tensors of a file; the epsilon is the published one.
    ///
    /// # Errors
    /// Where a tensor that tells something is missing, or no number of heads is given for a width
    /// that heads of 64 do not divide.
    pub fn infer(file: &WeightFile, hints: ClipTextHints) -> Result<Self, ImportError> {
        let file = &*file.network(Self::LANDMARK)?;
        let sizes = |name: &str| dims::<2>(file, "CLIP text model", name);
        let [vocabulary, width] = sizes(Self::LANDMARK)?;
        let [tokens, _] = sizes("text_model.embeddings.position_embedding.weight")?;
        let [mlp_width, _] = sizes("text_model.encoder.layers.0.mlp.fc1.weight")?;
        let layers = layers(file, "text_model");
        let heads = heads(file, hints.heads, width)?;
        let end_of_text = match hints.end_of_text {
            Some(token) => token,
            None => u32::try_from(vocabulary.saturating_sub(1)).unwrap_or(u32::MAX),
        };
        let config = Self {
            vocabulary,
            width,
            mlp_width,
            layers,
            heads,
            tokens,
            activation: hints.activation,
            end_of_text,
            ..Self::vit_l_14()
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
    ) -> Result<ClipText<B>, ImportError> {
        let file = file.network(Self::LANDMARK)?;
        let placed = file.place(self.placements()?)?;
        Ok(placed.load_into::<B, _>(self.init(device)?)?)
    }

    /// The published tensors of such a network and their places in [`ClipText`].
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn placements(&self) -> Result<Placements, ModelError> {
        self.validate()?;
        let (width, hidden) = (self.width, self.mlp_width);
        let mut list = Placements::default();
        for (name, count) in [
            ("token_embedding", self.vocabulary),
            ("position_embedding", self.tokens),
        ] {
            let published = format!("text_model.embeddings.{name}");
            list.embedding(&published, name, [count, width]);
        }
        // Numbers from 0, which transformers kept among the weights before 4.31.
        list.unused_tensor("text_model.embeddings.position_ids", &[1, self.tokens]);
        place_layers(&mut list, "text_model", self.layers, [width, hidden]);
        list.norm("text_model.final_layer_norm", "final_layer_norm", width);
        for part in OTHER_PARTS {
            list.leave_out(part);
        }
        Ok(list)
    }
}

/// The layers of a model that a file has.
pub(super) fn layers(file: &WeightFile, model: &str) -> usize {
    let has_layer = |layer: &usize| {
        let name = format!("{model}.encoder.layers.{layer}.mlp.fc1.weight");
        file.shape(&name).is_some()
    };
    (0..).take_while(has_layer).count()
}

/// The attention heads that were given, or as published for tokens of `width`.
pub(super) fn heads(
    file: &WeightFile,
    given: Option<usize>,
    width: usize,
) -> Result<usize, ImportError> {
    match given {
        Some(heads) => Ok(heads),
        None if width.is_multiple_of(HEAD_WIDTH) => Ok(width / HEAD_WIDTH),
        None => Err(ImportError::Unclear {
            path: file.path().to_owned(),
            reason: format!(
                "its tokens of width {width} cannot be shared among heads of width {HEAD_WIDTH}, \
                 which published models have; give the number of heads"
            ),
        }),
    }
}

/// The layers of the part `model` of a file, of these widths of tokens and hidden features.
pub(super) fn place_layers(
    list: &mut Placements,
    model: &str,
    layers: usize,
    [width, hidden]: [usize; 2],
) {
    for layer in 0..layers {
        let published = format!("{model}.encoder.layers.{layer}");
        let path = format!("layers.{layer}");
        let linear = |list: &mut Placements, name: &str, sizes: [usize; 2]| {
            let published = format!("{published}.{name}");
            list.linear(&published, &format!("{path}.{name}"), sizes, true);
        };
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(list, &format!("self_attn.{name}"), [width, width]);
        }
        linear(list, "mlp.fc1", [width, hidden]);
        linear(list, "mlp.fc2", [hidden, width]);
        for name in ["layer_norm1", "layer_norm2"] {
            let published = format!("{published}.{name}");
            list.norm(&published, &format!("{path}.{name}"), width);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
#[path = "import_tests.rs"]
mod tests;
