//! The hyperparameters of a KL autoencoder.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Groups of every norm.
pub(super) const GROUPS: usize = 32;

/// The hyperparameters of a KL autoencoder; the comments give their names in the published code's
/// `ddconfig`. Moments are always a mean and a log-variance (`double_z`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Height and width of the images it was trained on (`resolution`). Other sizes work too; this
    /// one tells at which levels `attention_resolutions` are.
    pub resolution: usize,
    /// Channels of the images that are encoded (`in_channels`).
    pub in_channels: usize,
    /// Channels of the images that are decoded (`out_ch`).
    pub out_channels: usize,
    /// Channels after the first convolution (`ch`).
    pub channels: usize,
    /// Channels of each level as a multiple of `channels` (`ch_mult`); between two levels, height
    /// and width are halved.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks of an encoder's level; a decoder's has one more (`num_res_blocks`).
    pub residual_blocks: usize,
    /// Heights at which every residual block is followed by attention (`attn_resolutions`).
    pub attention_resolutions: Vec<usize>,
    /// Channels between the encoder and the moments, and the latents and the decoder
    /// (`z_channels`).
    pub z_channels: usize,
    /// Channels of a latent (`embed_dim`).
    pub latent_channels: usize,
    /// What latents are multiplied by, so that their deviation is about one.
    pub scale_factor: f64,
}

/// A level of an encoder or a decoder.
pub(super) struct Level {
    /// Input and output channels of each residual block.
    pub(super) blocks: Vec<[usize; 2]>,
    /// Whether attention follows each block.
    pub(super) attention: bool,
    /// Output channels of the level.
    pub(super) channels: usize,
}

impl AutoencoderConfig {
    /// Stable Diffusion's autoencoder: 8 times smaller, 4 channels.
    pub fn stable_diffusion() -> Self {
        Self {
            resolution: 256,
            in_channels: 3,
            out_channels: 3,
            channels: 128,
            channel_multipliers: vec![1, 2, 4, 4],
            residual_blocks: 2,
            attention_resolutions: Vec::new(),
            z_channels: 4,
            latent_channels: 4,
            scale_factor: 0.18215,
        }
    }

    /// How many times smaller a latent is than its image, in height and in width.
    pub fn reduction(&self) -> usize {
        1 << self.channel_multipliers.len().saturating_sub(1)
    }

    /// Channels of the level with the smallest images.
    pub(super) fn innermost_channels(&self) -> usize {
        self.level_channels(self.channel_multipliers.len() - 1)
    }

    fn level_channels(&self, level: usize) -> usize {
        self.channels * self.channel_multipliers[level]
    }

    fn has_attention(&self, level: usize) -> bool {
        self.attention_resolutions
            .contains(&(self.resolution >> level))
    }

    /// The levels of the encoder in the order of execution: largest images first.
    pub(super) fn encoder_levels(&self) -> Vec<Level> {
        let inputs = |level: usize| match level.checked_sub(1) {
            None => self.channels,
            Some(before) => self.level_channels(before),
        };
        (0..self.channel_multipliers.len())
            .map(|level| self.level(level, inputs(level), self.residual_blocks))
            .collect()
    }

    /// The levels of the decoder as they are numbered: largest images first, which are run last.
    pub(super) fn decoder_levels(&self) -> Vec<Level> {
        let last = self.channel_multipliers.len() - 1;
        (0..=last)
            .map(|level| {
                let inputs = self.level_channels((level + 1).min(last));
                self.level(level, inputs, self.residual_blocks + 1)
            })
            .collect()
    }

    fn level(&self, level: usize, inputs: usize, blocks: usize) -> Level {
        let channels = self.level_channels(level);
        let inputs = |block: usize| if block == 0 { inputs } else { channels };
        Level {
            blocks: (0..blocks).map(|block| [inputs(block), channels]).collect(),
            attention: self.has_attention(level),
            channels,
        }
    }

