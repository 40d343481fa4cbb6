//! A budget of blocks shared out over time so that the noise predictions suffer least.

use std::num::NonZeroUsize;

use thiserror::Error;

use crate::policy::is_checked;
use crate::{ErrorStep, ErrorTrace, ExitWindow};

/// Thresholds that are tried at each timestep and window.
const THRESHOLDS: usize = 12;

/// Windows over time, and what they cost on the recorded samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// A window for each recorded evaluation.
    pub windows: Vec<ExitWindow>,
    /// Share of blocks that they skip, in `[0, 1]`.
    pub reduction: f64,
    /// What the next block would take off the weighted error of a sample: the price at which blocks
    /// were shared out.
    pub price: f64,
}

/// Why blocks cannot be shared out.
#[derive(Debug, Error, PartialEq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum AllocationError {
    /// A reduction that is none.
    #[error("the reduction of blocks must lie between 0 and 1, found {0}")]
    Budget(f64),
    /// A budget of less than a block an evaluation.
    #[error(
        "a reduction of {wished} cannot be reached: one block an evaluation skips {reachable:.3}"
    )]
    Unreachable { wished: f64, reachable: f64 },
    /// The record lacks values, or there is not a weight for each evaluation.
    #[error("the record of errors is incomplete: every block of every sample is needed")]
    Incomplete,
}

/// One way to leave at a timestep.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    window: ExitWindow,
    /// Mean blocks of a sample.
    blocks: f64,
    /// Mean weighted error of a sample.
    error: f64,
}

/// Shares out the blocks that a `reduction` leaves over the recorded evaluations so that the weighted
/// sum of the errors is least.
///
/// `weights` has a number for each evaluation: by how much its squared error counts. At each
/// evaluation samples may leave by a threshold on their uncertainty between a least and a most number
/// of blocks; what all these windows cost and spoil is known from the record, so that the best of
/// them for any price of a block lie on a convex curve. The curves of all evaluations are followed
/// from the cheapest windows on, always where a block helps most, until the budget is used up: the
/// greedy solution of the Lagrangian, which is optimal but for the last step. Samples are judged after every
/// `check_every`-th block, as [`CheckEvery`](crate::CheckEvery) does.
///
/// # Errors
/// Where the budget is no share, cannot be reached, or the record is incomplete.
pub fn allocate(
    trace: &ErrorTrace,
    weights: &[f64],
    reduction: f64,
    check_every: NonZeroUsize,
) -> Result<Allocation, AllocationError> {
    if !(reduction > 0.0 && reduction < 1.0) {
        return Err(AllocationError::Budget(reduction));
    }
    let blocks = blocks_of(trace).ok_or(AllocationError::Incomplete)?;
    if weights.len() != trace.steps.len() || !weights.iter().all(|weight| weight.is_finite()) {
        return Err(AllocationError::Incomplete);
    }
    let available = (trace.steps.len() * blocks) as f64;
    let reachable = 1.0 - trace.steps.len() as f64 / available;
    if reduction > reachable + 1e-9 {
        return Err(AllocationError::Unreachable {
            wished: reduction,
            reachable,
        });
    }
    let curves: Vec<Vec<Candidate>> = trace
        .steps
        .iter()
        .zip(weights)
        .map(|(step, &weight)| lower_hull(candidates(step, weight, blocks, check_every)))
        .collect();

    let budget = (1.0 - reduction) * available + 1e-9;
    let mut chosen = vec![0; curves.len()];
    let mut spent: f64 = curves.iter().map(|curve| curve[0].blocks).sum();
    let mut price = 0.0;
    // Where the best step does not fit any more, a worse one may.
    while let Some((gain, step)) = best_step(&curves, &chosen, budget - spent) {
        let (from, to) = (curves[step][chosen[step]], curves[step][chosen[step] + 1]);
        spent += to.blocks - from.blocks;
        chosen[step] += 1;
        price = gain;
    }
    Ok(Allocation {
        windows: curves
            .iter()
            .zip(&chosen)
            .map(|(curve, &place)| curve[place].window)
            .collect(),
        reduction: 1.0 - spent / available,
        price,
    })
}

