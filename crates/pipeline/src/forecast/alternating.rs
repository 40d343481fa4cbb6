//! Exits with forecasts along paths of very many steps.

use adadiff_model::kernels::Kernels;
use adadiff_uem::AllocationError;

use super::Choice;
use super::measure::Bench;
use super::path::{Path, SegmentExit, TOLD};
use crate::{PipelineError, SamplePlan};

impl<B: Kernels> Bench<'_, B> {
    /// The exits for a share of blocks where there are very many steps. From one of them to the next a forecast hardly ages,
    /// which a path of fewer steps cannot tell: samples run to the end in some evaluations and leave after the first
    /// block in those that follow. What that adds to the distance is measured.
    pub(super) fn alternate(
        &self,
        reduction: f64,
        plan: &SamplePlan,
    ) -> Result<Choice, PipelineError> {
        let path = self.path;
        let exits = alternating(path, reduction)?;
        let windows = path.windows(&exits);
        self.monitor
            .stage("measuring what forecasts do to the distance");
        self.monitor.expect((2 * plan.samples * plan.steps) as u64);
        let full = self.distance(&path.windows(&path.full()), plan)?;
        let increase = self.distance(&windows, plan)? - full;
        Ok(Choice {
            windows,
            increase,
            evidence: None,
            reached: path.skipped(&exits),
        })
    }
}

/// The exits of a path in segments of one evaluation each that skip a share of the blocks: evenly spread over it, as many
/// evaluations run to the end as the budget has blocks for.
fn alternating(path: &Path, reduction: f64) -> Result<Vec<SegmentExit>, AllocationError> {
    let (count, least) = (path.segments.len(), 1.0 / path.blocks as f64);
    let share = (1.0 - reduction - least) / (1.0 - least);
    let full = (share * count as f64 + 1e-6) as usize;
    let before = |at: usize| at * full / count;
    let exit = |at: usize| {
        if at == 0 || before(at) > before(at - 1) {
            SegmentExit::Plain(path.blocks)
        } else {
            SegmentExit::Told(TOLD)
        }
    };
    let exits: Vec<SegmentExit> = (0..count).map(exit).collect();
    // The first evaluation runs to the end in any case.
    if full == 0 {
        let (wished, reachable) = (reduction, path.skipped(&exits));
        return Err(AllocationError::Unreachable { wished, reachable });
    }
    Ok(exits)
}

#[cfg(test)]
mod tests {
    use super::super::path::tests::path;
    use super::*;

    #[test]
    fn evaluations_that_run_to_the_end_are_spread_evenly() {
        let path = Path {
            blocks: 13,
            ..path(12, 1)
        };
        let full = |reduction| {
            let windows = path.windows(&alternating(&path, reduction)?);
            assert!(windows.iter().all(|window| {
                let all = window.least == 13;
                all != window.forecast.is_some() && (all || window.least == 1)
            }));
            let full = windows
                .iter()
                .enumerate()
                .filter(|(_, window)| window.least == 13);
            Ok::<_, AllocationError>(full.map(|(at, _)| at).collect::<Vec<_>>())
        };
        // Every second one saves 6 of 13 blocks, every third 8 of 13.
        assert_eq!(full(6.0 / 13.0), Ok(vec![0, 2, 4, 6, 8, 10]));
        assert_eq!(full(8.0 / 13.0), Ok(vec![0, 3, 6, 9]));
        assert_eq!(full(7.0 / 13.0), Ok(vec![0, 3, 5, 8, 10]));
        let (wished, reachable) = (0.92, 11.0 / 13.0);
        assert_eq!(
            full(wished),
            Err(AllocationError::Unreachable { wished, reachable })
        );
    }
}
