//! Exits with forecasts along paths of many steps.

use std::ops::Range;

use adadiff_model::kernels::Kernels;
use adadiff_uem::AllocationError;

use super::measure::Bench;
use super::path::{Path, SegmentExit, TOLD, Told};
use super::{Choice, held_out};
use crate::coarse::is_long;
use crate::{PipelineError, SamplePlan};

/// Orders of the forecasts that are tried.
const ORDERS: Range<usize> = 0..3;

impl<B: Kernels> Bench<'_, B> {
    /// The exits for a share of blocks where there are many steps. From one of them to the next a forecast hardly ages,
    /// which a path of fewer steps cannot tell: samples run to the end in some evaluations and leave after the first
    /// block in those that follow, with a forecast of the order of which the smallest distance is measured. What that
    /// adds to the distance is measured on other samples.
    ///
    /// Along very long paths forecasts are of the first order that is tried: measuring others would cost more than
    /// hundreds of samples.
    pub(super) fn alternate(
        &self,
        reduction: f64,
        plan: &SamplePlan,
    ) -> Result<Choice, PipelineError> {
        let path = self.path;
        let exits = alternating(path, reduction)?;
        self.monitor
            .stage("measuring what forecasts do to the distance");
        let evaluations = (plan.samples * plan.steps) as u64;
        let order = if is_long(plan.steps) {
            self.monitor.expect(2 * evaluations);
            ORDERS.start
        } else {
            self.monitor.expect((ORDERS.len() + 2) as u64 * evaluations);
            self.best_order(&exits, &held_out(plan))?
        };
        let windows = path.windows(&of_order(&exits, order));
        let full = self.distance(&path.windows(&path.full()), plan)?;
        let increase = self.distance(&windows, plan)? - full;
        Ok(Choice {
            windows,
            increase,
            evidence: None,
            reached: path.skipped(&exits),
        })
    }

    /// The order of these exits' forecasts of which the smallest distance is measured.
    fn best_order(&self, exits: &[SegmentExit], plan: &SamplePlan) -> Result<usize, PipelineError> {
        let (mut least, mut best) = (f64::INFINITY, ORDERS.start);
        for order in ORDERS {
            let windows = self.path.windows(&of_order(exits, order));
            let distance = self.distance(&windows, plan)?;
            if distance < least {
                (least, best) = (distance, order);
            }
        }
        Ok(best)
    }
}

/// The same exits with forecasts of an order.
fn of_order(exits: &[SegmentExit], order: usize) -> Vec<SegmentExit> {
    let exits = exits.iter().map(|exit| match *exit {
        SegmentExit::Told(told) => SegmentExit::Told(Told { order, ..told }),
        plain => plain,
    });
    exits.collect()
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
    use adadiff_metrics::Gaussian;
    use burn_flex::{Flex, FlexDevice};

    use super::super::path::tests::path;
    use super::*;
    use crate::testing::pipeline;
    use crate::{Calibrator, Evaluator, FeatureExtractor, SampleSpec, Silent};

    #[test]
    fn forecasts_are_of_the_order_that_is_best_by_the_reference() {
        println!("device: flex");
        let pipeline = &pipeline();
        let spec = SampleSpec {
            steps: Some(10),
            ..SampleSpec::new(17)
        };
        let plan = pipeline.plan(&spec).unwrap();
        let path = &Calibrator::new(pipeline).path(10, usize::MAX).unwrap();
        let exits = alternating(path, 0.6).unwrap();
        let judged_by = |reference| {
            let features = FeatureExtractor::Pixels { channels: 1 };
            Evaluator::new(features, reference, pipeline.image_shape(), FlexDevice).unwrap()
        };
        let bench = |evaluator| Bench {
            pipeline,
            evaluator,
            path,
            monitor: &Silent,
        };
        let nowhere = judged_by(Gaussian::new(vec![0.0; 16], vec![0.0; 256]).unwrap());
        let evaluators = ORDERS.map(|order| {
            let windows = path.windows(&of_order(&exits, order));
            let drawn = bench(&nowhere).draw(&windows, &plan).unwrap();
            judged_by(drawn.statistics.gaussian().unwrap())
        });
        let evaluators: Vec<Evaluator<Flex>> = evaluators.collect();
        // Each order is the best where its own samples are the reference.
        let best = |evaluator| bench(evaluator).best_order(&exits, &plan).unwrap();
        let best: Vec<usize> = evaluators.iter().map(best).collect();
        assert_eq!(best, [0, 1, 2]);
    }

    #[test]
    fn evaluations_that_run_to_the_end_are_spread_evenly() {
        let path = Path {
            blocks: 13,
            ..path(12, 1)
        };
        let full = |reduction| {
            let windows = path.windows(&of_order(&alternating(&path, reduction)?, 2));
            assert!(windows.iter().all(|window| {
                let all = window.least == 13;
                all == window.forecast.is_none()
                    && (all || window.least == 1)
                    && window.forecast.is_none_or(|told| told.order == 2)
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
