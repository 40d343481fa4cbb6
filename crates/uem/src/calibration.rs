//! The threshold that meets a budget.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::replay;
use crate::{CheckEvery, ExitPolicy, ExitTrace, Threshold};

/// A threshold on the mean uncertainty and the reduction it gave on the recorded samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedThreshold {
    /// A sample leaves where its mean uncertainty is under this.
    pub threshold: f32,
    /// Share of blocks that it skips on the recorded samples, in `[0, 1]`.
    pub reduction: f64,
}

/// Why no threshold meets a budget.
#[derive(Debug, Error, PartialEq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum CalibrationError {
    /// A reduction that is none.
    #[error("the reduction of blocks must lie between 0 and 1, found {0}")]
    Budget(f64),
    /// A budget below the blocks up to the first check.
    #[error(
        "a reduction of {wished} cannot be reached: leaving at the first check of {blocks} blocks at \
         every step skips {reachable:.3} of them"
    )]
    Unreachable {
        wished: f64,
        blocks: u32,
        reachable: f64,
    },
    /// The trace lacks the uncertainty of some block.
    #[error("the recorded trace lacks uncertainties: record every block of every sample")]
    Incomplete,
}

/// Finds the lowest threshold that skips at least a share `reduction` of all blocks, from
/// uncertainties recorded at every block of every sample and step. Samples are judged after every
/// `check_every`-th block ([`CheckEvery`](crate::CheckEvery)).
///
/// Budgets around one half can lie on a steep part of the curve, so the search is exact: it goes
/// through the recorded values themselves.
///
/// # Errors
/// Where the budget is no share, cannot be reached, or the trace is incomplete.
pub fn calibrate(
    trace: &ExitTrace,
    reduction: f64,
    check_every: NonZeroUsize,
) -> Result<CalibratedThreshold, CalibrationError> {
    calibrate_policy(trace, reduction, |uncertainty| CheckEvery {
        policy: Threshold { uncertainty },
        every: check_every,
    })
}

