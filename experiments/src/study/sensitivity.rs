//! How much an error of a noise prediction moves the final images.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{ErrorTrace, FullDepth};
use anyhow::Result;
use indicatif::ProgressBar;

use super::parts::{mean_error, parts, shallow_in};
use super::{Draw, Study};

/// Parts of a path in which blocks are skipped to see what that does to the samples.
const PARTS: usize = 20;

/// Samples that this is seen on.
const SAMPLES: usize = 32;

/// Samples that are drawn to see it in so many steps.
pub(super) fn samples(steps: usize) -> usize {
    (1 + parts(steps, PARTS).count()) * SAMPLES
}

impl<B: Kernels> Study<'_, B> {
    /// By how much a squared error of the noise prediction in each evaluation counts in the final
    /// samples: measured by leaving half way in one part of the path after the other.
    ///
    /// An error near noise is put right by the evaluations that follow, and one near the image hardly
    /// moves it any more; how much depends on solver, schedule and network.
    pub(super) fn sensitivities(
        &self,
        trace: &ErrorTrace,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Vec<f64>> {
        let draw = draw.part(0, SAMPLES);
        let (blocks, evaluations) = (self.blocks(), trace.steps.len());
        let half = blocks.div_ceil(2);
        let full = self.draw(FullDepth, &draw, bar)?.pixels;
        let mut weights = Vec::with_capacity(evaluations);
        for part in parts(evaluations, PARTS) {
            let schedule = shallow_in(trace, &part, half, blocks);
            let moved = self.draw(schedule, &draw, bar)?.pixels;
            let steps = &trace.steps[part.clone()];
            let caused: f64 = steps.iter().map(|step| mean_error(step, half)).sum();
            let weight = mean_square(&full, &moved) / caused.max(f64::MIN_POSITIVE);
            weights.extend(part.map(|_| weight));
        }
        Ok(weights)
    }
}

fn mean_square(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}
