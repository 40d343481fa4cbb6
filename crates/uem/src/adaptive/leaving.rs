//! Who leaves after a block, and with what.

use adadiff_model::TokenState;
use adadiff_model::kernels::Kernels;

use super::AdaptiveUVit;
use crate::exited::{Evaluation, uncertainty_map};
use crate::memory::Memory;
use crate::{BlockContext, ExitPolicy, Forecast};

impl<B: Kernels, P: ExitPolicy> AdaptiveUVit<'_, B, P> {
    /// The forecast that samples leave with after a block, where they do not leave as they are.
    pub(super) fn forecast(&self, context: BlockContext) -> Option<Forecast> {
        let forecast = (!context.is_last()).then(|| self.policy.forecast(context));
        let told = forecast.flatten().filter(|told| told.coefficient != 0.0)?;
        Some(Forecast {
            last_blocks: told.last_blocks.min(context.block + 1),
            ..told
        })
    }

    /// Positions of the active samples that exit after a block, and of those that go on. One that should leave with a
    /// forecast, but has none, runs to the end; in pairs both of a sample's predictions do, or neither.
    pub(super) fn part(
        &self,
        context: BlockContext,
        samples: &[usize],
        evaluation: &mut Evaluation<B>,
        memory: &Memory<B>,
        pairs: bool,
    ) -> (Vec<usize>, Vec<usize>) {
        let forecast = self.forecast(context);
        let batch = evaluation.blocks.len();
        let mut exits = vec![false; batch];
        for &sample in samples {
            let may = evaluation.blocks[sample] == 0 && !evaluation.runs_on[sample];
            let signals = &evaluation.signals[sample];
            exits[sample] = may && self.policy.should_exit(context, signals);
        }
        if let Some(forecast) = forecast {
            let wanted = exits.clone();
            let may =
                |sample: usize| wanted[sample] && memory.reaches(context.block, sample, forecast);
            for sample in (0..batch).filter(|&sample| wanted[sample]) {
                let other = (sample + batch / 2) % batch;
                let together = !pairs || may(other) || evaluation.blocks[other] != 0;
                exits[sample] = together && may(sample);
                evaluation.runs_on[sample] = !exits[sample];
            }
        }
        let left = &evaluation.blocks;
        let leaves = |sample: usize| left[sample] == 0 && (context.is_last() || exits[sample]);
        (0..samples.len()).partition(|&row| leaves(samples[row]))
    }

    /// Lets the samples in `rows` leave after a block.
    pub(super) fn exit(
        &self,
        context: BlockContext,
        state: &TokenState<B>,
        rows: &[usize],
        memory: &Memory<B>,
        evaluation: &mut Evaluation<B>,
    ) {
        let mut exiting = state.clone();
        exiting.keep(rows);
        let map = self
            .keep_maps
            .then(|| uncertainty_map(self.model, context.block, &exiting));
        let samples = exiting.samples().to_vec();
        let (hidden, run) = (exiting.hidden(), context.block + 1);
        let Some(forecast) = self.forecast(context) else {
            return evaluation.exit(run, context.block, hidden, map, &samples);
        };
        let time = |timestep| self.policy.forecast_time(timestep);
        let told = memory.forecast(context.block, &samples, forecast, (context.timestep, time));
        let mut hidden = hidden + told;
        let last = forecast.last_blocks;
        if last > 0 {
            let (backbone, rest) = (&self.model.backbone, context.blocks - last);
            let state = backbone.jump(exiting, rest, hidden);
            hidden = backbone.run_blocks(rest..context.blocks, state).hidden();
        }
        evaluation.exit(run + last, context.blocks - 1, hidden, map, &samples);
    }
}
