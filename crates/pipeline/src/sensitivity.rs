//! How much an error of a noise prediction moves the final images.

use adadiff_model::kernels::Kernels;

use adadiff_uem::{ErrorTrace, FullDepth};

use crate::segments::{mean_error, segments, shallow_in};
use crate::{Monitor, Pipeline, PipelineError, SamplePlan};

/// Segments of a path in which blocks are skipped to see what that does to the samples.
const SEGMENTS: usize = 20;

/// Samples that this is seen on.
const SAMPLES: usize = 32;

/// Samples that are drawn to see it in so many steps.
pub(crate) fn samples(steps: usize) -> usize {
    (1 + segments(steps, SEGMENTS).count()) * SAMPLES
}

impl<B: Kernels> Pipeline<B> {
    /// By how much a squared error of the noise prediction in each evaluation counts in the final
    /// samples: measured by leaving half way in one segment of the path after the other.
    ///
    /// An error near noise is put right by the evaluations that follow, and one near the image hardly
    /// moves it any more; how much depends on solver, schedule and network.
    pub(crate) fn sensitivities(
        &self,
        trace: &ErrorTrace,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Vec<f64>, PipelineError> {
        let plan = plan.part(0, SAMPLES);
        let (blocks, evaluations) = (self.blocks(), trace.steps.len());
        let half = blocks.div_ceil(2);
        let full = self.generate(FullDepth, &plan, monitor)?.pixels;
        let mut weights = Vec::with_capacity(evaluations);
        for segment in segments(evaluations, SEGMENTS) {
            let schedule = shallow_in(trace, &segment, half, blocks);
            let moved = self.generate(schedule, &plan, monitor)?.pixels;
            let steps = &trace.steps[segment.clone()];
            let caused: f64 = steps.iter().map(|step| mean_error(step, half)).sum();
            let weight = mean_square(&full, &moved) / caused.max(f64::MIN_POSITIVE);
            weights.extend(segment.map(|_| weight));
        }
        Ok(weights)
    }
}

fn mean_square(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}
