//! The one loop over batches and time.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use adadiff_model::{Denoiser, Prediction};
use adadiff_uem::ExitTrace;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::noise::BatchOfNoise;
use crate::{
    NetworkEvaluation, NoiseSchedule, SampleError, SampleRequest, Solver, SolverContext, Step,
};

/// A schedule, a solver and a number of evaluations: all that turns a denoiser into images.
#[derive(Debug)]
pub struct Sampler<B: Backend> {
    /// The noise schedule that the denoiser was trained with.
    pub schedule: Box<dyn NoiseSchedule>,
    /// The update rule.
    pub solver: Box<dyn Solver<B>>,
    /// Network evaluations for each sample, at least 1. Most solvers make one in each update; those
    /// that make several take fewer updates.
    pub steps: usize,
}

/// What an observer sees after a step.
#[derive(Debug)]
pub struct Progress<'a, B: Backend> {
    /// The batch's samples, counted from 0 within the request.
    pub samples: Range<usize>,
    /// Number of samples in the request.
    pub count: usize,
    /// The step that was taken.
    pub step: Step,
    /// The batch after the step `[batch, channels, height, width]`.
    pub state: &'a Tensor<B, 4>,
    /// The network's evaluations in the step, in their order.
    pub evaluations: &'a [NetworkEvaluation<B>],
}

impl<B: Backend> Progress<'_, B> {
    /// The last prediction in the step.
    pub fn prediction(&self) -> Option<&Prediction<B>> {
        Some(&self.evaluations.last()?.prediction)
    }

    /// Samples that have gone through every step.
    pub fn finished(&self) -> usize {
        if self.step.is_last() {
            self.samples.end
        } else {
            self.samples.start
        }
    }
}

/// Samples and how they came about.
#[derive(Clone, Debug)]
pub struct SamplerOutput<B: Backend> {
    /// The images `[count, channels, height, width]` as the solver left them, not clamped.
    pub images: Tensor<B, 4>,
    /// Blocks run and uncertainties, evaluation by evaluation, for all samples.
    pub trace: ExitTrace,
    /// Network evaluations for each sample; guidance, with its two branches, counts as one.
    pub evaluations: usize,
}

impl<B: Backend> Sampler<B> {
    /// Draws the requested samples in batches of consecutive indices.
    ///
    /// `observer` is called after each step; where it breaks, sampling stops.
    ///
    /// # Errors
    /// Where the request or the solver's settings are out of range, the network refuses its input, or
    /// the observer cancelled.
    pub fn sample(
        &self,
        denoiser: &dyn Denoiser<B>,
        request: &SampleRequest<B>,
        observer: &mut dyn FnMut(&Progress<'_, B>) -> ControlFlow<()>,
    ) -> Result<SamplerOutput<B>, SampleError> {
        request.check()?;
        let times = self.solver.times(self.schedule.as_ref(), self.steps)?;

        let mut images = Vec::with_capacity(request.count.div_ceil(request.batch));
        let mut trace = ExitTrace::new(denoiser.blocks_per_prediction());
        for start in (0..request.count).step_by(request.batch) {
            let samples = start..request.count.min(start.saturating_add(request.batch));
            let (batch, exits) = self.batch(denoiser, request, samples, &times, observer)?;
            images.push(batch);
            trace.append_samples(exits);
        }
        let evaluations = trace.steps.len();
        Ok(SamplerOutput {
            images: Tensor::cat(images, 0),
            trace,
            evaluations,
        })
    }

    /// Takes one batch through all times.
    fn batch(
        &self,
        denoiser: &dyn Denoiser<B>,
        request: &SampleRequest<B>,
        samples: Range<usize>,
        times: &[f64],
        observer: &mut dyn FnMut(&Progress<'_, B>) -> ControlFlow<()>,
    ) -> Result<(Tensor<B, 4>, ExitTrace), SampleError> {
        let rows = samples.start as i64..samples.end as i64;
        let condition = request
            .condition
            .select(Tensor::<B, 1, Int>::arange(rows, &request.device));
        let noise = BatchOfNoise {
            samples: samples.clone(),
            first_sample: request.first_sample,
            shape: request.shape,
            device: &request.device,
        };
        denoiser.begin();
        let mut state = request.noise.initial(&noise);
        let mut context = SolverContext {
            schedule: self.schedule.as_ref(),
            denoiser,
            condition,
            evaluations: self.steps,
            source: &request.noise,
            noise,
            update: 0,
            memory: VecDeque::new(),
            kept: None,
            evaluations_made: Vec::new(),
            trace: ExitTrace::new(denoiser.blocks_per_prediction()),
        };

        let count = times.len() - 1;
        for (index, pair) in times.windows(2).enumerate() {
            let step = Step {
                index,
                count,
                from: pair[0],
                to: pair[1],
            };
            context.update = index;
            context.evaluations_made.clear();
            state = self.solver.update(state, step, &mut context)?;
            let progress = Progress {
                samples: samples.clone(),
                count: request.count,
                step,
                state: &state,
                evaluations: &context.evaluations_made,
            };
            if observer(&progress).is_break() {
                return Err(SampleError::Cancelled {
                    finished: progress.finished(),
                });
            }
        }
        Ok((state, context.trace))
    }
}

#[cfg(test)]
mod tests;
