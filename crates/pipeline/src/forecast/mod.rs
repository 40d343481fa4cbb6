//! The exit rule [`ExitRule::Forecast`](crate::ExitRule::Forecast): in each segment of the path a depth, with or without
//! a forecast of the blocks that are skipped, chosen by measured distances.

mod alternating;
mod evidence;
mod measure;
mod path;
mod search;

use std::sync::Arc;

use adadiff_model::kernels::Kernels;
use adadiff_uem::{AllocationError, ExitWindow, FullDepth};

use crate::exit_cost::{SEGMENTS, ensure_some_prompts, samples_of_distance};
use crate::segments::segments;
use crate::{
    Calibration, CalibrationKey, Calibrator, Evidence, ExitSetting, Monitor, PipelineError,
    SamplePlan,
};
use measure::Bench;
use path::Path;
use search::{Found, Search};

pub(crate) use search::SegmentCosts;

/// Steps beyond which exits are not searched for, which takes draws for each segment of them.
const MOST_SEARCHED: usize = 25;

/// Exits of all segments together that are measured for a budget, for each segment.
const PROBES: usize = 3;

/// The fewest samples of their distances, for each segment: among more ways to leave more are nearly alike.
const SAMPLES: usize = 64;

/// How many of the best are measured once more, on samples that none was chosen by.
const FINALISTS: usize = 3;

/// Added to the seed for other samples.
const HELD_OUT_SEED: u64 = 0x6865_6c64_6f75;

/// What a schedule may exceed a budget by where samples choose for themselves, as a share of all blocks.
const SLACK: f64 = 0.005;

/// As many samples of other noise.
fn held_out(plan: &SamplePlan) -> SamplePlan {
    SamplePlan {
        seed: plan.seed.wrapping_add(HELD_OUT_SEED),
        ..plan.clone()
    }
}

/// Whether exits of paths of so many steps are searched for, segment by segment.
pub(crate) fn is_searched(steps: usize) -> bool {
    steps <= MOST_SEARCHED
}

/// The exits that were chosen.
struct Choice {
    windows: Vec<ExitWindow>,
    /// What they add to the full network's distance, on samples that they were not chosen by.
    increase: f64,
    evidence: Option<Evidence>,
    /// The share of blocks that they skip there.
    reached: f64,
}

impl<B: Kernels> Calibrator<B> {
    /// The exits that a budget of blocks leaves, with and without forecasts.
    pub(crate) fn calibrate_forecast(
        &self,
        key: CalibrationKey,
        monitor: &dyn Monitor,
    ) -> Result<Calibration, PipelineError> {
        let reachable = 1.0 - 1.0 / self.pipeline.blocks() as f64;
        if !(key.reduction > 0.0 && key.reduction < 1.0) {
            return Err(AllocationError::Budget(key.reduction).into());
        }
        if key.reduction > reachable + 1e-9 {
            let wished = key.reduction;
            return Err(AllocationError::Unreachable { wished, reachable }.into());
        }
        let mut plan = self.plan(key)?;
        // Said before a network of features is opened.
        ensure_some_prompts(&plan)?;
        let reference = self.opened_reference()?;
        let is_searched = is_searched(key.steps);
        let path = self.path(key.steps, if is_searched { SEGMENTS } else { usize::MAX })?;
        let bench = Bench {
            pipeline: &self.pipeline.decoding(),
            evaluator: &reference.evaluator,
            path: &path,
            monitor,
        };
        let choice = if is_searched {
            let costs = self.segment_costs(&bench, &plan)?;
            bench.choose(&costs, key.reduction, &plan)?
        } else {
            plan.samples = samples_of_distance(bench.evaluator.dims());
            bench.alternate(key.reduction, &plan)?
        };
        Ok(Calibration {
            exits: ExitSetting::Forecast {
                windows: choice.windows,
                increase: choice.increase as f32,
                reference: reference.id.clone(),
                evidence: choice.evidence,
            },
            check_every: key.check_every,
            reduction: key.reduction,
            reached: choice.reached,
            steps: key.steps,
            guidance: key.guidance,
            samples: plan.samples,
            seed: plan.seed,
            result: None,
        })
    }

