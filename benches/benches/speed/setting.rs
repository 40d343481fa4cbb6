//! The network and the inputs that are measured.

use adadiff_experiments::Preset;
use adadiff_model::Condition;
use adadiff_model::kernels::Kernels;
use adadiff_uem::AdaDiff;
use anyhow::Result;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Images of a sampling batch.
pub const BATCH: usize = 64;

/// The preset's network with its initial weights, and inputs for it.
pub struct Setting<B: Backend> {
    pub model: AdaDiff<B>,
    pub noisy: Tensor<B, 4>,
    pub condition: Condition<B>,
}

impl<B: Kernels> Setting<B> {
    pub fn new(batch: usize, device: &B::Device) -> Result<Self> {
        let config = Preset::fashion_mnist()?.model;
        let backbone = &config.backbone;
        let shape = [
            batch,
            backbone.channels,
            backbone.image_size,
            backbone.image_size,
        ];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let pixels: Vec<f32> = (0..shape.iter().product())
            .map(|_| random.sample(StandardNormal))
            .collect();
        let condition = match backbone.classes {
            Some(classes) => {
                let labels: Vec<i64> = (0..batch).map(|sample| (sample % classes) as i64).collect();
                Condition::Class(Tensor::from_data(TensorData::new(labels, [batch]), device))
            }
            None => Condition::None,
        };
        Ok(Self {
            model: config.init(0, device)?,
            noisy: Tensor::from_data(TensorData::new(pixels, shape), device),
            condition,
        })
    }
}

/// Waits until the device has done what it was told; errors show themselves in the next result.
pub fn wait<B: Backend>(device: &B::Device) {
    let _ = B::sync(device);
}
