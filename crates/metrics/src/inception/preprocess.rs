//! What published tools do to images before the network.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use serde::{Deserialize, Serialize};

use super::resampling::{pillow_bicubic, resize, tensorflow_bilinear};

/// Side of the images that the network was trained on.
const SIDE: usize = 299;

/// How images are brought to the network's size and range. Each way gives other figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocessing {
    /// pytorch-fid's: bilinear between the centres of pixels (`align_corners=False`) without a
    /// filter against aliasing, then 2x - 1 of pixels in `[0, 1]`.
    #[default]
    PytorchFid,
    /// clean-fid's (Parmar et al. 2022, arXiv 2104.11222): Pillow's bicubic filter, which does not
    /// alias, on each channel, not rounded; then (x - 128) / 128.
    Clean,
    /// That of the first publication and of torch-fidelity: TensorFlow 1's bilinear filter, then
    /// (x - 128) / 128.
    Tf,
}

impl Preprocessing {
    /// Its name in records and beside statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PytorchFid => "pytorch-fid",
            Self::Clean => "clean",
            Self::Tf => "tf",
        }
    }

    /// Brings images to what [`Inception::forward_prepared`](super::Inception::forward_prepared)
    /// takes.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` in `[0, 255]` to `[batch, 3, 299, 299]` in `[-1, 1]`.
    ///
    /// # Panics
    /// Where there are no pixels.
    pub fn prepare<B: Backend>(self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::PytorchFid => {
                let options =
                    InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
                interpolate(images / 255.0, [SIDE, SIDE], options) * 2.0 - 1.0
            }
            // A cubic filter overshoots at edges.
            Self::Clean => centred(resize(images, SIDE, pillow_bicubic).clamp(0.0, 255.0)),
            Self::Tf => centred(resize(images, SIDE, tensorflow_bilinear)),
        }
    }
}

fn centred<B: Backend>(images: Tensor<B, 4>) -> Tensor<B, 4> {
    (images - 128.0) / 128.0
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