/// [`calibrate`] for any policy that lets more samples leave the higher its threshold is, which
/// `policy` makes of a threshold. The trace holds the policy's signal after every block.
///
/// # Errors
/// As [`calibrate`].
pub fn calibrate_policy<P: ExitPolicy>(
    trace: &ExitTrace,
    reduction: f64,
    policy: impl Fn(f32) -> P,
) -> Result<CalibratedThreshold, CalibrationError> {
    let blocks = trace.blocks_per_prediction;
    if !(reduction > 0.0 && reduction < 1.0) {
        return Err(CalibrationError::Budget(reduction));
    }
    let steps = trace.steps.iter();
    let recorded: Vec<(f64, &[f32])> = steps
        .flat_map(|step| {
            step.uncertainty
                .iter()
                .map(|values| (step.timestep, values.as_slice()))
        })
        .collect();
    let complete = |(_, values): &(f64, &[f32])| {
        values.len() == blocks as usize && values.iter().all(|value| value.is_finite())
    };
    if recorded.is_empty() || !recorded.iter().all(complete) {
        return Err(CalibrationError::Incomplete);
    }
    let reduction_under = |threshold: f32| {
        let policy = policy(threshold);
        let exits = recorded.iter().map(|(timestep, values)| {
            let exit = replay(&policy, *timestep, values.len(), values);
            exit.map_or(values.len(), |(exit, _)| exit)
        });
        1.0 - exits.sum::<usize>() as f64 / (recorded.len() as f64 * f64::from(blocks))
    };
    let reachable = reduction_under(f32::INFINITY);
    if reduction > reachable {
        return Err(CalibrationError::Unreachable {
            wished: reduction,
            blocks,
            reachable,
        });
    }

    // The reduction grows with the threshold and changes only where it passes a recorded value.
    let mut thresholds: Vec<f32> = recorded
        .iter()
        .flat_map(|(_, values)| *values)
        .map(|value| value.next_up())
        .collect();
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let first = thresholds.partition_point(|&threshold| reduction_under(threshold) < reduction);
    let lowest = thresholds[first.min(thresholds.len() - 1)];
    // Half way to the next value, so that rounding on another device changes as little as possible.
    let threshold = match thresholds.get(first + 1) {
        Some(next) => lowest + (next - lowest) / 2.0,
        None => lowest,
    };
    Ok(CalibratedThreshold {
        threshold,
        reduction: reduction_under(threshold),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceStep;

    const EVERY_BLOCK: NonZeroUsize = NonZeroUsize::MIN;

    fn trace(uncertainty: Vec<Vec<f32>>) -> ExitTrace {
        let blocks = vec![4; uncertainty.len()];
        ExitTrace {
            blocks_per_prediction: 4,
            steps: vec![TraceStep {
                timestep: 1.0,
                blocks,
                uncertainty,
            }],
        }
    }

    #[test]
    fn the_lowest_threshold_that_meets_the_budget_is_found() {
        let trace = trace(vec![
            vec![0.9, 0.5, 0.4, 0.3],
            vec![0.8, 0.7, 0.6, 0.1],
            vec![0.2, 0.2, 0.2, 0.2],
        ]);
        // Above 0.2 the third sample leaves after one block: 9 of 12 blocks are left. Above 0.4 the
        // first one leaves after three, above 0.5 after two.
        let found = calibrate(&trace, 0.25, EVERY_BLOCK).unwrap();
        assert_eq!(found.reduction, 0.25);
        assert!(found.threshold > 0.2 && found.threshold <= 0.3);
        let found = calibrate(&trace, 0.26, EVERY_BLOCK).unwrap();
        assert!((found.reduction - 4.0 / 12.0).abs() < 1e-12);
        assert!(found.threshold > 0.4 && found.threshold <= 0.5);
        let found = calibrate(&trace, 0.75, EVERY_BLOCK).unwrap();
        assert_eq!(found.reduction, 0.75);
        assert!(found.threshold > 0.9);
    }

    #[test]
    fn blocks_that_are_not_checked_let_nobody_leave() {
        let trace = trace(vec![vec![0.1, 0.5, 0.1, 0.1], vec![0.1, 0.7, 0.1, 0.1]]);
        let every_other = NonZeroUsize::new(2).unwrap();
        let found = calibrate(&trace, 0.2, every_other).unwrap();
        assert_eq!(found.reduction, 0.25); // one of two samples leaves after two of four blocks
        assert!(found.threshold > 0.5 && found.threshold <= 0.7);
        assert_eq!(
            calibrate(&trace, 0.6, every_other),
            Err(CalibrationError::Unreachable {
                wished: 0.6,
                blocks: 4,
                reachable: 0.5
            })
        );
    }

    #[test]
    fn any_policy_with_a_threshold_is_calibrated() {
        let trace = trace(vec![
            vec![0.9, 0.5, 0.4, 0.3],
            vec![0.8, 0.7, 0.6, 0.1],
            vec![0.2, 0.2, 0.2, 0.2],
        ]);
        let threshold = |uncertainty| crate::Threshold { uncertainty };
        for reduction in [0.25, 0.26, 0.75] {
            assert_eq!(
                calibrate_policy(&trace, reduction, threshold),
                calibrate(&trace, reduction, EVERY_BLOCK)
            );
        }
        // Of four blocks the first two must cross twice: above 0.2 the third sample leaves after two
        // blocks; above 0.4 the first one after three.
        let patience = |uncertainty| crate::Patience { uncertainty };
        let found = calibrate_policy(&trace, 0.25, patience).unwrap();
        assert!((found.reduction - 3.0 / 12.0).abs() < 1e-12, "{found:?}");
        assert!(found.threshold > 0.4 && found.threshold <= 0.5);
    }

    #[test]
    fn senseless_budgets_and_incomplete_traces_are_refused() {
        let whole = trace(vec![vec![0.5; 4]]);
        assert_eq!(
            calibrate(&whole, -0.1, EVERY_BLOCK),
            Err(CalibrationError::Budget(-0.1))
        );
        assert!(matches!(
            calibrate(&whole, f64::NAN, EVERY_BLOCK),
            Err(CalibrationError::Budget(_))
        ));
        assert!(matches!(
            calibrate(&whole, 0.76, EVERY_BLOCK),
            Err(CalibrationError::Unreachable { blocks: 4, .. })
        ));
        let partial = trace(vec![vec![0.5; 3]]);
        assert_eq!(
            calibrate(&partial, 0.5, EVERY_BLOCK),
            Err(CalibrationError::Incomplete)
        );
    }
}
