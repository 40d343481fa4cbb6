//! Whether choosing by sample is worth anything.

use adadiff_model::kernels::Kernels;
use adadiff_uem::{ExitWindow, Forecast};

use super::measure::Bench;
use crate::{PipelineError, SamplePlan};

/// The share of samples that part with the schedule in a window.
const PARTING: f64 = 0.25;

/// Pairs of windows that are tried.
const PAIRS: usize = 4;

impl<B: Kernels> Bench<'_, B> {
    /// Gates in place of a schedule: in one window, in which the schedule lets all leave with a forecast, those stay
    /// that have moved most, and in another, in which it lets none leave, those leave that have moved least.
    pub(super) fn gated(
        &self,
        windows: &[ExitWindow],
        plan: &SamplePlan,
    ) -> Result<Vec<Vec<ExitWindow>>, PipelineError> {
        let blocks = self.path.blocks;
        let pairs = pairs(windows, blocks);
        self.monitor
            .expect((3 * pairs.len() * plan.samples * plan.steps) as u64);
        let mut found = Vec::with_capacity(pairs.len());
        for (leaving, full) in pairs {
            // Everybody leaves in the one, nobody in the other, and both tell how far samples have moved. The later gate
            // is set on samples that the earlier one has let through or not, which move otherwise after it.
            let mut policy = windows.to_vec();
            policy[leaving] = gate(policy[leaving], blocks, f32::MAX);
            policy[full] = gate(like(policy[full], &windows[leaving]), blocks, 0.0);
            let mut gates = [(leaving, 1.0 - PARTING), (full, PARTING)];
            gates.sort_by_key(|(at, _)| *at);
            for (at, share) in gates {
                let trace = self.draw(&policy, plan)?.trace;
                let signals = trace.steps[at].uncertainty.iter().flatten();
                policy[at].movement = quantile(signals.copied().collect(), share);
            }
            if policy[leaving].movement.is_some() && policy[full].movement.is_some() {
                found.push(policy);
            }
        }
        Ok(found)
    }
}

/// Windows in which all leave with a forecast, each with one in which nobody leaves: those next to each other
/// first, the latest of them first.
fn pairs(windows: &[ExitWindow], blocks: usize) -> Vec<(usize, usize)> {
    let leaving = |at: &usize| {
        windows[*at]
            .forecast
            .is_some_and(|told| told.last_blocks == 0)
    };
    // Before the first full evaluation there is nothing to compare with.
    let first = windows.iter().position(|window| window.least == blocks);
    let full = |at: &usize| windows[*at].least == blocks && first.is_some_and(|first| *at > first);
    let all: Vec<usize> = (0..windows.len()).collect();
    let mut pairs: Vec<(usize, usize)> = all
        .iter()
        .filter(|at| leaving(at))
        .flat_map(|&leaving| {
            all.iter()
                .filter(|at| full(at))
                .map(move |&full| (leaving, full))
        })
        .collect();
    pairs.sort_by_key(|&(leaving, full)| (leaving.abs_diff(full), windows.len() - leaving));
    pairs.truncate(PAIRS);
    pairs
}

/// The window, in which samples leave with the other's forecast after as many blocks.
fn like(window: ExitWindow, other: &ExitWindow) -> ExitWindow {
    ExitWindow {
        least: other.least,
        forecast: Some(Forecast {
            order: 0,
            ..other.forecast.unwrap_or_default()
        }),
        ..window
    }
}

/// The window, in which samples that have moved further run to the end.
fn gate(window: ExitWindow, blocks: usize, movement: f32) -> ExitWindow {
    ExitWindow {
        most: blocks,
        movement: Some(movement),
        ..window
    }
}

/// The value that a share of the values is under.
fn quantile(mut values: Vec<f32>, share: f64) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let place = (share * values.len() as f64).round() as usize;
    let below = values.get(place.checked_sub(1)?)?;
    let above = values.get(place)?;
    Some(below + (above - below) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_paired_first() {
        let told = |timestep| ExitWindow {
            forecast: Some(Forecast::default()),
            ..ExitWindow::fixed(timestep, 1)
        };
        let full = |timestep| ExitWindow::fixed(timestep, 5);
        let windows = [full(9.0), full(8.0), told(7.0), full(6.0), told(5.0)];
        assert_eq!(pairs(&windows, 5), [(4, 3), (2, 1), (2, 3), (4, 1)]);
        assert_eq!(pairs(&[full(9.0), told(8.0)], 5), []);
    }

    #[test]
    fn a_share_lies_under_a_quantile() {
        assert_eq!(quantile(vec![4.0, 1.0, 3.0, 2.0], 0.25), Some(1.5));
        assert_eq!(quantile(vec![4.0, 1.0, 3.0, 2.0], 0.75), Some(3.5));
        assert_eq!(quantile(vec![1.0, 2.0], 0.0), None);
    }
}
