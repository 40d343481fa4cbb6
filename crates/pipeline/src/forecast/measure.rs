//! What forecasts and plain exits in single segments do to the distance of the samples.

use std::num::NonZeroUsize;

use adadiff_model::kernels::Kernels;
use adadiff_uem::{ErrorTrace, ExitWindow, ExitWindows};

use super::path::{Path, SegmentExit, TOLD, Told};
use super::search::SegmentCosts;
use crate::exit_cost::depths;
use crate::sampling_config::every_block;
use crate::{Evaluator, Monitor, Pipeline, PipelineError, SamplePlan, SampleStats};

/// Segments in a row, at most, that forecasts of the same evaluation are measured in. Where samples run to the end in
/// between, one tells of the others.
const LONGEST: usize = 3;

/// Of so many evaluations at least one runs to the end, where that is tried.
const MOST_OFTEN: usize = 3;

/// Beyond this share of the full network's distance, an increase is not worth measuring where it is larger still.
const HOPELESS: f64 = 0.5;

/// Distances of samples of the same noise.
pub(crate) struct Bench<'a, B: Kernels> {
    pub pipeline: &'a Pipeline<B>,
    pub evaluator: &'a Evaluator<B>,
    pub path: &'a Path,
    pub monitor: &'a dyn Monitor,
}

impl<B: Kernels> Bench<'_, B> {
    /// The distance of the samples of a plan that leave within these windows.
    pub(crate) fn distance(
        &self,
        windows: &[ExitWindow],
        plan: &SamplePlan,
    ) -> Result<f64, PipelineError> {
        let drawn = self.draw(windows, plan)?;
        self.evaluator.frechet_distance(&drawn.statistics)
    }

    /// Draws the samples of a plan.
    pub(crate) fn draw(
        &self,
        windows: &[ExitWindow],
        plan: &SamplePlan,
    ) -> Result<SampleStats, PipelineError> {
        let policy = ExitWindows::new(windows.to_vec(), every_block());
        SampleStats::generate(self.pipeline, self.evaluator, &policy, plan, self.monitor)
    }

    /// What leaving in one segment, or with a forecast in some in a row, adds to the distance where every
    /// block runs in the others.
    pub(crate) fn segment_costs(
        &self,
        trace: &ErrorTrace,
        plan: &SamplePlan,
    ) -> Result<SegmentCosts, PipelineError> {
        let segments = &self.path.segments;
        let tried: Vec<Vec<usize>> = segments
            .iter()
            .map(|segment| depths(&trace.steps[segment.clone()], self.path.blocks))
            .collect();
        let forms = forms(segments.iter().map(ExactSizeIterator::len).max());
        let plain: usize = tried.iter().map(Vec::len).sum();
        let told = forms.len() * segments.len().saturating_sub(1);
        self.monitor
            .expect(((1 + plain + told) * plan.samples * plan.steps) as u64);
        let measure = |exits: &[SegmentExit]| self.distance(&self.path.windows(exits), plan);
        let full = measure(&self.path.full())?;
        let mut costs = SegmentCosts::default();
        for (segment, depths) in tried.iter().enumerate() {
            let mut found = Vec::with_capacity(depths.len());
            for &depth in depths {
                let mut exits = self.path.full();
                exits[segment] = SegmentExit::Plain(depth);
                found.push((depth, measure(&exits)? - full));
            }
            costs.plain.push(found);
        }
        for form in forms {
            let exit = SegmentExit::Told(form);
            for start in 1..segments.len() {
                let longest = if form.every.is_none() { LONGEST } else { 1 };
                for count in 1..=longest.min(segments.len() - start) {
                    let mut exits = self.path.full();
                    exits[start..start + count].fill(exit);
                    let cost = measure(&exits)? - full;
                    costs.told.insert((start, count, exit), cost);
                    if cost > HOPELESS * full {
                        break;
                    }
                }
            }
        }
        Ok(costs)
    }
}

/// The forecasts that are tried, in segments of so many evaluations at most.
fn forms(longest: Option<usize>) -> Vec<Told> {
    // In shorter segments nobody would leave.
    let every = (2..=longest.unwrap_or(0).min(MOST_OFTEN)).map(|every| Told {
        every: NonZeroUsize::new(every),
        ..TOLD
    });
    std::iter::once(TOLD).chain(every).collect()
}
