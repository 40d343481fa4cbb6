//! What a set of latents is.

use half::f16;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use super::{LatentError, MOST_VALUES};

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatentStorage {
    /// In 32 bits.
    F32,
    /// In 16 bits, with 11 bits of precision up to 65,504.
    F16,
}

impl LatentStorage {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }

    /// Bytes of a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Whether a number stays finite when it is stored.
    pub(super) fn holds(self, value: f32) -> bool {
        match self {
            Self::F32 => value.is_finite(),
            Self::F16 => f16::from_f32(value).is_finite(),
        }
    }

    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => {
                let numbers = values.iter().map(|&value| f16::from_f32(value));
                bytes.extend(numbers.flat_map(f16::to_le_bytes));
            }
        }
    }

    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&number| f32::from_le_bytes(number)).collect()
            }
            Self::F16 => {
                let numbers = bytes.as_chunks().0.iter();
                let halves = numbers.map(|&number| f16::from_le_bytes(number));
                halves.map(f16::to_f32).collect()
            }
        }
    }
}

/// What a set of latents is. Two preparations with equal headers make the same latents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentHeader {
    /// SHA-256 of the autoencoder's weights.
    pub autoencoder_sha256: String,
    /// SHA-256 of the text encoder's weights; present where there are contexts.
    pub text_encoder_sha256: Option<String>,
    /// The name of the data set, and what was made of its images.
    pub source: String,
    /// What tells the data set from others of its name, such as a checksum of its list of images.
    pub source_fingerprint: String,
    /// Images of the data set.
    pub source_images: usize,
    /// Channels of a latent.
    pub channels: usize,
    /// Height of a latent.
    pub height: usize,
    /// Width of a latent.
    pub width: usize,
    /// Whether there are moments of the mirrored images too.
    pub mirrored: bool,
    /// Number of classes; absent where images have no labels.
    pub classes: Option<usize>,
    /// Tokens and width of a context; absent where images have no captions.
    pub context_shape: Option<[usize; 2]>,
    /// How moments are stored.
    pub moments_storage: LatentStorage,
    /// How contexts are stored.
    pub contexts_storage: LatentStorage,
}

impl LatentHeader {
    /// Values of an image's moments.
    pub(super) fn moments_size(&self) -> usize {
        2 * self.channels * self.height * self.width
    }

    /// Values of a context; 0 where there are none.
    pub(super) fn context_size(&self) -> usize {
        self.context_shape
            .map_or(0, |[tokens, width]| tokens * width)
    }

    /// # Errors
    /// Where a size is 0 or beyond reason, or parts contradict each other.
    pub(super) fn check(&self) -> Result<(), LatentError> {
        let Self {
            channels,
            height,
            width,
            ..
        } = *self;
        let refuse = |reason: String| Err(LatentError::Header { reason });
        if !is_size(&[2, channels, height, width]) {
            return refuse(format!("latents of {channels} x {height} x {width}"));
        }
        if let Some([tokens, width]) = self.context_shape
            && !is_size(&[tokens, width])
        {
            return refuse(format!("contexts of {tokens} x {width}"));
        }
        if let Some(classes) = self.classes
            && !is_size(&[classes])
        {
            return refuse(format!("{classes} classes"));
        }
        if self.classes.is_some() && self.context_shape.is_some() {
            return refuse("classes and contexts, of which a network takes one".to_owned());
        }
        if self.text_encoder_sha256.is_some() != self.context_shape.is_some() {
            return refuse("contexts or a text encoder, but not both".to_owned());
        }
        if self.source_images == 0 {
            return refuse("a data set of no images".to_owned());
        }
        Ok(())
    }

    /// The first part that differs from another header's: its name, its value here and there.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let [here, there] = [self, other].map(|header| serde_json::json!(header));
        let parts = here.as_object()?;
        let part = parts.iter().find(|(name, value)| there[*name] != **value)?;
        let (name, value) = part;
        Some((name.clone(), value.to_string(), there[name].to_string()))
    }
}

/// Whether the product of all lengths is between 1 and the most.
fn is_size(lengths: &[usize]) -> bool {
    let product = lengths
        .iter()
        .try_fold(1, |product: usize, &length| product.checked_mul(length));
    product.is_some_and(|product| (1..=MOST_VALUES).contains(&product))
}
