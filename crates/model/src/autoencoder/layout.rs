//! The names of the published autoencoders' tensors.

use adadiff_weights::{Placements, WeightFile};

/// An attention's queries, keys, values and output: in Stable Diffusion's code, in diffusers, and in
/// diffusers before 0.17.
const ATTENTION: [&str; 4] = ["q", "k", "v", "proj_out"];
const DIFFUSERS: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];
const OLD_DIFFUSERS: [&str; 4] = ["query", "key", "value", "proj_attn"];

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Those of Stable Diffusion's code.
    Original,
    /// Those of diffusers, with these names in an attention, whose layers are linear there.
    Diffusers([&'static str; 4]),
}

impl Layout {
    /// The layout of a file, the original one where the file has neither.
    pub fn detect(file: &WeightFile) -> Self {
        let has = |name: &str| file.shape(name).is_some();
        if !has("encoder.down_blocks.0.resnets.0.conv1.weight") {
            Self::Original
        } else if has("encoder.mid_block.attentions.0.query.weight") {
            Self::Diffusers(OLD_DIFFUSERS)
        } else {
            Self::Diffusers(DIFFUSERS)
        }
    }

    /// What a tensor outside of the decoder's levels is called.
    pub fn encoder_name(self, original: &str) -> String {
        self.name(original, 0)
    }

    /// The placements of a network of so many levels under this layout's names.
    pub fn published(self, placements: Placements, levels: usize) -> Placements {
        placements.published_as(|name, shape| {
            let is_linear = self != Self::Original && is_attention(name);
            let shape = match *shape {
                [outputs, inputs, 1, 1] if is_linear => vec![outputs, inputs],
                _ => shape.to_vec(),
            };
            (self.name(name, levels), shape)
        })
    }

    fn name(self, original: &str, levels: usize) -> String {
        let Self::Diffusers(attention) = self else {
            return original.to_owned();
        };
        let is_attention = is_attention(original);
        let mut before = "";
        let words = original.split('.').map(|word| {
            let found = match word {
                "down" => "down_blocks",
                "up" => "up_blocks",
                "mid" => "mid_block",
                "block" => "resnets",
                "block_1" => "resnets.0",
                "block_2" => "resnets.1",
                "attn" => "attentions",
                "attn_1" => "attentions.0",
                "downsample" => "downsamplers.0",
                "upsample" => "upsamplers.0",
                "norm_out" => "conv_norm_out",
                "nin_shortcut" => "conv_shortcut",
                "norm" if is_attention => "group_norm",
                _ => match ATTENTION.iter().position(|layer| *layer == word) {
                    Some(layer) if is_attention => attention[layer],
                    _ => word,
                },
            };
            // The decoder's levels are counted from its start there, from the picture here.
            let level = word.parse::<usize>().ok().filter(|_| before == "up");
            before = word;
            match level {
                Some(level) => (levels - 1 - level).to_string(),
                None => found.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join(".")
    }
}

fn is_attention(name: &str) -> bool {
    name.contains(".attn_1.") || name.contains(".attn.")
}