    /// Checks that the numbers describe a network.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first number that does not.
    pub fn validate(&self) -> Result<(), ModelError> {
        let fail = |message: String| Err(ModelError::Config(message));
        let levels = self.channel_multipliers.len();
        if !(1..=16).contains(&levels) {
            return fail(format!(
                "channel_multipliers must name 1 to 16 levels, found {levels}"
            ));
        }
        let multipliers = self.channel_multipliers.iter();
        let sizes = [
            ("resolution", self.resolution),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("channels", self.channels),
            ("residual_blocks", self.residual_blocks),
            ("z_channels", self.z_channels),
            ("latent_channels", self.latent_channels),
        ];
        let multipliers = multipliers.map(|&value| ("channel_multipliers", value));
        for (name, value) in sizes.into_iter().chain(multipliers) {
            // No published network comes near the limit; it keeps sizes from overflowing.
            if value == 0 || value > 1 << 16 {
                return fail(format!("{name} must lie in 1..=65536, found {value}"));
            }
        }
        if !self.channels.is_multiple_of(GROUPS) {
            return fail(format!(
                "channels must be a multiple of {GROUPS}, the groups of a norm, found {}",
                self.channels
            ));
        }
        if !self.resolution.is_multiple_of(self.reduction()) {
            return fail(format!(
                "resolution {} cannot be halved {} times",
                self.resolution,
                levels - 1
            ));
        }
        let heights: Vec<_> = (0..levels).map(|level| self.resolution >> level).collect();
        if let Some(height) = self
            .attention_resolutions
            .iter()
            .find(|height| !heights.contains(height))
        {
            return fail(format!(
                "attention_resolutions: no level has images of height {height}, they have \
                 {heights:?}"
            ));
        }
        if !(self.scale_factor.is_finite() && self.scale_factor > 0.0) {
            return fail(format!(
                "scale_factor must be positive, found {}",
                self.scale_factor
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AutoencoderConfig;

    fn published() -> AutoencoderConfig {
        AutoencoderConfig::stable_diffusion()
    }

    #[test]
    fn the_published_levels_have_the_published_channels() {
        let blocks = |levels: Vec<super::Level>| {
            let blocks = levels.into_iter().map(|level| level.blocks);
            blocks.collect::<Vec<_>>()
        };
        assert_eq!(
            blocks(published().encoder_levels()),
            [
                [[128, 128], [128, 128]],
                [[128, 256], [256, 256]],
                [[256, 512], [512, 512]],
                [[512, 512], [512, 512]],
            ]
        );
        assert_eq!(
            blocks(published().decoder_levels()),
            [
                [[256, 128], [128, 128], [128, 128]],
                [[512, 256], [256, 256], [256, 256]],
                [[512, 512], [512, 512], [512, 512]],
                [[512, 512], [512, 512], [512, 512]],
            ]
        );
        assert_eq!(published().reduction(), 8);
    }

    #[test]
    fn attention_is_where_the_images_have_its_height() {
        let mut config = published();
        config.attention_resolutions = vec![32, 128];
        config.validate().unwrap();
        for levels in [config.encoder_levels(), config.decoder_levels()] {
            let attention: Vec<_> = levels.iter().map(|level| level.attention).collect();
            assert_eq!(attention, [false, true, false, true]);
        }
    }

    #[test]
    fn numbers_that_describe_no_network_are_named() {
        published().validate().unwrap();
        let refused = |change: fn(&mut AutoencoderConfig), name: &str| {
            let mut config = published();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        };
        refused(|config| config.channels = 48, "channels must be");
        refused(|config| config.channels = 0, "channels");
        refused(|config| config.z_channels = usize::MAX, "z_channels");
        refused(|config| config.channel_multipliers = vec![], "levels");
        refused(|config| config.channel_multipliers = vec![1; 70], "levels");
        refused(|config| config.channel_multipliers[1] = 0, "multipliers");
        refused(|config| config.resolution = 252, "halved 3 times");
        refused(
            |config| config.attention_resolutions = vec![16],
            "height 16",
        );
        refused(|config| config.scale_factor = f64::NAN, "scale_factor");
        refused(|config| config.scale_factor = 0.0, "scale_factor");
    }
}
