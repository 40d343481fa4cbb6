//! The hyperparameters of a U-ViT.

use serde::{Deserialize, Serialize};

use crate::{ModelError, UVitFlops};

/// Text conditioning by tokens that join the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Tokens of a text context (77 for CLIP).
    pub tokens: usize,
    /// Width of a text token (768 for CLIP ViT-L/14).
    pub width: usize,
}

/// The hyperparameters of a U-ViT, named as in its paper (arXiv 2209.12152).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UVitConfig {
    /// Height and width of the square images or latents.
    pub image_size: usize,
    /// Height and width of a patch.
    pub patch_size: usize,
    /// Channels of the images or latents.
    pub channels: usize,
    /// Width of a token.
    pub width: usize,
    /// Blocks without the mid block: `depth / 2` in-blocks, one mid block, `depth / 2` out-blocks.
    pub depth: usize,
    /// Attention heads; they divide `width`.
    pub heads: usize,
    /// Width of a block's hidden layer as a multiple of `width`.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
    /// Whether query, key and value have a bias.
    #[serde(default)]
    pub qkv_bias: bool,
    /// Whether the timestep embedding passes a two-layer network.
    #[serde(default)]
    pub time_mlp: bool,
    /// Number of class labels, the label for "no class" included; absent for no class token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Text conditioning; absent for no text tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Whether out-blocks are given the matching in-block's output.
    #[serde(default = "default_true")]
    pub long_skips: bool,
    /// Whether a 3x3 convolution follows the decoder.
    #[serde(default = "default_true")]
    pub final_convolution: bool,
}

fn default_mlp_ratio() -> f64 {
    4.0
}

fn default_true() -> bool {
    true
}

impl UVitConfig {
    /// Number of blocks: in-blocks, mid block and out-blocks.
    pub fn blocks(&self) -> usize {
        2 * (self.depth / 2) + 1
    }

    /// Channels, height and width of the images or latents.
    pub fn image_shape(&self) -> [usize; 3] {
        [self.channels, self.image_size, self.image_size]
    }

    /// Patches, and so image tokens, of an image.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Values in a patch, over its pixels and channels.
    pub fn patch_values(&self) -> usize {
        self.patch_size.pow(2) * self.channels
    }

    /// Tokens before the image tokens: class, timestep and text.
    pub fn extra_tokens(&self) -> usize {
        1 + usize::from(self.classes.is_some()) + self.text.map_or(0, |text| text.tokens)
    }

    /// All tokens of the sequence.
    pub fn tokens(&self) -> usize {
        self.extra_tokens() + self.patches()
    }

    /// Width of a block's hidden layer.
    pub fn mlp_width(&self) -> usize {
        (self.width as f64 * self.mlp_ratio) as usize
    }

    /// Floating-point operations of the network's parts for one sample.
    pub fn flops(&self) -> UVitFlops {
        UVitFlops::new(self)
    }

    /// Checks that the numbers describe a network.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first number that does not.
    pub fn validate(&self) -> Result<(), ModelError> {
        let fail = |message: String| Err(ModelError::Config(message));
        // No published network comes near the limits; they keep sizes from overflowing.
        let limited = [
            ("image_size", self.image_size, 1 << 20),
            ("patch_size", self.patch_size, 1 << 20),
            ("channels", self.channels, 1 << 20),
            ("width", self.width, 1 << 20),
            ("depth", self.depth, 1 << 10),
            ("heads", self.heads, 1 << 20),
            ("classes", self.classes.unwrap_or(1), 1 << 20),
            (
                "text.tokens",
                self.text.map_or(1, |text| text.tokens),
                1 << 20,
            ),
            (
                "text.width",
                self.text.map_or(1, |text| text.width),
                1 << 20,
            ),
        ];
        for (name, value, most) in limited {
            if value == 0 || value > most {
                return fail(format!("{name} must lie in 1..={most}, found {value}"));
            }
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return fail(format!(
                "image_size {} is not a multiple of patch_size {}",
                self.image_size, self.patch_size
            ));
        }
        if !self.width.is_multiple_of(self.heads) {
            return fail(format!(
                "width {} is not a multiple of heads {}",
                self.width, self.heads
            ));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) || self.mlp_width() == 0 {
            return fail(format!(
                "mlp_ratio must lie in (0, 64], found {}",
                self.mlp_ratio
            ));
        }
        if self.classes.is_some() && self.text.is_some() {
            return fail("a network is conditioned on classes or on text, not on both".into());
        }
        Ok(())
    }

    /// U-ViT-S/2 on CIFAR-10 (arXiv 2209.12152, table 1).
    pub fn small() -> Self {
        Self {
            image_size: 32,
            patch_size: 2,
            channels: 3,
            width: 512,
            depth: 12,
            heads: 8,
            mlp_ratio: 4.0,
            qkv_bias: false,
            time_mlp: false,
            classes: None,
            text: None,
            long_skips: true,
            final_convolution: true,
        }
    }

    /// Five blocks on 4 x 4 patches of images of two channels: for tests, and to try things out.
    pub fn tiny() -> Self {
        Self {
            image_size: 8,
            patch_size: 2,
            channels: 2,
            width: 32,
            depth: 4,
            heads: 4,
            ..Self::small()
        }
    }
}