    /// The path of so many steps in so many segments at most.
    fn path(&self, steps: usize, most: usize) -> Result<Path, PipelineError> {
        let timesteps = self.pipeline.timesteps(steps)?;
        Ok(Path {
            segments: segments(timesteps.len(), most).collect(),
            timesteps,
            blocks: self.pipeline.blocks(),
        })
    }

    /// What leaving in single segments does, measured once for all budgets.
    fn segment_costs(
        &self,
        bench: &Bench<'_, B>,
        plan: &SamplePlan,
    ) -> Result<Arc<SegmentCosts>, PipelineError> {
        self.measured_segments(plan, || {
            bench
                .monitor
                .stage("measuring what exits and forecasts do to the distance");
            let trace = self.errors(&FullDepth, plan, bench.monitor)?;
            let plan = SamplePlan {
                samples: samples_of_distance(bench.evaluator.dims()),
                ..plan.clone()
            };
            bench.segment_costs(&trace, &plan)
        })
    }
}

impl<B: Kernels> Bench<'_, B> {
    /// The exits for a share of blocks: the schedule of which the smallest distance is measured, and samples that
    /// choose for themselves where that is better on samples that neither was chosen by.
    fn choose(
        &self,
        costs: &SegmentCosts,
        reduction: f64,
        plan: &SamplePlan,
    ) -> Result<Choice, PipelineError> {
        let (path, segments) = (self.path, self.path.segments.len());
        let search = Search {
            path,
            costs,
            budget: ((1.0 - reduction) * path.blocks_total() as f64 + 1e-9) as usize,
        };
        let plan = SamplePlan {
            samples: (SAMPLES * segments).max(samples_of_distance(self.evaluator.dims())),
            ..plan.clone()
        };
        let held_out = held_out(&plan);
        let evaluations = (plan.samples * plan.steps) as u64;
        self.monitor.stage("measuring exits and forecasts together");
        let probes = PROBES * segments;
        self.monitor.expect((probes + 1) as u64 * evaluations);
        let found = search.run(probes, |exits| self.distance(&path.windows(exits), &plan))?;

        self.monitor.stage("choosing on other samples");
        self.monitor.expect((FINALISTS + 1) as u64 * evaluations);
        let full = self.distance(&path.windows(&path.full()), &held_out)?;
        let mut best: Option<(f64, f64, &Found)> = None;
        for finalist in &found[..FINALISTS.min(found.len())] {
            let distance = self.distance(&path.windows(&finalist.exits), &held_out)?;
            let mean = (distance + finalist.distance) / 2.0;
            if best.is_none_or(|(least, ..)| mean < least) {
                best = Some((mean, distance, finalist));
            }
        }
        let Some((_, scheduled, best)) = best else {
            return Err(AllocationError::Incomplete.into());
        };
        let windows = path.windows(&best.exits);

        let schedule = Choice {
            windows,
            increase: scheduled - full,
            evidence: None,
            reached: path.skipped(&best.exits),
        };
        self.monitor.stage("letting samples choose for themselves");
        let mut gated: Option<(f64, Vec<ExitWindow>)> = None;
        for windows in self.gated(&schedule.windows, &plan)? {
            let drawn = self.draw(&windows, &plan)?;
            let distance = self.evaluator.frechet_distance(&drawn.statistics)?;
            let within = self.pipeline.cost(&drawn.counts)?.block_reduction >= reduction - SLACK;
            if within && gated.as_ref().is_none_or(|(least, _)| distance < *least) {
                gated = Some((distance, windows));
            }
        }
        let Some((_, gated)) = gated else {
            return Ok(schedule);
        };
        let drawn = self.draw(&gated, &held_out)?;
        let by_sample = self.evaluator.frechet_distance(&drawn.statistics)?;
        let evidence = Some(Evidence {
            scheduled,
            by_sample,
            samples: held_out.samples,
            seed: held_out.seed,
        });
        Ok(if by_sample < scheduled {
            Choice {
                windows: gated,
                increase: by_sample - full,
                evidence,
                reached: self.pipeline.cost(&drawn.counts)?.block_reduction,
            }
        } else {
            Choice {
                evidence,
                ..schedule
            }
        })
    }
}
