//! What a solver has at hand while it takes a batch through time.

use std::collections::VecDeque;

use adadiff_model::{Condition, Denoiser, Prediction};
use adadiff_uem::{ExitTrace, TraceStep};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::{NoiseSchedule, NoiseStream, SampleError};

/// The longest memory of a published multistep solver: order 3, with a corrector.
const MEMORY: usize = 3;

/// Something that a multistep solver remembered in an earlier step.
#[derive(Clone, Debug)]
pub struct Past<B: Backend> {
    /// The time that it belongs to.
    pub time: f64,
    /// A prediction or a state `[batch, channels, height, width]`.
    pub tensor: Tensor<B, 4>,
}

/// One batch on its way through time: the network, the schedule, the noise, and a memory.
pub struct Walk<'a, B: Backend> {
    schedule: &'a dyn NoiseSchedule,
    denoiser: &'a dyn Denoiser<B>,
    condition: Condition<B>,
    noise: NoiseStream,
    first_sample: u64,
    step: u32,
    memory: VecDeque<Past<B>>,
    last: Option<Prediction<B>>,
    trace: ExitTrace,
}

impl<'a, B: Backend> Walk<'a, B> {
    pub(crate) fn new(
        schedule: &'a dyn NoiseSchedule,
        denoiser: &'a dyn Denoiser<B>,
        condition: Condition<B>,
        noise: NoiseStream,
        first_sample: u64,
    ) -> Self {
        Self {
            schedule,
            denoiser,
            condition,
            noise,
            first_sample,
            step: NoiseStream::INITIAL,
            memory: VecDeque::with_capacity(MEMORY),
            last: None,
            trace: ExitTrace::new(denoiser.blocks_per_prediction()),
        }
    }

    /// The noise schedule.
    pub fn schedule(&self) -> &'a dyn NoiseSchedule {
        self.schedule
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
            uncertainty: prediction.uncertainty.clone(),
        });
        self.last = Some(prediction);
        Ok(noise)
    }

    /// Standard normal noise for this step, of the shape of `like`; the same at every call in a step.
    pub fn normal(&self, like: &Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = like.dims();
        self.noise.batch(
            self.first_sample,
            batch,
            self.step,
            [channels, height, width],
            &like.device(),
        )
    }

    /// Keeps a tensor for later steps; of those kept, the last three are at hand.
    pub fn remember(&mut self, time: f64, tensor: Tensor<B, 4>) {
        self.memory.truncate(MEMORY - 1);
        self.memory.push_front(Past { time, tensor });
    }

    /// What was remembered `back` calls of [`remember`](Self::remember) ago, 0 being the latest.
    pub fn recall(&self, back: usize) -> Option<&Past<B>> {
        self.memory.get(back)
    }

    pub(crate) fn begin_step(&mut self) {
        self.step += 1;
    }

    pub(crate) fn last_prediction(&self) -> Option<&Prediction<B>> {
        self.last.as_ref()
    }

    pub(crate) fn into_trace(self) -> ExitTrace {
        self.trace
    }
}
