//! One noise prediction.

use std::hint::black_box;

use adadiff_backends::Precision;
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, UVit, UVitConfig};
use anyhow::Result;
use burn::tensor::Tensor;

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// A network and a batch for it.
pub struct NoisePrediction<B: Kernels> {
    model: UVit<B>,
    noisy: Tensor<B, 4>,
    timesteps: Vec<f32>,
    flops: f64,
    device: B::Device,
}

impl<B: Kernels> NoisePrediction<B> {
    pub fn load(
        config: &UVitConfig,
        precision: Precision,
        folder: &Folder,
        device: &B::Device,
    ) -> Result<Self> {
        let inputs = folder.inputs()?;
        let timesteps: Vec<f32> = inputs.values("timesteps")?;
        Ok(Self {
            model: precision.cast(config.import(&folder.weights()?, device)?, device)?,
            noisy: inputs.tensor("noisy", device)?,
            flops: timesteps.len() as f64 * config.flops().total(),
            timesteps,
            device: device.clone(),
        })
    }

    fn predict(&self) -> Result<Tensor<B, 4>> {
        let condition = Condition::None;
        Ok(self
            .model
            .forward(self.noisy.clone(), &self.timesteps, &condition)?)
    }
}

impl<B: Kernels> Work for NoisePrediction<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.predict()?);
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        Ok(vec![("noise", self.predict()?.into_data())])
    }

    fn flops(&self) -> Option<f64> {
        Some(self.flops)
    }
}
