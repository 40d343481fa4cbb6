//! The Fréchet distance, which needs no device.

use std::hint::black_box;

use adadiff_metrics::{Gaussian, frechet_distance};
use anyhow::Result;
use burn::tensor::TensorData;

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

/// Two normal distributions.
pub struct FrechetDistance {
    a: Gaussian,
    b: Gaussian,
}

impl FrechetDistance {
    pub fn load(folder: &Folder) -> Result<Self> {
        let inputs = folder.inputs()?;
        Ok(Self {
            a: Gaussian::new(inputs.values("mean_a")?, inputs.values("covariance_a")?)?,
            b: Gaussian::new(inputs.values("mean_b")?, inputs.values("covariance_b")?)?,
        })
    }
}

impl Work for FrechetDistance {
    fn run(&mut self) -> Result<()> {
        black_box(frechet_distance(&self.a, &self.b)?);
        Ok(())
    }

    fn outputs(&mut self) -> Result<Outputs> {
        let distance = frechet_distance(&self.a, &self.b)?;
        Ok(vec![("distance", TensorData::new(vec![distance], [1]))])
    }
}
