//! The timesteps that a solver asks the network about.

use std::ops::ControlFlow;

use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser, ModelError, NoisyBatch, Prediction};
use adadiff_sampler::{NoiseSource, SampleRequest};
use burn::tensor::backend::Backend;

use crate::{Pipeline, PipelineError};

/// Predicts that there is no noise, at no cost: it is there to be asked.
struct Asked;

impl<B: Backend> Denoiser<B> for Asked {
    fn predict_batch(&self, batch: NoisyBatch<B>) -> Result<Prediction<B>, ModelError> {
        Ok(Prediction::new(batch.noisy.zeros_like(), 0))
    }

    fn blocks_per_prediction(&self) -> u32 {
        0
    }
}

impl<B: Kernels> Pipeline<B> {
    /// The timesteps of the configuration's solver in so many steps, in the order in which it asks about
    /// them and in the units that the network is given.
    ///
    /// # Errors
    /// Where the solver does not take so many steps.
    pub fn timesteps(&self, steps: usize) -> Result<Vec<f64>, PipelineError> {
        let request = SampleRequest {
            shape: [1, 1, 1],
            noise: NoiseSource::seeded(0),
            first_sample: 0,
            count: 1,
            batch: 1,
            condition: Condition::None,
            device: self.device().clone(),
        };
        let asked = self
            .sampler(steps)?
            .sample(&Asked, &request, &mut |_| ControlFlow::Continue(()))?;
        let steps = asked.trace.steps.iter();
        Ok(steps.map(|step| step.timestep).collect())
    }
}
