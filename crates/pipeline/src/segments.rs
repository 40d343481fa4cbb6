//! Leaving early in one segment of a sampling path alone, to see what that does to the samples.

use std::ops::Range;

use adadiff_uem::{DepthSchedule, ErrorStep, ErrorTrace, ScheduledDepth};

/// The segments of a path of so many evaluations: `most` at most, of equal lengths but for the last.
pub(crate) fn segments(evaluations: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let length = evaluations.div_ceil(most).max(1);
    let starts = (0..evaluations).step_by(length);
    starts.map(move |start| start..evaluations.min(start + length))
}

/// Leaves after `depth` of `blocks` blocks in a segment of a recorded path, and nowhere else.
pub(crate) fn shallow_in(
    trace: &ErrorTrace,
    segment: &Range<usize>,
    depth: usize,
    blocks: usize,
) -> DepthSchedule {
    let evaluations = trace.steps.iter().enumerate();
    let depths = evaluations.map(|(index, step)| ScheduledDepth {
        timestep: step.timestep,
        blocks: if segment.contains(&index) {
            depth
        } else {
            blocks
        },
    });
    DepthSchedule::new(depths.collect())
}

/// The mean error of samples that leave after `depth` blocks.
pub(crate) fn mean_error(step: &ErrorStep, depth: usize) -> f64 {
    let errors = step
        .errors
        .iter()
        .map(|errors| f64::from(errors[depth - 1]));
    errors.sum::<f64>() / step.errors.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_all_evaluations() {
        let of = |evaluations, most| segments(evaluations, most).collect::<Vec<_>>();
        assert_eq!(of(3, 20), [0..1, 1..2, 2..3]);
        assert_eq!(of(5, 2), [0..3, 3..5]);
        assert!(of(0, 2).is_empty());
    }
}
