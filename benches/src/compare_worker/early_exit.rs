//! One noise prediction whose samples leave where their estimators are sure enough.

use std::hint::black_box;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, Prediction, UVitConfig};
use adadiff_uem::{AdaDiff, AdaDiffConfig, AdaptiveUVit, EstimatorForm, Threshold};
use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData};

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// A network with estimators, a batch, and the paper's exit rule.
pub struct EarlyExit<B: Kernels> {
    model: AdaDiff<B>,
    noisy: Tensor<B, 4>,
    timestep: f64,
    rule: Threshold,
    device: B::Device,
}

impl<B: Kernels> EarlyExit<B> {
    pub fn load(backbone: &UVitConfig, folder: &Folder, device: &B::Device) -> Result<Self> {
        let config = AdaDiffConfig {
            estimator: EstimatorForm::Tokens,
            ..AdaDiffConfig::new(backbone.clone())
        };
        let inputs = folder.inputs()?;
        let first = |name| -> Result<f32> {
            let values: Vec<f32> = inputs.values(name)?;
            let first = values.first().copied();
            first.with_context(|| format!("the input {name} is empty"))
        };
        Ok(Self {
            model: config.import(&folder.weights()?, device)?,
            noisy: inputs.tensor("noisy", device)?,
            timestep: f64::from(first("timesteps")?),
            rule: Threshold {
                uncertainty: 1.0 - first("sample_certainty")?,
            },
            device: device.clone(),
        })
    }

    fn predict(&self) -> Result<Prediction<B>> {
        let adaptive = AdaptiveUVit::new(&self.model, self.rule);
        Ok(adaptive.predict(self.noisy.clone(), self.timestep, &Condition::None)?)
    }
}

impl<B: Kernels> Work for EarlyExit<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.predict()?);
        Ok(B::sync(&self.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        let prediction = self.predict()?;
        let blocks: Vec<f32> = prediction.blocks.iter().map(|&run| run as f32).collect();
        let batch = blocks.len();
        Ok(vec![
            ("noise", prediction.noise.into_data()),
            ("blocks", TensorData::new(blocks, [batch])),
        ])
    }
}
