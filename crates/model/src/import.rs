//! Published U-ViT weights: names and shapes as in the published code.

use adadiff_weights::{Placements, WeightError, WeightFile};
use thiserror::Error;

use crate::kernels::Kernels;
use crate::{ModelError, TextConfig, UVit, UVitConfig};

/// Tokens of a text context in the published networks: CLIP's context length.
const CLIP_TOKENS: usize = 77;

/// What such networks are called in messages.
const NETWORK: &str = "U-ViT";

/// Why published weights could not be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read, is damaged or holds other tensors.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The configuration describes no network.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensors do not tell the configuration.
    #[error("{path} does not tell its network's configuration: {reason}")]
    Unclear {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong or missing.
        reason: String,
    },
    /// A form that was never published.
    #[error("{0}")]
    Unpublished(String),
}

/// What the tensors of a file do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportHints {
    /// Attention heads.
    pub heads: usize,
    /// Tokens of a text context, for networks that have one; 77, CLIP's, where it is absent.
    pub text_tokens: Option<usize>,
}

impl UVitConfig {
    /// A tensor that every such network has, by which it is found in a file.
    pub const LANDMARK: &str = "patch_embed.proj.weight";

    /// Tells the configuration from the tensors of a file.
    ///
    /// An odd depth has the same blocks as the even one below it and is taken for that.
    ///
    /// # Errors
    /// Where a tensor that tells something is missing, or the tensors contradict each other.
    pub fn infer(file: &WeightFile, hints: ImportHints) -> Result<Self, ImportError> {
        let file = &*file.network(Self::LANDMARK)?;
        let unclear = |reason: String| ImportError::Unclear {
            path: file.path().to_owned(),
            reason,
        };
        let [width, channels, patch_size, _] = dims(file, NETWORK, Self::LANDMARK)?;
        let [_, tokens, _] = dims(file, NETWORK, "pos_embed")?;
        let [mlp_width, _] = dims(file, NETWORK, "mid_block.mlp.fc1.weight")?;
        let has = |name: &str| file.shape(name).is_some();
        let in_blocks = (0..)
            .take_while(|block| has(&format!("in_blocks.{block}.norm1.weight")))
            .count();
        let classes = if has("label_emb.weight") {
            Some(dims::<2>(file, NETWORK, "label_emb.weight")?[0])
        } else {
            None
        };
        let text = if has("context_embed.weight") {
            Some(TextConfig {
                tokens: hints.text_tokens.unwrap_or(CLIP_TOKENS),
                width: dims::<2>(file, NETWORK, "context_embed.weight")?[1],
            })
        } else {
            None
        };
        let mut config = Self {
            // One patch, until the number of tokens is understood.
            image_size: patch_size,
            patch_size,
            channels,
            width,
            depth: (2 * in_blocks).max(1),
            heads: hints.heads,
            mlp_ratio: ratio(mlp_width, width),
            qkv_bias: has("mid_block.attn.qkv.bias"),
            time_mlp: has("time_embed.0.weight"),
            classes,
            text,
            long_skips: in_blocks == 0 || has("out_blocks.0.skip_linear.weight"),
            final_convolution: has("final_layer.weight"),
        };
        config.validate()?;
        let patches = tokens.checked_sub(config.extra_tokens());
        let side = patches.map(usize::isqrt).unwrap_or(0);
        if side == 0 || patches != Some(side * side) {
            return Err(unclear(format!(
                "pos_embed has {tokens} tokens, which are not {} and those of a square image; \
                 for a network with text, give the number of text tokens",
                config.extra_tokens()
            )));
        }
        config.image_size = side.saturating_mul(patch_size);
        config.validate()?;
        Ok(config)
    }

    /// Builds the network and loads the weights of a file into it.
    ///
    /// # Errors
    /// Where the file does not hold exactly the tensors that the configuration needs, or the
    /// configuration describes no network.
    pub fn import<B: Kernels>(
        &self,
        file: &WeightFile,
        device: &B::Device,
    ) -> Result<UVit<B>, ImportError> {
        let file = file.network(Self::LANDMARK)?;
        let placed = file.place(self.placements()?)?;
        Ok(placed.load_into::<B, _>(self.init(0, device)?)?)
    }

    /// Number of parameters, at most `u64::MAX`.
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn parameters(&self) -> Result<u64, ModelError> {
        let tensors = self.placements()?;
        let sizes = tensors.iter().map(|tensor| {
            let sides = tensor.shape.iter().map(|&side| side as u64);
            sides.fold(1, u64::saturating_mul)
        });
        Ok(sizes.fold(0, u64::saturating_add))
    }

