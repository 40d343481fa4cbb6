//! What a solver has at hand while it takes a batch through time.

use std::collections::VecDeque;

use adadiff_model::{Condition, Denoiser, Prediction};
use adadiff_uem::{ExitTrace, TraceStep};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::noise::BatchOfNoise;
use crate::{NoiseSchedule, NoiseSource, SampleError};

/// The longest memory of a published multistep solver: order 3, with a corrector.
const MEMORY: usize = 3;

/// A prediction that a multistep solver remembers from an earlier update.
#[derive(Clone, Debug)]
pub struct PastPrediction<B: Backend> {
    /// The time that it belongs to.
    pub time: f64,
    /// The prediction `[batch, channels, height, width]`.
    pub tensor: Tensor<B, 4>,
}

/// What the network was asked once in a step, and what it answered.
#[derive(Clone, Debug)]
pub struct NetworkEvaluation<B: Backend> {
    /// The time.
    pub time: f64,
    /// The time as the network was told it.
    pub timestep: f64,
    /// What it was given `[batch, channels, height, width]`.
    pub noisy: Tensor<B, 4>,
    /// What it answered.
    pub prediction: Prediction<B>,
}

impl<B: Backend> NetworkEvaluation<B> {
    /// The image that the network sees `[batch, channels, height, width]`, not clamped.
    pub fn predicted_image(&self, schedule: &dyn NoiseSchedule) -> Tensor<B, 4> {
        predicted_image(
            schedule,
            self.time,
            &self.noisy,
            self.prediction.noise.clone(),
        )
    }
}

/// The image in `noisy` at a time where this is its noise, `x_0 = (x - sigma eps) / alpha`; all
/// `[batch, channels, height, width]`.
pub fn predicted_image<B: Backend>(
    schedule: &dyn NoiseSchedule,
    time: f64,
    noisy: &Tensor<B, 4>,
    noise: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let (alpha, sigma) = (schedule.alpha(time), schedule.sigma(time));
    noisy.clone() * (1.0 / alpha) - noise * (sigma / alpha)
}

/// One batch on its way through time: the network, the schedule, the noise, and a memory.
pub struct SolverContext<'a, B: Backend> {
    pub(crate) schedule: &'a dyn NoiseSchedule,
    pub(crate) denoiser: &'a dyn Denoiser<B>,
    pub(crate) condition: Condition<B>,
    pub(crate) evaluations: usize,
    pub(crate) source: &'a NoiseSource<B>,
    pub(crate) noise: BatchOfNoise<'a, B>,
    pub(crate) update: usize,
    pub(crate) memory: VecDeque<PastPrediction<B>>,
    pub(crate) kept: Option<Tensor<B, 4>>,
    /// Of the current step.
    pub(crate) evaluations_made: Vec<NetworkEvaluation<B>>,
    pub(crate) trace: ExitTrace,
}

impl<'a, B: Backend> SolverContext<'a, B> {
    /// The noise schedule.
    pub fn schedule(&self) -> &'a dyn NoiseSchedule {
        self.schedule
    }

    /// The network evaluations that the whole walk may take.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// Asks the network for the noise in `noisy` at a time; any number of times in a step.
    ///
    /// # Shapes
    /// - `noisy`, output: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// Where the network refuses its input.
    pub fn predict_noise(
        &mut self,
        noisy: &Tensor<B, 4>,
        time: f64,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let timestep = self.schedule.network_timestep(time);
        let prediction = self
            .denoiser
            .predict(noisy.clone(), timestep, &self.condition)?;
        let noise = prediction.noise.clone();
        self.trace.steps.push(TraceStep {
            timestep,
            blocks: prediction.blocks.clone(),
            uncertainty: prediction.exit_signal.clone(),
        });
        self.evaluations_made.push(NetworkEvaluation {
            time,
            timestep,
            noisy: noisy.clone(),
            prediction,
        });
        Ok(noise)
    }

    /// The image that the network sees in `noisy` at a time, `x_0 = (x - sigma eps) / alpha`, clamped
    /// to `[-bound, bound]` where there is a bound (static thresholding, Saharia et al. 2022, section
    /// 2.3).
    ///
    /// # Shapes
    /// - `noisy`, output: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// Where the network refuses its input.
    pub fn predict_data(
        &mut self,
        noisy: &Tensor<B, 4>,
        time: f64,
        bound: Option<f64>,
    ) -> Result<Tensor<B, 4>, SampleError> {
        let noise = self.predict_noise(noisy, time)?;
        let data = predicted_image(self.schedule, time, noisy, noise);
        Ok(match bound {
            Some(bound) => data.clamp(-bound, bound),
            None => data,
        })
    }

    /// Standard normal noise for this update `[batch, channels, height, width]`; the same at every
    /// call in an update.
    ///
    /// # Errors
    /// Where the caller gave the noise, but none for this update.
    pub fn normal(&self) -> Result<Tensor<B, 4>, SampleError> {
        self.source.update(self.update, &self.noise)
    }

    /// `mean` with this update's noise in a standard deviation; where that is 0, no noise is needed.
    ///
    /// # Errors
    /// As [`normal`](Self::normal).
    pub fn add_noise(
        &self,
        mean: Tensor<B, 4>,
        deviation: f64,
    ) -> Result<Tensor<B, 4>, SampleError> {
        Ok(if deviation > 0.0 {
            mean + self.normal()? * deviation
        } else {
            mean
        })
    }

    /// Remembers a prediction for later updates; of those remembered, the last three are at hand.
    pub fn remember(&mut self, time: f64, tensor: Tensor<B, 4>) {
        self.memory.truncate(MEMORY - 1);
        self.memory.push_front(PastPrediction { time, tensor });
    }

    /// What was remembered `back` calls of [`remember`](Self::remember) ago, 0 being the latest.
    pub fn recall(&self, back: usize) -> Option<&PastPrediction<B>> {
        self.memory.get(back)
    }

    /// Keeps a state for a corrector in the next update, in the place of the one kept before.
    pub fn keep_state(&mut self, state: Tensor<B, 4>) {
        self.kept = Some(state);
    }

    /// The state that was kept last.
    pub fn kept_state(&self) -> Option<&Tensor<B, 4>> {
        self.kept.as_ref()
    }
}
