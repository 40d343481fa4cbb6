//! A whole walk from noise to images.

use std::hint::black_box;
use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, UVit, UVitConfig};
use adadiff_sampler::{
    DpmSolverPlusPlus, NoiseSource, NoiseStream, SampleRequest, Sampler, VpLinear,
};
use anyhow::Result;
use burn::tensor::Tensor;

use crate::arrays::Folder;
use crate::work::{Outputs, Work};

const SEED: u64 = 0;

/// A network and what it is to sample.
pub struct Sampling<B: Kernels> {
    model: UVit<B>,
    sampler: Sampler<B>,
    request: SampleRequest<B>,
}

impl<B: Kernels> Sampling<B> {
    pub fn load(
        config: &UVitConfig,
        batch: usize,
        steps: usize,
        folder: &Folder,
        device: &B::Device,
    ) -> Result<Self> {
        Ok(Self {
            model: config.import(&folder.weights()?, device)?,
            sampler: Sampler {
                schedule: Box::new(VpLinear::default()),
                solver: Box::new(DpmSolverPlusPlus::default()),
                steps,
            },
            request: SampleRequest {
                shape: config.image_shape(),
                noise: NoiseSource::seeded(SEED),
                first_sample: 0,
                count: batch,
                batch,
                condition: Condition::None,
                device: device.clone(),
            },
        })
    }

    fn images(&self) -> Result<Tensor<B, 4>> {
        let samples = self.sampler.sample(&self.model, &self.request, &mut |_| {
            ControlFlow::Continue(())
        })?;
        Ok(samples.images)
    }
}

impl<B: Kernels> Work for Sampling<B> {
    fn run(&mut self) -> Result<()> {
        black_box(self.images()?);
        Ok(B::sync(&self.request.device)?)
    }

    fn outputs(&mut self) -> Result<Outputs> {
        let request = &self.request;
        let start = NoiseStream::new(SEED).batch::<B>(
            request.first_sample,
            request.count,
            NoiseStream::INITIAL,
            request.shape,
            &request.device,
        );
        Ok(vec![
            ("start", start.into_data()),
            ("images", self.images()?.into_data()),
        ])
    }
}
