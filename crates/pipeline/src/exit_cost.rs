//! How much farther from the data set's images samples are where blocks are skipped.

use adadiff_model::kernels::Kernels;
use adadiff_sampler::SolverConfig;
use adadiff_uem::{ErrorStep, ErrorTrace, ExitPolicy, FullDepth};

use crate::segments::{mean_error, segments, shallow_in};
use crate::{Conditions, Evaluator, Monitor, Pipeline, PipelineError, SamplePlan, SampleStats};

/// Segments of a path in which blocks are skipped: each is tried at several depths.
pub(crate) const SEGMENTS: usize = 10;

/// The fewest samples of a distance. All distances are of the same noise, so that their differences
/// need few.
const SAMPLES: usize = 128;

/// A depth is tried where its error is smaller by this factor than that of the last one that was: the
/// blocks between them do nothing for the sample.
const FALL: f64 = 0.9;

/// What leaving at each evaluation and depth adds to the Fréchet distance.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExitCost {
    /// For each evaluation, for each number of blocks.
    evaluations: Vec<Vec<DepthCost>>,
}

/// Leaving at an evaluation and depth, or at the nearest smaller depth that was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct DepthCost {
    /// What it adds to the distance; negative where the samples come closer to the data.
    distance: f64,
    /// The mean error of the noise prediction there.
    error: f64,
}

impl ExitCost {
    /// A record whose errors are what each sample's leaving adds to the distance: in proportion to its
    /// own error, so that samples whose prediction is right may leave first. A gain is everybody's.
    pub(crate) fn priced(&self, trace: &ErrorTrace) -> ErrorTrace {
        let steps = trace.steps.iter().zip(&self.evaluations);
        let priced = steps.map(|(step, costs)| ErrorStep {
            timestep: step.timestep,
            errors: step
                .errors
                .iter()
                .map(|errors| {
                    let errors = errors.iter().zip(costs);
                    errors.map(|(&error, cost)| cost.price(error)).collect()
                })
                .collect(),
            uncertainty: step.uncertainty.clone(),
        });
        ErrorTrace {
            steps: priced.collect(),
        }
    }
}

impl DepthCost {
    fn price(&self, error: f32) -> f32 {
        let share = if self.distance > 0.0 && self.error > 0.0 {
            f64::from(error) / self.error
        } else {
            1.0
        };
        (self.distance * share) as f32
    }
}

/// What exit costs depend on beside the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExitCostKey {
    solver: SolverConfig,
    steps: usize,
    seed: u64,
    guidance: f64,
}

impl ExitCostKey {
    pub(crate) fn new<B: Kernels>(pipeline: &Pipeline<B>, plan: &SamplePlan) -> Self {
        Self {
            solver: pipeline.config.sampling.solver,
            steps: plan.steps,
            seed: plan.seed,
            guidance: plan.guidance,
        }
    }
}