    /// The published tensors of such a network and their places in [`UVit`].
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn placements(&self) -> Result<Placements, ModelError> {
        self.validate()?;
        let width = self.width;
        let mut list = Placements::default();
        let patch = [self.channels, width];
        list.convolution("patch_embed.proj", "patch_embed", patch, self.patch_size);
        if self.time_mlp {
            list.linear("time_embed.0", "time_embed.first", [width, 4 * width], true);
            list.linear(
                "time_embed.2",
                "time_embed.second",
                [4 * width, width],
                true,
            );
        }
        if let Some(classes) = self.classes {
            list.tensor("label_emb.weight", "label_emb.weight", &[classes, width]);
        }
        if let Some(text) = self.text {
            list.linear("context_embed", "context_embed", [text.width, width], true);
        }
        list.tensor("pos_embed", "pos_embed", &[1, self.tokens(), width]);
        let mid = self.depth / 2;
        for block in 0..self.blocks() {
            let published = match block.checked_sub(mid) {
                None => format!("in_blocks.{block}"),
                Some(0) => "mid_block".to_owned(),
                Some(after) => format!("out_blocks.{}", after - 1),
            };
            let skip = self.long_skips && block > mid;
            self.place_block(&mut list, &published, &format!("blocks.{block}"), skip);
        }
        list.norm("norm", "norm", width);
        let values = self.patch_values();
        list.linear("decoder_pred", "decoder_pred", [width, values], true);
        if self.final_convolution {
            let channels = [self.channels, self.channels];
            list.convolution("final_layer", "final_layer", channels, 3);
        }
        Ok(list)
    }

    fn place_block(&self, list: &mut Placements, published: &str, path: &str, skip: bool) {
        let (width, hidden) = (self.width, self.mlp_width());
        let mut linear = |layer: &str, sizes: [usize; 2], bias: bool| {
            list.linear(
                &format!("{published}.{layer}"),
                &format!("{path}.{layer}"),
                sizes,
                bias,
            );
        };
        linear("attn.qkv", [width, 3 * width], self.qkv_bias);
        linear("attn.proj", [width, width], true);
        linear("mlp.fc1", [width, hidden], true);
        linear("mlp.fc2", [hidden, width], true);
        if skip {
            linear("skip_linear", [2 * width, width], true);
        }
        for norm in ["norm1", "norm2"] {
            list.norm(
                &format!("{published}.{norm}"),
                &format!("{path}.{norm}"),
                width,
            );
        }
    }
}

/// The shape of a tensor that every `network` has with `AXES` axes.
pub(crate) fn dims<const AXES: usize>(
    file: &WeightFile,
    network: &str,
    name: &str,
) -> Result<[usize; AXES], ImportError> {
    let found = file.shape(name);
    let reason = match found.map(<[usize; AXES]>::try_from) {
        Some(Ok(dims)) => return Ok(dims),
        Some(Err(_)) => format!("{name} is {found:?}, expected {AXES} axes"),
        None => {
            let names: Vec<_> = file.tensors().keys().take(3).cloned().collect();
            format!(
                "it has no tensor {name}, which every {network} has; it starts with {}",
                names.join(", ")
            )
        }
    };
    Err(ImportError::Unclear {
        path: file.path().to_owned(),
        reason,
    })
}

/// The ratio that [`UVitConfig::mlp_width`] turns into `mlp_width` again.
fn ratio(mlp_width: usize, width: usize) -> f64 {
    let ratio = mlp_width as f64 / width as f64;
    // Truncation may fall one short of a quotient that was rounded down.
    match (width as f64 * ratio) as usize {
        found if found < mlp_width => ratio.next_up(),
        _ => ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::ratio;
    use crate::UVitConfig;

    #[test]
    fn published_sizes_have_their_numbers_of_parameters() {
        // U-ViT-S/2 on CIFAR-10 and U-ViT-L/2 on latents of ImageNet 256 (arXiv 2209.12152, table 1:
        // 44 M and 287 M).
        let small = UVitConfig::small();
        assert_eq!(small.parameters(), Ok(44_255_328));
        let large = UVitConfig {
            channels: 4,
            width: 1024,
            depth: 20,
            heads: 16,
            classes: Some(1001),
            ..small
        };
        assert_eq!(large.parameters(), Ok(286_763_172));
    }

    #[test]
    fn ratios_give_their_widths_again() {
        for width in 1..300_usize {
            for mlp_width in 1..1200_usize {
                let found = (width as f64 * ratio(mlp_width, width)) as usize;
                assert_eq!(found, mlp_width, "width {width}");
            }
        }
    }
}
