//! What is measured, as the driver's `cases.py` describes it.

use adadiff_backends::Precision;
use adadiff_model::UVitConfig;
use adadiff_train::ComputeType;
use serde::Deserialize;

/// A case; keys that only the driver or the peer reads are ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Case {
    NoisePrediction {
        network: UVitConfig,
        #[serde(default)]
        precision: Precision,
    },
    /// Forward, backward and AdamW.
    TrainingStep {
        network: UVitConfig,
        /// What matrices are multiplied in; weights stay in single precision.
        #[serde(default, rename = "precision")]
        compute: ComputeType,
        /// AdamW's settings.
        #[serde(flatten)]
        optimizer: OptimizerSettings,
    },
    /// A walk of DPM-Solver++(2M).
    Sampling {
        network: UVitConfig,
        batch: usize,
        steps: usize,
    },
    /// One noise prediction whose samples leave early.
    EarlyExit {
        /// The backbone; the estimators are of the published form.
        network: UVitConfig,
    },
    /// FID's features of images.
    FidFeatures,
    /// Latents to images by Stable Diffusion's autoencoder.
    Decoding,
    /// The Fréchet distance of two normal distributions.
    FrechetDistance,
    /// Multiply-adds on registers alone.
    MultiplyAdds { precision: Precision },
    /// The product of two square matrices.
    MatrixProduct {
        #[serde(default)]
        precision: Precision,
    },
}

/// AdamW with PyTorch's meaning.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct OptimizerSettings {
    pub learning_rate: f64,
    /// Decay of the moments.
    pub betas: [f32; 2],
    /// Added to the second moment's root.
    pub epsilon: f32,
    pub weight_decay: f32,
}
