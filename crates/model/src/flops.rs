//! What the parts of a U-ViT cost.

use crate::UVitConfig;

/// Floating-point operations for one sample, two for each multiply-add of a matrix product or
/// convolution; norms, activations and additions are left out, as is usual.
#[derive(Clone, Debug, PartialEq)]
pub struct UVitFlops {
    /// Patch embedding and conditioning.
    pub embed: f64,
    /// Each block in the order of execution.
    pub blocks: Vec<f64>,
    /// Decoder and final convolution.
    pub decode: f64,
}

impl UVitFlops {
    pub(crate) fn new(config: &UVitConfig) -> Self {
        Self::on_tokens(config, config.tokens(), 0.0)
    }

    /// Those of a network whose attention and MLP see `seen` tokens, where finding them takes
    /// `finding` operations a block.
    pub(crate) fn on_tokens(config: &UVitConfig, seen: usize, finding: f64) -> Self {
        let [tokens, seen, patches, width, patch_values] = [
            config.tokens(),
            seen,
            config.patches(),
            config.width,
            config.patch_values(),
        ]
        .map(|count| count as f64);
        let mut embed = patches * patch_values * width;
        if config.time_mlp {
            embed += 8.0 * width * width;
        }
        if let Some(text) = config.text {
            embed += (text.tokens * text.width) as f64 * width;
        }
        let projections = seen * width * (4.0 * width + 2.0 * config.mlp_width() as f64);
        let attention = 2.0 * seen * seen * width;
        let skip = if config.long_skips {
            2.0 * tokens * width * width
        } else {
            0.0
        };
        let blocks = (0..config.blocks())
            .map(|block| {
                let skip = if block > config.depth / 2 { skip } else { 0.0 };
                2.0 * (projections + attention + skip) + finding
            })
            .collect();
        let mut decode = patches * width * patch_values;
        if config.final_convolution {
            decode += 9.0 * ((config.channels * config.image_size).pow(2)) as f64;
        }
        Self {
            embed: 2.0 * embed,
            blocks,
            decode: 2.0 * decode,
        }
    }

    /// The whole network.
    pub fn total(&self) -> f64 {
        self.embed + self.blocks.iter().sum::<f64>() + self.decode
    }
}

#[cfg(test)]
mod tests {
    use crate::UVitConfig;

    #[test]
    fn the_small_network_of_the_paper_costs_what_it_should() {
        // U-ViT-S/2 on CIFAR-10: 257 tokens of width 512, 13 blocks, no conditioning.
        let config = UVitConfig::small();
        let block: f64 = 2.0 * (257.0 * 512.0 * 512.0 * 12.0 + 2.0 * 257.0 * 257.0 * 512.0);
        let flops = config.flops();
        assert_eq!(flops.blocks.len(), 13);
        assert_eq!(flops.blocks[6], block);
        assert_eq!(flops.blocks[7], block + 2.0 * 257.0 * 1024.0 * 512.0);
        assert_eq!(flops.embed, 2.0 * 256.0 * 12.0 * 512.0);
        assert_eq!(
            flops.decode,
            2.0 * (256.0 * 512.0 * 12.0 + 1024.0 * 9.0 * 9.0)
        );
    }
}
