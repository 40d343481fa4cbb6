//! Exits with forecasts along paths of very many steps.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{AllocationError, ExitWindow, Forecast};

use super::measure::Bench;
use crate::exit_cost::samples_of_distance;
use crate::{
    Calibration, CalibrationKey, Calibrator, ExitSetting, Monitor, PipelineError, SamplePlan,
};

impl<B: Kernels> Calibrator<B> {
    /// The exits that a budget of blocks leaves along a path of very many steps. From one of them to the next a forecast
    /// hardly ages, which a path of fewer steps cannot tell: samples run to the end in some evaluations and leave after
    /// the first block in those that follow. What that adds to the distance is measured.
    pub(super) fn calibrate_alternating(
        &self,
        key: CalibrationKey,
        plan: SamplePlan,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let reference = self.opened_reference()?;
        let path = self.path(key.steps)?;
        let windows = alternating(&path.timesteps, path.blocks, key.reduction)
            .ok_or(AllocationError::Incomplete)?;
        let bench = Bench {
            pipeline: &self.pipeline.decoding(),
            evaluator: &reference.evaluator,
            path: &path,
            monitor,
        };
        let plan = SamplePlan {
            samples: samples_of_distance(bench.evaluator.dims()),
            ..plan
        };
        monitor.stage("measuring what forecasts do to the distance");
        monitor.expect((2 * plan.samples * plan.steps) as u64);
        let full = bench.distance(&path.windows(&path.full()), &plan)?;
        let drawn = bench.draw(&windows, &plan)?;
        let increase = bench.evaluator.frechet_distance(&drawn.statistics)? - full;
        Ok(Calibration {
            exits: ExitSetting::Forecast {
                windows,
                increase: increase as f32,
                reference: reference.id.clone(),
                evidence: None,
            },
            check_every: key.check_every,
            reduction: key.reduction,
            reached: self.pipeline.cost(&drawn.counts)?.block_reduction,
            steps: key.steps,
            guidance: key.guidance,
            samples: plan.samples,
            seed: plan.seed,
            result: None,
        })
    }
}

/// Windows of the evaluations at `timesteps`, from noise on, that skip a share of `blocks`: evenly spread over them, as
/// many run to the end as the budget has blocks for. None where that are none.
fn alternating(timesteps: &[f64], blocks: usize, reduction: f64) -> Option<Vec<ExitWindow>> {
    let (count, first) = (timesteps.len(), 1.0 / blocks as f64);
    let share = (1.0 - reduction - first) / (1.0 - first);
    let full = (share * count as f64 + 1e-6) as usize;
    let before = |at: usize| at * full / count;
    let is_full = |at: usize| at == 0 || before(at) > before(at - 1);
    let windows = timesteps.iter().enumerate().map(|(at, &timestep)| {
        if is_full(at) {
            return ExitWindow::fixed(timestep, blocks);
        }
        ExitWindow {
            forecast: Some(Forecast::default()),
            ..ExitWindow::fixed(timestep, 1)
        }
    });
    (full > 0).then(|| windows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_that_run_to_the_end_are_spread_evenly() {
        let timesteps: Vec<f64> = (0..12).map(|at| 999.0 - f64::from(at)).collect();
        let full = |reduction| {
            let windows = alternating(&timesteps, 13, reduction)?;
            assert!(windows.iter().all(|window| {
                let all = window.least == 13;
                all != window.forecast.is_some() && (all || window.least == 1)
            }));
            let full = windows
                .iter()
                .enumerate()
                .filter(|(_, window)| window.least == 13);
            Some(full.map(|(at, _)| at).collect::<Vec<_>>())
        };
        // Every second one saves 6 of 13 blocks, every third 8 of 13.
        assert_eq!(full(6.0 / 13.0), Some(vec![0, 2, 4, 6, 8, 10]));
        assert_eq!(full(8.0 / 13.0), Some(vec![0, 3, 6, 9]));
        assert_eq!(full(7.0 / 13.0), Some(vec![0, 3, 5, 8, 10]));
        assert_eq!(full(0.92), None);
    }
}