impl ExitCost {
    /// What leaving at each evaluation and depth adds to the distance of the samples from the
    /// reference, measured by leaving there alone.
    ///
    /// # Errors
    /// Where there are few prompts, the monitor stops it or the device fails.
    pub(crate) fn measure<B: Kernels>(
        pipeline: &Pipeline<B>,
        evaluator: &Evaluator<B>,
        trace: &ErrorTrace,
        plan: &SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Self, PipelineError> {
        let samples = samples_of_distance(evaluator.dims());
        ensure_prompts(plan, samples)?;
        monitor.stage("measuring what leaving early does to the distance");
        let plan = SamplePlan {
            samples,
            ..plan.clone()
        };
        let (blocks, evaluations) = (pipeline.blocks(), trace.steps.len());
        let tried: Vec<_> = segments(evaluations, SEGMENTS)
            .map(|segment| (depths(&trace.steps[segment.clone()], blocks), segment))
            .collect();
        let draws = 1 + tried.iter().map(|(depths, _)| depths.len()).sum::<usize>();
        monitor.expect((draws * samples * plan.steps) as u64);
        let distance = |policy: &dyn ExitPolicy| {
            let stats = SampleStats::generate(pipeline, evaluator, policy, &plan, monitor)?;
            evaluator.frechet_distance(&stats.statistics)
        };

        let full = distance(&FullDepth)?;
        let mut cost = Self::default();
        for (depths, segment) in tried {
            let steps = &trace.steps[segment.clone()];
            let mut found = vec![vec![DepthCost::default(); blocks]; segment.len()];
            for (place, &depth) in depths.iter().enumerate() {
                let added = distance(&shallow_in(trace, &segment, depth, blocks))? - full;
                let until = depths.get(place + 1).copied().unwrap_or(blocks);
                let errors: Vec<f64> = steps.iter().map(|step| mean_error(step, depth)).collect();
                for ((costs, share), error) in found.iter_mut().zip(shares(&errors)).zip(&errors) {
                    costs[depth - 1..until - 1].fill(DepthCost {
                        distance: added * share,
                        error: *error,
                    });
                }
            }
            cost.evaluations.extend(found);
        }
        Ok(cost)
    }
}

/// The samples of a distance over so many features.
pub(crate) fn samples_of_distance(dims: usize) -> usize {
    SAMPLES.max(dims + dims / 8)
}

/// Refuses prompts that are too few to stand for a data set.
fn ensure_prompts(plan: &SamplePlan, samples: usize) -> Result<(), PipelineError> {
    match &plan.conditions {
        Conditions::Texts(contexts) if contexts.len() < samples => {
            let prompts = contexts.len();
            Err(PipelineError::TooFewPrompts { samples, prompts })
        }
        _ => Ok(()),
    }
}

/// [`ensure_prompts`] before it is known how many samples a distance needs.
///
/// # Errors
/// Where there are fewer prompts than any distance needs.
pub(crate) fn ensure_some_prompts(plan: &SamplePlan) -> Result<(), PipelineError> {
    ensure_prompts(plan, SAMPLES)
}

/// The numbers of blocks that are tried in a segment of the path.
pub(crate) fn depths(steps: &[ErrorStep], blocks: usize) -> Vec<usize> {
    let mut tried = Vec::new();
    let mut smallest = f64::INFINITY;
    for depth in 1..blocks {
        let error: f64 = steps.iter().map(|step| mean_error(step, depth)).sum();
        if tried.is_empty() || error < FALL * smallest {
            tried.push(depth);
            smallest = error;
        }
    }
    tried
}

/// What each evaluation of a segment has of its errors; equal where there are none.
fn shares(errors: &[f64]) -> Vec<f64> {
    let sum: f64 = errors.iter().sum();
    let share = |error: &f64| {
        if sum > 0.0 {
            error / sum
        } else {
            1.0 / errors.len() as f64
        }
    };
    errors.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(errors: &[&[f32]]) -> ErrorStep {
        ErrorStep {
            timestep: 500.0,
            errors: errors.iter().map(|errors| errors.to_vec()).collect(),
            uncertainty: errors
                .iter()
                .map(|errors| vec![0.5; errors.len()])
                .collect(),
        }
    }

    #[test]
    fn depths_that_make_nothing_better_are_not_tried() {
        let first = step(&[&[8.0, 7.9, 2.0, 3.0, 0.0]]);
        let second = step(&[&[1.0, 1.0, 1.0, 0.1, 0.0]]);
        assert_eq!(depths(std::slice::from_ref(&first), 5), [1, 3]);
        assert_eq!(depths(std::slice::from_ref(&second), 5), [1, 4]);
        // Sums: 9, 8.9, 3, 3.1.
        assert_eq!(depths(&[first, second], 5), [1, 3]);
        assert_eq!(depths(&[step(&[&[0.0, 0.0]])], 2), [1]);
    }

    #[test]
    fn a_loss_is_shared_by_errors_and_a_gain_is_equal_for_all() {
        let at = |distance| DepthCost {
            distance,
            error: 2.0,
        };
        let cost = ExitCost {
            evaluations: vec![vec![at(3.0), at(-1.0), DepthCost::default()]],
        };
        let trace = ErrorTrace {
            steps: vec![step(&[&[1.0, 1.0, 0.0], &[3.0, 3.0, 0.0]])],
        };
        let priced = cost.priced(&trace);
        assert_eq!(priced.steps[0].errors, [[1.5, -1.0, 0.0], [4.5, -1.0, 0.0]]);
        assert_eq!(priced.steps[0].uncertainty, trace.steps[0].uncertainty);
        assert_eq!(shares(&[1.0, 3.0]), [0.25, 0.75]);
        assert_eq!(shares(&[0.0, 0.0]), [0.5, 0.5]);
    }
}