/// The evaluation whose next candidate takes most off the error for each block, of those that fit
/// into what is left of the budget.
fn best_step(curves: &[Vec<Candidate>], chosen: &[usize], left: f64) -> Option<(f64, usize)> {
    let steps = curves.iter().zip(chosen).enumerate();
    let gains = steps.filter_map(|(step, (curve, &place))| {
        let (from, to) = (curve[place], curve.get(place + 1)?);
        let blocks = to.blocks - from.blocks;
        (blocks <= left).then(|| ((from.error - to.error) / blocks, step))
    });
    gains.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Blocks of the network, where every value of the record is there.
fn blocks_of(trace: &ErrorTrace) -> Option<usize> {
    let blocks = trace.steps.first()?.errors.first()?.len();
    let complete = |values: &[Vec<f32>]| {
        let finite = |values: &Vec<f32>| {
            values.len() == blocks && values.iter().all(|value| value.is_finite())
        };
        !values.is_empty() && values.iter().all(finite)
    };
    let whole = |step: &ErrorStep| {
        complete(&step.errors)
            && complete(&step.uncertainty)
            && step.errors.len() == step.uncertainty.len()
    };
    (blocks > 0 && trace.steps.iter().all(whole)).then_some(blocks)
}

/// All windows that are tried at an evaluation.
fn candidates(
    step: &ErrorStep,
    weight: f64,
    blocks: usize,
    check_every: NonZeroUsize,
) -> Vec<Candidate> {
    let try_out = |least: usize, most: usize, uncertainty: f32| {
        let window = ExitWindow {
            least,
            most,
            uncertainty,
            ..ExitWindow::fixed(step.timestep, blocks)
        };
        let (mut run, mut error) = (0, 0.0);
        for (errors, uncertainty) in step.errors.iter().zip(&step.uncertainty) {
            let exit = window.exit(uncertainty, check_every);
            run += exit;
            error += f64::from(errors[exit - 1]);
        }
        let samples = step.errors.len() as f64;
        Candidate {
            window,
            blocks: run as f64 / samples,
            error: weight * error / samples,
        }
    };
    let mut all: Vec<Candidate> = (1..=blocks)
        .map(|depth| try_out(depth, depth, 0.0))
        .collect();
    for least in 1..blocks {
        for most in least + 1..=blocks {
            let judged = (least..most).filter(|blocks| is_checked(blocks - 1, check_every));
            let mut seen: Vec<f32> = judged
                .flat_map(|blocks| step.uncertainty.iter().map(move |u| u[blocks - 1]))
                .collect();
            seen.sort_by(f32::total_cmp);
            let count = seen.len();
            all.extend((1..=THRESHOLDS).filter_map(|part| {
                let place = part * count / (THRESHOLDS + 1);
                let threshold = seen.get(place)?;
                Some(try_out(least, most, *threshold))
            }));
        }
    }
    all
}

/// The candidates that are best for some price of a block: the lower convex hull of error over
/// blocks, from the cheapest on, as far as more blocks make the error less.
fn lower_hull(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| {
        let blocks = a.blocks.total_cmp(&b.blocks);
        blocks.then(a.error.total_cmp(&b.error))
    });
    let slope =
        |from: &Candidate, to: &Candidate| (to.error - from.error) / (to.blocks - from.blocks);
    let mut hull: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if hull
            .last()
            .is_some_and(|last| candidate.error >= last.error)
        {
            continue;
        }
        while let [.., before, last] = hull.as_slice() {
            if slope(before, last) <= slope(last, &candidate) {
                break;
            }
            hull.pop();
        }
        hull.push(candidate);
    }
    hull
}

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
